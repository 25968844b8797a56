"""All checks in their groups, asked in an order in which one root cause is told once."""

from collections.abc import Mapping
from dataclasses import dataclass

from django.db import connection

from apps.noc.health import (
    clocks,
    database,
    examine,
    pipeline,
    progress,
    redis_servers,
    schedule,
    site,
    versions,
)
from apps.noc.health.bounded import within
from apps.noc.health.result import Check, Finding, Result, State, not_asked, ok

CONNECT_SECONDS = 6.0  # above the driver's own limit, which names the reason
CHECK_SECONDS = 8.0  # opening a websocket and waiting for its greeting included

WITHOUT_DATABASE = "the database does not answer"
WITHOUT_BROKER = "the broker does not answer"


@dataclass(frozen=True, slots=True)
class Group:
    title: str
    results: list[Result]


# Told by sweeps, which need the broker.
BEAT: dict[str, Check] = {"beat": progress.beat, "single beat": progress.single_beat}
PROGRESS = {name: check for name, check in progress.PROGRESS.items() if name not in BEAT}


def examine_all() -> list[Group]:
    """Ask everything; what hangs on a server that does not answer is not asked."""
    reached = database_up()
    there = reached.state is State.OK
    root = examine.result_of("database", reached)
    broker = examine.bounded(redis_servers.BROKER, seconds=CHECK_SECONDS)
    with_broker = broker[0].state is State.OK
    without = WITHOUT_BROKER if there else WITHOUT_DATABASE

    def asked(checks: Mapping[str, Check], *, needs: bool, without: str) -> list[Result]:
        if needs:
            return examine.bounded(checks, seconds=CHECK_SECONDS)
        return [examine.result_of(name, not_asked(without)) for name in checks]

    def in_database(checks: Mapping[str, Check]) -> list[Result]:
        return asked(checks, needs=there, without=WITHOUT_DATABASE)

    def at_broker(checks: Mapping[str, Check]) -> list[Result]:
        return asked(checks, needs=with_broker, without=WITHOUT_BROKER)

    def anyhow(checks: Mapping[str, Check]) -> list[Result]:
        return asked(checks, needs=True, without="")

    return [
        Group("Database", [root, *in_database(database.DATABASE), *anyhow(database.SETTINGS)]),
        Group(
            "Events",
            [
                *in_database({**PROGRESS, **schedule.SCHEDULE}),
                *asked(BEAT, needs=there and with_broker, without=without),
            ],
        ),
        Group(
            "Broker",
            [
                *broker,
                *at_broker(redis_servers.BROKER_MORE),
                *anyhow(redis_servers.BROKER_SETTINGS),
            ],
        ),
        Group("Channel layer", anyhow(redis_servers.LAYER)),
        Group(
            "Site",
            [
                *anyhow(site.SITE),
                *in_database(site.SITE_IN_DATABASE),
                *anyhow(site.WEB),
                *in_database(site.WEBSOCKET),
            ],
        ),
        Group("Clocks", [*in_database(clocks.CLOCKS), *at_broker(clocks.REDIS_CLOCK)]),
        Group("Versions", anyhow(versions.VERSIONS)),
    ]


def database_up() -> Finding:
    """Does the database answer?"""
    try:
        within(CONNECT_SECONDS, _connect)
    except Exception as error:
        return pipeline.unreachable(error)
    return ok("answers")


def _connect() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
