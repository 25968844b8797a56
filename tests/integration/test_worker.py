"""A real worker, a real beat: three ways to wake, of which the timer alone is enough."""

import os
import signal
from pathlib import Path

import psutil
import redis
from django.db import transaction
from django_celery_beat.models import PeriodicTask

import outbox
from outbox import heartbeat, log
from tests.integration.processes import WORKER, RedisServer, celery, until

STREAM = "tenant:1"


def publish(count: int = 1) -> None:
    with transaction.atomic():
        for number in range(count):
            outbox.publish("x", stream=STREAM, subject="s", payload={"n": number})


def recorded(count: int) -> None:
    until(
        lambda: log.head(STREAM).last_seq == count,
        seconds=60,
        what=f"{count} events in the log",
    )


def published(count: int) -> None:
    until(
        lambda: log.head(STREAM).published_seq == count,
        seconds=60,
        what=f"{count} events published",
    )


class TestWorker:
    def test_drains_after_a_commit(self, database: None, redis_url: str, tmp_path: Path) -> None:
        with celery(*WORKER, redis_url=redis_url, log=tmp_path / "worker.log"):
            publish(3)
            published(3)

    def test_goes_on_without_redis_and_publishes_when_it_is_back(
        self, database: None, tmp_path: Path
    ) -> None:
        server = RedisServer(tmp_path)
        try:
            with celery(*WORKER, redis_url=server.url, log=tmp_path / "worker.log"):
                publish(3)  # absent when everything starts
                recorded(3)
                assert log.head(STREAM).published_seq == 0
                server.start()
                publish(2)
                published(5)
                server.freeze()
                publish(2)
                recorded(7)
                server.thaw()
                published(7)
                server.stop()
                publish(2)
                recorded(9)
                server.start()  # empty, on the same port
                publish(1)
                published(10)
        finally:
            server.stop()

    def test_heals_when_its_children_are_killed(
        self, database: None, redis_url: str, tmp_path: Path
    ) -> None:
        with celery(*WORKER, redis_url=redis_url, log=tmp_path / "worker.log") as worker:
            until(lambda: "ready." in (tmp_path / "worker.log").read_text(), seconds=60)
            parent = psutil.Process(worker.pid)
            children = until(parent.children, what="pool processes")
            for child in children:
                child.send_signal(signal.SIGKILL)
            publish(2)
            published(2)
            until(
                lambda: {c.pid for c in parent.children()} - {c.pid for c in children},
                what="new pool processes",
            )

    def test_ends_without_a_process_left_when_terminated(
        self, database: None, redis_url: str, tmp_path: Path
    ) -> None:
        with celery(*WORKER, redis_url=redis_url, log=tmp_path / "worker.log") as worker:
            until(lambda: "ready." in (tmp_path / "worker.log").read_text(), seconds=60)
            family = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children()]
            os.kill(worker.pid, signal.SIGTERM)
            worker.wait(60)
            _, alive = psutil.wait_procs(family, timeout=30)
            assert not alive


class TestBeat:
    def test_makes_its_rows_and_sends_the_sweep(
        self, database: None, redis_url: str, tmp_path: Path
    ) -> None:
        scheduler = "django_celery_beat.schedulers:DatabaseScheduler"
        schedule = str(tmp_path / "pid")
        options = ("beat", "--scheduler", scheduler, "--pidfile", schedule)
        with celery(*options, redis_url=redis_url, log=tmp_path / "beat.log"):
            until(lambda: PeriodicTask.objects.filter(task="outbox.sweep").exists(), seconds=60)
            with redis.Redis.from_url(redis_url) as client:
                until(lambda: client.llen("noc:outbox"), what="a sweep in the queue")

        assert set(PeriodicTask.objects.values_list("task", flat=True)) >= {
            "outbox.sweep",
            "outbox.verify_log",
            "outbox.maintain_partitions",
        }

    def test_is_heard_of_by_the_sweeps_that_it_sends_and_no_others(
        self, database: None, redis_url: str, tmp_path: Path
    ) -> None:
        from worker.tasks import sweep

        scheduler = "django_celery_beat.schedulers:DatabaseScheduler"
        options = ("beat", "--scheduler", scheduler, "--pidfile", str(tmp_path / "pid"))
        with celery(*WORKER, redis_url=redis_url, log=tmp_path / "worker.log"):
            until(lambda: heartbeat.TIMER in heartbeat.ages(), seconds=60)
            sweep.delay()
            with redis.Redis.from_url(redis_url) as client:
                until(lambda: not client.llen("noc:outbox"), what="the sweep was taken")
            publish(1)
            published(1)
            assert heartbeat.SWEEP not in heartbeat.ages()
            with celery(*options, redis_url=redis_url, log=tmp_path / "beat.log"):
                until(lambda: heartbeat.SWEEP in heartbeat.ages(), seconds=60)

    def test_keeps_what_an_admin_changed(self, database: None) -> None:
        from worker.schedule import ensure_schedule

        ensure_schedule()
        PeriodicTask.objects.filter(task="outbox.sweep").update(enabled=False)

        ensure_schedule()

        assert not PeriodicTask.objects.get(task="outbox.sweep").enabled
