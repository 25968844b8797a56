"""The launcher's own decisions; making a whole environment is left to those who call it."""

import importlib.machinery
import importlib.util
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

NOC = Path(__file__).resolve().parents[2] / "noc"


@pytest.fixture
def noc(tmp_path: Path) -> ModuleType:
    """The script as a module whose checkout is an empty folder with a space in its name."""
    loader = importlib.machinery.SourceFileLoader("noc_script", str(NOC))
    spec = importlib.util.spec_from_loader("noc_script", loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    root = tmp_path / "a checkout"
    root.mkdir()
    module.ROOT = str(root)
    module.VENV = str(root / ".venv")
    module.PYTHON = str(root / ".venv/bin/python")
    module.STAMP = str(root / ".venv/.stamp")
    module.BUILDING = str(root / ".venv/.building")
    module.REQUIREMENTS = [str(root / "requirements.txt")]
    (root / "requirements.txt").write_text("pip>=1\n")
    return module


def make_empty_environment(noc: ModuleType) -> None:
    Path(noc.PYTHON).parent.mkdir(parents=True)
    Path(noc.PYTHON).symlink_to(sys.executable)


class TestStamp:
    def test_is_current_until_a_requirement_changes(self, noc: ModuleType) -> None:
        make_empty_environment(noc)
        assert not noc.is_current()
        noc.mark(noc.STAMP, noc.wanted_stamp())
        assert noc.is_current()

        Path(noc.REQUIREMENTS[0]).write_text("pip>=2\n")

        assert not noc.is_current()

    def test_is_not_current_when_the_interpreter_is_gone(self, noc: ModuleType) -> None:
        make_empty_environment(noc)
        noc.mark(noc.STAMP, noc.wanted_stamp())

        Path(noc.PYTHON).unlink()

        assert not noc.is_current()


class TestUsable:
    def test_is_false_while_or_after_a_set_up_was_cut_short(self, noc: ModuleType) -> None:
        make_empty_environment(noc)
        noc.mark(noc.BUILDING, "")

        assert not noc.usable()

    def test_is_false_for_an_interpreter_that_is_no_environment(self, noc: ModuleType) -> None:
        make_empty_environment(noc)

        assert not noc.usable()


class TestRequirements:
    def test_that_are_installed_in_their_version_are_enough(self, noc: ModuleType) -> None:
        noc.PYTHON = sys.executable
        present = f"pytest=={pytest.__version__}  # the tests\n"
        for_others = 'nonesuch==1.0; python_version < "3"\n'
        Path(noc.REQUIREMENTS[0]).write_text("-r other.txt\n# note\n" + present + for_others)

        assert noc.has_requirements()

    def test_of_another_version_are_missing(self, noc: ModuleType) -> None:
        noc.PYTHON = sys.executable
        Path(noc.REQUIREMENTS[0]).write_text("Django==1.0\n")

        assert not noc.has_requirements()


class TestUsage:
    @pytest.mark.parametrize(("arguments", "code"), [(["--help"], 0), ([], 2), (["nonesuch"], 2)])
    def test_is_shown_without_any_set_up(self, tmp_path: Path, arguments, code) -> None:
        script = tmp_path / "noc"
        script.write_bytes(NOC.read_bytes())

        done = subprocess.run(
            [sys.executable, script, *arguments], capture_output=True, text=True, check=False
        )

        assert done.returncode == code
        assert "usage: ./noc COMMAND" in done.stdout + done.stderr
        assert not (tmp_path / ".venv").exists()
