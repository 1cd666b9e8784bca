"""The session table against a model that is a list of dictionaries, under a fake clock."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from dcc_mcp_embed.transport.config import SessionConfig
from dcc_mcp_embed.transport.sessions import Peer, SessionTable
from dcc_mcp_embed.transport_errors import (
    InvalidSessionState,
    ReconnectionFailed,
    SessionNotFound,
)
from fakes.clock import FakeClock

RETRIES, IDLE_AFTER, LIFETIME = 2, 10.0, 100.0
PEERS = [
    Peer(dcc_type, instance, "127.0.0.1", port, "tcp://127.0.0.1:{}".format(port))
    for port, (dcc_type, instance) in enumerate([("maya", "a"), ("maya", "b"), ("houdini", "a")])
]


class SessionsMachine(RuleBasedStateMachine):
    """Ids stay in the bundle after their sessions have gone, and must then be unknown."""

    ids = Bundle("ids")

    def __init__(self):
        super().__init__()
        self.clock = FakeClock()
        config = SessionConfig(
            idle_timeout=IDLE_AFTER, reconnect_max_retries=RETRIES, max_session_lifetime=LIFETIME
        )
        self.table = SessionTable(config, self.clock.uuid, self.clock.jitter)
        #: id -> what must be true of it, the oldest first.
        self.model = {}

    def with_peer(self, peer):
        return next((i for i, one in self.model.items() if one["peer"] == peer), None)

    @rule(target=ids, peer=st.sampled_from(PEERS))
    def open(self, peer):
        found = self.table.open(peer, self.clock.now)
        known = self.with_peer(peer)
        if known is not None and self.model[known]["state"] != "closed":
            assert found == known
            one = self.model[known]
            if one["state"] != "reconnecting":
                one.update(state="connected", active=self.clock.now)
            return found
        assert found not in self.model
        self.model.pop(known, None)
        self.model[found] = {
            "peer": peer,
            "state": "connected",
            "calls": [],
            "errors": [],
            "attempts": 0,
            "born": self.clock.now,
            "active": self.clock.now,
        }
        return found

    @rule(
        session=ids,
        latency=st.integers(min_value=0, max_value=10_000),
        error=st.one_of(st.none(), st.text(max_size=3)),
    )
    def record(self, session, latency, error):
        one = self.model.get(session)
        assert self.table.record(session, latency, self.clock.now, error) is (one is not None)
        if one is not None:
            one["calls"].append(latency)
            one["active"] = self.clock.now
            if error is not None:
                one["errors"].append(error)

    @rule(session=ids)
    def begin_reconnect(self, session):
        one = self.model.get(session)
        if one is None:
            with pytest.raises(SessionNotFound):
                self.table.begin_reconnect(session)
        elif one["state"] == "closed":
            with pytest.raises(InvalidSessionState):
                self.table.begin_reconnect(session)
        elif one["attempts"] == RETRIES:
            one.update(state="closed", attempts=RETRIES + 1)
            with pytest.raises(ReconnectionFailed):
                self.table.begin_reconnect(session)
        else:
            assert self.table.begin_reconnect(session) == 1000 * 2 ** one["attempts"]
            one.update(state="reconnecting", attempts=one["attempts"] + 1)

    @rule(session=ids)
    def reconnect_success(self, session):
        one = self.model.get(session)
        if one is None or one["state"] == "closed":
            with pytest.raises(SessionNotFound if one is None else InvalidSessionState):
                self.table.reconnect_success(session, self.clock.now)
        else:
            self.table.reconnect_success(session, self.clock.now)
            one.update(state="connected", attempts=0, active=self.clock.now)

    @rule(session=consumes(ids))
    def close(self, session):
        assert self.table.close(session) is (self.model.pop(session, None) is not None)

    @rule(peer=st.sampled_from(PEERS))
    def close_peer(self, peer):
        known = self.with_peer(peer)
        assert self.table.close_peer(peer.dcc_type, peer.instance_id) is (known is not None)
        self.model.pop(known, None)

    @rule(seconds=st.sampled_from([0.0, 1.0, IDLE_AFTER, IDLE_AFTER + 1, LIFETIME + 1]))
    def time_passes(self, seconds):
        self.clock.advance(seconds)

    @rule()
    def sweep(self):
        now, changed = self.clock.now, 0
        for session, one in list(self.model.items()):
            if now - one["born"] > LIFETIME:
                del self.model[session]
                changed += 1
            elif one["state"] == "connected" and now - one["active"] > IDLE_AFTER:
                one["state"] = "idle"
                changed += 1
        assert self.table.sweep(now) == changed

    @invariant()
    def everything_is_as_the_model_says(self):
        now, wall = self.clock.now, self.clock.wall()
        assert len(self.table) == len(self.model)
        listed = self.table.list(now, wall)
        assert [facts["id"] for facts in listed] == list(self.model)
        for facts, one in zip(listed, self.model.values()):
            assert facts == self.table.get(facts["id"], now, wall)
            assert tuple(facts[key] for key in Peer._fields) == one["peer"]
            assert facts["state"] == one["state"]
            calls, errors = one["calls"], one["errors"]
            assert facts["request_count"] == len(calls)
            assert facts["error_count"] == len(errors)
            assert facts["last_error"] == (errors[-1] if errors else None)
            assert facts["avg_latency_ms"] == (sum(calls) / len(calls) if calls else 0.0)
            assert facts["error_rate"] == (len(errors) / len(calls) if calls else 0.0)
            assert facts["reconnect_attempts"] == one["attempts"]
            assert facts["created_at"] == pytest.approx(wall - (now - one["born"]))
            assert facts["last_active"] == pytest.approx(wall - (now - one["active"]))


TestSessions = SessionsMachine.TestCase
