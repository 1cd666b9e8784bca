"""Many calls in one: one step of the host's main thread, one undo step, nothing done untold."""

from __future__ import annotations

import base64
import json
import threading
from types import SimpleNamespace

import pytest

import dcc_mcp_embed
from dcc_mcp_embed.tools import batch as batching
from dcc_mcp_embed.tools.entries import Tool
from dcc_mcp_embed.tools.table import ToolTable
from fakes.live import Live, tries
from fakes.stage import declared_among

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg=="
)


class Stage:
    """Tools that note what they did."""

    def __init__(self):
        self.done = []
        self.entered = threading.Event()
        self.leave = threading.Event()
        done, entered, leave = self.done, self.entered, self.leave

        @dcc_mcp_embed.tool
        def note(ctx, name: str) -> dict:
            """Note a name."""
            done.append((name, threading.current_thread().name))
            ctx.evidence(count=len(done))
            if name == "careful":
                ctx.warn("It was close.")
            return {"name": name}

        @dcc_mcp_embed.tool
        def fail(message: str = "no such luck") -> None:
            """Fail, after having done something."""
            done.append(("failed", ""))
            raise ValueError(message)

        @dcc_mcp_embed.tool(read_only=True)
        def look(size: int = 1) -> dict:
            """Return something of a size."""
            return {"x": "x" * size}

        @dcc_mcp_embed.tool(read_only=True)
        def list_many(count: int) -> list:
            """Return many items."""
            return ["item {}".format(number) for number in range(count)]

        @dcc_mcp_embed.tool(read_only=True)
        def picture(copies: int = 1) -> list:
            """Return pictures."""
            one = dcc_mcp_embed.Image(data=PNG + b"\0" * 1000 * copies)
            return ["seen", one]

        @dcc_mcp_embed.tool
        def boast(ctx) -> dict:
            """Return little, and tell of it at length."""
            ctx.evidence(proof="y" * 3000)
            return {"proof": "x"}

        @dcc_mcp_embed.tool
        def hold() -> str:
            """Keep the main thread until the test lets go."""
            entered.set()
            assert leave.wait(20)
            return "held"

        @dcc_mcp_embed.tool
        def walk():
            """Work in steps."""
            entered.set()
            while not leave.is_set():
                yield dcc_mcp_embed.Progress(1, 2)

        @dcc_mcp_embed.tool
        def go_on() -> None:
            """Go on by itself."""
            return lambda: None

        @dcc_mcp_embed.tool(thread="worker")
        def work() -> None:
            """Work elsewhere."""

        @dcc_mcp_embed.tool
        def leave_it() -> None:
            """End the program, it thinks."""
            raise SystemExit(3)

        self.tools = declared_among(locals())


@pytest.fixture
def stage():
    one = Stage()
    yield one
    one.leave.set()


@pytest.fixture
def live(tmp_path, monkeypatch, stage):
    one = Live(str(tmp_path), monkeypatch, tools=[stage.tools])
    yield one
    stage.leave.set()
    one.close()


def ask(live, tool, **arguments):
    with live.connect() as wire:
        return wire.tool(tool, arguments)


def batch(live, *calls, **options):
    made = [
        dict(zip(("tool", "arguments"), one if type(one) is tuple else (one,))) for one in calls
    ]
    return ask(live, "batch", calls=made, **options)


def told(result):
    return result["structuredContent"]


def rows(result):
    return told(result)["data"]["items"]


def states(result):
    return [one.get("state") or one["ok"] for one in rows(result)]


def counts(result):
    return tuple(told(result)["data"][name] for name in ("done", "failed", "not_started"))


