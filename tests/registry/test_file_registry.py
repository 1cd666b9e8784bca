"""FileRegistry: our rows among those of others, who are never harmed."""

from __future__ import annotations

import json
import os
import shutil
import stat
import threading

import pytest

from dcc_mcp_embed.address import TransportAddress
from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.registry.status import ServiceStatus
from dcc_mcp_embed.transport_errors import RegistryFile, ServiceAlreadyRegistered, Shutdown
from fakes.registry import ID, Opened, raw_row

fcntl = pytest.importorskip("fcntl")

OTHER = "ffffffff-0000-4000-8000-000000000000"
DEAD = 2**31 - 2


@pytest.fixture
def opened(tmp_path):
    with Opened(tmp_path / "registry") as one:
        yield one


def register(opened, dcc_type="maya", port=18812, **facts):
    return opened.registry.register(dcc_type, "127.0.0.1", port, **facts)


def test_a_row_is_written_as_others_expect_it(opened):
    entry = register(
        opened,
        version="2025",
        scene="a.ma",
        documents=["a.ma", "b.ma"],
        display_name="Maya",
        metadata={"k": "v"},
        extras={"deep": [1, {"x": None}]},
        transport_address=TransportAddress.unix_socket("/tmp/x.sock"),
        host_pid=77,
        adapter_version="1.0",
        adapter_dcc="maya",
        status=ServiceStatus.BOOTING,
    )
    (row,) = opened.rows()
    moment = {"secs_since_epoch": 1700001000, "nanos_since_epoch": 0}
    assert row == {
        "dcc_type": "maya",
        "instance_id": entry.instance_id,
        "host": "127.0.0.1",
        "port": 18812,
        "transport_address": {"type": "unix_socket", "path": "/tmp/x.sock"},
        "version": "2025",
        "adapter_version": "1.0",
        "adapter_dcc": "maya",
        "scene": "a.ma",
        "documents": ["a.ma", "b.ma"],
        "pid": os.getpid(),
        "host_pid": 77,
        "display_name": "Maya",
        "metadata": {"k": "v"},
        "extras": {"deep": [1, {"x": None}]},
        "registered_at": moment,
        "last_heartbeat": moment,
        "status": "booting",
        "sentinel_path": os.path.join(
            opened.directory, "locks", "maya-{}.lock".format(entry.instance_id)
        ),
    }
    assert opened.registry.get("maya", entry.instance_id) == entry
    assert opened.registry.own() == [("maya", entry.instance_id)]


def test_files_are_private(opened):
    register(opened)
    for path, folders, names in os.walk(opened.directory):
        for name in folders:
            assert stat.S_IMODE(os.stat(os.path.join(path, name)).st_mode) == 0o700
        for name in names:
            assert stat.S_IMODE(os.stat(os.path.join(path, name)).st_mode) == 0o600


def test_rows_are_listed_by_kind_and_found_by_any_form_of_their_id(opened):
    maya, other = register(opened), register(opened, "houdini", 1)
    assert opened.registry.entries() == [maya, other]
    assert opened.registry.entries("houdini") == [other]
    assert opened.registry.entries("Maya") == []
    assert opened.registry.get("maya", "{" + maya.instance_id.upper() + "}") == maya
    assert opened.registry.get("houdini", maya.instance_id) is None
    with pytest.raises(ValueError, match="invalid UUID"):
        opened.registry.get("maya", "1")


def test_others_rows_survive_ours_to_the_letter(opened):
    foreign = '{"dcc_type":"x" , "instance_id":"%s","colour":{"a":1.50}, "port": 1}' % OTHER  # noqa: UP031
    strange = '{"no": "row"}'
    opened.write_bytes("[{},\n{}]".format(foreign, strange).encode())
    entry = register(opened)
    opened.registry.beat()
    opened.registry.update("maya", entry.instance_id, scene="b.ma")
    opened.registry.sweep()
    opened.registry.deregister("maya", entry.instance_id)
    with open(opened.path) as file:
        assert file.read() == "[\n{},\n{}\n]".format(foreign, strange)
    assert [one.dcc_type for one in opened.registry.entries()] == ["x"]


