"""An MCP server inside a running Maya, Houdini, 3ds Max or Blender.

``dcc_mcp_embed.start()`` starts it, ``@dcc_mcp_embed.tool`` declares a tool. Importing this
package is inert: no thread, socket, file or host module until somebody calls ``start()``; public
names are loaded when they are first used.
"""

from __future__ import annotations

from importlib import import_module

from . import _layout

# Type checkers take this name for true; importing typing for it would triple the time of a bare
# import in a host that has not loaded it.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, List

    from ._compat import Annotated as Annotated
    from ._compat import Literal as Literal
    from ._compat import TypedDict as TypedDict
    from .address import TransportAddress as TransportAddress
    from .address import TransportScheme as TransportScheme
    from .embed import start as start
    from .embed import stop as stop
    from .errors import AlreadyExists as AlreadyExists
    from .errors import Ambiguous as Ambiguous
    from .errors import Cancelled as Cancelled
    from .errors import ConfigError as ConfigError
    from .errors import EmbedError as EmbedError
    from .errors import ExecDisabled as ExecDisabled
    from .errors import HostBusy as HostBusy
    from .errors import HostBusyNative as HostBusyNative
    from .errors import HostError as HostError
    from .errors import HostModal as HostModal
    from .errors import HostShuttingDown as HostShuttingDown
    from .errors import InvalidArgument as InvalidArgument
    from .errors import LocalProtocolError as LocalProtocolError
    from .errors import NoHost as NoHost
    from .errors import NotFound as NotFound
    from .errors import PermissionDenied as PermissionDenied
    from .errors import ProtocolError as ProtocolError
    from .errors import RemoteProtocolError as RemoteProtocolError
    from .errors import SceneDirty as SceneDirty
    from .errors import StartError as StartError
    from .errors import TimeoutNotStarted as TimeoutNotStarted
    from .errors import TimeoutRunning as TimeoutRunning
    from .errors import TooLarge as TooLarge
    from .errors import ToolError as ToolError
    from .errors import TypeMismatch as TypeMismatch
    from .errors import UnknownOutcome as UnknownOutcome
    from .errors import Unreachable as Unreachable
    from .errors import Unsupported as Unsupported
    from .errors import WouldDeadlock as WouldDeadlock
    from .registry.entry import ServiceEntry as ServiceEntry
    from .registry.file_registry import FileRegistry as FileRegistry
    from .registry.status import ServiceStatus as ServiceStatus
    from .rpc.outbound import DeliveryReceipt as DeliveryReceipt
    from .rpc.outbound import OutboundTracker as OutboundTracker
    from .rpc.outbound import PendingOutboundRecord as PendingOutboundRecord
    from .rpc.outbound import RouteKey as RouteKey
    from .rpc.outbound import StoredDeliveryReceipt as StoredDeliveryReceipt
    from .tools.content import Audio as Audio
    from .tools.content import Image as Image
    from .tools.content import Link as Link
    from .tools.content import Resource as Resource
    from .tools.declare import Progress as Progress
    from .tools.declare import prompt as prompt
    from .tools.declare import resource as resource
    from .tools.declare import resource_template as resource_template
    from .tools.declare import tool as tool
    from .tools.polling import Poll as Poll
    from .transport.channel import FramedChannel as FramedChannel
    from .transport.codec import decode_envelope as decode_envelope
    from .transport.codec import encode_notify as encode_notify
    from .transport.codec import encode_request as encode_request
    from .transport.codec import encode_response as encode_response
    from .transport.config import PoolConfig as PoolConfig
    from .transport.config import SessionConfig as SessionConfig
    from .transport.config import TransportConfig as TransportConfig
    from .transport.connect import connect_ipc as connect_ipc
    from .transport.listener import IpcListener as IpcListener
    from .transport.listener import ListenerHandle as ListenerHandle
    from .transport.manager import TransportManager as TransportManager
    from .transport.routing import RoutingStrategy as RoutingStrategy
    from .transport.sessions import SessionState as SessionState
    from .transport_errors import AcquireTimeout as AcquireTimeout
    from .transport_errors import CallFailed as CallFailed
    from .transport_errors import CallTimeout as CallTimeout
    from .transport_errors import CircuitOpen as CircuitOpen
    from .transport_errors import ConnectionClosed as ConnectionClosed
    from .transport_errors import ConnectionFailed as ConnectionFailed
    from .transport_errors import ConnectionTimeout as ConnectionTimeout
    from .transport_errors import FrameTooLarge as FrameTooLarge
    from .transport_errors import Internal as Internal
    from .transport_errors import InvalidSessionState as InvalidSessionState
    from .transport_errors import Io as Io
    from .transport_errors import IpcConnectionFailed as IpcConnectionFailed
    from .transport_errors import IpcNotSupported as IpcNotSupported
    from .transport_errors import PingTimeout as PingTimeout
    from .transport_errors import PoolExhausted as PoolExhausted
    from .transport_errors import ReconnectFailed as ReconnectFailed
    from .transport_errors import ReconnectionFailed as ReconnectionFailed
    from .transport_errors import RegistryFile as RegistryFile
    from .transport_errors import Serialization as Serialization
    from .transport_errors import ServiceAlreadyRegistered as ServiceAlreadyRegistered
    from .transport_errors import ServiceNotFound as ServiceNotFound
    from .transport_errors import SessionNotFound as SessionNotFound
    from .transport_errors import Shutdown as Shutdown
    from .transport_errors import TransportError as TransportError

