"""What a check found: its state, what it saw, why that matters, and what mends it."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum

REASON_CHARACTERS = 160


class State(StrEnum):
    OK = "ok"
    WARN = "warn"  # it works, and somebody should look
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """``fix`` is a command or a setting; the three texts hold no secret and no tenant's data."""

    state: State
    what: str
    why: str = ""
    fix: str = ""
    asked: bool = True  # False: it could not be judged, for a reason that another check tells


@dataclass(frozen=True, slots=True)
class Result:
    """A finding with the name of its check."""

    name: str
    state: State
    what: str
    why: str
    fix: str
    asked: bool

    def as_dict(self) -> dict[str, object]:
        return asdict(self)


Check = Callable[[], Finding]


def ok(what: str) -> Finding:
    return Finding(State.OK, what)


def warn(what: str, *, why: str, fix: str) -> Finding:
    return Finding(State.WARN, what, why, fix)


def fail(what: str, *, why: str, fix: str) -> Finding:
    return Finding(State.FAIL, what, why, fix)


def not_asked(why: str) -> Finding:
    return Finding(State.WARN, "not judged", why, "", asked=False)


def of(state: State, what: str, *, why: str, fix: str) -> Finding:
    """Return a finding that carries reason and fix only when there is something to mend."""
    return ok(what) if state is State.OK else Finding(state, what, why, fix)


def grade(value: float, *, warn_above: float, fail_above: float) -> State:
    if value > fail_above:
        return State.FAIL
    return State.WARN if value > warn_above else State.OK


def first_line(text: str | None) -> str:
    """Return the first line, as much of it as fits a line."""
    first = (text or "").strip().partition("\n")[0]
    return first if len(first) <= REASON_CHARACTERS else f"{first[: REASON_CHARACTERS - 1]}…"
