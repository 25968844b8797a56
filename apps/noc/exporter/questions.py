"""
What the exporter asks PostgreSQL at each scrape.

Everything here is cheap whatever the log holds: index probes, counts that end at ``CAP``, sums over
tables with a row per tenant, lane or replay. A column that is named in ``metrics`` is the value of
that metric, NULL for none; the other columns of the row are its labels. A metric that ends in
``_total`` is a counter. Every value of a label is always there, if need be with 0: an alert on the
increase of a counter does not see its first value. No tenant, ticket or user is a label.

Note [Totals of the log]
``noc_events_recorded_total`` and ``…_published_total`` are sums of the streams' heads. A new epoch
keeps the numbers, and a deleted tenant keeps its stream, so the sums never fall, but for a restore:
then ``Rising`` in collector.py goes on from the last value. What an operator skips counts as
published.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from apps.noc.health.canary import UNWATCHED
from apps.noc.health.models import Canary
from outbox.models import DeadLetter, Reason, Replay
from outbox.status import COUNT_LIMIT as CAP

OR_MORE = f"{CAP:,} means that many or more."


@dataclass(frozen=True, kw_only=True)
class Question:
    """One statement and the metrics that its rows hold."""

    name: str  # the label of noc_exporter_errors_total
    sql: str
    metrics: Mapping[str, str]  # name: help


# From the low-water ids on, as a drain reads.
OUTBOX = Question(
    name="outbox",
    sql="""
SELECT (SELECT count(*) FROM (
          SELECT FROM outbox_lane l CROSS JOIN LATERAL (
            SELECT FROM outbox_message m WHERE m.lane = l.lane AND m.id > l.low_id
             LIMIT %(cap)s) each LIMIT %(cap)s) c) AS noc_outbox_pending,
       (SELECT coalesce(greatest(max(extract(epoch FROM clock_timestamp() - m.occurred_at)), 0), 0)
          FROM outbox_lane l CROSS JOIN LATERAL (
            SELECT m.occurred_at FROM outbox_message m WHERE m.lane = l.lane AND m.id > l.low_id
             ORDER BY m.id LIMIT 1) m) AS noc_outbox_oldest_pending_seconds
""",
    metrics={
        "noc_outbox_pending": f"Committed events that are not in the log yet. {OR_MORE}",
        "noc_outbox_oldest_pending_seconds": "Since the write of the oldest of them; 0: none.",
    },
)

# One row per stream, which is one per tenant and a few more.
LOG = Question(
    name="log",
    sql="""
SELECT coalesce(sum(last_seq), 0) AS noc_events_recorded_total,
       coalesce(sum(published_seq), 0) AS noc_events_published_total,
       coalesce(sum(last_seq - published_seq), 0) AS noc_events_unpublished
  FROM outbox_stream
""",
    metrics={
        "noc_events_recorded_total": "Events in the log since it began, dropped ones included.",
        "noc_events_published_total": "Events of the log handed to the channel layer, or skipped.",
        "noc_events_unpublished": "Recorded events that were not handed to the channel layer yet.",
    },
)

LANES = Question(
    name="lanes",
    sql="""
SELECT v.why, count(l.lane) AS noc_lanes_paused
  FROM (VALUES ('operator'), ('failures')) v(why)
  LEFT JOIN outbox_lane l
    ON CASE v.why WHEN 'operator' THEN l.paused_at IS NOT NULL
                  ELSE l.paused_at IS NULL AND l.publish_failures > 0 END
 GROUP BY v.why
""",
    metrics={
        "noc_lanes_paused": "Lanes whose publishing rests. operator: stopped by hand;"
        " failures: the last hand-over failed. Recording goes on in both."
    },
)

FAILURES = Question(
    name="failures",
    sql="""
SELECT v.kind, coalesce(c.total, 0) AS noc_publish_failures_total
  FROM unnest(%(kinds)s::text[]) v(kind) LEFT JOIN outbox_failure_count c USING (kind)
""",
    metrics={
        "noc_publish_failures_total": "Failed hand-overs. transport, sink: of a lane, which pauses;"
        " poison, sink_error, crash: attempts at single events."
    },
)

# By the partial index of what is dead; their number is small unless something is very wrong.
DEAD_LETTERS = Question(
    name="dead_letters",
    sql="""
SELECT v.reason, count(d.reason) AS noc_dead_letters
  FROM unnest(%(reasons)s::text[]) v(reason)
  LEFT JOIN (SELECT reason FROM outbox_dead_letter WHERE state = %(dead)s
              ORDER BY id LIMIT %(cap)s) d USING (reason)
 GROUP BY v.reason
""",
    metrics={"noc_dead_letters": f"Events that wait for a replay or a discard. In all, {OR_MORE}"},
)

# One row per replay that somebody asked for; they are kept.
REPLAYS = Question(
    name="replays",
    sql="""
SELECT v.result, coalesce(v.total, 0) AS noc_replays_total
  FROM (SELECT sum(replayed) AS replayed, sum(discarded) AS discarded, sum(already) AS already,
               sum(superseded) AS superseded, sum(failed) AS failed,
               sum(total - replayed - discarded - already - superseded - failed)
                 FILTER (WHERE state = %(cancelled)s) AS cancelled
          FROM outbox_replay) t
 CROSS JOIN LATERAL (VALUES ('replayed', t.replayed), ('discarded', t.discarded),
   ('already', t.already), ('superseded', t.superseded), ('failed', t.failed),
   ('cancelled', t.cancelled)) v(result, total)
