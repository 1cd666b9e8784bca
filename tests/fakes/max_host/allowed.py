"""What there is in this 3ds Max: each name with the page of Autodesk's that has it.

A caller of anything else fails its test, though a real 3ds Max may have it: look it up, enter it
here, and build it. All names are in lower case, because MAXScript's have none.
"""

from __future__ import annotations

from typing import Dict

__all__ = ["CONTEXTS", "GLOBALS", "MEMBERS", "PROPERTIES"]

_HELP = "Autodesk's MAXScript Help, '{}'"
_PYTHON = "Autodesk's 3ds Max Python API, '{}'"


def _from(page: str, names: str) -> Dict[str, str]:
    return dict.fromkeys(names.split(), page)


#: Attributes of the module pymxs itself; these are Python's, with their case.
CONTEXTS: Dict[str, str] = {
    **_from(
        _PYTHON.format("Using pymxs: contexts"),
        "undo animate attime atlevel quiet redraw run_undo run_redo",
    ),
    **_from(_PYTHON.format("Using pymxs"), "runtime print_ byref MXSWrapperBase"),
}

#: Attributes of pymxs.runtime.
GLOBALS: Dict[str, str] = {
    **_from(_HELP.format("System Information: maxVersion"), "maxversion"),
    **_from(
        _HELP.format("3ds Max File Loading and Saving"),
        "maxfilepath maxfilename loadmaxfile savemaxfile resetmaxfile "
        "getsaverequired setsaverequired",
    ),
    **_from(_HELP.format("Callbacks: General Event Callback Mechanism"), "callbacks"),
    **_from(_HELP.format("thehold"), "thehold"),
    **_from(_HELP.format("Pathnames: rootNode and objects"), "rootnode objects selection"),
    **_from(_HELP.format("Name Values"), "name"),
    **_from(_HELP.format("Array Values"), "array append"),
    **_from(_HELP.format("Point3 Values"), "point3"),
    **_from(_HELP.format("Color Values"), "color"),
    **_from(_HELP.format("Matrix3 Values"), "matrix3 inverse"),
    **_from(_HELP.format("Interval Values"), "interval"),
    **_from(
        _HELP.format("Object Selection and Selection Sets"),
        "select selectmore clearselection getcurrentselection",
    ),
    **_from(
        _HELP.format("Node Common Properties, Operators, and Methods"),
        "delete isvalidnode uniquename getnodebyname classof superclassof hide unhide",
    ),
    **_from(_HELP.format("Interface: maxOps"), "maxops"),
    **_from(
        _HELP.format("Class and Object Inspector Functions"),
        "isproperty getpropnames getproperty setproperty getclassinstances",
    ),
    **_from(
        _HELP.format("Working with Controllers in MAXScript"),
        "getpropertycontroller addnewkey ",
    ),
    **_from(_HELP.format("Box: Geometry"), "box"),
    **_from(_HELP.format("Sphere: Geometry"), "sphere"),
    **_from(_HELP.format("Plane: Geometry"), "plane"),
    **_from(_HELP.format("Cylinder: Geometry"), "cylinder"),
    **_from(_HELP.format("Cone: Geometry"), "cone"),
    **_from(_HELP.format("Torus: Geometry"), "torus"),
    **_from(_HELP.format("Point: Helper"), "point"),
    **_from(_HELP.format("Dummy: Helper"), "dummy"),
    **_from(_HELP.format("FreeCamera: Camera"), "freecamera"),
    **_from(_HELP.format("TargetObject: GeometryClass"), "targetobject"),
    **_from(_HELP.format("Camera Common Properties: cameraFOV"), "camerafov"),
    **_from(_HELP.format("OmniLight: Light"), "omnilight"),
    **_from(_HELP.format("DirectionalLight: Light"), "directionallight"),
    **_from(_HELP.format("freeSpot: Light"), "freespot"),
    **_from(_HELP.format("StandardMaterial: Material"), "standardmaterial"),
    **_from(_HELP.format("Bitmaptexture: TextureMap"), "bitmaptexture"),
    **_from(_HELP.format("Modifier Common Properties: addModifier"), "addmodifier"),
    **_from(_HELP.format("Bend: Modifier"), "bend"),
    **_from(_HELP.format("Units"), "units"),
    **_from(
        _HELP.format("Time Control: Controlling Time in 3ds Max"),
        "framerate animationrange slidertime currenttime",
    ),
    **_from(_HELP.format("Render Scene Dialog"), "renderwidth renderheight"),
    **_from(_HELP.format("Renderers"), "renderers"),
    **_from(_HELP.format("Viewports"), "getactivecamera redrawviews"),
    **_from(_HELP.format("Map Paths"), "mappaths"),
    **_from(_HELP.format("Interface: objXRefMgr and xrefs"), "xrefs"),
    **_from(_HELP.format("Executing MAXScript: execute()"), "execute"),
    **_from(_HELP.format("Struct: windows"), "windows"),
    **_from(_HELP.format("Accessing the 3ds Max Folders: getDir"), "getdir"),
}