def test_all_calls_run_on_the_main_thread_in_their_order_and_are_one_undo_step(live, stage):
    calls = [("create_object", {"kind": "cube", "name": "c{}".format(n)}) for n in range(3)]
    result = batch(live, *calls, ("note", {"name": "a"}), ("note", {"name": "careful"}))
    assert result["isError"] is False
    assert told(result)["ok"] is True
    assert counts(result) == (5, 0, 0)
    assert [(one["call"], one["tool"], one["ok"]) for one in rows(result)] == [
        (0, "create_object", True),
        (1, "create_object", True),
        (2, "create_object", True),
        (3, "note", True),
        (4, "note", True),
    ]
    assert rows(result)[0]["data"]["path"] == "/c0"
    assert rows(result)[4] == {
        "call": 4,
        "tool": "note",
        "ok": True,
        "data": {"name": "careful"},
        "warnings": ["It was close."],
        "evidence": {"count": 2},
    }
    assert stage.done == [("a", "test host main"), ("careful", "test host main")]
    assert told(result)["undo"] == {"label": "MCP: batch", "steps": 1}
    assert told(result)["instance"]["dcc"] == "standalone"
    assert ask(live, "get_scene_info")["structuredContent"]["data"]["counts"] == {"cube": 3}
    assert ask(live, "undo", expected_label="MCP: batch")["isError"] is False
    assert ask(live, "get_scene_info")["structuredContent"]["data"]["counts"] == {}


def test_the_first_error_ends_it_and_what_was_done_stays_and_is_told(live, stage):
    cube = ("create_object", {"kind": "cube"})
    result = batch(live, cube, "fail", cube, cube)
    assert result["isError"] is True
    assert states(result) == [True, False, "not_started", "not_started"]
    assert counts(result) == (1, 1, 2)
    error = told(result)["error"]
    assert error["code"] == "host_error"
    assert "calls[1] (fail): ValueError: no such luck" in error["message"]
    assert "Of 4 calls 1 done, which stays; 1 failed; 2 not started" in error["message"]
    assert "undo" in error["hint"]
    # Said to those too that read text only.
    assert error["message"] in result["content"][0]["text"]
    assert rows(result)[0]["data"]["path"] == "/cube"
    assert rows(result)[1]["error"]["code"] == "host_error"
    assert told(result)["undo"] == {"label": "MCP: batch", "steps": 1}
    assert ask(live, "get_scene_info")["structuredContent"]["data"]["counts"] == {"cube": 1}
    assert ask(live, "undo")["isError"] is False
    assert ask(live, "get_scene_info")["structuredContent"]["data"]["counts"] == {}


def test_it_goes_on_behind_an_error_if_it_is_to(live, stage):
    calls = ("fail", ("note", {"name": "a"}), "leave_it", ("note", {"name": "b"}))
    result = batch(live, *calls, stop_on_error=False)
    assert result["isError"] is True
    assert states(result) == [False, True, False, True]
    assert counts(result) == (2, 2, 0)
    assert [name for name, _ in stage.done] == ["failed", "a", "b"]
    assert live.serving


def test_the_error_has_the_code_and_the_hint_of_the_first_call_that_failed(live):
    result = batch(live, ("get_object", {"path": "nowhere"}), "fail", stop_on_error=False)
    error = told(result)["error"]
    assert error["code"] == "not_found"
    assert "undo takes" in error["hint"]
    result = batch(live, ("get_object", {"path": "nowhere"}))
    assert "undo takes" not in (told(result)["error"]["hint"] or "")


@pytest.mark.parametrize(
    ("call", "code", "words"),
    [
        (("note",), "invalid_argument", "name"),
        (("note", {"name": "a", "more": 1}), "invalid_argument", "more"),
        (("nota",), "not_found", "There is no tool 'nota'"),
        (("walk",), "invalid_argument", "works in steps"),
        (("work",), "invalid_argument", "main thread"),
        (("get_status",), "invalid_argument", "main thread"),
        (("undo",), "invalid_argument", "undo stack"),
        (("batch", {"calls": []}), "invalid_argument", "makes calls itself"),
        (("call_tool", {"name": "note"}), "invalid_argument", "makes calls itself"),
        (("execute_python", {"code": "1", "timeout_s": -1}), "invalid_argument", "timeout_s"),
        (("execute_python", {"code": "1"}), "exec_disabled", "switched off"),
    ],
)
def test_what_cannot_run_is_refused_before_anything_does(live, stage, call, code, words):
    result = batch(live, ("note", {"name": "first"}), call, stop_on_error=False)
    assert result["isError"] is True
    error = told(result)["error"]
    assert (error["code"], error["state"]) == (code, "not_started")
    assert words in error["message"]
    if code != "exec_disabled":
        assert error["message"].startswith("calls[1]: ")
        assert "No call of the batch was started" in error["message"]
    assert stage.done == []


