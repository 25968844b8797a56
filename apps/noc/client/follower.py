"""The rules of docs/protocol.md for a client: what each frame means, and what to ask for.

Pure: frames go in, events and resets come out. One request is under way at a time, since each is
answered by one ``synced`` or ``reset``.
"""

import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from apps.noc.client.errors import BadFrame

logger = logging.getLogger(__name__)

Frame = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """One event of the log; ``live`` is false for history that was caught up on."""

    frame: Frame
    live: bool

    @property
    def type(self) -> str:
        return str(self.frame["type"])

    @property
    def seq(self) -> int:
        return int(self.frame["seq"])


@dataclass(frozen=True, slots=True)
class Reset:
    """
    The events after the position cannot be had: take a snapshot.

    ``FeedClient.snapshot`` does; without it the events go on after ``head``, and those between
    are never seen.
    """

    reason: str
    epoch: str
    head: int
    min_seq: int


class Follower:
    """Where the client stands: everything up to ``seq`` of ``epoch`` is handled or not for it."""

    def __init__(self, seq: int | None, epoch: str | None, sites: Collection[int] | None) -> None:
        self.seq = seq
        self.epoch = epoch
        self.live = False
        self.ping_seconds = 20.0
        self.ack_every = 50
        self.greeted = False
        self.farewell = ""
        self.retry_after_ms = 0
        self._sites = None if sites is None else frozenset(sites)
        self._asked: str | None = None
        self._wanted: list[str] = []

    def connected(self) -> None:
        """A new connection was made with the cursor of the present place."""
        self.live = self.greeted = False
        self.farewell, self.retry_after_ms = "", 0
        self._asked = "connect"
        self._wanted = [] if self._sites is None else ["subscribe"]

    def place(self, seq: int, epoch: str) -> None:
        """Go on after ``seq``; what leads there was taken from a snapshot, or is let go."""
        self.seq, self.epoch = seq, epoch
        self._want("resume")

    def request(self) -> Frame | None:
        """Return the next request to send, once the one before was answered."""
        if self._asked is not None or not self._wanted:
            return None
        self._asked = self._wanted.pop(0)
        if self._asked == "resume":
            return {"type": "resume", "after_seq": self.seq, "epoch": self.epoch}
        return {"type": "subscribe", "sites": sorted(self._sites or ())}

    def take(self, text: str) -> Event | Reset | Frame | None:
        """
        Return an event or reset for the caller, or a frame to answer with.

        Raises:
            BadFrame: not a frame of the protocol.
        """
        try:
            frame = json.loads(text)
            return self._take(frame)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadFrame(f"{type(error).__name__}: {error}: {text[:200]}") from error

    def _take(self, frame: Frame) -> Event | Reset | Frame | None:
        match frame["type"]:
            case "hello":
                self._greet(frame)
            case "synced":
                self._synced(_whole(frame, "seq"))
            case "ping":
                if self._asked is None and not self._wanted:
                    self.seq = max(self.seq or 0, _whole(frame, "pos"))
                return {"type": "pong", "seq": self.seq or 0}
            case "reset":
                return self._reset(frame)
            case "error":
                logger.warning("The feed's server: %s (%s)", frame["message"], frame["code"])
            case "bye":
                self.farewell = str(frame["reason"])
                self.retry_after_ms = _whole(frame, "retry_after_ms")
            case _ if "event_id" in frame:
                return self._event(frame)
        return None  # also types that are newer than this client

    def _greet(self, frame: Frame) -> None:
        self.greeted = True
        self.ping_seconds, self.ack_every = float(frame["ping_s"]), _whole(frame, "ack_every")
        if self.seq is None:
            self.seq, self.epoch = _whole(frame, "head"), str(frame["epoch"])

    def _synced(self, seq: int) -> None:
        answered, self._asked = self._asked, None
        if "resume" in self._wanted:
            return  # the answer to something older: the gap is still there
        if answered is not None:
            self.seq = max(self.seq or 0, seq)
        self.live = not self._wanted

    def _reset(self, frame: Frame) -> Reset:
        reset = Reset(
            str(frame["reason"]),
            str(frame["epoch"]),
            _whole(frame, "head"),
            _whole(frame, "min_seq"),
        )
        self._asked = None
        self.live = False
        self.place(reset.head, reset.epoch)  # unless the caller takes a snapshot
        return reset

    def _event(self, frame: Frame) -> Event | None:
        seq, prev, last = _whole(frame, "seq"), _whole(frame, "prev"), self.seq or 0
        same = frame["epoch"] == self.epoch
        if same and seq <= last:
            return None
        if not same or prev > last:
            logger.warning("Frames are missing after %d: asking for them", last)
            self.live = False
            if self._asked != "resume":
                self._want("resume")
            return None
        self.seq = seq
        return Event(frame, self.live) if self._concerns(frame) else None

    def _concerns(self, frame: Mapping[str, Any]) -> bool:
        """Before the server has narrowed the scope, it sends other sites too."""
        if self._sites is None or "event_type" in frame:
            return True
        return frame["site_id"] in self._sites or frame.get("old_site_id") in self._sites

    def _want(self, what: str) -> None:
        if what not in self._wanted:
            self._wanted.insert(0, what)


def _whole(frame: Mapping[str, Any], key: str) -> int:
    value = frame[key]
    if type(value) is not int or value < 0:
        raise ValueError(f"{key} is {value!r}")
    return value
