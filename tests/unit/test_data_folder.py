"""The small files of a data folder."""

import json
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from project.data_folder import LOG_BYTES, ROOT, SECRET_NAMES, DataFolder, InstanceError, is_free


@pytest.fixture
def data(tmp_path: Path) -> DataFolder:
    return DataFolder(tmp_path / "with a space")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


class TestSecrets:
    def test_are_made_once_and_readable_by_the_owner_alone(self, data: DataFolder) -> None:
        made = data.secrets()

        assert set(made) == set(SECRET_NAMES)
        assert len(set(made.values())) == len(made)
        assert DataFolder(data.path).secrets() == made
        assert mode(data.path / "secrets.json") == 0o600

    def test_that_are_not_json_name_the_file_and_the_remedy(self, data: DataFolder) -> None:
        (data.path / "secrets.json").write_text("{")

        with pytest.raises(InstanceError, match=r"secrets\.json is not JSON .* Delete it"):
            data.secrets()


class TestPort:
    def test_stays_the_same_while_it_is_free(self, data: DataFolder) -> None:
        assert data.port("redis") == data.port("redis")

    def test_is_another_one_when_somebody_has_taken_it(self, data: DataFolder) -> None:
        port = data.port("redis")
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", port))
            taken.listen()

            assert not is_free(port)
            assert data.port("redis") != port

    def test_differs_between_names(self, data: DataFolder) -> None:
        assert len({data.port(name) for name in ("redis", "postgres", "flower")}) == 3


class TestLock:
    def test_names_the_process_that_holds_it(self, data: DataFolder) -> None:
        code = (
            "import sys; from pathlib import Path; from project.data_folder import DataFolder\n"
            "with DataFolder(Path(sys.argv[1])).locked():\n"
            "    print('locked', flush=True); sys.stdin.read()"
        )
        with subprocess.Popen(
            [sys.executable, "-c", code, str(data.path)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline()
            assert data.in_use()

            with (
                pytest.raises(InstanceError, match=f"in use by process {holder.pid}"),
                data.locked(),
            ):
                pass
            holder.kill()

        assert not data.in_use()
        with data.locked():
            assert data.in_use()


class TestState:
    def test_is_replaced_whole_and_readable_by_the_owner_alone(self, data: DataFolder) -> None:
        data.write_state({"ready": False})
        data.write_state({"ready": True})

        assert json.loads(data.state_file.read_text()) == data.read_state() == {"ready": True}
        assert mode(data.state_file) == 0o600
        assert [path.name for path in data.path.iterdir()] == ["state.json"]


class TestPrepare:
    def test_puts_a_long_log_aside(self, data: DataFolder) -> None:
        data.prepare()
        data.log("web").write_bytes(b"x" * (LOG_BYTES + 1))
        data.log("worker").write_text("short\n")

        data.prepare()

        assert not data.log("web").exists()
        assert data.log("web").with_suffix(".log.1").stat().st_size == LOG_BYTES + 1
        assert data.log("worker").read_text() == "short\n"