""",
    metrics={"noc_replays_total": "Events that replays have settled, by what became of them."},
)

RUNNING = Question(
    name="running_replays",
    sql="SELECT count(*) AS noc_replays_running FROM outbox_replay WHERE state = 'running'",
    metrics={"noc_replays_running": "Replays that are not done."},
)

HEARTBEATS = Question(
    name="heartbeats",
    sql="""
SELECT v.name, coalesce(extract(epoch FROM h.beaten_at), 0) AS noc_heartbeat_timestamp_seconds
  FROM unnest(%(heartbeats)s::text[]) v(name) LEFT JOIN outbox_heartbeat h USING (name)
""",
    metrics={
        "noc_heartbeat_timestamp_seconds": "The last sign of life, 0: never. timer: of a worker;"
        " sweep: beat sent one and a worker ran it."
    },
)

# Beat writes the times of its runs to the database every three minutes.
BEAT = Question(
    name="beat",
    sql="""
SELECT coalesce(extract(epoch FROM max(last_run_at)), 0) AS noc_beat_last_run_timestamp_seconds
  FROM django_celery_beat_periodictask WHERE task = 'outbox.sweep' AND enabled
""",
    metrics={
        "noc_beat_last_run_timestamp_seconds": "When beat last sent a sweep, whether or not"
        " anything took it; written every three minutes. 0: never."
    },
)

# Asked by name in the catalog's cache: no partition is opened.
PARTITIONS = Question(
    name="partitions",
    sql="""
SELECT coalesce(min(n) FILTER (WHERE to_regclass('event_log_p' || day) IS NULL
                                  OR to_regclass('outbox_broadcast_p' || day) IS NULL), 61) - 1
         AS noc_log_partitions_ahead
  FROM generate_series(0, 60) n
 CROSS JOIN LATERAL (
   SELECT to_char((clock_timestamp() AT TIME ZONE 'UTC')::date + n, 'YYYYMMDD') AS day) d
""",
    metrics={
        "noc_log_partitions_ahead": "Days after today (UTC) that have their partition, without a"
        " hole; -1: today has none."
    },
)

# They are empty as long as the partitions are made ahead.
DEFAULT_PARTITIONS = Question(
    name="default_partitions",
    sql="""
SELECT 'event_log' AS parent, count(*) AS noc_default_partition_rows
  FROM (SELECT FROM event_log_default LIMIT %(cap)s) e
UNION ALL
SELECT 'outbox_broadcast', count(*) FROM (SELECT FROM outbox_broadcast_default LIMIT %(cap)s) b
""",
    metrics={
        "noc_default_partition_rows": "Rows of days that had no partition, which are never dropped."
        f" {OR_MORE}"
    },
)

SOCKETS = Question(
    name="sockets",
    sql="""
SELECT count(*) AS noc_feed_leases FROM (SELECT FROM noc_feedlease LIMIT %(cap)s) l
""",
    metrics={
        "noc_feed_leases": "Websockets that count under their users' limits, in all web processes;"
        f" those of a lost process for a minute. {OR_MORE}"
    },
)

# The newest of a week's runs, one a minute. Without an address of a websocket none is received, and
# none is told of: there is nothing to alert on.
CANARY = Question(
    name="canary",
    sql="""
SELECT r.seconds AS noc_canary_seconds,
       CASE WHEN r.id IS NOT NULL THEN extract(epoch FROM r.sent_at)
            WHEN EXISTS (SELECT FROM noc_canary
                          WHERE stage <> %(received)s AND seconds IS NOT NULL
                            AND error <> %(unwatched)s) THEN 0 END
         AS noc_canary_last_success_timestamp_seconds
  FROM (VALUES (1)) v
  LEFT JOIN (SELECT id, sent_at, seconds FROM noc_canary WHERE stage = %(received)s
              ORDER BY id DESC LIMIT 1) r ON true
""",
    metrics={
        "noc_canary_seconds": "From the save to the websocket, of the last canary that arrived.",
        "noc_canary_last_success_timestamp_seconds": "When the last canary that arrived was sent;"
        " 0: some were sent, and none arrived.",
    },
)

QUESTIONS = (
    OUTBOX,
    LOG,
    LANES,
    FAILURES,
    DEAD_LETTERS,
    REPLAYS,
    RUNNING,
    HEARTBEATS,
    BEAT,
    PARTITIONS,
    DEFAULT_PARTITIONS,
    SOCKETS,
    CANARY,
)

PARAMETERS: dict[str, Any] = {
    "cap": CAP,
    "kinds": ["transport", "sink", *Reason.values],
    "reasons": Reason.values,
    "dead": DeadLetter.State.DEAD.value,
    "cancelled": Replay.State.CANCELLED.value,
    "heartbeats": ["timer", "sweep"],
    "received": Canary.Stage.RECEIVED.value,
    "unwatched": UNWATCHED,
}