@pytest.mark.parametrize("calls", [[], [{"tool": "look"}] * 51, [{}], ["look"], "look", None])
def test_a_batch_has_from_1_to_50_calls(live, calls):
    result = ask(live, "batch", calls=calls)
    assert told(result)["error"]["code"] == "invalid_argument"
    assert told(result)["error"]["state"] == "not_started"


def test_a_batch_that_only_reads_is_none_that_writes(live, stage):
    result = batch(live, "look", ("list_many", {"count": 2}))
    assert told(result)["undo"] is None
    assert rows(result)[1]["data"] == {"items": ["item 0", "item 1"]}
    result = batch(live, "look", ("note", {"name": "a"}))
    assert told(result)["undo"]["label"] == "MCP: batch"


def test_a_batch_that_only_reads_runs_between_the_steps_of_a_writer(live, stage):
    late = []
    walking = threading.Thread(target=lambda: ask(live, "walk"))
    writing = threading.Thread(target=lambda: late.append(batch(live, ("note", {"name": "a"}))))
    walking.start()
    try:
        assert stage.entered.wait(20)
        writing.start()
        assert batch(live, "look", "look")["isError"] is False
        assert stage.done == []
    finally:
        stage.leave.set()
        walking.join(20)
        writing.join(20)
    assert stage.done == [("a", "test host main")]
    assert counts(late[0]) == (1, 0, 0)


def test_a_batch_that_is_cancelled_says_what_it_did(live, stage):
    answers = []
    thread = threading.Thread(
        target=lambda: answers.append(batch(live, "hold", ("note", {"name": "a"})))
    )
    thread.start()
    try:
        assert stage.entered.wait(20)
        holder = told(ask(live, "get_status"))["data"]["holder"]
        assert holder["tool"] == "batch"
        cancelled = ask(live, "cancel_job", job_id=holder["job_id"])
        assert told(cancelled)["data"]["effect"] == "cancel_requested"
    finally:
        stage.leave.set()
        thread.join(20)
    (result,) = answers
    assert states(result) == [True, "not_started"]
    assert told(result)["error"]["code"] == "cancelled"
    assert stage.done == []


def test_a_tool_that_goes_on_by_itself_is_told_of_as_running(live):
    result = batch(live, "go_on")
    error = rows(result)[0]["error"]
    assert error["state"] == "running"
    assert told(result)["error"]["code"] == "host_error"


def test_an_answer_that_is_too_large_is_left_out_and_its_effect_is_not(live, stage):
    calls = [("note", {"name": "a"}), ("look", {"size": 60000}), ("note", {"name": "b" * 100})]
    result = batch(live, *calls)
    assert result["isError"] is False
    assert counts(result) == (3, 0, 0)
    assert "60" in rows(result)[1]["left_out"]
    assert rows(result)[2]["data"] == {"name": "b" * 100}
    assert kept(live, rows(result)[1]["kept"]) == json.dumps(
        {"x": "x" * 60000}, separators=(",", ":")
    )


def kept(live, ident):
    """Return the whole of what is kept, put together of its parts."""
    parts, offset = [], 0
    while offset is not None:
        part = told(ask(live, "get_job", job_id=ident, offset=offset))["data"]
        parts.append(part["text"])
        offset = part["next_offset"]
    return "".join(parts)


def test_of_an_answer_that_is_cut_the_row_says_where_the_whole_is(live):
    result = batch(live, ("list_many", {"count": 5000}), ("list_many", {"count": 1}))
    cut, whole = rows(result)
    assert cut["truncated"] is True
    assert 0 < len(cut["data"]["items"]) < 5000
    assert (
        json.loads(kept(live, cut["kept"]))["items"][: len(cut["data"]["items"])]
        == (cut["data"]["items"])
    )
    assert len(json.loads(kept(live, cut["kept"]))["items"]) == 5000
    assert "blocks" not in cut
    assert "kept" not in whole


