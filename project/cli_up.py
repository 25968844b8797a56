"""``./noc up`` and ``./noc demo``."""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from project import processes
from project.data_folder import ROOT, DataFolder, InstanceError
from project.instance import Instance
from project.log_echo import LogEcho
from project.supervisor import Stopped

FOLLOW_PARENT = "NOC_FOLLOW_PARENT"  # set by the tests: stop when the process that started us ends


def say(text: str) -> None:
    """Print to standard error, which may be closed already."""
    with contextlib.suppress(OSError):
        print(f"noc: {text}", file=sys.stderr, flush=True)


def up(options: argparse.Namespace) -> int:
    """Start everything and keep it running until Ctrl-C."""
    if os.environ.get(FOLLOW_PARENT):
        processes.die_with_parent(signal.SIGTERM, parent=os.getppid())()
    data = DataFolder(options.data)
    instance = Instance(data, port=options.port, say=say, breakable=options.breakable)
    if not options.json:
        say(f"starting in {data.path}")
    with contextlib.suppress(Stopped), instance.running():
        state = instance.state()
        if options.json:
            print(json.dumps(state), flush=True)
        else:
            say(f"ready: {state['http']}  (Flower: {state['flower']})  Ctrl-C stops everything")
        echo = LogEcho(data, whole=set(), say=say, verbose=options.verbose)
        instance.run(echo.look if options.verbose else lambda: None)
    if not options.json:
        say("stopped")
    return 0


def demo(options: argparse.Namespace) -> int:
    """Start everything, seed sample tenants and let tickets change, until Ctrl-C."""
    traffic = ["demo_traffic", "--rate", f"{options.rate:g}"]
    if options.incidents is not None:
        file: Path = options.incidents.resolve()
        if not file.is_file():
            raise InstanceError(f"there is no file {options.incidents}")
        traffic = ["replay_incidents", str(file), "--speed", options.speed]
    data = DataFolder(options.data)
    instance = Instance(data, port=options.port, say=say, breakable=True)
    console = Console()
    console.print(
        "Starting PostgreSQL, Redis, web, worker, beat, exporter and Flower (Ctrl-C stops them)."
    )
    with contextlib.suppress(Stopped), instance.running():
        seeded = seed(instance)
        welcome(console, instance.state(), seeded)
        echo = LogEcho(data, whole={"traffic"}, say=say, verbose=options.verbose)
        instance.start_traffic(traffic)
        instance.run(echo.look)
    console.print("Everything is stopped.")
    return 0


def seed(instance: Instance) -> dict[str, Any]:
    """Make the sample tenants and users, and return them as ``seed_demo --json`` prints them."""
    done = subprocess.run(
        [sys.executable, "manage.py", "seed_demo", "--json"],
        env=instance.environment("seed", "noc_owner"),
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        start_new_session=True,
        check=False,
    )
    instance.supervisor.check_stop()
    if done.returncode:
        raise InstanceError(f"seed_demo failed:\n{done.stderr}")
    seeded: dict[str, Any] = json.loads(done.stdout)
    return seeded


def welcome(console: Console, state: dict[str, Any], seeded: dict[str, Any]) -> None:
    """Print where to look and who may log in."""
    table = Table(title=f"Open {state['http']}/ and log in as one of", title_justify="left")
    for column in ("user", "password"):
        table.add_column(column, no_wrap=True)  # a cut password is none
    table.add_column("sees")
    for tenant in seeded["tenants"]:
        names = {site["id"]: site["name"] for site in tenant["sites"]}
        for user in tenant["users"]:
            sites = user["sites"]
            seen = "every site" if sites == "*" else ", ".join(str(names.get(s, s)) for s in sites)
            sees = f"{seen} of {tenant['name']}" if user["capabilities"] else "nothing"
            table.add_row(
                *(escape(str(text)) for text in (user["username"], user["password"], sees)),
                end_section=user is tenant["users"][-1],
            )
    console.print(table)
    console.print(
        f"Break it, as an admin, and watch it catch up: {state['http']}/demo/",
        soft_wrap=True,
        highlight=False,
    )
    console.print(f"Flower: {state['flower']}", soft_wrap=True, highlight=False)
