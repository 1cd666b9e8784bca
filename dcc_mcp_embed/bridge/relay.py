"""Calls to hosts, on threads that nobody waits for.

Each instance has workers of its own, so that one that does not answer keeps nobody else waiting;
and its tools are asked for on other workers than its calls.
"""

from __future__ import annotations

from typing import AbstractSet, Any, Callable, Dict, List, Optional

from ..clock import Clock
from ..errors import EmbedError, HostBusy, InvalidArgument, RemoteProtocolError
from ..ipc.workers import Workers
from ..transport.manager import TransportManager
from ..wire import jsonrpc
from ..wire.jsonrpc import Fault
from .cache import is_tool
from .demand import demand_in
from .ended import NOT_REACHED, Ended, told
from .errand import Errand
from .hosts import Host

__all__ = ["CALL_S", "MOST_CALLS", "Relay"]

#: Calls to one instance that are under way at once, and that wait for their turn.
MOST_CALLS = 32
_LINE = 64
#: Seconds after which nobody waits for a call any more. Hosts have limits of their own, of which
#: this is no judge; whoever lost patience says so (notifications/cancelled).
CALL_S = 4 * 3600.0
#: Seconds that a list of tools may take.
_LIST_S = 10.0
#: Seconds that a host is listened to without a break, and how many take each other's place at once.
_LISTEN_S = 7 * 24 * 3600.0
_EARS = 4
#: Seconds to wait for a connection, of which there are more than workers.
_ACQUIRE_S = 5.0


