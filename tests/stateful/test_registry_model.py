"""The registry against a small model: two of ours, careless programs, damage and death.

``us`` and ``peer`` are registries as two processes have them. Other programs rewrite the file
without a lock (but whole), take rows away, damage it. The peer is killed now and then: its locks
go, and nothing else happens. After every step the file says what the model says.
"""

from __future__ import annotations

import codecs
import os
import shutil
import tempfile

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from dcc_mcp_embed.registry.document import parse
from dcc_mcp_embed.registry.status import ServiceStatus
from examples import examples
from fakes.clock import FakeClock
from fakes.registry import Opened, raw_row

KINDS = st.sampled_from(["maya", "houdini", "a/b"])
ACTORS = st.sampled_from(["us", "peer"])
STATUSES = st.sampled_from(list(ServiceStatus))
DEAD_PID = 2**31 - 2

#: Ways to damage the file that leave every row whole.
DAMAGES = {
    "padding": lambda content: content + b"\0" * 64,
    "no end": lambda content: content.rstrip(b"]\n"),
    "mark": lambda content: codecs.BOM_UTF8 + content,
    "garbage": lambda content: b"<<<<<<<\n" + content,
    "twice": lambda content: content + content,
}
#: Contents without any row.
WIPES = [b"", b"[]", b"\0" * 40, b"null", b"{", None]


class TimelessClock(FakeClock):
    """Waiting for a damaged file to become whole takes no time here."""

    def sleep(self, seconds):
        pass


class Registries(RuleBasedStateMachine):
    keys = Bundle("keys")

    def __init__(self):
        super().__init__()
        self.directory = tempfile.mkdtemp()
        self.clock = TimelessClock()
        self.actors = {name: Opened(self.directory, clock=self.clock) for name in ("us", "peer")}
        #: What the file says, what each keeps alive, and whose owners are provably gone.
        self.file = {}
        self.own = {"us": {}, "peer": {}}
        self.dead = set()
        self.count = 0

    def registry(self, actor):
        return self.actors[actor].registry

    def now(self):
        return int(self.clock.wall() * 1000)

    # Ours.

    @rule(target=keys, actor=ACTORS, kind=KINDS, status=STATUSES)
    def register(self, actor, kind, status):
        self.count += 1
        entry = self.registry(actor).register(kind, "127.0.0.1", self.count, status=status)
        key = (kind, entry.instance_id)
        row = {"port": self.count, "status": status, "scene": None, "beat": self.now()}
        self.file[key] = row
        self.own[actor][key] = dict(row)
        return key

    @rule(actor=ACTORS, key=keys)
    def deregister(self, actor, key):
        there = key in self.file or key in self.own[actor]
        assert self.registry(actor).deregister(*key) == there
        self.file.pop(key, None)
        self.own[actor].pop(key, None)

    @rule(actor=ACTORS, some=st.lists(keys, max_size=3), deregister=st.booleans())
    def leave(self, actor, some, deregister):
        assert self.registry(actor).leave(some, deregister=deregister)
        for key in some:
            if self.own[actor].pop(key, None) is not None and deregister:
                self.file.pop(key, None)

    @rule(actor=ACTORS, key=keys, status=STATUSES, scene=st.none() | st.text(max_size=3))
    def update(self, actor, key, status, scene):
        self.change(actor, key, {"status": status, "scene": scene}, touch=False)

    @rule(actor=ACTORS, key=keys)
    def heartbeat(self, actor, key):
        self.change(actor, key, {}, touch=True)

    def change(self, actor, key, changes, touch):
        there = self.file.get(key) or self.own[actor].get(key)
        try:
            found = self.registry(actor).update(*key, touch=touch, **changes)
        except ValueError:
            assert changes["scene"] is not None  # a lone surrogate
            return
        assert found == (there is not None)
        if there is not None:
            row = dict(there, **changes)
            if touch:
                row["beat"] = self.now()
            self.file[key] = row
            if key in self.own[actor]:
                self.own[actor][key] = dict(row)

    @rule(actor=ACTORS)
    def beat(self, actor):
        self.registry(actor).beat()
        for key, mine in self.own[actor].items():
            row = dict(self.file.get(key, mine), beat=self.now())
            self.file[key] = row
            self.own[actor][key] = dict(row)

    @rule(actor=ACTORS)
    def sweep(self, actor):
        gone = {(one.dcc_type, one.instance_id) for one in self.registry(actor).sweep()}
        assert gone == {key for key in self.dead if key in self.file}
        for key in gone:
            del self.file[key]

    @rule()
    def kill_peer(self):
        # The descriptors close and nothing else happens, as at the end of a process.
        self.registry("peer").disown()
        self.dead |= set(self.own["peer"])
        self.own["peer"] = {}
        self.actors["peer"] = Opened(self.directory, clock=self.clock)

    @rule(seconds=st.sampled_from([1.0, 60.0, -3600.0, 1e6]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    # Others.

    @rule(target=keys, kind=KINDS, alive=st.booleans())
    def careless_program_adds(self, kind, alive):
        self.count += 1
        key = (kind, "{:08x}-0000-4000-8000-000000000000".format(self.count))
        row = raw_row(dcc_type=kind, instance_id=key[1], port=self.count)
        if not alive:
            row["pid"] = DEAD_PID
            self.dead.add(key)
        self.actors["us"].write(*(one.value for one in self.rows()), row)
        self.file[key] = {
            "port": self.count,
            "status": ServiceStatus.AVAILABLE,
            "scene": None,
            "beat": 1700000000123,
        }
        return key

    @rule(key=keys)
    def careless_program_removes(self, key):
        self.actors["us"].write(*(row.value for row in self.rows() if row.key != key))
        self.file.pop(key, None)

    @rule(how=st.sampled_from(sorted(DAMAGES)))
    def damage(self, how):
        opened = self.actors["us"]
        if os.path.exists(opened.path):
            with open(opened.path, "rb") as file:
                opened.write_bytes(DAMAGES[how](file.read()))

    @rule(content=st.sampled_from(WIPES))
    def wipe(self, content):
        opened = self.actors["us"]
        if content is not None:
            opened.write_bytes(content)
        elif os.path.exists(opened.path):
            os.unlink(opened.path)
        self.file = {}

    def rows(self):
        try:
            with open(self.actors["us"].path, "rb") as file:
                return parse(file.read()).rows
        except FileNotFoundError:
            return ()

    @invariant()
    def the_file_says_what_the_model_says(self):
        for actor in self.actors:
            found = {
                (one.dcc_type, one.instance_id): {
                    "port": one.port,
                    "status": one.status,
                    "scene": one.scene,
                    "beat": one.last_heartbeat_ms,
                }
                for one in self.registry(actor).entries()
            }
            assert found == self.file
            assert set(self.registry(actor).own()) == set(self.own[actor])

    def teardown(self):
        for opened in self.actors.values():
            opened.registry.close()
        left = {(one.dcc_type, one.instance_id) for one in self.registry("us").entries()}
        assert left == set(self.file) - set(self.own["us"]) - set(self.own["peer"])
        locks = os.path.join(self.directory, "locks")
        held = os.listdir(locks) if os.path.isdir(locks) else []
        assert len(held) <= len(self.dead), "a sentinel was left behind by the living"
        shutil.rmtree(self.directory)


TestRegistries = Registries.TestCase
TestRegistries.settings = settings(max_examples=examples(25), stateful_step_count=25)
