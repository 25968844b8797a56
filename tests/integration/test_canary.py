"""The canary through real processes: how far it comes, and what it leaves behind."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import pytest
from channels.layers import channel_layers
from django.conf import settings
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.db import connections
from django.test import override_settings
from django.utils import timezone
from knox.models import AuthToken

from apps.helpdesk.incidents.places import _tenants
from apps.helpdesk.models import Ticket
from apps.noc.health import canary
from apps.noc.health.models import Canary
from apps.noc.health.perch import perch
from apps.noc.receipts.models import FeedSession
from apps.tenancy.models import CANARY_SLUG, Membership, Site, Tenant, WsTicket
from outbox import log, relay
from outbox.models import LogEntry
from outbox.session import close_session
from tests.integration.processes import WORKER, RedisServer, celery, free_port, until
from tests.integration.web_process import WebProcess

Stage = Canary.Stage


@contextmanager
def layer_at(url: str) -> Iterator[None]:
    """Let this process publish to the Redis at ``url``."""
    layers = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [url]},
        }
    }
    with override_settings(CHANNEL_LAYERS=layers):
        channel_layers.backends = {}
        try:
            yield
        finally:
            channel_layers.backends = {}


@contextmanager
def draining() -> Iterator[None]:
    """Record and publish all the time, as a worker does."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(0.02):
            with suppress(Exception):  # the layer's failures are what some tests are about
                for lane in relay.pending_lanes():
                    relay.drain(lane, deadline=monotonic() + 5)
        close_session()

    thread = threading.Thread(target=work, name="drain")
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.fixture
def web(database: None, redis_url: str, tmp_path: Path) -> Iterator[WebProcess]:
    process = WebProcess(tmp_path / "web.log", redis_url=redis_url)
    with layer_at(redis_url), override_settings(FEED_URL=process.ws):
        try:
            yield process
        finally:
            process.close()


def in_thread(call: Callable[[], Any]) -> Any:
    """Call in another thread, and close its database connections."""

    def run() -> Any:
        try:
            return call()
        finally:
            connections.close_all()

    return run


