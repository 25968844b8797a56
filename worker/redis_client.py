"""The Redis client of the hints: short time-outs, no retries, one per process."""

import os

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

TIMEOUT_SECONDS = 0.4  # a healthy Redis answers in a millisecond; a save must not wait for another

_clients: dict[int, redis.Redis] = {}


def client() -> redis.Redis:
    """Return this process's client; a forked child gets its own sockets."""
    pid = os.getpid()
    if pid not in _clients:
        _clients.clear()
        _clients[pid] = redis.Redis.from_url(
            settings.CELERY_BROKER_URL,
            socket_timeout=TIMEOUT_SECONDS,
            socket_connect_timeout=TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),  # the default retries for 58 s on a frozen server
        )
    return _clients[pid]
