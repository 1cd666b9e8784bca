"""Take servers of ours out of MCP clients' files, and leave those as they were before them."""

from __future__ import annotations

import os
from typing import Callable, Iterator, List, Mapping, NamedTuple, Optional, Tuple

from ..errors import ConfigError
from . import clients, rewriting

__all__ = ["Listed", "is_original", "listed", "take_out"]


class Listed(NamedTuple):
    """A client's file with servers of ours in it; ``problem``: why that cannot be told."""

    client: clients.Client
    path: str
    names: Tuple[str, ...]
    problem: str = ""


def listed(environ: Mapping[str, str], platform: str, home: str) -> Iterator[Listed]:
    """Yield every client's file that has servers of ours, or cannot be read. Changes nothing."""
    for client in clients.CLIENTS:
        path = os.path.abspath(clients.place(client, environ, platform, home))
        try:
            content = rewriting.read(path)
            names = clients.ours(content, client) if content is not None else []
        except ConfigError as error:
            yield Listed(client, path, (), str(error))
            continue
        if names:
            yield Listed(client, path, tuple(names))


def take_out(
    client: clients.Client, path: str, names: List[str], sleep: Callable[[float], None]
) -> Tuple[bool, Optional[str]]:
    """Take servers out of a client's file; return whether it had them, and the backup's path.

    A file that we have made is deleted with the last of them. Raises ConfigError.
    """
    before = rewriting.read(path)
    after = before
    for name in names:
        after = None if after is None else clients.remove(after, client, name)
    if before is None or after is None or after == before:
        return False, None
    # Without a backup there was no file before we wrote one.
    kept = rewriting.backup_of(path)
    gone = not os.path.exists(kept) and clients.is_blank(after, client)
    first = rewriting.read(kept)
    if first is not None and clients.is_blank(after, client) and clients.is_blank(first, client):
        # It said nothing before us either, perhaps not even that in braces.
        after = first
    others = clients.ours(after, client)
    keep = bool(others) and is_original(client, before, kept)
    backup = rewriting.rewrite(path, before, None if gone else after, sleep, keep=keep)
    if not others:
        # It may hold a token, and there is nothing of ours left to be taken back.
        rewriting.forget(path)
    return True, backup


def is_original(client: clients.Client, before: Optional[bytes], kept: str) -> bool:
    """Return whether ``before`` is to be kept: what the user had before we first changed it.

    ``kept`` is the path of the backup, which may be there already. Of a file that holds servers of
    ours only there is nothing to keep. Raises ConfigError.
    """
    if before is None:
        return False
    if not clients.ours(before, client):
        return True
    return not os.path.exists(kept) and clients.holds_more(before, client)
