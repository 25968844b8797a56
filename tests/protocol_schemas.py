"""Checks frames of ``/ws/noc/`` against docs/schemas, and whole conversations against its rules.

``check_server_frame`` and ``check_client_frame`` know one frame; a ``Conversation`` knows what was
said on one connection before. All raise ``AssertionError``, which quotes the frame. Nothing here
needs Django, so that tests from outside use it too.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache, lru_cache
from typing import Any, NoReturn
from urllib.parse import parse_qs

from jsonschema import Draft202012Validator, ValidationError, validators

from tests.compose_file import ROOT

SCHEMAS = ROOT / "docs" / "schemas"
CLIENT_BYTES = 4 * 1024
SERVER_BYTES = 33 * 1024  # the fields of an event have at most 32 KiB
QUOTED = 2_000  # characters of a frame that a failure shows

MOST_REQUESTS = 64  # of a client that asks and does not read; more are not answered
LONGEST_WAIT = timedelta(seconds=10)  # for an answer, when the cursor is at the head
NOWHERE = -1  # a cursor that is no place in any log
OWN_CODES = range(4000, 5000)

Frame = dict[str, Any]
Check = Callable[[Frame], None]


def check_server_frame(frame: str | Mapping[str, Any]) -> Frame:
    """Return the frame as an object, which must not be changed."""
    return _checked("server", frame if isinstance(frame, str) else json.dumps(frame))


def check_client_frame(frame: str | Mapping[str, Any]) -> Frame:
    """Return the frame as an object, which must not be changed."""
    return _checked("client", frame if isinstance(frame, str) else json.dumps(frame))


@cache
def schema(side: str) -> dict[str, Any]:
    """Return the file of the ``server``'s or the ``client``'s frames."""
    read: dict[str, Any] = json.loads((SCHEMAS / f"{side}.json").read_text(encoding="utf-8"))
    return read


def messages(side: str) -> dict[str, dict[str, Any]]:
    """Return the schema of each message by its name, which is the type but for ticket_left."""
    names = [each["$ref"].rpartition("/")[2] for each in schema(side)["oneOf"]]
    return {name: schema(side)["$defs"][name] for name in names}


# The same event goes to many connections: its text is judged once.
@lru_cache(maxsize=16_384)
def _checked(side: str, text: str) -> Frame:
    if len(text.encode(errors="replace")) > (SERVER_BYTES if side == "server" else CLIENT_BYTES):
        _fail(text, f"longer than a {side}'s frame may be")
    try:
        frame = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        _fail(text, f"not JSON: {error}")
    if not isinstance(frame, dict):
        _fail(text, "not a JSON object")
    name = frame.get("type")
    if name == "ticket_moved" and "old_site_id" not in frame:
        name = "ticket_left"
    check = _checks(side).get(name) if isinstance(name, str) else None
    if check is None:
        _fail(text, f"of no type that a {side} sends")
    try:
        check(frame)
    except ValidationError as error:
        _fail(text, f"{error.json_path}: {error.message}")
    if "prev" in frame and frame["prev"] >= frame["seq"]:
        _fail(text, "prev is not below seq")
    if frame["type"] == "ping" and frame["pos"] > frame["head"]:
        _fail(text, "pos is beyond head")
    return frame


@cache
def _checks(side: str) -> dict[str, Check]:
    """Compile each message's schema with its references written out, which makes it fast."""
    definitions = schema(side)["$defs"]

    def resolved(part: Any) -> Any:
        if isinstance(part, list):
            return [resolved(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return resolved(definitions[part["$ref"].removeprefix("#/$defs/")])
        return {key: resolved(value) for key, value in part.items()}

    # JSON Schema takes 1.0 for an integer; the server does not, and does not send it.
    whole = Draft202012Validator.TYPE_CHECKER.redefine(
        "integer", lambda _, value: type(value) is int
    )
    strict = validators.extend(Draft202012Validator, type_checker=whole)
    return {name: strict(resolved(each)).validate for name, each in messages(side).items()}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _fail(text: str, why: str) -> NoReturn:
    raise AssertionError(f"A frame against the protocol: {why}\n{text[:QUOTED]}")


class Conversation:
    """
    What one connection has said so far, seen from either end; judges what comes next.

    ``query`` is that of the connect. A client that may err is one whose frames a test breaks on
    purpose: each must be answered by an error, or the server closes.
    """

    def __init__(self, query: str = "", *, may_err: bool = False) -> None:
        self._may_err = may_err
        self._hello: Frame | None = None
        self._bye: Frame | None = None
        self._epoch = ""
        self._last = 0  # what the client has, or knows that it may not see
        self._sites: set[int] | None = None  # of hello; None: all
        self._scope_changed = False
        self._narrowed = False
        self._parked = False  # a reset awaits its resume
        # To be answered by synced or reset, oldest first: where each sets the cursor.
        self._requests: list[int | None] = []
        self._errors_due = 0
        self._unsure = False  # frames over the rate are not answered; without the log, none is
        self._waiting_since: datetime | None = None
        self._rules = {
            "hello": self._greeted,
            "synced": self._caught_up,
            "ping": self._pinged,
            "reset": self._put_off,
            "error": self._refused,
            "bye": self._ended,
        }
        self._start = _start_of(query)
        if self._start == NOWHERE:
            self._errors_due = 1

    # --- the client -----------------------------------------------------------------------------

    def client(self, text: str | None) -> None:
        """Take a frame of the client; ``None`` is a binary one."""
        try:
            assert text is not None, "A frame against the protocol: not text"
            frame = check_client_frame(text)
        except AssertionError:
            if not self._may_err:
                raise
            self._errors_due += 1
        else:
            if frame["type"] == "resume":
                self._requests.append(frame["after_seq"])
            elif frame["type"] == "subscribe":
                self._requests.append(None)
                self._narrowed = True
        if len(self._requests) + self._errors_due > MOST_REQUESTS:
            self._unsure = True

    # --- the server -----------------------------------------------------------------------------

    def server(self, text: str) -> Frame:
        """Take a frame of the server and return it."""
        frame = check_server_frame(text)
        kind = frame["type"]
        try:
            assert self._bye is None, "it follows a bye"
            if kind != "bye":
                assert (kind == "hello") is (self._hello is None), "hello is first, and once"
            self._rules.get(kind, self._event)(frame)
        except AssertionError as error:
            _fail(text, str(error))
        return frame

    def closed(self, code: int) -> None:
        """Take the code with which the server closed the connection."""
        told = None if self._bye is None else self._bye["code"]
        if told != code and (told is not None or code in OWN_CODES):
            raise AssertionError(f"Closed with {code}, after a bye of {told}")

    def _greeted(self, frame: Frame) -> None:
        self._hello = frame
        self._epoch = frame["epoch"]
        self._last = frame["head"] if self._start is None else self._start
        self._requests.insert(0, self._last)
        sites = frame["scope"]["sites"]
        self._sites = None if sites == "*" else set(sites)

    def _event(self, frame: Frame) -> None:
        self._goes_on()
        seq, prev = frame["seq"], frame["prev"]
        assert frame["epoch"] == self._epoch, f"the epoch is {self._epoch}"
        if not prev <= self._last < seq and prev in self._requests:
            self._last = prev  # a resume took effect
        assert seq > self._last, f"the client has {self._last} already"
        assert prev <= self._last, f"a gap: the client has {self._last}"
        if self._sites is None and not self._narrowed and not self._scope_changed:
            assert prev == seq - 1, "prev is not seq - 1, and all sites are seen"
        assert self._sees(frame), f"the scope is {self._sites}"
        self._last = seq

    def _sees(self, frame: Frame) -> bool:
        if self._sites is None or self._scope_changed or frame["type"] == "event_failed":
            return True
        return not self._sites.isdisjoint((frame["site_id"], frame.get("old_site_id")))

    def _caught_up(self, frame: Frame) -> None:
        self._goes_on()
        assert self._requests, "nothing asked for it"
        asked = self._answered()
        least = self._last if asked is None else min(asked, self._last)
        assert frame["seq"] >= least, f"the client has {least}"
        self._last = frame["seq"]

    def _goes_on(self) -> None:
        resumed = any(request is not None for request in self._requests)
        assert resumed or not self._parked, "it follows a reset without a resume"
        self._parked = False

    def _pinged(self, frame: Frame) -> None:
        if self._parked or self._unsure:
            return
        if not self._requests:
            assert frame["pos"] >= self._last, f"the client has {self._last}"
            self._last = frame["pos"]
        at = datetime.fromisoformat(frame["t"])
        if (not self._requests and not self._errors_due) or frame["pos"] < frame["head"]:
            self._waiting_since = None
        elif self._waiting_since is None:
            self._waiting_since = at
        else:
            assert at - self._waiting_since < LONGEST_WAIT, (
                f"unanswered: {self._requests}, {self._errors_due} errors"
            )

    def _put_off(self, frame: Frame) -> None:
        if self._requests:
            self._answered()
        self._parked = True
        self._epoch = frame["epoch"]
        self._scope_changed = self._scope_changed or frame["reason"] == "scope"

    def _answered(self) -> int | None:
        self._waiting_since = None
        return self._requests.pop(0)

    def _refused(self, frame: Frame) -> None:
        if frame["temporary"]:
            self._unsure = True
            return
        assert self._errors_due, "no frame of the client was wrong"
        self._errors_due -= 1
        self._waiting_since = None

    def _ended(self, frame: Frame) -> None:
        self._bye = frame


def _start_of(query: str) -> int | None:
    """Return where the connect sets the cursor: at the head, after an event, or nowhere."""
    given = parse_qs(query.removeprefix("?"), keep_blank_values=True)
    if not given.keys() & {"after_seq", "epoch"}:
        return None
    digits = given.get("after_seq", [""])[-1]
    if "epoch" in given and digits.isascii() and digits.isdigit() and int(digits) < 2**63:
        return int(digits)
    return NOWHERE