def test_leaving_takes_row_and_sentinel_away(opened):
    entry = register(opened)
    assert os.path.exists(entry.sentinel_path)
    assert opened.registry.deregister("maya", entry.instance_id)
    assert not opened.registry.deregister("maya", entry.instance_id)
    assert not os.path.exists(entry.sentinel_path)
    assert opened.rows() == []
    assert opened.registry.own() == []


def test_a_call_by_id_about_anothers_row_is_obeyed(opened):
    opened.write(raw_row(registered_at=1700000000, pid=os.getpid()), raw_row(instance_id=OTHER))
    opened.clock.advance(7)
    assert opened.registry.heartbeat("maya", ID)
    first, second = opened.rows()
    assert first["last_heartbeat"]["secs_since_epoch"] == 1700001007
    assert first["registered_at"] == {"secs_since_epoch": 1700000000, "nanos_since_epoch": 0}
    assert opened.registry.update("maya", ID, status=ServiceStatus.BUSY)
    assert opened.registry.get("maya", ID).status is ServiceStatus.BUSY
    assert opened.registry.deregister("maya", ID)
    assert opened.rows() == [second]
    assert not opened.registry.heartbeat("maya", ID)
    assert not opened.registry.update("maya", ID, scene="x")


def test_changing_a_row(opened):
    entry = register(opened, metadata={"a": "1", "b": "2"}, documents=["x"])
    opened.clock.advance(5)
    change = opened.registry.update
    assert change("maya", entry.instance_id, scene="s", merge_metadata={"a": None, "c": "3"})
    now = opened.registry.get("maya", entry.instance_id)
    assert (now.scene, now.metadata) == ("s", {"b": "2", "c": "3"})
    assert now.last_heartbeat_ms == entry.last_heartbeat_ms
    assert change("maya", entry.instance_id, touch=True, documents=None, status=ServiceStatus.BUSY)
    now = opened.registry.get("maya", entry.instance_id)
    assert (now.documents, now.status) == ([], ServiceStatus.BUSY)
    assert now.last_heartbeat_ms == entry.last_heartbeat_ms + 5000


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"status": "busy"}, TypeError),
        ({"port": 70000}, OverflowError),
        ({"colour": 1}, TypeError),
        ({"scene": "\ud800"}, ValueError),
        ({"extras": {"x": float("nan")}}, ValueError),
    ],
)
def test_what_would_spoil_the_file_changes_nothing(opened, change, error):
    entry = register(opened)
    before = opened.rows()
    with pytest.raises(error):
        opened.registry.update("maya", entry.instance_id, **change)
    with pytest.raises(error):
        register(opened, "houdini", **change)
    assert opened.rows() == before
    assert len(os.listdir(os.path.join(opened.directory, "locks"))) == 1
    assert opened.registry.heartbeat("maya", entry.instance_id)


def test_an_id_that_somebody_alive_has_is_refused(opened):
    register(opened, instance_id=ID)
    opened.write(*opened.rows(), raw_row(instance_id=OTHER, pid=os.getpid()))
    for taken in (ID, OTHER):
        with pytest.raises(ServiceAlreadyRegistered):
            register(opened, instance_id=taken)
    opened.write(raw_row(instance_id=OTHER, pid=DEAD, port=1))
    register(opened, instance_id=OTHER, port=2)
    assert [row["port"] for row in opened.rows()] == [2]


# Beating.


def test_beating_is_one_change_for_all_rows(opened, monkeypatch):
    for number in range(5):
        register(opened, port=number)
    opened.clock.advance(3)
    written = []
    real = os.replace
    monkeypatch.setattr(os, "replace", lambda *names: written.append(names) or real(*names))
    opened.registry.beat()
    assert len(written) == 1
    assert {row["last_heartbeat"]["secs_since_epoch"] for row in opened.rows()} == {1700001003}
    assert {row["registered_at"]["secs_since_epoch"] for row in opened.rows()} == {1700001000}


def test_beating_without_rows_touches_nothing(opened):
    opened.registry.beat()
    assert os.listdir(opened.directory) == []


