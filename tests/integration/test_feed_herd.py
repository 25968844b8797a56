"""All clients of a process that was restarted come back at once."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from tests.integration.feed_crowd import Watcher, all_of
from tests.integration.feed_rig import Rig, rig_on, token_of
from tests.integration.web_process import WebProcess

CLIENTS = 200
MISSED = 100  # events that each missed, at least
BURST = 20


@pytest.fixture
def rig(database: None, redis_url: str, tmp_path: Path) -> Iterator[Rig]:
    with rig_on(tmp_path, redis_url) as rig:
        yield rig


@pytest.fixture
def user(rig: Rig) -> User:
    return rig.user("operator", rig.world.acme)


def come_back(rig: Rig, web: WebProcess, user: User, count: int) -> list[Watcher]:
    """Let clients connect at once, with cursors from which each missed 100 events or some more."""
    head = rig.world.head()
    headers = token_of(user)
    herd = [
        Watcher(web.ws, headers, last=head.last_seq - MISSED - n % 50, epoch=str(head.epoch))
        for n in range(count)
    ]
    rig.crowd.add(*herd)
    return herd


def got_everything(watcher: Watcher, head: int, missed: int) -> bool:
    return watcher.seqs == list(range(head - missed + 1, head + 1)) and not watcher.breaches


class TestHerd:
    def test_reaches_the_head_with_two_readings_of_the_log(
        self, rig: Rig, user: User, record_property: Callable[[str, object], None]
    ) -> None:
        before = rig.web(FEED_SOCKETS_PER_USER=CLIENTS)
        rig.write(rig.world.north, 2 * MISSED)
        rig.world.drain()
        before.kill()
        web = rig.web(port=before.port, FEED_SOCKETS_PER_USER=CLIENTS)
        head = rig.head(rig.world.north)

        began = time.time()
        herd = come_back(rig, web, user, CLIENTS)
        all_of(herd, lambda watcher: watcher.synced, seconds=60, what="at the head")

        record_property("seconds", max(each.arrived[head] for each in herd) - began)
        record_property("readings of the log", web.metric("noc_feed_log_reads_total"))
        for number, watcher in enumerate(herd):
            assert got_everything(watcher, head, MISSED + number % 50)
            assert (watcher.resets, watcher.codes, watcher.byes) == ([], [], [])
        assert 1 <= web.metric("noc_feed_log_reads_total") <= 2
        rig.write(rig.world.north)
        rig.world.drain()
        all_of(herd, lambda watcher: watcher.last == head + 1, what="live")

    def test_beyond_what_is_admitted_at_once_is_told_when_to_come_again(
        self, rig: Rig, user: User, record_property: Callable[[str, object], None]
    ) -> None:
        rig.write(rig.world.north, 2 * MISSED)
        rig.world.drain()
        web = rig.web(
            FEED_SOCKETS_PER_USER=CLIENTS, FEED_CONNECT_BURST=BURST, FEED_CONNECTS_PER_SECOND=BURST
        )

        herd = come_back(rig, web, user, 4 * BURST)
        all_of(herd, lambda watcher: watcher.synced, seconds=60, what="at the head")

        head = rig.head(rig.world.north)
        for number, watcher in enumerate(herd):
            assert got_everything(watcher, head, MISSED + number % 50)
            assert watcher.codes == [4102] * len(watcher.byes)
            assert watcher.connects == 1
        sent_away = [watcher.byes[0]["retry_after_ms"] for watcher in herd if watcher.byes]
        assert len(sent_away) >= BURST
        assert len(set(sent_away)) > len(sent_away) / 2
        record_property("sent away, and back after ms", (len(sent_away), max(sent_away)))
