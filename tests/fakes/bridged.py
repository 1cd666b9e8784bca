"""A bridge and a client at its pipes that believes nothing: in a process of its own, or in ours."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from typing import IO, Any, Callable, Dict, List, Optional

from dcc_mcp_embed.bridge import main as bridge_main
from fakes.served import DEADLINE, environment

#: Seconds after which the bridge is asked again for what it does not tell by itself.
AGAIN = 0.05
INITIALIZE = {
    "protocolVersion": "2025-11-25",
    "capabilities": {},
    "clientInfo": {"name": "tests", "version": "1"},
}
MODERN = {
    "io.modelcontextprotocol/protocolVersion": "2026-07-28",
    "io.modelcontextprotocol/clientCapabilities": {},
}


class Client:
    """What a client says and hears. Every line it hears must be one JSON-RPC message."""

    def __init__(self, said: IO[bytes], heard: IO[bytes]) -> None:
        self._said = said
        self._heard = heard
        self._ids = 0
        self._changed = threading.Condition()
        self.answers: Dict[Any, Dict[str, Any]] = {}
        #: Errors without an id.
        self.errors: List[Dict[str, Any]] = []
        self.notices: List[Dict[str, Any]] = []
        self.strange: List[bytes] = []
        self._log: List[bytes] = []
        self._closed = False
        self._readers = [threading.Thread(target=self._read, name="stdout of the bridge")]

    @property
    def log(self) -> str:
        return b"".join(self._log).decode("utf-8", "replace")

    def _read(self) -> None:
        for line in self._heard:
            try:
                message = json.loads(line)
                assert message["jsonrpc"] == "2.0"
            except (ValueError, TypeError, KeyError, AssertionError):
                self.strange.append(line)
                continue
            with self._changed:
                if "method" in message:
                    self.notices.append(message)
                elif "id" in message:
                    assert message["id"] not in self.answers, "answered twice"
                    self.answers[message["id"]] = message
                else:
                    self.errors.append(message)
                self._changed.notify_all()
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def until(self, ready: Callable[[], Any], deadline: float = DEADLINE) -> Any:
        """Wait until ``ready()`` is true, and return it.

        It is asked when something has come; if it asks the bridge itself, also now and then.
        """
        end = time.monotonic() + deadline
        with self._changed:
            while True:
                asked = self._ids
                value = ready()
                if value:
                    return value
                left = end - time.monotonic()
                told = (self._closed, self.log, self.notices, self.errors)
                assert left > 0 and not self._closed, told
                self._changed.wait(left if self._ids == asked else min(left, AGAIN))

    # -- what a client says -------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        self._said.write(data)
        self._said.flush()

    def send(self, message: Any) -> None:
        self.write(json.dumps(message).encode("utf-8") + b"\n")

    def begin(self, method: str, params: Optional[Dict[str, Any]] = None) -> int:
        """Send a request; return its id."""
        self._ids += 1
        message = {"jsonrpc": "2.0", "id": self._ids, "method": method}
        if params is not None:
            message["params"] = params
        self.send(message)
        return self._ids

    def notify(self, method: str, params: Optional[Dict[str, Any]] = None) -> None:
        self.send({"jsonrpc": "2.0", "method": method, "params": params or {}})

    def answer(self, ident: Any, deadline: float = DEADLINE) -> Dict[str, Any]:
        """Wait for the answer to a request."""
        return self.until(lambda: self.answers.get(ident), deadline)

    def ask(
        self, method: str, params: Optional[Dict[str, Any]] = None, deadline: float = DEADLINE
    ) -> Dict[str, Any]:
        """Send a request; return its result, which must be none of the errors."""
        answer = self.answer(self.begin(method, params), deadline)
        assert "result" in answer, answer
        return answer["result"]

    def initialize(self, version: str = "2025-11-25") -> Dict[str, Any]:
        result = self.ask("initialize", dict(INITIALIZE, protocolVersion=version))
        self.notify("notifications/initialized")
        return result

    def names(self) -> List[str]:
        """Return the names of the tools that are listed now."""
        return [tool["name"] for tool in self.ask("tools/list")["tools"]]

    def appears(self, *names: str) -> List[str]:
        """Wait until tools are listed, being told of each change; return the names of all."""
        while True:
            told = self.changes()
            listed = self.names()
            if set(names) <= set(listed):
                return listed
            self.until(lambda told=told: self.changes() > told)

    def start_call(self, tool: str, **arguments: Any) -> int:
        return self.begin("tools/call", {"name": tool, "arguments": arguments})

    def call(self, tool: str, **arguments: Any) -> Dict[str, Any]:
        """Call a tool; return its structured content, with ``isError`` checked against it."""
        return self.told(self.start_call(tool, **arguments))

    def told(self, ident: Any, deadline: float = DEADLINE) -> Dict[str, Any]:
        """Return the structured content that a call ended with."""
        answer = self.answer(ident, deadline)
        result = answer["result"]
        assert result["isError"] == (not result["structuredContent"]["ok"]), result
        return result["structuredContent"]

    def error(self, tool: str, **arguments: Any) -> Dict[str, Any]:
        """Call a tool that must fail; return the error."""
        content = self.call(tool, **arguments)
        assert not content["ok"], content
        return content["error"]

    def changes(self) -> int:
        """Return how often the list of tools was said to have changed."""
        return sum(one["method"] == "notifications/tools/list_changed" for one in self.notices)

    # -- the end ------------------------------------------------------------------------------

    def close(self) -> None:
        """Close the bridge's input, as a client does that has enough."""
        try:
            self._said.close()
        except BrokenPipeError:
            pass  # it has gone, with something unread

    def _join(self) -> None:
        for reader in self._readers:
            reader.join(DEADLINE)