def test_what_others_changed_in_our_row_stays_but_not_who_we_are(opened):
    entry = register(opened, host_pid=5)
    (row,) = opened.rows()
    changed = dict(row, status="unreachable", lease_owner="somebody", capacity=3)
    for name in ("pid", "host_pid", "sentinel_path"):
        del changed[name]
    opened.write(changed)
    opened.registry.beat()
    (after,) = opened.rows()
    assert after == dict(row, status="unreachable", lease_owner="somebody", capacity=3)
    # A lease that was given back does not return.
    del after["lease_owner"]
    opened.write(after)
    opened.registry.beat()
    assert "lease_owner" not in opened.rows()[0]
    assert opened.registry.get("maya", entry.instance_id).status is ServiceStatus.UNREACHABLE


@pytest.mark.parametrize("content", [None, b"[]", b"", b"{broken"])
def test_a_row_that_vanished_comes_back_as_it_was(opened, content):
    entry = register(opened, metadata={"a": "b"})
    opened.registry.update("maya", entry.instance_id, status=ServiceStatus.BUSY)
    os.unlink(opened.path) if content is None else opened.write_bytes(content)
    opened.clock.advance(5)
    opened.registry.beat()
    now = opened.registry.get("maya", entry.instance_id)
    assert (now.metadata, now.status) == ({"a": "b"}, ServiceStatus.BUSY)
    assert now.last_heartbeat_ms >= entry.last_heartbeat_ms + 5000


def test_a_call_about_our_row_brings_it_back_too(opened):
    entry = register(opened)
    for call in (
        lambda: opened.registry.heartbeat("maya", entry.instance_id),
        lambda: opened.registry.update("maya", entry.instance_id, scene="s"),
        lambda: opened.registry.deregister("maya", entry.instance_id),
    ):
        os.unlink(opened.path)
        assert call()
    assert opened.rows() == []
    assert opened.registry.own() == []


@pytest.mark.parametrize("spoilt", [{"port": "x"}, {"metadata": {"a": 5}}, {"registered_at": 1.5}])
def test_a_row_of_ours_that_somebody_spoilt_is_mended(opened, spoilt):
    register(opened)
    (row,) = opened.rows()
    opened.write(dict(row, **spoilt))
    opened.registry.beat()
    assert opened.rows() == [row]


def test_a_sentinel_that_somebody_deleted_is_made_again(opened):
    entry = register(opened)
    os.unlink(entry.sentinel_path)
    opened.registry.beat()
    with open(entry.sentinel_path) as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert opened.rows()[0]["sentinel_path"] == entry.sentinel_path


def test_without_a_place_for_sentinels_the_process_counts(opened):
    with open(os.path.join(opened.directory, "locks"), "w"):
        pass
    entry = register(opened)
    (row,) = opened.rows()
    assert "sentinel_path" not in row
    assert row["pid"] == os.getpid()
    opened.registry.beat()
    opened.registry.beat()
    assert len([text for _, text in opened.logged if "no sentinel" in text]) == 1
    os.unlink(os.path.join(opened.directory, "locks"))
    opened.registry.beat()
    assert os.path.exists(opened.rows()[0]["sentinel_path"])
    assert opened.registry.deregister("maya", entry.instance_id)


def test_a_link_in_place_of_the_sentinels_folder_is_not_followed(opened, tmp_path):
    (tmp_path / "trap").mkdir()
    os.symlink(str(tmp_path / "trap"), os.path.join(opened.directory, "locks"))
    register(opened)
    assert os.listdir(str(tmp_path / "trap")) == []
    assert "sentinel_path" not in opened.rows()[0]


# Sweeping.


