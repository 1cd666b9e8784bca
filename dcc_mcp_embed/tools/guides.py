"""The texts of ``docs://``: what an agent needs to know, by topic. Short: they cost its context."""

from __future__ import annotations

from typing import Dict

__all__ = ["GUIDES"]

_START = """\
# Getting started

1. `get_scene_info` tells file, units, up axis and how many objects of each type there are.
2. `list_objects` finds objects (filters by type, name, parent, selection; pages by \
`next_cursor`). `get_object` shows one: transform, bounding box, attributes, materials, children.
3. Objects are named by their full path, as these return it. A bare name works while it fits one \
object only; otherwise the error `ambiguous` lists the candidates.
4. Change something with `create_object`, `set_transform`, `rename_object`, `delete_objects`. \
Read the `evidence` and `warnings` of the result: they tell what the host really did.
5. Many changes: `batch`. Wrong change: `undo`.

What `tools/list` shows is not all. `search_tools` finds more by words, `describe_tool` shows the \
arguments of one, `call_tool` calls it.

Whoever sits at the host works in the same scene. Look again before you rely on what you read \
earlier; delete and overwrite only what you were asked to.
"""
_UNITS = """\
# Coordinates and units

- Lengths are in the scene's linear unit (`units.linear` of `get_scene_info`). Nothing is \
converted for you.
- The up axis is `up_axis` of `get_scene_info`, "y" or "z". Round kinds (cylinder, cone) stand \
along it.
- Rotations are degrees about X, then Y, then Z.
- `space`: "world" is the default of `set_transform`; "local" is below the parent. The \
`transform` of `create_object` is in the parent's space.
- `relative: true` adds to translate, multiplies scale, and turns about the world's axes (with \
"local": the object's own).
- A matrix has four rows and multiplies column vectors: translation is its last column.
- Bounding boxes are in world space, of the object and everything below it; null where nothing \
there has geometry.
- New solids are about one unit across and centred on their origin. A cube of size 2 stands on \
the ground at half its size, 1.
- Where the host holds another transform than you asked for (locks, constraints, a turned parent \
with uneven scale), a warning says so.
"""
_JOBS = """\
# Jobs and long calls

Most tools run on the host's main thread, one at a time, in the order in which they came.

- `timeout_not_started`: the call waited too long and will never run. Call again when it suits.
- `timeout_running`: it goes on. Do not call again. `get_job` with its `job_id` tells how far it \
is, and returns the result once there is one; `wait_ms` (up to 30000) waits for that.
- `host_busy`: nothing was queued. `get_status` answers even then, and says who holds the main \
thread and for how long. `retry_after_ms` says when to try again.
- `host_modal`: a dialog is open in the host. Reading still works. Ask the user to close it.
- `list_jobs` lists what waits and runs. `cancel_job` ends it: what waits never starts, what \
works in steps ends before its next one, and anything else runs to its end.
- Ask for progress (a progress token) and you hear of a call at least every two seconds.

A result over 48 KiB is cut between two items. The whole is kept for ten minutes: as the resource \
`job://<job_id>/result`, or in parts by `get_job` with `offset`. Asking for less is cheaper: \
`limit`, `fields`, `include`.
"""
_UNDO = """\
# Undo and batch

- Each call that writes is one undo step of the host, named "MCP: <tool>". A tool that works in \
steps may make several; `undo.steps` of its result says how many.
- `undo` takes back the last steps, also those of the person at the host. Pass `expected_label` \
(the `undo.label` of your result): if something else was done since, nothing happens and you are \
told. A host that does not name its steps (Blender) answers `unsupported` to that.
- `redo` brings back what was undone, until anything else is changed.
- `batch` makes up to 50 calls as one: one undo step, nobody else's call in between, one answer \
with a row for each. All arguments are checked before the first call runs.
- By default a batch ends at the first error. What was done before stays, and the rows say what \
that is; one `undo` takes it back. `stop_on_error: false` goes on.
- A later call of a batch can use what an earlier one makes: give it a `name` that nothing else has.
- Some hosts have no undo without a window (Blender with -b): the error is `unsupported`.
"""
_FILES = """\
# Files and paths

Two things are called path:

- An object's path names it in the scene: `/group/door`. It changes when the object, or one above \
it, is renamed or gets another parent; `id` stays the same as long as the host runs.
- A file's path is one on the machine of the host, as that machine writes it. What is on your \
side is not there by itself.

About files:

- `file` of `get_scene_info` is the open file, "" if it was never saved; `dirty` says whether \
there are unsaved changes.
- The resource `scene://errors` lists files that the scene needs and that are missing. There \
`file` is written as the scene holds it; in Blender a leading `//` means beside the Blender file.
- Tools that open, save, import or export depend on the host: `search_tools` finds them ('save', \
'export'). Save, overwrite or open another file only when you were asked to, and look at `dirty` \
first.
- After an export look at the result: the path, and that the file has a size.
"""
_CODE = """\
# Running code

`execute_python` runs Python on the host's main thread, with the host's modules at hand (`bpy` in \
Blender). Prefer the other tools: they check their arguments and read back what they changed.

- Whether it may run is a setting. `exec_mode` in `get_status`: "on"; "off" (the error is \
`exec_disabled`; tell the user, do not look for a way around it); "confirm": the person at the \
host is asked, and `permission_denied` means that the answer was no, or that there is none yet.
- Set the variable `result` to what you want back, as JSON values. Anything else comes back as \
its repr. What is printed comes back as well.
- Each call has a namespace of its own: nothing is left of the variables of the last one.
- An error comes back with its line and traceback. What had been changed before it stays, unless \
the host takes it back: look before you run the code again.
- All changes of a call are one undo step, unless you pass `undo: false`.
- The host stands still while your code runs. Keep it short, do not sleep, do not open dialogs, \
start no event loop. `timeout_s` bounds how long you wait; it does not stop the code.
"""
_ERRORS = """\
# Errors

An error has `code`, `message`, `hint` (what to do), `retryable`, `retry_after_ms` and `state`. \
`not_started` means that nothing was changed; `running` that it goes on; `finished` that it ended \
with this error, perhaps half-way: read before you repeat.

Correct the call:
- `invalid_argument`, `type_mismatch`: the message names the argument and what it takes.
- `not_found`: the hint offers names that are near. `ambiguous`: pass one of the full paths in \
`details`. `already_exists`: take another name.
- `too_large`: ask for less.
- `unsupported`: this host, version or mode cannot do it; take another way.

Wait:
- `host_busy`, `timeout_not_started`, `host_busy_native`: try again after `retry_after_ms`.
- `timeout_running`: ask `get_job`, do not call again.
- `no_host`: start the host, or ask the user to.

Ask the user:
- `host_modal`: a dialog is open. `scene_dirty`: unsaved changes would be lost.
- `permission_denied`, `exec_disabled`: it is not allowed. Do not look for a way around it.

Look before you go on:
- `host_error`: the host or the tool failed. The message has its words, `get_log` has more.
- `unknown_outcome`: the connection broke, and nobody knows whether it ran. Read the scene first.
- `cancelled`, `host_shutting_down`: `state` says whether it had started.
- `would_deadlock`: code in the host called the very thread that it runs on.
"""

#: Topic -> its text, Markdown. The first is where to begin.
GUIDES: Dict[str, str] = {
    "getting-started": _START,
    "coordinates-and-units": _UNITS,
    "jobs-and-long-calls": _JOBS,
    "undo-and-batch": _UNDO,
    "files-and-paths": _FILES,
    "code-execution": _CODE,
    "errors": _ERRORS,
}