class Bridged(Client):
    """A bridge in a process of its own, as clients start it."""

    def __init__(self, home: str, *arguments: str, python: str = sys.executable) -> None:
        self.process = subprocess.Popen(
            [python, "-W", "error", "-m", "dcc_mcp_embed", "bridge", *arguments],
            env=environment(home),
            cwd=home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert self.process.stdin is not None and self.process.stdout is not None
        super().__init__(self.process.stdin, self.process.stdout)
        self._readers.append(threading.Thread(target=self._read_log, name="stderr of the bridge"))
        for reader in self._readers:
            reader.start()

    def _read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self._log.append(line)

    def end(self, deadline: float = DEADLINE) -> int:
        """Close its input and return its status; nothing but protocol may have been printed."""
        self.close()
        try:
            status = self.process.wait(deadline)
        finally:
            self._collect()
        assert not self.strange, self.strange
        return status

    def _collect(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self._join()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            try:
                stream.close()
            except BrokenPipeError:
                pass  # it has gone, with something unread

    def __enter__(self) -> Bridged:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if self.process.returncode is None:
            self.close()
            try:
                self.process.wait(DEADLINE if kind is None else 2.0)
            except subprocess.TimeoutExpired:
                if kind is None:
                    raise
            finally:
                self._collect()


class Within(Client):
    """A bridge on a thread of this process, for what a process of its own would prove no more.

    ``monkeypatch`` sets where it keeps its files, until the test is over.
    """

    def __init__(
        self, home: str, monkeypatch: Any, dcc: Optional[str] = None, instance: Optional[str] = None
    ) -> None:
        monkeypatch.setenv("DCC_MCP_EMBED_HOME", home)
        heard, writing = os.pipe()
        reading, said = os.pipe()
        self._ends = [reading, writing]
        super().__init__(os.fdopen(said, "wb"), os.fdopen(heard, "rb"))
        self._failed: List[BaseException] = []
        self._over = threading.Event()
        registry = os.path.join(home, "registry")
        self._readers.append(
            threading.Thread(target=self._serve, args=(dcc, instance, registry), name="bridge")
        )
        for reader in self._readers:
            reader.start()

    def _serve(self, dcc: Optional[str], instance: Optional[str], registry: str) -> None:
        reading, writing = self._ends
        try:
            bridge_main.serve(reading, writing, dcc, instance, registry, self._note)
        except BaseException as error:
            self._failed.append(error)
        finally:
            self._over.set()
            os.close(writing)

    def _note(self, level: str, text: str) -> None:
        self._log.append("{}: {}\n".format(level, text).encode("utf-8"))

    def end(self, deadline: float = DEADLINE) -> None:
        """Close its input and wait for its end."""
        self.close()
        over = self._over.wait(deadline)
        self._join()
        os.close(self._ends[0])
        self._heard.close()
        assert over, self.log
        assert not self._failed, self._failed
        assert not self.strange, self.strange
        assert "error: " not in self.log, self.log

    def __enter__(self) -> Within:
        return self

    def __exit__(self, *_: Any) -> None:
        if not self._heard.closed:
            self.end()


class Web:
    """A bridge over HTTP on threads of this process; a server for ``fakes.live.Wire``."""

    def __init__(self, home: str, monkeypatch: Any) -> None:
        monkeypatch.setenv("DCC_MCP_EMBED_HOME", home)
        self.log: List[str] = []
        self._failed: List[BaseException] = []
        self._ready = threading.Event()
        self._thread = threading.Thread(
            target=self._serve, args=(os.path.join(home, "registry"),), name="bridge"
        )
        self._thread.start()
        assert self._ready.wait(DEADLINE)
        if self._failed:
            self._thread.join(DEADLINE)
            raise self._failed[0]

    def _serve(self, registry: str) -> None:
        try:
            bridge_main.serve_http(
                0, None, None, registry, lambda *said: self.log.append(": ".join(said)), self._is_up
            )
        except BaseException as error:
            self._failed.append(error)
        finally:
            self._ready.set()

    def _is_up(self, web: Any) -> None:
        self._web = web
        self.facts = web.facts()
        self._ready.set()

    @property
    def port(self) -> int:
        port: int = self.facts["port"]
        return port

    @property
    def address(self) -> Any:
        return ("127.0.0.1", self.port)

    @property
    def authorization(self) -> Dict[str, str]:
        return {"Authorization": "Bearer " + self.facts["token"]}

    def connect(self) -> Any:
        from fakes.live import Wire

        return Wire(self)  # type: ignore[arg-type]

    def close(self) -> None:
        self._web.stop()
        self._thread.join(DEADLINE)
        assert not self._thread.is_alive()
        assert not self._failed, self._failed
        assert not [line for line in self.log if line.startswith("error")], self.log

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: Any) -> None:
        if self._thread.is_alive():
            self.close()