__version__ = "0.1.0"

#: Where each public name comes from: submodule -> names.
_SOURCES = {
    ".address": ("TransportAddress", "TransportScheme"),
    ".embed": ("start", "stop"),
    ".tools.polling": ("Poll",),
    ".tools.declare": ("tool", "resource", "resource_template", "prompt", "Progress"),
    ".tools.content": ("Image", "Audio", "Resource", "Link"),
    "._compat": ("Annotated", "Literal", "TypedDict"),
    ".registry.entry": ("ServiceEntry",),
    ".registry.file_registry": ("FileRegistry",),
    ".registry.status": ("ServiceStatus",),
    ".rpc.outbound": (
        "DeliveryReceipt",
        "OutboundTracker",
        "PendingOutboundRecord",
        "RouteKey",
        "StoredDeliveryReceipt",
    ),
    ".transport.config": ("PoolConfig", "SessionConfig", "TransportConfig"),
    ".transport.manager": ("TransportManager",),
    ".transport.routing": ("RoutingStrategy",),
    ".transport.sessions": ("SessionState",),
    ".errors": (
        "EmbedError",
        "ConfigError",
        "StartError",
        "ProtocolError",
        "LocalProtocolError",
        "RemoteProtocolError",
        "ToolError",
        "AlreadyExists",
        "Ambiguous",
        "Cancelled",
        "ExecDisabled",
        "HostBusy",
        "HostBusyNative",
        "HostError",
        "HostModal",
        "HostShuttingDown",
        "InvalidArgument",
        "NoHost",
        "NotFound",
        "PermissionDenied",
        "SceneDirty",
        "TimeoutNotStarted",
        "TimeoutRunning",
        "TooLarge",
        "TypeMismatch",
        "UnknownOutcome",
        "Unreachable",
        "Unsupported",
        "WouldDeadlock",
    ),
    ".transport.channel": ("FramedChannel",),
    ".transport.codec": (
        "decode_envelope",
        "encode_notify",
        "encode_request",
        "encode_response",
    ),
    ".transport.connect": ("connect_ipc",),
    ".transport.listener": ("IpcListener", "ListenerHandle"),
    ".transport_errors": (
        "AcquireTimeout",
        "CallFailed",
        "CallTimeout",
        "CircuitOpen",
        "ConnectionClosed",
        "ConnectionFailed",
        "ConnectionTimeout",
        "FrameTooLarge",
        "Internal",
        "InvalidSessionState",
        "Io",
        "IpcConnectionFailed",
        "IpcNotSupported",
        "PingTimeout",
        "PoolExhausted",
        "ReconnectFailed",
        "ReconnectionFailed",
        "RegistryFile",
        "Serialization",
        "ServiceAlreadyRegistered",
        "ServiceNotFound",
        "SessionNotFound",
        "Shutdown",
        "TransportError",
    ),
}
_SOURCE_OF = {name: source for source, names in _SOURCES.items() for name in names}

__all__ = ["__version__", *sorted(_SOURCE_OF)]

_layout.bind_checkout_siblings(__name__, __path__)


def __getattr__(name: str) -> Any:
    """Load a public name when it is first used (PEP 562)."""
    source = _SOURCE_OF.get(name)
    if source is None:
        raise AttributeError("module {!r} has no attribute {!r}".format(__name__, name))
    from . import collector

    # What is loaded stays, so there is nothing to find for the collector, which would look through
    # it again and again: a tenth of the time that start() takes.
    collector.pause(anyway=True)
    try:
        value = getattr(import_module(source, __name__), name)
    finally:
        collector.resume()
    globals()[name] = value
    return value


def __dir__() -> List[str]:
    return sorted({*globals(), *_SOURCE_OF})