class TestCanary:
    def test_is_received_by_a_websocket_when_beat_s_task_runs_in_a_worker(
        self, web: WebProcess, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from worker.tasks import send_canary

        monkeypatch.setenv("NOC_FEED_URL", web.ws)
        with celery(*WORKER, redis_url=redis_url, log=tmp_path / "worker.log"):
            send_canary.delay()
            until(lambda: Canary.objects.exclude(seconds=None).exists(), seconds=60)

        run = Canary.objects.get()
        assert (run.stage, run.error) == (Stage.RECEIVED, "")
        assert 0 < run.seconds < canary.SECONDS

    def test_is_received_by_two_that_fly_at_once_each_by_its_own(self, web: WebProcess) -> None:
        with draining(), ThreadPoolExecutor(2) as threads:
            runs = [threads.submit(in_thread(canary.run)) for _ in range(2)]
            both = [run.result() for run in runs]

        assert [run.stage for run in both] == [Stage.RECEIVED] * 2
        assert both[0].pk != both[1].pk
        assert Tenant.objects.filter(slug=CANARY_SLUG).count() == 1
        assert AuthToken.objects.count() == 1

    def test_leaves_no_ticket_and_no_credential(self, web: WebProcess) -> None:
        with draining():
            assert canary.run().stage == Stage.RECEIVED
            assert canary.run().stage == Stage.RECEIVED

        assert not Ticket.objects.exists()
        assert not WsTicket.objects.exists()
        assert AuthToken.objects.count() == 1
        assert not LogEntry.objects.filter(stream="access").exists()

    def test_is_received_from_the_log_while_redis_is_frozen(
        self, database: None, tmp_path: Path
    ) -> None:
        redis = RedisServer(tmp_path)
        redis.start()
        web = WebProcess(tmp_path / "web.log", redis_url=redis.url)
        try:
            with layer_at(redis.url), override_settings(FEED_URL=web.ws), draining():
                assert canary.run().stage == Stage.RECEIVED
                redis.freeze()
                run = canary.run()
                redis.thaw()
        finally:
            redis.stop()
            web.close()

        assert (run.stage, run.error) == (Stage.RECEIVED, "")

    def test_tells_that_it_was_published_when_no_web_process_is_there(
        self, web: WebProcess
    ) -> None:
        web.kill()

        with draining():
            run = canary.run()

        assert run.stage == Stage.PUBLISHED
        assert f"no websocket at {web.ws}" in run.error
        assert "refused" in run.error

    def test_tells_that_its_websocket_ended_on_the_way(self, web: WebProcess) -> None:
        with ThreadPoolExecutor(1) as thread:
            running = thread.submit(in_thread(canary.run))
            until(Canary.objects.exists, what="the canary is written")
            web.kill()
            with draining():
                run = running.result()

        assert run.stage == Stage.PUBLISHED
        assert run.error == f"{web.ws} closed the websocket (1006)"

    def test_tells_that_it_may_not_watch(self, web: WebProcess) -> None:
        place = perch()
        AuthToken.objects.all().delete()
        credential = place.ticket()

        from apps.noc.health.watch import NotWatching, Watch

        with pytest.raises(NotWatching, match="HTTP 403"):
            Watch(web.ws, credential)

    def test_tells_that_it_was_recorded_when_the_layer_is_away(self, database: None) -> None:
        with layer_at(f"redis://127.0.0.1:{free_port()}/0"), draining():
            run = canary.run(seconds=2)

        assert run.stage == Stage.RECORDED

    def test_tells_that_it_was_written_when_no_worker_drains(self, database: None) -> None:
        run = canary.run(seconds=0.5)

        assert run.stage == Stage.WRITTEN
        assert Canary.objects.get().stage == Stage.WRITTEN

    def test_goes_as_far_as_the_layer_without_an_address_and_says_so(
        self, database: None, redis_url: str
    ) -> None:
        with layer_at(redis_url), draining():
            run = canary.run()

        assert not settings.FEED_URL
        assert run.stage == Stage.PUBLISHED
        assert "NOC_FEED_URL is not set" in run.error


class TestPerch:
    def test_is_a_tenant_without_sites_that_no_import_takes(self, database: None) -> None:
        place = perch()

        chosen = _tenants(1)

        assert not Site.objects.exists()
        assert [tenant.slug for tenant in chosen] == ["incidents-1"]
        assert place.tenant_id not in [tenant.pk for tenant in chosen]

    def test_lets_nobody_log_in(self, database: None) -> None:
        perch()

        user = User.objects.get(username=CANARY_SLUG)
        assert not user.has_usable_password()
        assert not user.is_staff
        assert authenticate(username=CANARY_SLUG, password="") is None

    @pytest.mark.parametrize(
        "remove",
        [
            lambda: AuthToken.objects.all().delete(),
            lambda: User.objects.filter(username=CANARY_SLUG).update(is_active=False),
            lambda: Membership.objects.update(capabilities=[]),
            lambda: Membership.objects.all().delete(),
            lambda: User.objects.filter(username=CANARY_SLUG).delete(),
        ],
    )
    def test_is_mended_when_somebody_removed_a_part(
        self, database: None, remove: Callable[[], Any]
    ) -> None:
        before = perch()
        remove()

        after = perch()

        assert after.tenant_id == before.tenant_id
        assert perch() == after

    def test_stays_the_same(self, database: None) -> None:
        assert perch() == perch()


class TestForget:
    def test_deletes_old_runs_and_what_their_sockets_left(self, web: WebProcess) -> None:
        with draining():
            old, new = canary.run(), canary.run()
        until(
            lambda: FeedSession.objects.exclude(closed_at=None).count() == 2,
            what="the receipts of both",
        )
        past = timezone.now() - timedelta(days=8)
        Canary.objects.filter(pk=old.pk).update(sent_at=past)
        first = FeedSession.objects.order_by("pk")[0]
        FeedSession.objects.filter(pk=first.pk).update(closed_at=past)

        canary.forget(now=timezone.now())

        assert list(Canary.objects.values_list("pk", flat=True)) == [new.pk]
        assert FeedSession.objects.count() == 1
        assert log.head(new.outbox_stream()).last_seq == 2
