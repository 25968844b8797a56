"""The page offers what the server allows: its copy of the transitions is the server's table."""

import json
import subprocess

from apps.helpdesk.transitions import ALLOWED
from project import node
from tests.compose_file import ROOT

READ = """
import { ALLOWED } from "./apps/noc/static/noc/transitions.js";
console.log(JSON.stringify(ALLOWED));
"""


def test_the_page_knows_which_status_may_follow_which() -> None:
    program = node.find()
    assert program is not None, f"no Node.js {node.OLDEST} on PATH, and none in the environment"
    read = subprocess.run(
        [program, "--disable-warning=MODULE_TYPELESS_PACKAGE_JSON", "--input-type=module"],
        input=READ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )

    offered = {present: set(to) for present, to in json.loads(read.stdout).items()}
    assert offered == {str(present): set(map(str, to)) for present, to in ALLOWED.items()}
