"""The framed wire on our port: bytes to calls, several at a time, answers by id. Loop thread only.

A stranger may say a hello of a few hundred bytes, within two seconds, and nothing else. After it
there are four methods, JSON (UTF-8) in both directions:

    tools/list                           {"tools": [...]}, as MCP lists them
    tools/call  {"name", "arguments"}    a CallToolResult, as MCP answers
    ping                                 {}
    status                               what the tool ``get_status`` shows

Whatever a peer asks is answered; a connection ends only when what comes is not the protocol.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Callable, Deque, Dict, List, Optional, Tuple

from ..clock import Clock
from ..errors import EmbedError, HostBusy, NotFound
from ..net.stream import Stream
from ..rpc.hello import Facts, HelloRefused, ServerHello, place
from ..rpc.peer import Ended, Event, Greeted, Peer, Quotas
from ..tools.results import failure
from ..tools.table import ToolTable
from ..transport_errors import ConnectionClosed, FrameTooLarge
from ..wire import jsonrpc
from ..wire.messages import Request
from .admission import Refused
from .calls import Calls
from .connection import Connection

if TYPE_CHECKING:
    from .front import Front

__all__ = ["FramedConnection", "FramedEndpoint"]

#: Answers that are ready are sent together up to this size, bytes.
_BATCH = 64 * 1024
#: Requests that one read can hold must not count as too many at once: its bytes over the smallest.
_PER_READ = 4096


class _BadParams(EmbedError):
    """A method was given something else than it takes."""


class FramedEndpoint:
    """What all framed connections of one server share. ``instance()`` is the block of results.

    ``key``: with which both ends prove that they know the user's secret. ``open_to_all``: a peer
    may leave out the hello.
    """

    def __init__(
        self,
        table: ToolTable,
        calls: Calls,
        clock: Clock,
        instance: Callable[[], Dict[str, Any]],
        key: bytes,
        port: int,
        facts: Facts,
        open_to_all: bool,
        log: Callable[[str, str], None],
    ) -> None:
        self.clock = clock
        self.calls = calls
        self.open_to_all = open_to_all
        self.log = log
        self._table = table
        self._instance = instance
        self._key = key
        self._place = place(("127.0.0.1", port))
        self._facts = facts
        self.methods: Dict[str, Callable[[FramedConnection, Request], Optional[Dict[str, Any]]]]
        self.methods = {
            "ping": self._ping,
            "status": self._status,
            "tools/call": self._call,
            "tools/list": self._list,
        }

    def connect(
        self, front: Front, stream: Stream, peer: Tuple[str, int], opened: float
    ) -> FramedConnection:
        """Return a connection for a peer whose first byte was a frame's."""
        return FramedConnection(self, front, stream, peer, opened)

    def hello(self) -> ServerHello:
        """Return the server's end of a new hello."""
        return ServerHello(self._key, self._place, self._facts, self.clock)

    def _ping(self, connection: FramedConnection, request: Request) -> Dict[str, Any]:
        return {}

    def _status(self, connection: FramedConnection, request: Request) -> Dict[str, Any]:
        status: Dict[str, Any] = self.calls.control.status()
        return status

    def _list(self, connection: FramedConnection, request: Request) -> Dict[str, Any]:
        return {"tools": self._table.listing()}

    def _call(self, connection: FramedConnection, request: Request) -> Optional[Dict[str, Any]]:
        params = _object(request.params)
        name, arguments = params.get("name"), params.get("arguments")
        if type(name) is not str:
            raise _BadParams("tools/call needs a name, a string")
        if arguments is None:
            arguments = {}
        elif type(arguments) is not dict:
            raise _BadParams("the arguments of tools/call are an object")
        try:
            tool = self._table.get(name)
        except NotFound as error:
            return failure(error, self._instance())
        refusal = connection.too_many()
        if refusal is not None:
            return failure(refusal, self._instance())
        connection.run(tool, arguments, request.id)
        return None


