"""Commands of the interface, as far as ours are used: a menu, a window with a text, a dialog.

Autodesk's command reference: "menu", "menuItem", "deleteUI", "window", "scrollField",
"confirmDialog". A control's full name is its parent's, a bar and its own. ``command`` of an item
is called with its state. Without a window there is none of it.
"""

from __future__ import annotations

from typing import Any, Dict, List, NamedTuple

from .commands import Flags, played
from .host import MAIN_WINDOW, MayaHost

__all__ = ["choose", "labels"]


class Control(NamedTuple):
    kind: str
    flags: Dict[str, Any]


def _require_window(host: MayaHost, command: str) -> None:
    if host.batch:
        text = "{}: there is no interface in batch mode".format(command)
        raise RuntimeError(host.complaints.add(text))


def _full(host: MayaHost, name: str) -> str:
    """Return the full name of a control; "" if there is none of that name."""
    for known in host.controls:
        if known == name or known.endswith("|" + name):
            return known
    return ""


def _made(host: MayaHost, kind: str, arguments: List[str], flags: Flags, *names: str) -> Any:
    _require_window(host, kind)
    if flags.get("exists"):
        return bool(arguments) and host.controls.get(_full(host, arguments[0]), _NONE).kind == kind
    parent = flags.get("parent", "")
    above = parent if parent in ("", MAIN_WINDOW) else _full(host, parent)
    if parent and not above:
        raise RuntimeError(host.complaints.add("Object '{}' not found.".format(parent)))
    if kind != "window" and not above:
        # Then it goes wherever somebody's script has called setParent last.
        host.complaints.add("{} without a parent".format(kind))
    name = arguments[0] if arguments else "{}{}".format(kind, len(host.controls) + 1)
    if _full(host, name):
        text = "Object's name '{}' is not unique.".format(name)
        raise RuntimeError(host.complaints.add(text))
    full = above + "|" + name if above else name
    host.controls[full] = Control(kind, {one: flags.get(one) for one in names if one in flags})
    return full


_NONE = Control("", {})


@played("menu", l="label", p="parent", to="tearOff", ex="exists")
def menu(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    return _made(host, "menu", arguments, flags, "label", "tearOff")


@played("menuItem", l="label", p="parent", c="command", d="divider", ex="exists")
def menu_item(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    return _made(host, "menuItem", arguments, flags, "label", "command", "divider")


@played("window", t="title", wh="widthHeight", ex="exists")
def window(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    return _made(host, "window", arguments, flags, "title", "widthHeight")


@played("formLayout", p="parent", af="attachForm", ex="exists")
def form_layout(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    if mode == "edit":
        for control, edge, _ in flags.get("attachForm", ()):
            if not _full(host, control) or edge not in ("top", "bottom", "left", "right"):
                host.complaints.add("formLayout: {} of {}".format(edge, control))
        return arguments[0]
    return _made(host, "formLayout", arguments, flags)


@played("scrollField", p="parent", tx="text", ed="editable", ww="wordWrap", ex="exists")
def scroll_field(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    return _made(host, "scrollField", arguments, flags, "text", "editable", "wordWrap")


@played("showWindow")
def show_window(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    _require_window(host, "showWindow")
    if host.controls.get(_full(host, arguments[0]), _NONE).kind != "window":
        host.complaints.add("showWindow: {} is no window".format(arguments[0]))


@played("deleteUI")
def delete_ui(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    _require_window(host, "deleteUI")
    full = _full(host, arguments[0])
    if not full:
        raise RuntimeError("deleteUI: Object '{}' not found.".format(arguments[0]))
    if host.in_command and host.in_command.startswith(full + "|"):
        host.complaints.add("{} is deleted while its own item is being chosen".format(full))
    for name in [one for one in host.controls if one == full or one.startswith(full + "|")]:
        del host.controls[name]


@played(
    "confirmDialog",
    t="title",
    m="message",
    b="button",
    db="defaultButton",
    cb="cancelButton",
    ds="dismissString",
)
def confirm_dialog(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    """Return the answer that the test has put there, or what a window that is closed returns."""
    _require_window(host, "confirmDialog")
    buttons = flags.get("button")
    for name in ("defaultButton", "cancelButton"):
        if flags.get(name) not in buttons:
            host.complaints.add("confirmDialog: {} is no button".format(name))
    host.asked.append((flags.get("title"), flags.get("message")))
    answer = host.answers.pop(0) if host.answers else None
    dismissed = flags.get("dismissString")
    return answer if answer in buttons else dismissed


# -- what a test does with it ---------------------------------------------------------------------


def labels(host: MayaHost) -> Dict[str, List[str]]:
    """Return the label of each menu of the main window -> the labels of its items."""
    found: Dict[str, List[str]] = {}
    for name, control in host.controls.items():
        if control.kind == "menu":
            found[control.flags["label"]] = [
                one.flags["label"]
                for below, one in host.controls.items()
                if one.kind == "menuItem" and below.startswith(name + "|")
            ]
    return found


def choose(host: MayaHost, label: str) -> None:
    """Choose an item as the person does: Maya calls its command with the item's state."""
    for name, control in list(host.controls.items()):
        if control.kind == "menuItem" and control.flags["label"] == label:
            host.in_command = name
            try:
                control.flags["command"](False)
            finally:
                host.in_command = ""
            return
    raise AssertionError("no item {!r} in {}".format(label, labels(host)))


def shown(host: MayaHost) -> List[str]:
    """Return the texts in windows that are open."""
    return [one.flags["text"] for one in host.controls.values() if one.kind == "scrollField"]