class Relay:
    """Calls to hosts. Never blocks; ``done`` is called on a worker. One thread."""

    def __init__(
        self,
        manager: TransportManager,
        clock: Clock,
        log: Callable[[str, str], None],
        most: int = MOST_CALLS,
        line: int = _LINE,
    ) -> None:
        self._manager = manager
        self._clock = clock
        self._log = log
        self._most = most
        self._line = line
        #: (instance id, what for) -> its workers.
        self._workers: Dict[Any, Workers] = {}
        self._tidier = Workers(1, 1, "dcc-mcp-embed tidy", self._failed)

    def call(
        self,
        host: Host,
        errand: Errand,
        wanted: Callable[[], bool],
        done: Callable[[Ended], None],
    ) -> None:
        """Run an errand; ``done`` is told once what came of it, also if that is known at once.

        It does not begin if ``wanted()`` is false when its turn comes; then nobody is told.
        """

        def work() -> None:
            if wanted():
                done(self._call(host, errand, CALL_S))

        if not self._of(host, "calls", self._most, self._line).run(work):
            done(
                Ended(
                    error=HostBusy(
                        "{} calls to {} wait already; this one was not sent.".format(
                            self._line, host.dcc_type
                        ),
                        hint="Wait for the others, or ask get_status what the host does.",
                        retry_after_ms=1000,
                    )
                )
            )

    def cancel(self, host: Host, errand: Errand, said: Callable[[], None]) -> None:
        """Tell a host that an errand's answer is not wanted; ``said``: see ``Errand.cancel``."""
        if not self._of(host, "cancels", 4, self._most).run(errand.cancel, said):
            said()

    def list_tools(
        self, host: Host, done: Callable[[Optional[List[Dict[str, Any]]], str], None]
    ) -> None:
        """Ask for a host's tools: ``done(tools, "")``, or ``done(None, why not)``."""

        def work() -> None:
            try:
                content = self._ask(host, "tools/list", b"", _LIST_S)
                tools = content.get("tools")
                if type(tools) is not list:
                    raise RemoteProtocolError("what it lists are no tools")
            except EmbedError as error:
                done(None, str(error))
            else:
                done([one for one in tools if is_tool(one)], "")

        if not self._of(host, "lists", 1, 4).run(work):
            done(None, "it has been asked already")

    def list(self, host: Host, errand: Errand, done: Callable[[Ended], None]) -> None:
        """Run an errand that asks for a list of another kind; ``done`` is told once."""
        if not self._of(host, "shelves", 2, 16).run(
            lambda: done(self._call(host, errand, _LIST_S))
        ):
            done(Ended(error=HostBusy("It has been asked often already.")))

    def listen(self, host: Host, errand: Errand, done: Callable[[Ended], None]) -> None:
        """Run an errand that goes on for as long as the host does; ``done`` is told once."""
        if not self._of(host, "listen", _EARS, _EARS).run(
            lambda: done(self._call(host, errand, _LISTEN_S))
        ):
            done(Ended(error=HostBusy("It is being listened to often already.")))

    def pulse(self, host: Host, seconds: float, done: Callable[[bool], None]) -> None:
        """Ask for a sign of life: ``done(whether there was one)``."""

        def work() -> None:
            try:
                self._ask(host, "ping", b"", seconds)
            except EmbedError:
                done(False)
            else:
                done(True)

        if not self._of(host, "pulse", 1, 1).run(work):
            done(False)

    def tidy(self) -> None:
        """Close connections that are dead, or that nobody has used for long, soon."""

        def work() -> None:
            try:
                self._manager.cleanup()
            except EmbedError as error:
                self._log("debug", "The registry could not be swept: {}".format(error))

        self._tidier.run(work)

    def keep(self, instances: AbstractSet[str]) -> None:
        """Let go of the workers for all other instances; what waits for them never begins."""
        for key in [key for key in self._workers if key[0] not in instances]:
            self._workers.pop(key).stop()

    def stop(self) -> None:
        """Begin nothing more."""
        self.keep(frozenset())
        self._tidier.stop()

    def _of(self, host: Host, what: str, most: int, line: int) -> Workers:
        key = (host.instance_id, what)
        workers = self._workers.get(key)
        if workers is None:
            workers = self._workers[key] = Workers(
                most, line, "dcc-mcp-embed " + what, self._failed
            )
        return workers

    def _failed(self, function: Any, error: BaseException) -> None:
        self._log("error", "A call was not told its end: {!r}".format(error))

    # -- on the workers -----------------------------------------------------------------------

    def _call(self, host: Host, errand: Errand, seconds: float) -> Ended:
        try:
            data = errand.encode()
        except (ValueError, RecursionError) as error:
            return Ended(
                error=InvalidArgument(
                    "The arguments cannot be sent: {}.".format(error),
                    hint="Use finite numbers, and less deeply nested values.",
                )
            )
        try:
            with self._connection(host) as channel:
                result = errand.carry(channel, data, int(seconds * 1000))
            return _result(errand, result)
        except Fault as fault:
            return Ended(fault=fault)
        except NOT_REACHED as error:
            return Ended(error=told(error, host), unreached=True)
        except EmbedError as error:
            return Ended(error=told(error, host))
        except Exception as error:
            # A mistake of ours, of whatever class: it is logged, and whoever waits for the call is
            # told that nobody knows whether it ran.
            self._log("error", "A call to {} failed: {!r}".format(host.dcc_type, error))
            return Ended(error=told(error, host))

    def _connection(self, host: Host) -> Any:
        return self._manager.connection(host.dcc_type, host.instance_id, timeout=_ACQUIRE_S)

    def _ask(self, host: Host, method: str, params: bytes, seconds: float) -> Dict[str, Any]:
        with self._connection(host) as channel:
            answer = channel.call(method, params, int(seconds * 1000))
        try:
            content = jsonrpc.decode(bytes(answer["payload"]))
        except Fault as fault:
            raise RemoteProtocolError(fault.message) from None
        if type(content) is not dict:
            raise RemoteProtocolError("its answer is no JSON object")
        return content


def _result(errand: Errand, result: Dict[str, Any]) -> Ended:
    try:
        demand = demand_in(result)
    except ValueError as error:
        raise RemoteProtocolError(str(error)) from None
    if demand is not None:
        return Ended(demand=demand)
    if errand.method == "tools/call" and type(result.get("content")) is not list:
        raise RemoteProtocolError("what it answers is no result")
    return Ended(result)
