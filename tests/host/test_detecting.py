"""Which adapter a process gets: by name, by the module that its host shows, or that of no host."""

from __future__ import annotations

import ntpath
import sys
import types

import pytest

from dcc_mcp_embed.errors import ConfigError, StartError
from dcc_mcp_embed.host import detecting
from dcc_mcp_embed.host.detecting import ADAPTERS, Known, load_adapter


@pytest.fixture
def planted(monkeypatch):
    """Return what plants the adapter of a host called ``name``, shown by a module ``sign``."""

    def plant(name, sign, detected=True):
        module = types.ModuleType(name)
        module.detect = lambda: detected
        module.create = lambda: name
        folder = "planted_" + name
        monkeypatch.setitem(sys.modules, "dcc_mcp_embed.adapters." + folder, module)
        monkeypatch.setitem(ADAPTERS, name, Known(folder, sign))

    return plant


def test_the_names_are_those_of_the_registry_and_each_has_its_folder() -> None:
    assert list(ADAPTERS) == ["maya", "houdini", "3dsmax", "blender", "qt", "standalone"]
    assert ADAPTERS["3dsmax"].folder == "max"


def test_without_a_host_it_is_the_standalone_one() -> None:
    assert load_adapter(None).dcc_type == "standalone"
    assert load_adapter("standalone").dcc_type == "standalone"


def test_a_host_shows_by_its_module_and_says_so_itself(planted, monkeypatch) -> None:
    planted("one", "sign_of_one")
    assert load_adapter(None).dcc_type == "standalone"
    monkeypatch.setitem(sys.modules, "sign_of_one", types.ModuleType("sign_of_one"))
    assert load_adapter(None) == "one"
    planted("one", "sign_of_one", detected=False)
    assert load_adapter(None).dcc_type == "standalone"
    # Whoever names it knows better.
    assert load_adapter("one") == "one"


def test_a_host_whose_module_nobody_has_imported_shows_by_its_program(
    monkeypatch, tmp_path, planted
) -> None:
    """Autodesk's documentation of pymxs: "scripts must import the pymxs module"."""
    planted("one", "sign_of_one_here")
    monkeypatch.setitem(ADAPTERS, "one", ADAPTERS["one"]._replace(programs=("one",)))
    (tmp_path / "sign_of_one_here.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "executable", "C:\\Program Files\\One 2025\\OneBatch.exe")
    # So that what is imported goes again.
    monkeypatch.setitem(sys.modules, "sign_of_one_here", None)
    del sys.modules["sign_of_one_here"]
    assert load_adapter(None) == "one"
    assert "sign_of_one_here" in sys.modules


@pytest.mark.parametrize("program", ["/opt/one/bin/one", None, "", "/usr/bin/python3"])
def test_a_program_without_the_module_is_no_host(monkeypatch, planted, program) -> None:
    planted("one", "sign_of_one_here")
    monkeypatch.setitem(ADAPTERS, "one", ADAPTERS["one"]._replace(programs=("one",)))
    monkeypatch.setattr(sys, "executable", program)
    assert load_adapter(None).dcc_type == "standalone"


@pytest.mark.parametrize(
    ("program", "sign"),
    [
        ("C:\\3ds Max 2025\\3dsmaxbatch.exe", "3dsmax"),
        ("C:\\Autodesk\\Maya2025\\bin\\mayapy.exe", "maya"),
        ("/usr/autodesk/maya2025/bin/maya.bin", "maya"),
    ],
)
def test_the_programs_of_hosts(program, sign) -> None:
    name = ntpath.basename(program).lower()
    fits = [one for one, known in ADAPTERS.items() if name.startswith(known.programs or ("/",))]
    assert fits == [sign]


def test_the_first_of_two_hosts_that_say_so_is_taken(planted, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "sign", types.ModuleType("sign"))
    planted("no", "sign", detected=False)
    planted("one", "sign")
    planted("other", "sign")
    assert load_adapter(None) == "one"


def test_what_has_no_sign_is_only_taken_by_name(planted) -> None:
    planted("quiet", None)
    assert load_adapter(None).dcc_type == "standalone"
    assert load_adapter("quiet") == "quiet"


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="'nuke'.*maya, houdini, 3dsmax"):
        load_adapter("nuke")


def test_an_adapter_that_is_not_installed_is_no_host_and_cannot_be_named(monkeypatch) -> None:
    monkeypatch.setitem(ADAPTERS, "gone", Known("gone", "sign_of_gone"))
    monkeypatch.setitem(sys.modules, "sign_of_gone", types.ModuleType("sign_of_gone"))
    assert load_adapter(None).dcc_type == "standalone"
    with pytest.raises(StartError, match="gone is missing"):
        load_adapter("gone")


def test_what_an_adapter_lacks_is_not_taken_for_its_absence(monkeypatch) -> None:
    def lacking(name):
        raise ModuleNotFoundError("No module named 'bpy'", name="bpy")

    monkeypatch.setattr(detecting.importlib, "import_module", lacking)
    with pytest.raises(ModuleNotFoundError, match="bpy"):
        load_adapter("blender")
