"""The browser's modules, tested by Node.js against a scripted server on real websockets."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from project import node
from tests.compose_file import ROOT
from tests.protocol_schemas import check_client_frame, check_server_frame

SECONDS = 120


def test_the_feed_client_passes_its_tests(tmp_path: Path) -> None:
    program = node.find()
    assert program is not None, f"no Node.js {node.OLDEST} on PATH, and none in the environment"
    frames = tmp_path / "frames.jsonl"
    command = [
        program,
        "--test",
        "--test-reporter=spec",
        "--test-timeout=20000",
        "tests/js/**/*.test.js",
    ]
    environment = {**os.environ, "NOC_FRAMES_FILE": str(frames), "NO_COLOR": "1"}

    ran = subprocess.run(
        command,
        cwd=ROOT,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )

    if ran.returncode:
        pytest.fail(ran.stdout + ran.stderr, pytrace=False)
    said = [json.loads(line) for line in frames.read_text(encoding="utf-8").splitlines()]
    checks = {"server": check_server_frame, "client": check_client_frame}
    for line in said:
        if "wrong" not in line:  # scripted against the protocol, or of a server to come
            checks[line["direction"]](line["frame"])
    assert {line["frame"]["type"] for line in said if line["direction"] == "client"} == {
        "resume",
        "ack",
        "pong",
    }
