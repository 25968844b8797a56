"""What the tests of failures share: changes that are recorded and not published, and counts."""

from typing import Any

import pytest
from django.db import transaction

import outbox
from tests.integration import outbox_fixtures
from tests.integration.outbox_fixtures import STREAM, Bench

JUDGE = f"{outbox_fixtures.__name__}.judge"


@pytest.fixture
def names(bench: Bench) -> Any:
    """Write changes and return their names in order."""

    def write(count: int) -> list[str]:
        before = len(bench.log())
        bench.write(*bench.tickets(count))
        bench.record_only()
        return [name for _, name in bench.log()[before:]]

    return write


def marks(bench: Bench) -> tuple[int, int]:
    return bench.all("SELECT last_seq, published_seq FROM outbox_stream WHERE name = %s", STREAM)[0]


def counts(bench: Bench) -> dict[str, int]:
    return dict(bench.all("SELECT kind, total FROM outbox_failure_count"))


def publish(*faults: str | None) -> None:
    with transaction.atomic():
        for number, fault in enumerate(faults):
            payload = {"name": f"n{number}"} | ({"fault": fault} if fault else {})
            outbox.publish("said", stream=STREAM, subject="it:1", payload=payload)
