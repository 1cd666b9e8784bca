"""Commands on the whole: the file, undo, units, time, what this Maya is, what runs at idle."""

from __future__ import annotations

import base64
import json
import os
from typing import Any, Callable, Dict, List

from . import idle
from .commands import Flags, played
from .host import MayaHost
from .plugs import CENTIMETRES, FPS


@played(
    "about",
    v="version",
    b="batch",
    api="apiVersion",
    iv="installedVersion",
    p="product",
    os="operatingSystem",
)
def about(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    if flags.get("batch"):
        return host.batch
    if flags.get("version"):
        return host.version_text
    if flags.get("apiVersion"):
        return int(host.version_text) * 10000
    if flags.get("installedVersion"):
        return "Maya {}".format(host.version_text)
    if flags.get("product"):
        return "Maya {}".format(host.version_text)
    return "linux64" if flags.get("operatingSystem") else None


# -- the file -------------------------------------------------------------------------------------

_QUERIES: Dict[str, Callable[[MayaHost], Any]] = {
    "sceneName": lambda host: host.scene.file,
    "expandName": lambda host: host.scene.file,
    "modified": lambda host: host.scene.modified,
    "anyModified": lambda host: host.scene.modified,
    "type": lambda host: ["mayaAscii"],
    "reference": lambda host: list(host.scene.state.get("references", ())),
    "exists": lambda host: os.path.exists(host.scene.file),
}


@played(
    "file",
    f="force",
    new="newFile",
    o="open",
    s="save",
    sn="sceneName",
    mf="modified",
    pmt="prompt",
    typ="type",
    r="reference",
)
def file(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    if mode == "query":
        return next(read(host) for name, read in _QUERIES.items() if flags.get(name))
    force = flags.get("force")
    flags.get("prompt")
    flags.get("ignoreVersion")
    if flags.get("newFile") or flags.get("open"):
        if host.scene.modified and not force:
            raise RuntimeError("Unsaved changes.")
        if flags.get("newFile"):
            return _new(host)
        return _open(host, arguments[0], flags.get("executeScriptNodes", True))
    if "rename" in flags:
        host.scene.file = _absolute(flags.get("rename"))
        return host.scene.file
    if "modified" in flags:
        host.scene.modified = bool(flags.get("modified"))
        return None
    if flags.get("save"):
        flags.get("type")
        return _save(host)
    raise NotImplementedError(host.complaints.add("file: the fake does not do that"))


def _absolute(path: str) -> str:
    # Maya writes its paths with slashes on every system.
    return os.path.abspath(path).replace(os.sep, "/")


def _new(host: MayaHost) -> str:
    host.messages.send(("scene", "kBeforeNew"))
    host.scene.clear()
    host.undo.flush()
    host.messages.send(("scene", "kAfterNew"))
    return "untitled"


def _save(host: MayaHost) -> str:
    if not host.scene.file:
        raise RuntimeError("File has no name: use file(rename=...) first.")
    host.messages.send(("scene", "kBeforeSave"))
    state = base64.b64encode(host.scene.snapshot()).decode("ascii")
    with open(host.scene.file, "w", encoding="utf-8") as stream:
        json.dump({"maya": host.version_text, "state": state}, stream)
    host.scene.modified = False
    host.messages.send(("scene", "kAfterSave"))
    return host.scene.file


def _open(host: MayaHost, path: str, scripts: bool) -> str:
    path = _absolute(path)
    if not os.path.isfile(path):
        raise RuntimeError("File not found: {}".format(path))
    host.messages.send(("scene", "kBeforeOpen"))
    with open(path, encoding="utf-8") as stream:
        content = json.load(stream)
    host.scene.clear()
    host.scene.restore(base64.b64decode(content["state"]))
    host.scene.file, host.scene.modified = path, False
    host.undo.flush()
    if scripts:
        host.scripts_run += 1
    host.messages.send(("scene", "kAfterOpen"))
    return path


@played(
    "referenceQuery",
    f="filename",
    wcn="withoutCopyNumber",
    inr="isNodeReferenced",
    un="unresolvedName",
)
def reference_query(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    if flags.get("isNodeReferenced"):
        return bool(host.scene.node(host.scene.named(arguments[0])).get("referenced"))
    if flags.get("filename"):
        flags.get("unresolvedName")
        name = arguments[0]
        return name.partition("{")[0] if flags.get("withoutCopyNumber") else name
    return None


# -- undo -----------------------------------------------------------------------------------------


@played(
    "undoInfo",
    st="state",
    swf="stateWithoutFlush",
    ock="openChunk",
    cck="closeChunk",
    cn="chunkName",
    un="undoName",
    rn="redoName",
    uqe="undoQueueEmpty",
    rqe="redoQueueEmpty",
    l="length",
)
def undo_info(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    queue = host.undo
    if mode == "query":
        table: Dict[str, Callable[[], Any]] = {
            "state": lambda: queue.state,
            "stateWithoutFlush": lambda: queue.state,
            "undoName": lambda: queue.name(queue.done),
            "redoName": lambda: queue.name(queue.undone),
            "undoQueueEmpty": lambda: not queue.done,
            "redoQueueEmpty": lambda: not queue.undone,
            "length": lambda: queue.length,
            "infinity": lambda: queue.infinity,
            "chunkName": queue.open_name,
        }
        for name, read in table.items():
            if flags.get(name):
                return read()
        return len(queue.done)
    if flags.get("openChunk"):
        queue.open(flags.get("chunkName") or "")
    if flags.get("closeChunk"):
        queue.close()
    if "state" in flags:
        queue.state = bool(flags.get("state"))
        if not queue.state:
            queue.flush()
    if "stateWithoutFlush" in flags:
        queue.state = bool(flags.get("stateWithoutFlush"))
    queue.infinity = bool(flags.get("infinity", queue.infinity))
    queue.length = int(flags.get("length", queue.length))
    return None


@played("undo")
def undo(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> None:
    host.undo.undo()


@played("redo")
def redo(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> None:
    host.undo.redo()


@played("flushUndo")
def flush_undo(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> None:
    host.undo.flush()


# -- units, time, plug-ins, namespaces ------------------------------------------------------------


@played("upAxis", undoable=True, ax="axis")
def up_axis(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    if mode == "query":
        return host.scene.state["up"] if flags.get("axis") else None
    host.scene.state["up"] = flags.get("axis")
    return None


@played("currentUnit", undoable=True, l="linear", a="angle", t="time")
def current_unit(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    state = host.scene.state
    keys = {
        "linear": ("linear", CENTIMETRES),
        "angle": ("angle", {"deg": 1, "rad": 1}),
        "time": ("fps", FPS),
    }
    for flag, (key, known) in keys.items():
        if flag in flags:
            value = flags.get(flag)
            if mode == "query":
                return state[key]
            if value not in known:
                raise RuntimeError("Invalid unit: {}".format(value))
            state[key] = value
    return None


@played(
    "playbackOptions",
    min="minTime",
    max="maxTime",
    ast="animationStartTime",
    aet="animationEndTime",
)
def playback_options(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    times = host.scene.state["range"]
    keys = {
        "minTime": "minTime",
        "maxTime": "maxTime",
        "animationStartTime": "ast",
        "animationEndTime": "aet",
    }
    for flag, key in keys.items():
        if flag in flags:
            if mode == "query":
                return times[key]
            times[key] = float(flags.get(flag))
    return None


@played("pluginInfo", ls="listPlugins", l="loaded")
def plugin_info(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    if flags.get("listPlugins"):
        return list(host.plugins) or None
    return arguments[0] in host.plugins if flags.get("loaded") else None


@played("namespace", ex="exists", add="addNamespace")
def namespace(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    known = host.scene.state["namespaces"]
    if "exists" in flags:
        return flags.get("exists").strip(":") in known or flags.get("exists") == ":"
    name = flags.get("addNamespace") or flags.get("add")
    known.append(name.strip(":"))
    return name


@played("namespaceInfo", cur="currentNamespace")
def namespace_info(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    return ":" if flags.get("currentNamespace") else None


@played("workspace", rd="rootDirectory", fn="fullName")
def workspace(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    if flags.get("rootDirectory"):
        return host.project
    return host.project.rstrip("/") if flags.get("fullName") else None


@played("unknownNode", p="plugin")
def unknown_node(host: MayaHost, mode: str, arguments: List[str], flags: Flags) -> Any:
    return "gone" if flags.get("plugin") else None


# -- what runs at idle ----------------------------------------------------------------------------


@played("evalDeferred", lp="lowestPriority", low="lowPriority", en="evaluateNext", ls="list")
def eval_deferred(host: MayaHost, mode: str, arguments: List[Any], flags: Flags) -> Any:
    priority = idle.NORMAL
    for flag, value in (
        ("evaluateNext", idle.NEXT),
        ("lowPriority", idle.LOW),
        ("lowestPriority", idle.LOWEST),
    ):
        if flags.get(flag):
            priority = value
    if flags.get("list"):
        return host.idle.pending(None if priority == idle.NORMAL else priority)
    script = arguments[0]
    if not callable(script) and not isinstance(script, str):
        raise TypeError(host.complaints.add("evalDeferred takes a script or a callable"))
    text = script if isinstance(script, str) else "<internal command>"
    host.idle.put(lambda: host.execute(script), text, priority)
    return None


@played(
    "scriptJob",
    e="event",
    ie="idleEvent",
    ro="runOnce",
    pro="protected",
    k="kill",
    f="force",
    ex="exists",
    lj="listJobs",
)
def script_job(host: MayaHost, mode: str, arguments: List[Any], flags: Flags) -> Any:
    if "exists" in flags:
        return flags.get("exists") in host.script_jobs
    if "kill" in flags:
        job = host.script_jobs.get(flags.get("kill"))
        if job is not None and (not job["protected"] or flags.get("force")):
            del host.script_jobs[flags.get("kill")]
        return None
    if flags.get("listJobs"):
        return [str(one) for one in host.script_jobs]
    event = flags.get("event") or (
        ["idle", flags.get("idleEvent")] if "idleEvent" in flags else None
    )
    ident = next(host.job_ids)
    host.script_jobs[ident] = {
        "event": event,
        "once": flags.get("runOnce"),
        "protected": flags.get("protected"),
    }
    return ident
