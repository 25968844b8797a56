"""
A strict client of the feed and the board that it keeps, written from the protocol alone.

It follows the rules for clients, and raises ``Broken`` for whatever a server must not do: so a run
that ends without it has seen nothing wrong. It imports nothing of the feed.
"""

import json
import urllib.request
from collections.abc import Iterable, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from socket import SHUT_RDWR
from time import monotonic
from typing import Any

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

Frame = dict[str, Any]
Row = dict[str, Any]
Scope = frozenset[int] | None  # None: every site, and what has none

WAIT_SECONDS = 15.0
CLOSED = ("CLOSED", "CANCELLED")
DISPLAY_NAMES = ("site_name", "assigned_to")  # of others: they change without an event
SHOWN = (
    *("ticket_no", "status", "priority", "site_id", "description", "version", "updated_at"),
    *DISPLAY_NAMES,
)
ENVELOPE = frozenset({"type", "seq", "prev", "epoch", "event_id"})
NAME = frozenset({"ticket_id", "ticket_no"})
TICKET = frozenset(SHOWN) - {"status"} | NAME
LEFT = NAME | {"site_id"}
PLACE = LEFT | {"site_name"}
ACKNOWLEDGED = ("acknowledged_by", "acknowledged_at")
KEYS: Mapping[str, frozenset[str]] = {
    "ticket_created": TICKET | {"status"},
    "ticket_edited": TICKET | {"status"},
    "ticket_moved": TICKET | {"status", "old_site_id"},
    "ticket_updated": TICKET | {"old_status", "new_status"},
    "ticket_deleted": LEFT,
    "ticket_acknowledged": PLACE | frozenset(ACKNOWLEDGED),
    "ticket_unacknowledged": PLACE,
    "ticket_commented": PLACE | {"comment_id", "author", "text", "written_at"},
    "finding_created": frozenset(
        {"finding_id", "title", "severity", "site_id", "site_name", "status", "created_at"}
    ),
    "anomaly_detected": frozenset(
        {"anomaly_id", "metric", "observed", "expected", "severity", "site_id", "site_name"}
        | {"detected_at"}
    ),
    "event_failed": frozenset({"event_type"}),
}
GO_AWAY = range(4400, 4500)


class Broken(AssertionError):
    """The server sent what the protocol excludes."""


class Board:
    """``{ticket id: row}`` of the open tickets, from a snapshot and the frames after it."""

    def __init__(self, tickets: Iterable[Row]) -> None:
        self.rows: dict[int, Row] = {ticket["id"]: ticket for ticket in tickets}
        self.acknowledged = {
            ticket["id"]: (ticket["acknowledged_by"], ticket["acknowledged_at"])
            for ticket in self.rows.values()
            if ticket.get("acknowledged_at") is not None
        }
        self._told: dict[int, Row] = {}  # by frames: these may never go back
        self._deleted: set[int] = set()

    def apply(self, frame: Frame) -> None:
        """
        Change the row that the frame is about.

        Of several frames of one write, which have one version, the first brings the whole row. A
        snapshot may be ahead of the log, so a frame may be older than its row.
        """
        if "ticket_id" not in frame:
            return
        ticket_id = frame["ticket_id"]
        if frame["type"] == "ticket_acknowledged":
            self.acknowledged[ticket_id] = (frame["acknowledged_by"], frame["acknowledged_at"])
            return
        if frame["type"] == "ticket_commented":
            return
        if frame["type"] == "ticket_unacknowledged":
            self.acknowledged.pop(ticket_id, None)
            return
        if "version" not in frame:  # deleted, or moved to where we do not see it
            self._drop(ticket_id)
            if frame["type"] == "ticket_deleted":
                self._deleted.add(ticket_id)
            return
        row = {"id": ticket_id, **{key: frame.get(key) for key in SHOWN}}
        if frame["type"] == "ticket_updated":
            row["status"] = frame["new_status"]
        present = self.rows.get(ticket_id)
        if "replay_of" in frame:
            if present is None:
                return  # a replay brings nothing back
        else:
            self._check(frame, row, present)
            self._told[ticket_id] = row
        if present is not None and row["version"] <= present["version"]:
            return
        if row["status"] in CLOSED:
            self._drop(ticket_id)
        else:
            self.rows[ticket_id] = row

    def _drop(self, ticket_id: int) -> None:
        self.rows.pop(ticket_id, None)
        self.acknowledged.pop(ticket_id, None)  # told again, should the ticket come back

    def _check(self, frame: Frame, row: Row, present: Row | None) -> None:
        if row["id"] in self._deleted:
            raise Broken(f"of a deleted ticket: {frame}")
        told = self._told.get(row["id"])
        if told is not None and row["version"] < told["version"]:
            raise Broken(f"back from version {told['version']}: {frame}")
        for known in (told, present):
            if known is None:
                continue
            if known["version"] == row["version"] and (differing := _differing(known, row)):
                raise Broken(f"the same version with other {differing}: {frame}")
            before = known["version"] == row["version"] - 1
            if before and frame.get("old_status", known["status"]) != known["status"]:
                raise Broken(f"from a status that it had not, {known['status']}: {frame}")

    def differences(self, fresh: Iterable[Row]) -> list[str]:
        """Compare with the tickets of a new snapshot; nothing to say when they are equal."""
        wanted = {ticket["id"]: ticket for ticket in fresh}
        found = [f"ticket {id_} is missing" for id_ in wanted.keys() - self.rows.keys()]
        found += [f"ticket {id_} should have gone" for id_ in self.rows.keys() - wanted.keys()]
        for id_ in wanted.keys() & self.rows.keys():
            mine, theirs = self.rows[id_], wanted[id_]
            found += [
                f"ticket {id_}: {key} is {mine[key]!r}, not {theirs[key]!r}"
                for key in SHOWN
                if mine[key] != theirs[key]
            ]
            told = self.acknowledged.get(id_, (None, None))
            if told != (theirs["acknowledged_by"], theirs["acknowledged_at"]):
                found.append(f"ticket {id_} is acknowledged {told}, not as in {theirs}")
        return found