def test_what_no_row_has_room_for_is_kept_with_its_evidence(live):
    calls = [("list_many", {"count": 5000})] * 49 + ["boast"]
    row = rows(batch(live, *calls))[-1]
    assert (row["data"], row.get("evidence")) == ({"proof": "x"}, None)
    assert "evidence was left out" in row["warnings"][0]
    found = json.loads(kept(live, row["kept"]))
    assert found["evidence"] == {"proof": "y" * 3000}


@pytest.mark.parametrize("count", [1, 2, 10, 50])
def test_the_whole_answer_has_a_size_whatever_its_calls_return(live, count):
    for call in (("list_many", {"count": 5000}), ("look", {"size": 40000}), "fail", "look"):
        result = batch(live, *[call] * count, stop_on_error=False)
        assert len(rows(result)) == count
        assert len(result["content"][-1]["text"].encode("utf-8")) < 48 * 1024
        assert told(result)["truncated"] is False
        assert [one["call"] for one in rows(result)] == list(range(count))
    message = {"message": "\u4e2d" * 1900}
    result = batch(live, *[("fail", message)] * count, stop_on_error=False)
    assert len(rows(result)) == count
    assert all(one["error"]["code"] == "host_error" for one in rows(result))
    assert told(result)["truncated"] is False


def test_pictures_stand_beside_the_rows_as_far_as_there_is_room(live):
    result = batch(live, "picture", "look", ("picture", {"copies": 2}))
    assert [one.get("blocks") for one in rows(result)] == [1, None, 1]
    assert rows(result)[0]["text"] == "seen"
    images = [one for one in result["content"] if one["type"] == "image"]
    assert [len(one["data"]) for one in images] == [1428, 2760]
    result = batch(live, ("note", {"name": "a"}), *[("picture", {"copies": 1000})] * 2)
    assert result["isError"] is False
    assert [one.get("blocks") for one in rows(result)] == [None, 1, None]
    assert "pictures" in rows(result)[2]["left_out"]


def test_code_in_a_batch_asks_as_code_does_and_takes_its_time(tmp_path, monkeypatch, stage):
    live = Live(str(tmp_path), monkeypatch, tools=[stage.tools], exec_mode="on")
    try:
        code = {"code": "result = 1 + 1", "timeout_s": 120}
        result = batch(live, ("execute_python", code), ("note", {"name": "a"}))
        assert rows(result)[0]["data"]["result"] == 2
        assert told(result)["undo"]["label"] == "MCP: batch"
        for _ in tries():
            if told(ask(live, "get_status"))["data"]["verdict"] == "healthy":
                break
    finally:
        live.close()


@pytest.mark.parametrize(
    ("timeouts", "wanted"),
    [((None,), None), ((1.0,), 50.0), ((100.0, None), 100.0), ((100.0, 70.0, None), 170.0)],
)
def test_a_batch_has_the_time_that_its_tools_have_together(timeouts, wanted):
    def wait(ctx) -> None:
        """Wait."""

    table = ToolTable()
    calls = []
    for number, timeout in enumerate(timeouts):
        name = "wait_{}".format(number)
        table.add(Tool(wait, name, timeout=timeout))
        calls.append({"tool": name})
    table.add_module(SimpleNamespace(batch=batching.batch))
    entry = table.get("batch")
    made, _ = entry.redirect(SimpleNamespace(tools=table), entry.bind({"calls": calls}))
    assert made.timeout == wanted


def test_code_in_this_process_gets_the_rows(live):
    found = live.server.call("batch", {"calls": [{"tool": "look"}, {"tool": "fail"}]})
    assert [one["ok"] for one in found["items"]] == [True, False]
    assert found["failed"] == 1


def test_a_batch_is_found_by_its_tags_and_called_by_name(live, stage):
    found = told(ask(live, "search_tools", query="bulk"))["data"]["items"]
    assert [one["name"] for one in found] == ["batch"]
    calls = [{"tool": "note", "arguments": {"name": "a"}}]
    result = ask(live, "call_tool", name="batch", arguments={"calls": calls})
    assert counts(result) == (1, 0, 0)
