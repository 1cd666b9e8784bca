"""The transport's errors: the reference's texts, facts as attributes, RuntimeError throughout."""

from __future__ import annotations

import copy
import pickle

import pytest

from dcc_mcp_embed import transport_errors as errors

TEXTS = [
    (
        errors.ConnectionFailed("127.0.0.1", 18812, "refused"),
        "connection failed to 127.0.0.1:18812: refused",
    ),
    (errors.ConnectionTimeout(5000), "connection timed out after 5000ms"),
    (
        errors.PoolExhausted("maya", 10),
        "connection pool exhausted for DCC type 'maya' (max: 10)",
    ),
    (errors.AcquireTimeout(30000, "maya"), "acquire timeout after 30000ms for DCC type 'maya'"),
    (
        errors.ServiceNotFound("maya", "any"),
        "service not found: dcc_type=maya, instance_id=any",
    ),
    (
        errors.ServiceAlreadyRegistered("maya", "x"),
        "service already registered: dcc_type=maya, instance_id=x",
    ),
    (errors.Serialization("no message"), "serialization error: no message"),
    (errors.Io("disk full"), "IO error: disk full"),
    (errors.RegistryFile("locked"), "registry file error: locked"),
    (errors.Shutdown(), "transport is shut down"),
    (errors.SessionNotFound("s"), "session not found: s"),
    (
        errors.InvalidSessionState("s", "closed", "connected"),
        "session s is in state closed, expected connected",
    ),
    (
        errors.ReconnectionFailed("s", 3, "max retries exceeded"),
        "reconnection failed for session s after 3 retries: max retries exceeded",
    ),
    (
        errors.IpcConnectionFailed("tcp://127.0.0.1:1", "refused"),
        "IPC connection failed to tcp://127.0.0.1:1: refused",
    ),
    (
        errors.IpcNotSupported("named_pipe", "only on Windows"),
        "IPC transport 'named_pipe' not supported: only on Windows",
    ),
    (
        errors.FrameTooLarge(268435457, 268435456),
        "frame too large: 268435457 bytes (max: 268435456 bytes)",
    ),
    (errors.ConnectionClosed(), "connection closed by peer"),
    (errors.PingTimeout(5000), "ping timed out after 5000ms"),
    (errors.CallTimeout("m", 30000), "call 'm' timed out after 30000ms"),
    (errors.CallFailed("m", "boom"), "call 'm' failed: boom"),
    (
        errors.ReconnectFailed("maya", "i", 3, "refused"),
        "reconnect failed for maya/i after 3 attempt(s): refused",
    ),
    (
        errors.CircuitOpen("c"),
        "circuit breaker 'c' is open \N{EM DASH} DCC connection unavailable",
    ),
    (errors.Internal("accept timed out after 5ms"), "accept timed out after 5ms"),
]


def test_every_class_is_in_the_table() -> None:
    named = {type(error).__name__ for error, _ in TEXTS} | {"TransportError"}
    assert named == set(errors.__all__)


@pytest.mark.parametrize(("error", "text"), TEXTS, ids=[type(e).__name__ for e, _ in TEXTS])
def test_text_is_the_reference_s_and_copies_keep_it(
    error: errors.TransportError, text: str
) -> None:
    assert str(error) == text
    assert isinstance(error, RuntimeError)
    for copied in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert type(copied) is type(error)
        assert str(copied) == text
        assert copied.__dict__ == error.__dict__


def test_wrong_number_of_facts_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="CallTimeout takes"):
        errors.CallTimeout("m")