def _differing(one: Row, other: Row) -> list[str]:
    return [key for key in SHOWN if key not in DISPLAY_NAMES and one[key] != other[key]]


@dataclass
class Part:
    """What came after one snapshot: it must be the log's slice of this scope, without a hole."""

    start: int
    epoch: str
    scope: Scope = None
    placed: bool = False  # True: a hello told the scope
    seen: list[tuple[int, str]] = field(default_factory=list)  # (seq, event id)

    def __post_init__(self) -> None:
        self.last = self.start


class Socket:
    """The rules of one connection: which frames may come, and which of them are to be applied."""

    def __init__(self, part: Part, tenant_sites: frozenset[int]) -> None:
        self.part = part
        self.resuming = False  # True: frames may come again until this is answered
        self.synced = False
        self.parked = False
        self.bye: Frame | None = None
        self._tenant_sites = tenant_sites
        self._floor = part.last  # where the slice stood: the last frame, or the cursor
        self._hello: Frame | None = None
        self._scope: Scope = None  # that the hello told
        self._other_scope = False

    @property
    def ack_every(self) -> int:
        return int(self._hello["ack_every"]) if self._hello else 1

    def take(self, frame: Frame) -> bool:
        """Return whether the frame is an event to apply; raises ``Broken``."""
        kind = frame["type"]
        if self.bye is not None:
            raise Broken(f"after bye: {frame}")
        if self._hello is None and kind not in ("hello", "bye"):
            raise Broken(f"before hello: {frame}")
        if kind in KEYS:
            return self._event(frame)
        if kind not in ("hello", "synced", "ping", "reset", "error", "bye"):
            raise Broken(f"unknown: {frame}")
        getattr(self, f"_{kind}_came")(frame)
        return False

    def resumed(self) -> None:
        """Take note that ``resume`` was sent with the part's ``last``."""
        self.resuming = not self.parked
        self.parked = self.synced = self._other_scope = False
        self._floor = min(self._floor, self.part.last)

    def start_anew(self, part: Part) -> None:
        """Go on after a reset in a new part, in the scope that the hello told."""
        part.scope, part.placed = self._scope, True
        self.part, self._floor = part, part.last

    def _event(self, frame: Frame) -> bool:
        part, seq, prev = self.part, frame["seq"], frame["prev"]
        if self.parked or self._other_scope:
            raise Broken(f"before the resume that a reset asks for: {frame}")
        if frame["epoch"] != part.epoch:
            raise Broken(f"of another log than {part.epoch}: {frame}")
        self._check_scope(frame)
        if not prev < seq:
            raise Broken(f"prev is not before seq: {frame}")
        if prev > part.last:
            raise Broken(f"a gap after {part.last}: {frame}")
        if part.scope is None and prev != seq - 1:
            raise Broken(f"prev is not seq - 1 for every site: {frame}")
        if seq <= part.last:
            if not self.resuming:
                raise Broken(f"does not rise, {part.last} was there: {frame}")
            known = dict(part.seen).get(seq)
            if known is not None and known != frame["event_id"]:
                raise Broken(f"another event than {known}: {frame}")
            return False
        if prev < self._floor:
            raise Broken(f"the slice stood at {self._floor} already: {frame}")
        part.last = self._floor = seq
        part.seen.append((seq, frame["event_id"]))
        return True

    def _check_scope(self, frame: Frame) -> None:
        kind, scope = frame["type"], self.part.scope
        keys = frame.keys() - {"replay_of"} - ENVELOPE
        left = kind == "ticket_moved" and scope is not None and "status" not in frame
        if not frame.keys() >= ENVELOPE or keys != (LEFT if left else KEYS[kind]):
            raise Broken(f"not the keys of {kind}: {frame}")
        if kind == "event_failed":
            return
        seen_by_all = self._tenant_sites | {None}
        if frame["site_id"] not in (seen_by_all if scope is None else scope):
            raise Broken(f"of a site that is not in scope: {frame}")

    def _hello_came(self, frame: Frame) -> None:
        if self._hello is not None:
            raise Broken(f"a second hello: {frame}")
        self._hello = frame
        sites = frame["scope"]["sites"]
        self._scope = None if sites == "*" else frozenset(sites)
        if not self.part.placed:
            self.part.scope, self.part.placed = self._scope, True
        elif self.part.scope != self._scope:
            self._other_scope = True  # the part was built under other sites: a reset must follow

    def _synced_came(self, frame: Frame) -> None:
        if self.parked or self._other_scope:
            raise Broken(f"before the resume that a reset asks for: {frame}")
        self._check_position(frame["seq"], frame)
        self.part.last = frame["seq"]
        self.synced, self.resuming = True, False

    def _ping_came(self, frame: Frame) -> None:
        if frame["head"] < frame["pos"]:
            raise Broken(f"beyond the head: {frame}")
        if self.synced and not self.parked:
            self._check_position(frame["pos"], frame)
            self.part.last = frame["pos"]

    def _check_position(self, position: int, frame: Frame) -> None:
        if position < self.part.last:
            raise Broken(f"behind {self.part.last}: {frame}")
        if self.part.scope is None and position != self.part.last:
            raise Broken(f"events after {self.part.last} were left out: {frame}")

    def _reset_came(self, frame: Frame) -> None:
        if frame["reason"] not in ("trimmed", "epoch", "ahead", "too_far", "scope"):
            raise Broken(f"of no known reason: {frame}")
        self.parked, self.synced = True, False

    def _error_came(self, frame: Frame) -> None:
        if frame["code"] != "unavailable":
            raise Broken(f"nothing wrong was sent: {frame}")

    def _bye_came(self, frame: Frame) -> None:
        self.bye = frame