def test_only_the_provably_dead_are_swept(opened):
    locks = os.path.join(opened.directory, "locks")
    mine = register(opened)
    with open(os.path.join(locks, "held.lock"), "w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with open(os.path.join(locks, "free.lock"), "w"):
            pass
        old = {"secs_since_epoch": 1, "nanos_since_epoch": 0}
        future = {"secs_since_epoch": 2**40, "nanos_since_epoch": 0}
        alive = [
            raw_row(dcc_type="no-proof", last_heartbeat=old, registered_at=old),
            raw_row(dcc_type="skewed", last_heartbeat=future, pid=os.getpid()),
            raw_row(dcc_type="held", sentinel_path=os.path.join(locks, "held.lock"), pid=DEAD),
            raw_row(dcc_type="__gateway__", pid=os.getpid(), last_heartbeat=old),
            raw_row(dcc_type="no-id", instance_id="?", pid=DEAD),
        ]
        dead = [
            raw_row(dcc_type="gone", pid=DEAD),
            raw_row(dcc_type="__gateway__", instance_id=OTHER, pid=DEAD),
            raw_row(dcc_type="free", sentinel_path=os.path.join(locks, "free.lock")),
            raw_row(dcc_type="future", pid=DEAD, last_heartbeat=future),
        ]
        own = opened.rows()
        opened.write(*own, *alive, *dead)
        removed = opened.registry.sweep()
        assert [one.dcc_type for one in removed] == ["gone", "__gateway__", "free", "future"]
        assert opened.rows() == own + alive
        assert opened.registry.sweep() == []
    assert mine.instance_id in json.dumps(opened.rows())
    assert os.path.exists(os.path.join(locks, "free.lock")), "nobody knows whose that is"


def test_a_sweep_for_the_stale_looks_at_no_other(opened):
    def beaten(ago):
        seconds = int(opened.clock.wall() - ago)
        return {"secs_since_epoch": seconds, "nanos_since_epoch": 0}

    opened.write(
        raw_row(dcc_type="fresh", pid=DEAD, last_heartbeat=beaten(5)),
        raw_row(dcc_type="stale", pid=DEAD, last_heartbeat=beaten(50)),
        raw_row(dcc_type="old", pid=os.getpid(), last_heartbeat=beaten(500)),
    )
    assert [one.dcc_type for one in opened.registry.sweep(stale_after=15.0)] == ["stale"]
    assert [one.dcc_type for one in opened.registry.sweep()] == ["fresh"]


def test_the_sentinel_of_a_dead_row_is_cleared_away(opened):
    locks = os.path.join(opened.directory, "locks")
    os.mkdir(locks)
    path = os.path.join(locks, "maya-{}.lock".format(ID))
    with open(path, "w"):
        pass
    opened.write(raw_row(sentinel_path=path))
    assert len(opened.registry.sweep()) == 1
    assert os.listdir(locks) == []


@pytest.mark.parametrize("name", ["/x/a\0b", "/x/\ud800", "a\0"])
def test_a_path_that_is_none_stops_no_sweep(opened, name):
    sick = raw_row(dcc_type="sick", sentinel_path=name)
    gone = raw_row(dcc_type="gone", sentinel_path=name, pid=DEAD)
    opened.write(sick, gone, raw_row(dcc_type="last", pid=DEAD))
    assert [one.dcc_type for one in opened.registry.sweep()] == ["gone", "last"]
    assert opened.rows() == [sick]


def test_a_row_that_nobody_can_judge_stops_no_sweep(opened, monkeypatch):
    opened.write(raw_row(pid=4711), raw_row(dcc_type="gone", pid=DEAD))
    real = os.kill

    def kill(pid, number):
        if pid == 4711:
            raise RuntimeError("what is that?")
        real(pid, number)

    monkeypatch.setattr(os, "kill", kill)
    assert [one.dcc_type for one in opened.registry.sweep()] == ["gone"]
    assert any("what is that?" in text for _, text in opened.logged)
    with pytest.raises(ServiceAlreadyRegistered):
        register(opened, instance_id=ID)


def test_our_own_rows_are_not_swept_whatever_they_say(opened):
    with open(os.path.join(opened.directory, "locks"), "w"):
        pass
    register(opened, pid=DEAD)
    assert opened.registry.sweep() == []
    with Opened(opened.directory) as other:
        assert len(other.registry.sweep()) == 1


def test_nothing_to_sweep_takes_no_lock(opened):
    opened.write(raw_row(pid=os.getpid()))
    opened.registry.sweep()
    assert not os.path.exists(os.path.join(opened.directory, "services.lock"))


# Waiting and failing.


def test_when_the_lock_is_not_to_be_had_nothing_changes(opened):
    mine = register(opened)
    before = opened.rows()
    with open(os.path.join(opened.directory, "services.lock")) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for call in (
            lambda: register(opened, "houdini"),
            lambda: opened.registry.deregister("maya", mine.instance_id),
            lambda: opened.registry.heartbeat("maya", mine.instance_id),
            lambda: opened.registry.beat(),
        ):
            with pytest.raises(RegistryFile, match="registry lock file after 2000ms"):
                call()
        assert opened.registry.entries() == [mine], "readers take no lock"
    assert opened.rows() == before
    assert opened.registry.own() == [("maya", mine.instance_id)]
    assert os.listdir(os.path.join(opened.directory, "locks")) == [
        "maya-{}.lock".format(mine.instance_id)
    ]


def test_a_row_that_is_insisted_on_is_there_once_that_is_possible(opened):
    with open(os.path.join(opened.directory, "services.lock"), "w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        entry = register(opened, insist=True)
    assert opened.registry.entries() == []
    assert any("not registered yet" in text for _, text in opened.logged)
    opened.registry.beat()
    now = opened.registry.get("maya", entry.instance_id)
    assert now == entry
    assert os.path.exists(now.sentinel_path)


def test_another_thread_in_a_change_is_waited_for(tmp_path):
    with Opened(tmp_path / "r", clock=SystemClock(), lock_timeout=0.05) as opened:
        entry = register(opened)
        inside, leave = threading.Event(), threading.Event()
        real = os.fsync

        def slow_disk(handle):
            inside.set()
            leave.wait(30.0)
            real(handle)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", slow_disk)
            thread = threading.Thread(target=opened.registry.beat)
            thread.start()
            assert inside.wait(30.0)
            with pytest.raises(RegistryFile, match="in-process registry mutex after 50ms"):
                opened.registry.heartbeat("maya", entry.instance_id)
            leave.set()
            thread.join()
        assert opened.registry.heartbeat("maya", entry.instance_id)


def test_a_full_disk_leaves_the_old_file(opened, monkeypatch):
    entry = register(opened)
    before = opened.rows()

    def full(handle):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(RegistryFile, match="failed to write .*No space"):
            opened.registry.update("maya", entry.instance_id, scene="s")
    assert opened.rows() == before
    assert sorted(os.listdir(opened.directory)) == ["locks", "services.json", "services.lock"]


def test_what_a_crash_left_behind_is_in_nobodys_way(opened, tmp_path):
    temporary = os.path.join(opened.directory, ".tmp.{}.services.json".format(os.getpid()))
    (tmp_path / "victim").write_bytes(b"precious")
    os.symlink(str(tmp_path / "victim"), temporary)
    register(opened)
    assert len(opened.rows()) == 1
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert not os.path.lexists(temporary)


def test_many_threads_lose_nothing(tmp_path):
    with Opened(tmp_path / "r", clock=SystemClock(), lock_timeout=60.0) as opened:
        errors = []

        def work(number):
            try:
                for _ in range(5):
                    entry = register(opened, port=number)
                    opened.registry.heartbeat("maya", entry.instance_id)
                    opened.registry.beat()
                    kept = register(opened, "houdini", number)
                    opened.registry.deregister("maya", entry.instance_id)
                    opened.registry.get("houdini", kept.instance_id)
            except Exception as error:
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []
        assert sorted(row["port"] for row in opened.rows()) == sorted(list(range(6)) * 5)
        assert len(opened.registry.own()) == 30
        assert opened.corrupted() == []


# Reading.


def test_reading_an_unchanged_file_reads_nothing(opened, monkeypatch):
    register(opened)
    os.utime(opened.path, (1_600_000_000, 1_600_000_000))
    opened.registry.entries()
    real, read = os.open, []
    monkeypatch.setattr(os, "open", lambda *rest: read.append(rest) or real(*rest))
    assert len(opened.registry.entries()) == 1
    assert read == []
    opened.write(raw_row())
    assert [one.instance_id for one in opened.registry.entries()] == [ID]


def test_a_file_that_may_have_changed_unseen_is_read_again(opened):
    # Written within one tick of the file system's clock: all that stat() tells is the same.
    wall = int(opened.clock.wall())
    for port in (10001, 10002, 10003):
        opened.write_bytes(json.dumps([raw_row(port=port)]).encode())
        os.utime(opened.path, (wall, wall))
        with open(opened.path, "r+b") as file:
            content = file.read()
            assert [one.port for one in opened.registry.entries()] == [port]
            file.seek(0)
            file.write(content.replace(str(port).encode(), b"20000"))
        os.utime(opened.path, (wall, wall))
        assert [one.port for one in opened.registry.entries()] == [20000]


def test_a_change_is_made_to_the_file_and_not_to_what_we_remember(opened):
    opened.write(raw_row(port=10001))
    os.utime(opened.path, (1_600_000_000, 1_600_000_000))
    assert opened.registry.entries()[0].port == 10001
    with open(opened.path, "r+b") as file:
        content = file.read()
        file.seek(0)
        file.write(content.replace(b"10001", b"20000"))
    os.utime(opened.path, (1_600_000_000, 1_600_000_000))
    register(opened)
    assert [row["port"] for row in opened.rows()] == [20000, 18812]


def test_one_entry_cannot_change_the_next(opened):
    register(opened, metadata={"a": "b"})
    opened.registry.entries()[0]["metadata"]["a"] = "changed"
    assert opened.registry.entries()[0]["metadata"] == {"a": "b"}


def test_a_hundred_rows_of_eight_kilobytes(opened):
    many = [
        raw_row(
            instance_id="{:08x}-0000-4000-8000-000000000000".format(n), extras={"k": "v" * 8000}
        )
        for n in range(100)
    ]
    opened.write(*many)
    entry = register(opened)
    assert len(opened.registry.entries()) == 101
    opened.registry.deregister("maya", entry.instance_id)
    assert opened.rows() == many


# The end.


def test_closing_leaves_nothing_of_ours(opened):
    register(opened), register(opened, "houdini")
    opened.write(*opened.rows(), raw_row())
    assert opened.registry.close()
    assert opened.rows() == [raw_row()]
    assert os.listdir(os.path.join(opened.directory, "locks")) == []
    assert opened.registry.own() == []
    with pytest.raises(Shutdown):
        register(opened)
    with pytest.raises(Shutdown):
        register(opened, insist=True)
    assert opened.rows() == [raw_row()]
    assert opened.registry.close()


def test_closing_waits_no_longer_than_it_may(opened):
    entry = register(opened)
    with open(os.path.join(opened.directory, "services.lock")) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        begun = opened.clock.monotonic()
        assert not opened.registry.close(timeout=0.2)
        assert opened.clock.monotonic() - begun <= 0.21
    assert any("not told" in text for _, text in opened.logged)
    # What could not be said can be seen.
    with Opened(opened.directory) as other:
        assert [one.instance_id for one in other.registry.sweep()] == [entry.instance_id]


def test_rows_that_are_to_stay_live_as_long_as_the_process(opened):
    entry = register(opened)
    assert opened.registry.close(deregister=False)
    (row,) = opened.rows()
    assert row["instance_id"] == entry.instance_id
    assert "sentinel_path" not in row
    with Opened(opened.directory) as other:
        assert other.registry.sweep() == []


def test_a_row_that_is_to_stay_and_was_spoilt_stays_as_it_was(opened):
    entry = register(opened)
    (row,) = opened.rows()
    opened.write(dict(row, metadata={"a": 5}))
    assert opened.registry.close(deregister=False)
    (row,) = opened.rows()
    assert row["instance_id"] == entry.instance_id
    assert row["metadata"] == entry.metadata
    assert "sentinel_path" not in row


def test_leaving_with_some_rows_is_one_change_and_spares_the_others(opened, monkeypatch):
    going = [register(opened, port=number) for number in range(3)]
    staying = register(opened, "houdini")
    opened.write(*opened.rows(), raw_row())
    written = []
    real = os.replace
    monkeypatch.setattr(os, "replace", lambda *names: written.append(names) or real(*names))
    keys = [(one.dcc_type, one.instance_id) for one in going]
    assert opened.registry.leave([*keys, ("maya", ID)])
    assert len(written) == 1
    assert [row["instance_id"] for row in opened.rows()] == [staying.instance_id, ID]
    assert opened.registry.own() == [("houdini", staying.instance_id)]
    assert os.listdir(os.path.join(opened.directory, "locks")) == [
        os.path.basename(staying.sentinel_path)
    ]
    # Again: there is nothing to be said, so nobody is waited for.
    with open(os.path.join(opened.directory, "services.lock")) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert opened.registry.leave(keys)
    again = register(opened, instance_id=going[0].instance_id)
    assert opened.registry.get("maya", again.instance_id) == again


def test_leaving_starts_no_thread_and_waits_no_longer_than_it_may(opened, monkeypatch):
    entry = register(opened)
    key = ("maya", entry.instance_id)
    monkeypatch.setattr(threading.Thread, "start", lambda thread: pytest.fail("a thread"))
    with open(os.path.join(opened.directory, "services.lock")) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        begun = opened.clock.monotonic()
        assert not opened.registry.leave([key], timeout=0.2)
        assert opened.clock.monotonic() - begun <= 0.21
    assert opened.registry.own() == []
    with Opened(opened.directory) as other:
        assert [one.instance_id for one in other.registry.sweep()] == [entry.instance_id]


class HandingOver:
    """A mutex whose release lets somebody else have their turn before its holder goes on."""

    def __init__(self, next_one):
        self._real = threading.RLock()
        self._next = next_one

    def acquire(self, timeout):
        return self._real.acquire(timeout=timeout)

    def release(self):
        self._real.release()
        following, self._next = self._next, None
        if following is not None:
            thread = threading.Thread(target=following)
            thread.start()
            thread.join()


@pytest.mark.parametrize("waiting", ["beat", "heartbeat"])
@pytest.mark.parametrize("leaving", ["close", "deregister", "leave"])
def test_whoever_waited_for_one_that_left_does_not_bring_its_row_back(opened, waiting, leaving):
    entry = register(opened)
    key = ("maya", entry.instance_id)
    wait = {"beat": opened.registry.beat, "heartbeat": lambda: opened.registry.heartbeat(*key)}
    leave = {
        "close": opened.registry.close,
        "deregister": lambda: opened.registry.deregister(*key),
        "leave": lambda: opened.registry.leave([key]),
    }
    opened.registry._mutex = HandingOver(wait[waiting])
    assert leave[leaving]()
    assert opened.rows() == []
    assert opened.registry.own() == []
    assert os.listdir(os.path.join(opened.directory, "locks")) == []


@pytest.mark.parametrize("where", ["registry", "locks"])
def test_a_beat_that_one_left_without_waiting_for_keeps_no_row_alive(tmp_path, where):
    """The disk hangs in the middle of a beat; its owner leaves, told or not."""
    with Opened(tmp_path / "registry", clock=SystemClock()) as opened:
        register(opened), register(opened, "houdini")
        locks = os.path.join(opened.directory, "locks")
        for name in os.listdir(locks):
            os.unlink(os.path.join(locks, name))
        inside, leave = threading.Event(), threading.Event()
        real = os.makedirs

        def hang(path, **options):
            if os.path.basename(path) == where:
                inside.set()
                leave.wait(30.0)
            real(path, **options)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "makedirs", hang)
            thread = threading.Thread(target=opened.registry.beat)
            thread.start()
            assert inside.wait(30.0)
            assert not opened.registry.close(timeout=0.01)
            leave.set()
            thread.join()
        assert os.listdir(locks) == []
        with Opened(opened.directory) as other:
            assert len(other.registry.sweep()) == 2


def test_what_is_registered_while_one_closes_is_refused(opened):
    """The registering has begun before the end, and is written after it."""
    real = os.fsync

    def slow_disk(handle):
        thread = threading.Thread(target=lambda: opened.registry.close(timeout=0.0))
        thread.start()
        thread.join()
        real(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", slow_disk)
        with pytest.raises(Shutdown):
            register(opened)
    assert opened.registry.own() == []
    assert len(opened.registry.sweep()) == 1, "too late to be told, but dead"


# Interruptions.


@pytest.mark.parametrize("insist", [False, True])
def test_a_row_whose_registering_is_interrupted_is_taken_out_again(opened, monkeypatch, insist):
    """Ctrl-C after the file was replaced: the row would live on without an owner."""
    real, interrupted = os.replace, []

    def interrupt(*names):
        real(*names)
        if not interrupted:
            interrupted.append(names)
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupt)
    with pytest.raises(KeyboardInterrupt):
        register(opened, insist=insist)
    assert opened.rows() == []
    assert opened.registry.own() == []
    assert os.listdir(os.path.join(opened.directory, "locks")) == []
    assert sorted(os.listdir(opened.directory)) == ["locks", "services.json", "services.lock"]


def test_an_interrupted_registering_takes_out_no_row_of_others(opened):
    opened.write(raw_row(pid=os.getpid()))
    with pytest.raises(ServiceAlreadyRegistered):
        register(opened, instance_id=ID)
    assert opened.rows() == [raw_row(pid=os.getpid())]


@pytest.mark.parametrize("failure", [PermissionError(13, "no"), FileNotFoundError(2, "gone")])
def test_an_interruption_stays_one_when_clearing_up_fails_too(opened, monkeypatch, failure):
    def interrupt(handle):
        raise KeyboardInterrupt

    def refuse(path):
        raise failure

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", interrupt)
        patch.setattr(os, "unlink", refuse)
        with pytest.raises(KeyboardInterrupt):
            register(opened)
    register(opened)
    assert len(opened.rows()) == 1


def test_a_call_in_the_middle_of_another_on_the_same_thread_fails_at_once(opened):
    """As a signal handler makes it, or a finaliser that the collector runs."""
    entry = register(opened)
    key = ("maya", entry.instance_id)
    real, raised = os.fsync, []

    def interrupted(handle):
        begun = opened.clock.monotonic()
        for call in (
            opened.registry.beat,
            lambda: opened.registry.heartbeat(*key),
            lambda: opened.registry.deregister(*key),
            lambda: register(opened, "houdini"),
        ):
            with pytest.raises(RegistryFile, match="in the middle of a change") as found:
                call()
            raised.append(found.value)
        assert opened.clock.monotonic() == begun
        assert opened.registry.entries() == [entry], "reading is free"
        real(handle)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", interrupted)
        opened.registry.update(*key, scene="s")
    assert len(raised) == 4
    assert opened.registry.get(*key).scene == "s"
    opened.registry.beat()
    assert opened.registry.own() == [key]


def test_opening_a_file_may_be_interrupted_by_a_call_that_opens_one(tmp_path, opened):
    """Of another registry, so that no mutex is in the way: what keeps forks away must not be."""
    real, entered = os.open, []

    def interrupted(path, *rest):
        if str(path).endswith(".lock") and not entered:
            entered.append(path)
            with Opened(tmp_path / "other") as other:
                register(other)
        return real(path, *rest)

    def work():
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "open", interrupted)
            register(opened)
        done.set()

    done = threading.Event()
    threading.Thread(target=work, daemon=True).start()
    assert done.wait(10.0)
    assert len(opened.rows()) == 1


