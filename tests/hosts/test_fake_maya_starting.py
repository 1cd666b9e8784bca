"""What the fake does with dropped files, modules and userSetup.py is what Maya does."""

from __future__ import annotations

import sys

import pytest

from fakes.maya_host import starting


def test_a_blank_line_or_a_comment_ends_a_module():
    text = "+ one 1.0 ../one\nscripts: more\n\nnot a line\n# nor this\n+ two 2.0 a b\\c\n"
    assert list(starting.parse_modules(text)) == ["../one", "a b/c"]
    with pytest.raises(ValueError, match="no line of a module"):
        list(starting.parse_modules("+ one 1.0 ../one\nnot a line\n"))
    with pytest.raises(ValueError, match="no module"):
        list(starting.parse_modules("+one 1.0 ../one\n"))


def test_conditions_stand_before_the_name():
    text = "+ MAYAVERSION:2025 PLATFORM:win64 ours 1.0 a folder\nPYTHONPATH+:=python\n"
    assert list(starting.parse_modules(text)) == ["a folder"]


def test_every_file_of_the_folder_is_read_whatever_its_name(tmp_path):
    for name in ("a.mod", "a.mod.bak"):
        (tmp_path / "modules").mkdir(exist_ok=True)
        (tmp_path / "modules" / name).write_text("+ a 1.0 ../{}\n".format(name))
        (tmp_path / name / "scripts").mkdir(parents=True)
    found = starting.module_folders(str(tmp_path / "modules"))
    assert found == [str(tmp_path / name / "scripts") for name in ("a.mod", "a.mod.bak")]


def test_the_first_user_setup_that_raises_ends_all_later_ones(tmp_path, capsys):
    for number, text in enumerate(("x = 1\n", "raise KeyError('here')\n", "y = x\n")):
        (tmp_path / str(number)).mkdir()
        (tmp_path / str(number) / "userSetup.py").write_text(text)
    folders = [str(tmp_path / str(number)) for number in range(3)]
    namespace = starting.start(str(tmp_path), folders)
    assert (namespace["x"], "y" in namespace, namespace["all_ran"]) == (1, False, False)
    assert "KeyError: 'here'" in capsys.readouterr().err


def test_a_second_drop_of_a_stem_gives_the_first_module_and_path_loses_its_head(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(sys, "path", ["somebody's", *sys.path])
    script = tmp_path / "install_of_a_test.py"
    script.write_text("import sys\ndef onMayaDroppedPythonFile(obj): return 1\n")
    assert starting.drop(str(script)) == 1
    assert sys.path[0] == "somebody's"
    script.write_text("def onMayaDroppedPythonFile(obj): return 22\n")
    sys.path.append(str(tmp_path))
    assert starting.drop(str(script)) == 1, "not read again"
    assert sys.path[0] != "somebody's", "popped, though the folder was not inserted"
    del sys.modules["install_of_a_test"]
    sys.path_importer_cache.pop(str(tmp_path), None)
