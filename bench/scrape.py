"""
What a scrape of the exporter takes: of an empty database, and of one with a long log and a backlog.

The full one has 1,000 streams, ``--rows`` logged events, 30,000 that wait, 20,000 dead letters and
10,000 replays.
"""

import sys
from time import perf_counter

from bench import harness
from bench.growth import GROW, HEADS
from bench.harness import Target
from bench.messages import FILL

DEAD = """
INSERT INTO outbox_dead_letter (event_id, stream, seq, epoch, type, subject, payload, context,
  schema_version, occurred_at, recorded_at, sink, reason, error, fingerprint, attempts)
SELECT event_id, stream, seq, event_id, type, subject, payload, context, 1, occurred_at,
       recorded_at, 'sink', 'poison', 'no valid form', 'abc', 1
  FROM event_log LIMIT 20000
"""
REPLAYS = """
INSERT INTO outbox_replay (action, source, filters, forced, reason, actor, rate, fingerprint,
                           total, state, replayed)
SELECT 'replay', 'log', '{}', false, 'r', 'a', 50, 'f', 10, 'done', 10
  FROM generate_series(1, 10000)
"""
SCRAPES = 20  # per round


def main() -> int:
    parser = harness.parser(__doc__ or "")
    parser.add_argument("--rows", type=int, default=1_000_000)
    options = parser.parse_args()
    harness.prepare()
    from django.core.management import call_command
    from django.db import connection

    from apps.noc.exporter.collector import DatabaseCollector

    empty = str(connection.settings_dict["NAME"])
    full = f"{empty}_full"
    with connection.cursor() as cursor:
        cursor.execute(f'CREATE DATABASE "{full}"')
    connection.close()
    connection.settings_dict["NAME"] = full
    call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
    with connection.cursor() as cursor:
        cursor.execute("SET statement_timeout = 0")
        cursor.execute(GROW.replace("% 20", "%% 1000"), {"rows": options.rows})
        cursor.execute(HEADS)
        cursor.execute(FILL, {"count": 30_000, "tenants": 1_000})
        cursor.execute(DEAD)
        cursor.execute(REPLAYS)
        cursor.execute("VACUUM (ANALYZE)")
    connection.close()

    collectors = {}
    for name in (full, empty):  # each keeps the session that it makes now
        connection.settings_dict["NAME"] = name
        collectors[name] = DatabaseCollector(seconds=30)
        list(collectors[name].collect())

    def scrape(name: str) -> float:
        began = perf_counter()
        for _ in range(SCRAPES):
            list(collectors[name].collect())
        return (perf_counter() - began) / SCRAPES * 1e3

    figures = harness.interleave(
        {"empty": lambda: scrape(empty), "full": lambda: scrape(full)}, rounds=options.rounds or 5
    )
    for collector in collectors.values():
        collector.close()
    found = harness.medians(figures)
    targets = [Target(f"full ({options.rows:,} events), ms", found["full"], 100, at_most=True)]
    return harness.report("scrape", "ms", found, targets, as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