class Client:
    """Snapshot, connection, cursor and board of one user. ``tenant_sites``: all that exist."""

    def __init__(self, http: str, ws: str, token: str, *, tenant_sites: Iterable[int]) -> None:
        self._http, self._ws, self._token = http, ws, token
        self._tenant_sites = frozenset(tenant_sites)
        self._wire: ClientConnection | None = None
        self._end = ExitStack()  # closes it
        self._unacked = 0
        self.parts: list[Part] = []
        self.resets: list[str] = []
        self.codes: list[int] = []
        self.snapshot()

    @property
    def part(self) -> Part:
        return self.parts[-1]

    @property
    def open(self) -> bool:
        return self._wire is not None

    def snapshot(self) -> None:
        """Start the board anew; the cursor is where the snapshot stands."""
        fresh = self.fetch()
        self.board = Board(fresh["tickets"])
        self.parts.append(Part(fresh["seq"], fresh["epoch"]))

    def fetch(self) -> dict[str, Any]:
        """Return a snapshot."""
        return self._get("snapshot/?include=acknowledgement")

    def history(self, *, after: int, head: int) -> list[Frame]:
        """Return the events after a number up to the head, read without a websocket."""
        found: list[Frame] = []
        while after < head:
            page = self._get(f"events/?after_seq={after}&epoch={self.part.epoch}&limit=500")
            found += page["results"]
            after = page["position"]
        return found

    def _get(self, path: str) -> dict[str, Any]:
        request = urllib.request.Request(  # noqa: S310 - the test's own server
            f"{self._http}/api/v1/noc/{path}", headers={"Authorization": f"Token {self._token}"}
        )
        with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as answer:  # noqa: S310
            read: dict[str, Any] = json.load(answer)
        return read

    def connect(self) -> None:
        """Open a connection that goes on after the cursor."""
        self.close()
        opened = connect(
            f"{self._ws}{self._query()}",
            additional_headers={"Authorization": f"Token {self._token}"},
            compression=None,
            proxy=None,
            max_queue=None,  # a full queue would hold the goodbye for ten seconds
        )
        self._wire = self._end.enter_context(opened)
        self.socket = Socket(self.part, self._tenant_sites)

    def _query(self) -> str:
        return f"?after_seq={self.part.last}&epoch={self.part.epoch}"

    def step(self, seconds: float = WAIT_SECONDS) -> bool:
        """Take one frame and follow the rules; False when none came or the connection ended."""
        assert self._wire is not None
        try:
            frame: Frame = json.loads(self._wire.recv(timeout=seconds))
        except TimeoutError:
            return False
        except ConnectionClosed as closed:
            self._ended(closed.rcvd.code if closed.rcvd else 1006)
            return False
        if self.socket.take(frame):
            self.board.apply(frame)
            self._ack()
        elif frame["type"] == "ping":
            self._say({"type": "pong", "seq": self.part.last})
        elif frame["type"] == "reset":
            self._start_anew(frame)
        return True

    def until_synced(self) -> None:
        """Connect unless connected, and read up to ``synced``."""
        if self._wire is None:
            self.connect()
        while not self.socket.synced:
            if not self.step():
                raise Broken("no synced came")

    def until_at(self, seq: int) -> None:
        """
        Read up to ``synced`` at ``seq`` or beyond.

        A server that has not heard of the newest events says ``synced`` before them, and a scope
        that does not see them is not told when they have passed: so ask again.
        """
        self.until_synced()
        deadline = monotonic() + WAIT_SECONDS
        while self.part.last < seq or not self.socket.synced:
            if monotonic() > deadline:
                raise Broken(f"not at {seq} but at {self.part.last}")
            if not self.step(0.25) and self.socket.synced:
                self.resume()

    def resume(self) -> None:
        """Ask the connection to go on after the cursor, as after a gap."""
        message = {"type": "resume", "after_seq": self.part.last, "epoch": self.part.epoch}
        if self._say(message):
            self.socket.resumed()

    def close(self) -> None:
        self._end.close()
        self._wire = None

    def vanish(self) -> None:
        """Lose the connection: no goodbye, and what is under way is lost."""
        if self._wire is not None:
            with suppress(OSError):
                self._wire.socket.shutdown(SHUT_RDWR)
            self.close()

    def _start_anew(self, reset: Frame) -> None:
        self.resets.append(reset["reason"])
        crossing = self.socket.resuming  # is the reset its answer, or did they meet on the way?
        self.snapshot()
        if crossing:
            self.close()
        else:
            self.socket.start_anew(self.part)
            self.resume()

    def _ended(self, code: int) -> None:
        bye = self.socket.bye
        if bye is not None and code != bye["code"]:
            raise Broken(f"closed with {code} after {bye}")
        if code in GO_AWAY:
            raise Broken(f"sent away with {code}: {bye}")
        self.codes.append(code)
        self.close()

    def _ack(self) -> None:
        self._unacked += 1
        if self._unacked >= self.socket.ack_every:
            self._unacked = 0
            self._say({"type": "ack", "seq": self.part.last})

    def _say(self, message: Frame) -> bool:
        """Send; a connection that has ended is noticed by the next read."""
        assert self._wire is not None
        try:
            self._wire.send(json.dumps(message))
        except ConnectionClosed:
            return False
        return True


def slice_of(entries: Iterable[tuple[Any, ...]], part: Part) -> list[tuple[int, str]]:
    """
    Return which of the log's entries, in order, the part must see from its start on.

    An entry is (seq, event id, type, site id, old site id).
    """
    return [
        (seq, str(event_id))
        for seq, event_id, kind, site, old_site in entries
        if seq > part.start
        and (
            part.scope is None
            or kind == "event_failed"
            or site in part.scope
            or (kind == "ticket_moved" and old_site in part.scope)
        )
    ]
