"""
Draining a backlog, against a bare psycopg + PUBLISH loop that runs the same SQL.

The bare loop has no low water, no failure handling and no memory between rounds: it locks, records,
commits, publishes each event's text to its two groups, and moves the marks.
"""

import json
import sys
from time import monotonic, perf_counter

import psycopg
import redis

from bench import harness
from bench.harness import Target


def main() -> int:
    parser = harness.parser(__doc__ or "")
    parser.add_argument("--events", type=int, default=100_000)
    options = parser.parse_args()
    harness.prepare()
    from django.conf import settings
    from django.db import connections

    from bench.messages import fill
    from outbox import relay, sql
    from outbox.conf import outbox_settings

    lanes, batch = outbox_settings().lanes, outbox_settings().batch
    params = dict(connections["default"].get_connection_params())
    for key in ("cursor_factory", "context"):
        params.pop(key, None)
    bare_connection = psycopg.connect(
        **params, autocommit=True, cursor_factory=psycopg.ClientCursor
    )
    publisher = redis.Redis.from_url(settings.CHANNEL_LAYER_URL)

    def ours(tenants: int) -> float:
        fill(options.events, tenants=tenants)
        began = perf_counter()
        for lane in range(lanes):
            relay.drain(lane, deadline=monotonic() + 600)
        return options.events / (perf_counter() - began)

    def bare(tenants: int) -> float:
        fill(options.events, tenants=tenants)
        began = perf_counter()
        for lane in range(lanes):
            while _bare_round(bare_connection, publisher, sql, lane, batch):
                pass
        return options.events / (perf_counter() - began)

    figures = harness.interleave(
        {
            "relay, 20 tenants": lambda: ours(20),
            "bare loop, 20 tenants": lambda: bare(20),
            "relay, 1000 tenants": lambda: ours(1_000),
            "bare loop, 1000 tenants": lambda: bare(1_000),
        },
        rounds=options.rounds or 3,
    )
    targets = [
        Target(
            f"relay / bare loop, {tenants} tenants",
            harness.ratio(figures, f"relay, {tenants} tenants", f"bare loop, {tenants} tenants"),
            0.7,
            at_most=False,
        )
        for tenants in (20, 1_000)
    ]
    return harness.report(
        "drain", "events/s", harness.medians(figures), targets, as_json=options.json
    )


def _bare_round(connection: psycopg.Connection, publisher: redis.Redis, sql, lane, batch) -> int:
    cursor = connection.cursor()
    cursor.execute(sql.OPEN_ROUND, {"lane": lane})
    rows = connection.execute(
        sql.RECORD, {"lane": lane, "low": 0, "n": batch, "seen": 0, "slack": 1 << 60}
    ).fetchall()
    connection.execute("COMMIT")
    if not rows[0][0]:
        return 0
    pipeline = publisher.pipeline(transaction=False)
    marks: dict[str, tuple[int, int]] = {}
    for row in rows:
        stream, seq, payload = row[3], row[4], row[9]
        text = json.dumps({"type": row[7], "seq": seq, **payload})
        pipeline.publish(f"asgi__group__noc_tenant_{stream[7:]}", text)
        pipeline.publish(f"asgi__group__noc_site_{payload['site_id']}", text)
        marks[stream] = (marks.get(stream, (seq, seq))[0], seq)
    pipeline.execute()
    connection.execute(
        sql.MARK_PUBLISHED,
        {
            "names": list(marks),
            "firsts": [first for first, _ in marks.values()],
            "lasts": [last for _, last in marks.values()],
            "sent": "[]",
            "worker": "bare",
        },
    )
    return len(rows)


if __name__ == "__main__":
    sys.exit(main())