class FramedConnection(Connection):
    """Drive the peer machine, answer its requests, mind the deadlines."""

    def __init__(
        self,
        endpoint: FramedEndpoint,
        front: Front,
        stream: Stream,
        peer: Tuple[str, int],
        opened: float,
    ) -> None:
        super().__init__(front, stream, peer, opened)
        self._endpoint = endpoint
        limits = front.limits
        #: What the peer calls itself, for the person at the host; it proves nothing.
        self.client = ""
        self._hello: Optional[ServerHello] = endpoint.hello()
        self._peer = Peer(
            endpoint.clock,
            hello=None if endpoint.open_to_all else self._hello,
            quotas=Quotas(
                requests=_PER_READ, refuse=True, frame=limits.body_bytes, unsent=limits.high_water
            ),
        )
        # Understood, and not served yet because the peer does not read its answers.
        self._events: Deque[Event] = deque()
        self._running = 0
        # Bytes of the frame that is still arriving, and whether its deadline runs.
        self._came = 0
        self._timed: Optional[str] = None
        self._answers: List[bytes] = []
        self._size = 0
        self._advancing = False
        if endpoint.open_to_all:
            self.authenticate()
        else:
            self._timed = "hello"
            self.arm(limits.hello_timeout)

    # -- from the stream ----------------------------------------------------------------------

    def receive_data(self, data: bytes) -> None:
        if self._ending:
            return
        peer = self._peer
        peer.unsent = self.stream.unsent
        events = peer.receive_data(data)
        if events:
            # At most this read is of the frame that is arriving now.
            self._came = 0
            self._events.extend(events)
            if self._timed == "body":
                self._timed = None
        self._came += len(data)
        self._advance()
        if self._came and not self._ending:
            refused = self.make_room(self._came)
            if refused is not None:
                self.refuse(refused)

    def receive_eof(self) -> None:
        """The peer sends no more; it may have closed its sending side only."""
        self._eof = True
        self._close_if_done()

    def writable_again(self) -> None:
        self._advance()

    def drop_input(self) -> None:
        self._events.clear()

    def lost(self) -> None:
        # Calls run to their end, as those of an HTTP client that has left do.
        self._events.clear()

    # -- requests -----------------------------------------------------------------------------

    def _advance(self) -> None:
        """Serve what was understood, as long as the peer reads what it is answered.

        While it does not, the stream reads nothing more of it.
        """
        if self._advancing:
            return
        self._advancing = True
        try:
            while self._events and not self._ending and not self.blocked:
                self._take(self._events.popleft())
        finally:
            self._advancing = False
        if self._ending:
            return
        self._flush()
        if not self._events and not self._peer.mid_frame:
            self._came = 0
            self.free_room()
        self._close_if_done()
        self._set_deadline()

    def _take(self, event: Event) -> None:
        if type(event) is Request:
            self._serve(event)
        elif type(event) is Greeted:
            self._greeted()
        elif type(event) is Ended:
            self._ended(event)
        # Notifications have no meaning here, and nothing of ours waits for an answer.

    def _serve(self, request: Request) -> None:
        endpoint = self._endpoint
        method = endpoint.methods.get(request.method)
        try:
            if method is not None:
                result = method(self, request)
                if result is not None:
                    self._answer(request.id, result)
            elif request.method == "hello" and self._hello is not None and endpoint.open_to_all:
                self._greet(self._hello, request)
            else:
                self._fail(
                    request.id,
                    "there is no method {!r} here; there are {}".format(
                        request.method[:100], ", ".join(endpoint.methods)
                    ),
                )
        except _BadParams as error:
            self._fail(request.id, str(error))
        except Exception as error:
            # A defect of ours must not leave the client waiting.
            endpoint.log("error", "{}: {!r}".format(request.method[:100], error))
            self._fail(request.id, "the server failed on this request; see its log")

    def too_many(self) -> Optional[HostBusy]:
        """Return why another call has to wait, None if it need not."""
        most = self._front.limits.framed_calls
        if self._running < most:
            return None
        return HostBusy(
            "{} calls of this connection are under way already.".format(most),
            hint="Wait for some of their answers.",
            retry_after_ms=1000,
        )

    def run(self, tool: Any, arguments: Dict[str, Any], request_id: bytes) -> None:
        """Call a tool and answer the request with its result, now or later."""

        def answer(result: Dict[str, Any]) -> None:
            self._running -= 1
            self._answer(request_id, result)
            if not self._advancing:
                self._advance()

        self._running += 1
        # A name is a claim. The connection is not.
        self._endpoint.calls.start(tool, arguments, self.client, (self.peer, self.opened), answer)

    # -- hello --------------------------------------------------------------------------------

    def _greeted(self) -> None:
        # The end of the hello leaves before any answer to what was sent right after it.
        self._flush()
        self._timed = None
        self._end_hello()
        self.disarm()
        self.authenticate()

    def _greet(self, hello: ServerHello, request: Request) -> None:
        """Prove ourselves to a peer that need not prove itself, and does."""
        try:
            answer = hello.receive(request)
        except HelloRefused as refusal:
            self._fail(request.id, refusal.reason)
            return
        if answer is not None:
            self._say(self._peer.answer(request.id, True, answer.payload))
        if hello.facts is not None:
            self._end_hello()

    def _end_hello(self) -> None:
        if self._hello is not None:
            self.client = self._hello.client
            # The key goes with it.
            self._hello = None

    # -- answers ------------------------------------------------------------------------------

    def _answer(self, request_id: bytes, result: Dict[str, Any]) -> None:
        try:
            data = self._peer.answer(request_id, True, jsonrpc.encode(result))
        except (FrameTooLarge, TypeError, ValueError) as error:
            self._fail(request_id, "the answer cannot be sent: {}".format(error))
        else:
            self._say(data)

    def _fail(self, request_id: bytes, error: str) -> None:
        # A name that is no text (a lone surrogate) can be in it.
        text = error.encode("utf-8", "backslashreplace").decode("utf-8")
        self._say(self._peer.answer(request_id, False, b"", text))

    def _say(self, data: bytes) -> None:
        if self._ending:
            return
        self._answers.append(data)
        self._size += len(data)
        if self._size >= _BATCH:
            self._flush()

    def _flush(self) -> None:
        """Send what is to be said: the answers, then what the machine has to say itself."""
        own = self._peer.data_to_send()
        if own:
            self._answers.append(own)
        if self._answers:
            data = self._answers[0] if len(self._answers) == 1 else b"".join(self._answers)
            self._answers.clear()
            self._size = 0
            self.stream.write(data)

    # -- the end ------------------------------------------------------------------------------

    def _ended(self, event: Ended) -> None:
        if isinstance(event.error, ConnectionClosed):
            # It said so itself, and reads no more.
            self._flush()
            self._ending = True
            self.stream.close()
        elif self.authenticated:
            self.refuse(Refused(400, str(event.error)))
        else:
            # What is to be told to a stranger, the machine has said.
            self._flush()
            self.end_politely()

    def refuse(self, refused: Refused) -> None:
        self._peer.shutdown(refused.message)
        self._flush()
        self.end_politely()

    def _close_if_done(self) -> None:
        if self._eof and not self._events and not self._running and not self._ending:
            self._ending = True
            self.stream.close()

    # -- deadlines ----------------------------------------------------------------------------

    def _set_deadline(self) -> None:
        if self._ending or self._timed == "hello":
            return
        limits = self._front.limits
        if self.blocked:
            part, delay = "idle", self.patience()
        elif self._peer.mid_frame:
            # A slow peer does not get a new deadline with each byte.
            part, delay = "body", limits.body_timeout
        elif self._running:
            self._timed = None
            self.disarm()
            return
        else:
            part, delay = "idle", self.patience()
        if part != self._timed or part == "idle":
            self._timed = part
            self.arm(delay)

    def overdue(self) -> None:
        if self._timed == "hello":
            self.end_politely()
        elif self._timed == "body":
            self.refuse(Refused(408, "the request did not come to its end in time"))
        else:
            self.refuse(Refused(408, "nothing came for a long time"))


def _object(params: bytes) -> Dict[str, Any]:
    """Return the JSON object in ``params``; nothing at all counts as an empty one."""
    if not params:
        return {}
    try:
        value = jsonrpc.decode(params)
    except jsonrpc.Fault as fault:
        raise _BadParams(fault.message) from None
    if value is None:
        return {}
    if type(value) is not dict:
        raise _BadParams("params are a JSON object")
    return value
