"""An event of the feed as one line for a terminal."""

from collections.abc import Mapping
from typing import Any

TITLE_CHARACTERS = 60
TIMES = ("updated_at", "acknowledged_at", "written_at", "created_at", "detected_at", "sent_at")


def line(frame: Mapping[str, Any]) -> str:
    """Return time, number, subject, change and site; nothing in it can steer the terminal."""
    time = next((str(frame[key])[:19] + "Z" for key in TIMES if key in frame), "-")
    words = [f"{time:<20}", f"{frame['seq']:>8}", f"{_subject(frame):<16}", _change(frame)]
    if (site := frame.get("site_name") or frame.get("site_id")) is not None:
        words.append(f"@ {site}")
    if "replay_of" in frame:
        words.append(f"(again, was {frame['replay_of']})")
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in "  ".join(words))


def _subject(frame: Mapping[str, Any]) -> str:
    if "ticket_no" in frame:
        return str(frame["ticket_no"])
    for name in ("finding", "anomaly", "canary"):
        if f"{name}_id" in frame:
            return f"{name} {frame[f'{name}_id']}"
    return "-"


def _change(frame: Mapping[str, Any]) -> str:
    match frame["type"]:
        case "ticket_updated":
            return f"{frame['old_status']} → {frame['new_status']}"
        case "ticket_created":
            return f"opened, {frame['priority']}: {_title(frame['description'])}"
        case "ticket_edited":
            return f"edited, {frame['priority']}, {frame['assigned_to'] or 'nobody'}"
        case "ticket_moved":
            return f"moved from site {frame['old_site_id']}" if "old_site_id" in frame else "left"
        case "ticket_deleted":
            return "deleted"
        case "ticket_acknowledged":
            return f"acknowledged by {frame['acknowledged_by'] or 'somebody'}"
        case "ticket_unacknowledged":
            return "no longer acknowledged"
        case "ticket_commented":
            return f"{frame['author'] or 'somebody'}: {_title(frame['text'])}"
        case "finding_created":
            return f"{frame['severity']}: {_title(frame['title'])}"
        case "anomaly_detected":
            seen = f"{frame['observed']} instead of {frame['expected']}"
            return f"{frame['severity']}: {_title(frame['metric'])} {seen}"
        case "canary":
            return "a test of the way here"
        case "event_failed":
            return f"has no valid form: {_title(frame['event_type'])}"
    return str(frame["type"])  # newer than this program


def _title(text: str) -> str:
    return text if len(text) <= TITLE_CHARACTERS else text[: TITLE_CHARACTERS - 1] + "…"
