"""The end of the input at every moment of a conversation; hosts that are shot while they work."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import threading
import time

import pytest

from dcc_mcp_embed.bridge import vigil
from dcc_mcp_embed.bridge.pulse import Pace
from fakes.bridged import INITIALIZE, Bridged, Within
from fakes.served import Served, environment

#: Seconds for an end, on a busy machine; without calls under way it takes some milliseconds.
AT_ONCE = 5.0
TOOLS = '''
import threading
import dcc_mcp_embed

@dcc_mcp_embed.tool(thread="loop")
def note(path: str, text: str) -> dict:
    """Write a line."""
    with open(path, "a") as file:
        file.write(text + "\\\\n")
    return {"text": text}

@dcc_mcp_embed.tool(thread="worker")
def linger(path: str, text: str, seconds: float) -> dict:
    """Write a line, then take its time."""
    with open(path, "a") as file:
        file.write(text + "\\\\n")
    threading.Event().wait(seconds)
    return {"text": text}
'''.replace("\\\\", "\\")
CONVERSATION = b"".join(
    json.dumps(dict({"jsonrpc": "2.0"}, **message)).encode("ascii") + b"\n"
    for message in (
        {"id": 0, "method": "initialize", "params": INITIALIZE},
        {"method": "notifications/initialized"},
        {"id": 1, "method": "tools/list"},
        {"id": 2, "method": "tools/call", "params": {"name": "get_status", "arguments": {}}},
        {"id": 3, "method": "tools/call", "params": {"name": "list_objects", "arguments": {}}},
        {"id": 4, "method": "ping"},
    )
)


@pytest.fixture
def tools(tmp_path):
    path = tmp_path / "endings_tools.py"
    path.write_text(TOOLS)
    return str(path)


@pytest.mark.heavy
@pytest.mark.parametrize("pause", [0.0, 0.02, 0.2])
def test_the_input_may_end_anywhere(tmp_path, pause):
    """Each process ends with 0, and prints nothing but whole messages."""
    home = str(tmp_path)
    pick = random.Random(7)
    cuts = sorted({0, len(CONVERSATION), *(pick.randrange(len(CONVERSATION)) for _ in range(40))})
    with Served(home):
        for cut in cuts:
            process = subprocess.Popen(
                [sys.executable, "-W", "error", "-m", "dcc_mcp_embed", "bridge"],
                env=environment(home),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
            with process:
                timer = threading.Event()
                process.stdin.write(CONVERSATION[:cut])
                process.stdin.flush()
                timer.wait(pause)
                started = time.monotonic()
                process.stdin.close()
                process.stdin = None
                output, log = process.communicate(timeout=AT_ONCE)
                assert process.returncode == 0 and b"Traceback" not in log, (cut, log)
                assert b"Fatal" not in log, (cut, log)
                assert time.monotonic() - started < AT_ONCE
            whole = CONVERSATION[:cut].count(b"\n")
            answers = [json.loads(line) for line in output.splitlines()]
            ids = [one["id"] for one in answers if "id" in one]
            assert len(set(ids)) == len(ids), (cut, ids)
            # Everything that was a whole message is answered: none of it takes long.
            wanted = [json.loads(line).get("id") for line in CONVERSATION.splitlines()[:whole]]
            assert {one for one in wanted if one is not None} <= set(ids), (cut, answers, log)


def shoot(served):
    served.end(signal.SIGKILL)


@pytest.mark.heavy
def test_hosts_are_shot_and_started_anew_while_calls_run(tmp_path, tools):
    """Every call is answered once, none runs twice, and what succeeded did run."""
    home, ran = str(tmp_path), tmp_path / "ran"
    sent, stop = {}, threading.Event()
    with Bridged(home) as bridge:
        bridge.initialize()
        served = Served(home, "--tools", tools)
        try:
            bridge.until(lambda: bridge.call("list_objects")["ok"])

            def keep_calling():
                number = 0
                while not stop.is_set():
                    number += 1
                    text = "call {}".format(number)
                    tool, more = ("note", {}) if number % 5 else ("linger", {"seconds": 0.01})
                    sent[bridge.start_call(tool, path=str(ran), text=text, **more)] = text
                    stop.wait(0.002)

            caller = threading.Thread(target=keep_calling)
            caller.start()
            try:
                for _ in range(6):
                    stop.wait(0.7)
                    shoot(served)
                    served = Served(home, "--tools", tools)
                stop.wait(1.5)
            finally:
                stop.set()
                caller.join()
            ended = {ident: bridge.told(ident) for ident in sent}
            assert bridge.ask("ping") == {}
        finally:
            shoot(served)
        lines = ran.read_text().splitlines()
        assert len(set(lines)) == len(lines)
        codes = {}
        for ident, text in sent.items():
            content = ended[ident]
            code = "ok" if content["ok"] else content["error"]["code"]
            codes[code] = codes.get(code, 0) + 1
            if code == "ok":
                assert content["data"] == {"text": text} and text in lines
            elif code == "no_host":
                assert text not in lines
            elif code != "unknown_outcome":
                assert content["error"]["state"] == "not_started" and text not in lines, content
        assert codes["ok"] > 200 and set(codes) & {"no_host", "unknown_outcome"}, codes


@pytest.mark.heavy
def test_a_host_that_was_stopped_is_given_up_and_is_there_again_later(tmp_path, monkeypatch, tools):
    """With less patience than it has; how much that is, is the pulse's to say."""
    home, ran = str(tmp_path), tmp_path / "ran"
    monkeypatch.setattr(vigil, "PACE", Pace(1.0, 1.0, 0.5, 4.0))
    with Served(home, "--tools", tools) as served, Within(home, monkeypatch) as bridge:
        bridge.initialize()
        bridge.appears("linger")
        call = bridge.start_call("linger", path=str(ran), text="x", seconds=600)
        bridge.until(lambda: bridge.ask("ping") == {} and ran.exists())
        served.process.send_signal(signal.SIGSTOP)
        try:
            other = bridge.start_call("list_objects")
            error = bridge.told(call)["error"]
            assert error["code"] == "unknown_outcome" and "no sign of life" in error["message"]
            assert bridge.ask("ping") == {}
            # Not even sent, if no connection was there for it.
            code = bridge.told(other)["error"]["code"]
            assert code in ("unknown_outcome", "host_busy_native")
        finally:
            served.process.send_signal(signal.SIGCONT)
        bridge.until(lambda: bridge.call("get_status")["ok"])
        shoot(served)
