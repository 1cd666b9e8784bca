"""What nobody may be told: secrets and what is made of them, in every way they could be written."""

from __future__ import annotations

import base64
import json
import os
import re
import traceback
from typing import Any, Dict, Iterator, List, Set, Tuple, Union
from urllib.parse import quote

from dcc_mcp_embed.clock import SystemClock
from dcc_mcp_embed.secret import SECRET_FILE, Secret, open_secret

__all__ = ["Hidden", "error_texts", "files_below", "process_facts"]

#: Kinds of host, the bridge among them, for which tokens are made.
_KINDS = ("maya", "houdini", "3dsmax", "blender", "standalone", "bridge", "")
#: So much of the begin, or of the end, tells enough: texts are cut off when they are long.
_TELLING = 16
_HEX = re.compile(r"(?:[0-9a-f]{2})+", re.ASCII)


class Hidden:
    """Values that are searched for in what has been ``said``: name -> text."""

    def __init__(self) -> None:
        self._values: List[Tuple[str, bytes]] = []
        self.said: Dict[str, bytes] = {}

    def hide(self, name: str, value: Union[str, bytes]) -> None:
        """Search for a value, too: of bytes, and of hexadecimal digits, in either form."""
        if isinstance(value, str):
            if _HEX.fullmatch(value):
                self._values.append((name, bytes.fromhex(value)))
            value = value.encode("utf-8")
        else:
            self._values.append((name, value.hex().encode("ascii")))
        assert len(value) >= _TELLING, "a short one is found anywhere"
        self._values.append((name, value))

    def hide_users(self, home: str, *ports: int) -> Secret:
        """Search for the secret that a user has, its key, and the tokens for some ports."""
        secret = open_secret(home, SystemClock())
        with open(os.path.join(home, SECRET_FILE), "rb") as file:
            self.hide("the secret", file.read())
        self.hide("the wire's key", secret.wire_key())
        for port in ports:
            for kind in _KINDS:
                self.hide("the token of {!r} at {}".format(kind, port), secret.token(kind, port))
        return secret

    def note(self, name: str, text: Union[str, bytes, None]) -> None:
        """Take down what was said somewhere; what is None is not."""
        if text is not None:
            text = text.encode("utf-8", "backslashreplace") if isinstance(text, str) else text
            self.said[name] = self.said.get(name, b"") + text + b"\n"

    def note_all(self, texts: Dict[str, Any]) -> None:
        """Take down several."""
        for name, text in texts.items():
            self.note(name, text)

    def found(self) -> List[Tuple[str, str]]:
        """Return (where, what) for each value that was told somewhere."""
        everything = b"\0".join(self.said.values())
        return [
            (where, "{}: {!r}".format(name, one))
            for name, value in self._values
            for one in _telling(value)
            if one in everything
            for where, text in self.said.items()
            if one in text
        ]


def _telling(value: bytes) -> Set[bytes]:
    """Return the parts of which one is in every text that tells a value, or most of it."""
    parts: Set[bytes] = set()
    for one in _spellings(value):
        parts.update((one[:_TELLING], one[-_TELLING:]))
    return parts


def _spellings(value: bytes) -> Iterator[bytes]:
    """Return how some bytes may stand in a text, without what is around them or pads them."""
    yield value
    yield value.hex().encode("ascii")
    yield value.hex().upper().encode("ascii")
    # The last digits depend on how the length is padded.
    whole = value[: len(value) // 3 * 3]
    yield base64.b64encode(whole)
    yield base64.urlsafe_b64encode(whole)
    yield quote(value, safe="").encode("ascii")
    yield quote(value).encode("ascii")
    yield repr(value)[2:-1].encode("ascii")
    # A bytearray's has its quotes escaped, whichever stand around it.
    yield repr(bytearray(value))[12:-2].encode("ascii")
    latin = value.decode("latin-1")
    yield latin.encode("utf-8")
    yield json.dumps(latin)[1:-1].encode("ascii")
    yield json.dumps(list(value))[1:-1].encode("ascii")
    yield json.dumps(list(value), separators=(",", ":"))[1:-1].encode("ascii")
    # A MessagePack array of small numbers, as byte fields may be sent.
    yield b"".join(bytes([one]) if one < 128 else bytes([0xCC, one]) for one in value)


def error_texts(error: BaseException) -> str:
    """Return all that can be read of an exception, and of those that it came from."""
    texts: List[str] = []
    seen: List[BaseException] = []
    waiting: List[Any] = [error]
    while waiting:
        one = waiting.pop()
        if one is None or one in seen:
            continue
        seen.append(one)
        texts += [str(one), repr(one), repr(one.args), repr(vars(one))]
        texts += traceback.format_exception(type(one), one, one.__traceback__)
        waiting += [one.__cause__, one.__context__]
    return "\n".join(texts)


def process_facts(pid: int) -> Dict[str, bytes]:
    """Return what every program of the user reads of a process: its argv and its environment."""
    found: Dict[str, bytes] = {}
    for name in ("cmdline", "environ"):
        with open("/proc/{}/{}".format(pid, name), "rb") as file:
            found["{} of {}".format(name, pid)] = file.read()
    return found


def files_below(folder: str, *but: str) -> Dict[str, bytes]:
    """Return the content of the files below a folder, but of those with certain names."""
    found: Dict[str, bytes] = {}
    for place, _, names in os.walk(folder):
        for name in names:
            if name in but:
                continue
            try:
                with open(os.path.join(place, name), "rb") as file:
                    content = file.read()
            except FileNotFoundError:
                # A temporary one, of a process that goes on.
                continue
            found["file " + name] = found.get("file " + name, b"") + content
    return found
