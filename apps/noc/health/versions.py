"""Check of the installed packages against versions that are known to fail here."""

import re
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from apps.noc.health.result import Check, Finding, fail, ok


@dataclass(frozen=True, slots=True)
class Floor:
    """The oldest version of a package that may run; ``why``: what the older ones do."""

    package: str
    oldest: str
    why: str


# Those that are not installed are passed over; a test compares requirements.txt.
FLOORS = (
    Floor("Django", "5.2.19", "security releases of 5.2"),
    Floor("celery", "5.7.0", "workers that lost Redis and take no tasks: celery#8030, #8091,"
          " #10205, #10302"),
    Floor("kombu", "5.7.0", "consumers that are not restored after a lost connection: kombu#2492,"
          " #2498"),
    Floor("channels_redis", "4.3.0", "subscriptions that are not restored: the pub/sub layer"),
    Floor("daphne", "4.2.2", "two CVEs, and memory that grows with slow readers: daphne#170"),
    Floor("flower", "2.2.0", "cannot be made read-only, and keeps dead workers in its metrics"),
    Floor("uvicorn", "0.50.1", "websocket subprotocols are not answered, so tickets fail"),
)  # fmt: skip


def versions() -> Finding:
    """Is none of the packages older than its known holes?"""
    old = []
    for floor in FLOORS:
        try:
            installed = version(floor.package)
        except PackageNotFoundError:
            continue
        if numbers(installed) < numbers(floor.oldest):
            old.append((floor, installed))
    if not old:
        return ok(f"{len(FLOORS)} packages looked at")
    return fail(
        ", ".join(f"{floor.package} {installed}" for floor, installed in old),
        why="; ".join(floor.why for floor, _ in old),
        fix="python -m pip install --requirement requirements.txt",
    )


def numbers(text: str) -> tuple[int, ...]:
    """Return the leading numbers of a version, enough to compare releases."""
    return tuple(map(int, re.match(r"\d+(?:\.\d+)*", text)[0].split(".")))  # type: ignore[index]


VERSIONS: dict[str, Check] = {"python packages": versions}