# -- a directory that is removed in the middle ------------------------------------------------


@pytest.mark.parametrize("how", ["beat", "update", "register"])
def test_rows_of_ours_come_back_when_somebody_has_removed_the_directory(tmp_path, how):
    folder = tmp_path / "registry"
    with Opened(folder) as opened:
        registry = opened.registry
        entry = registry.register("maya", "127.0.0.1", 1, instance_id=ID)
        shutil.rmtree(str(folder))
        if how == "beat":
            registry.beat()
        elif how == "update":
            assert registry.update("maya", ID, scene="/a")
        else:
            registry.register("houdini", "127.0.0.1", 2)
            registry.beat()
        assert entry.instance_id in [row["instance_id"] for row in opened.rows()]
        if os.name != "nt":
            assert stat.S_IMODE(os.stat(str(folder)).st_mode) == 0o700
        registry.beat()
        assert registry.sweep() == [], "its sentinel is there and held again"
        (row,) = [row for row in opened.rows() if row["instance_id"] == ID]
        assert os.path.exists(row["sentinel_path"])


def test_leaving_does_not_bring_a_directory_back(tmp_path):
    folder = tmp_path / "registry"
    with Opened(folder) as opened:
        opened.registry.register("maya", "127.0.0.1", 1)
        shutil.rmtree(str(folder))
        opened.registry.close()
        assert not folder.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"[]", None), (b"[", "damaged"), (b'[{"schema_version": 9}]', "newer version")],
    ids=["good", "damaged", "newer"],
)
def test_a_file_that_cannot_be_taken_at_its_word_is_doubted(tmp_path, content, said):
    with Opened(tmp_path) as opened:
        opened.write_bytes(content)
        doubt = opened.registry.doubt()
        assert doubt is None if said is None else said in doubt
