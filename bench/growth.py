"""
Does the relay stay as fast when the log is large, and while an old snapshot is held open?

Two databases of one server are drained in turn: one fresh, one whose log holds ``--rows`` entries.
Then a backlog is drained with and without a REPEATABLE READ snapshot that was opened before it.
"""

import sys
from time import monotonic, perf_counter

import psycopg

from bench import harness
from bench.harness import Target

GROW = """
INSERT INTO event_log (stream, seq, event_id, type, subject, payload, context, schema_version,
                       occurred_at, recorded_at)
SELECT 'tenant:' || n % 20 + 1, n / 20 + 1, gen_random_uuid(), 'ticket_updated', 'ticket:' || n,
       jsonb_build_object('ticket_id', n, 'description', repeat('Network connectivity issue. ', 8)),
       '{}', 1, now(), now()
  FROM generate_series(0, %(rows)s - 1) n
"""
HEADS = """
INSERT INTO outbox_stream (name, lane, epoch, last_seq, published_seq)
SELECT stream, outbox_lane_of(stream), (SELECT epoch FROM outbox_log), max(seq), max(seq)
  FROM event_log GROUP BY stream
ON CONFLICT (name) DO UPDATE SET last_seq = EXCLUDED.last_seq, published_seq = EXCLUDED.last_seq
"""


def main() -> int:
    parser = harness.parser(__doc__ or "")
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--events", type=int, default=50_000, help="drained against the large log")
    parser.add_argument("--held", type=int, default=300_000, help="drained under the snapshot")
    options = parser.parse_args()
    harness.prepare()
    from django.core.management import call_command
    from django.db import connection

    from bench.messages import fill
    from outbox import relay
    from outbox.conf import outbox_settings
    from outbox.session import close_session

    fresh = str(connection.settings_dict["NAME"])
    grown = f"{fresh}_grown"

    def use(name: str) -> None:
        connection.close()
        close_session()
        connection.settings_dict["NAME"] = name

    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE IF EXISTS "{grown}"')
        cursor.execute(f'CREATE DATABASE "{grown}"')
    use(grown)
    call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        for start in range(0, options.rows, 1_000_000):
            count = min(1_000_000, options.rows - start)
            shifted = GROW.replace("generate_series(0, %(rows)s - 1)", "generate_series(%s, %s)")
            cursor.execute(shifted.replace("n % 20", "n %% 20"), [start, start + count - 1])
        cursor.execute(HEADS)
        cursor.execute("VACUUM (ANALYZE) event_log")
        cursor.execute("CHECKPOINT") if _may_checkpoint(cursor) else None

    def drained(name: str, count: int, *, held: bool = False) -> float:
        use(name)
        holder = _hold_snapshot(connection) if held else None
        fill(count, tenants=20)
        began = perf_counter()
        for lane in range(outbox_settings().lanes):
            relay.drain(lane, deadline=monotonic() + 1_800)
        rate = count / (perf_counter() - began)
        if holder is not None:
            holder.close()
        return rate

    rounds = options.rounds or 3
    figures = harness.interleave(
        {
            "fresh log": lambda: drained(fresh, options.events),
            "large log": lambda: drained(grown, options.events),
        },
        rounds=rounds,
    )
    figures |= harness.interleave(
        {
            "no snapshot": lambda: drained(fresh, options.held),
            "snapshot held": lambda: drained(fresh, options.held, held=True),
        },
        rounds=rounds,
    )
    use(fresh)
    with connection.cursor() as cursor:
        cursor.execute(f'DROP DATABASE "{grown}" WITH (FORCE)')
    targets = [
        Target(
            f"large log ({options.rows:,}) / fresh",
            harness.ratio(figures, "large log", "fresh log"),
            0.9,
            at_most=False,
        ),
        Target(
            f"snapshot held ({options.held:,}) / none",
            harness.ratio(figures, "snapshot held", "no snapshot"),
            0.8,
            at_most=False,
        ),
    ]
    return harness.report(
        "growth", "events/s", harness.medians(figures), targets, as_json=options.json
    )


def _hold_snapshot(connection) -> psycopg.Connection:
    params = dict(connection.get_connection_params())
    for key in ("cursor_factory", "context"):
        params.pop(key, None)
    holder = psycopg.connect(**params)
    holder.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    holder.execute("SELECT count(*) FROM outbox_message")
    return holder


def _may_checkpoint(cursor) -> bool:
    cursor.execute("SELECT pg_has_role(current_user, 'pg_checkpoint', 'USAGE')")
    return bool(cursor.fetchone()[0])


if __name__ == "__main__":
    sys.exit(main())