#: Attributes of the structures and interfaces above.
MEMBERS: Dict[str, Dict[str, str]] = {
    "thehold": _from(
        _HELP.format("thehold"),
        "begin accept cancel holding getglobalputcount getbegindepth",
    ),
    "callbacks": _from(
        _HELP.format("Callbacks: General Event Callback Mechanism"),
        "addscript removescripts notificationparam",
    ),
    "maxops": {
        **_from(_HELP.format("Node Handles"), "getnodebyhandle"),
        # In use by pipelines that drive 3dsmaxbatch, OpenPype's for one.
        **_from(_HELP.format("Interface: maxOps"), "isinnoninteractivemode"),
    },
    "units": _from(_HELP.format("Units"), "systemtype systemscale"),
    "renderers": _from(_HELP.format("Renderers"), "current"),
    "camerafov": _from(_HELP.format("Camera Common Properties"), "mmtofov fovtomm"),
    "mappaths": _from(_HELP.format("Map Paths"), "getfullfilepath"),
    "xrefs": _from(_HELP.format("XRef Scene Functions"), "getxreffilecount getxreffile"),
    "windows": _from(_HELP.format("Struct: windows"), "getmaxhwnd"),
}

#: Properties of the values; "node" are those that every node of a scene has.
PROPERTIES: Dict[str, Dict[str, str]] = {
    "name": {},
    "class": {},
    "array": _from(_HELP.format("Array Values"), "count"),
    "set": _from(_HELP.format("ObjectSet Values"), "count"),
    "point3": _from(_HELP.format("Point3 Values"), "x y z"),
    "color": _from(_HELP.format("Color Values"), "r g b"),
    "matrix3": _from(_HELP.format("Matrix3 Values"), "row1 row2 row3 row4 translation pos"),
    "time": _from(_HELP.format("Time Values"), "frame ticks"),
    "interval": _from(_HELP.format("Interval Values"), "start end"),
    "node": {
        **_from(
            _HELP.format("General Node Properties"),
            "name handle parent children ishidden ishiddeninvpt isselected material baseobject "
            "modifiers wirecolor inode controller layer",
        ),
        **_from(
            _HELP.format("Node Transform Properties"),
            "transform pos position objectoffsetpos min max center",
        ),
    },
    "root": _from(_HELP.format("Pathnames: rootNode"), "name children handle"),
    "thing": _from(_HELP.format("Modifier and Material Common Properties"), "name"),
    "controller": _from(_HELP.format("Controller Common Properties"), "keys value"),
    "inode": _from(_HELP.format("Node Handles"), "handle"),
    "value": {},
    "layer": _from(_HELP.format("Interface: LayerProperties"), "name"),
    "xref": _from(_HELP.format("XRef Scene Functions"), "filename disabled"),
}
