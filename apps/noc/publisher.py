"""Publish to the groups of a Redis pub/sub channel layer from synchronous code, in one pipeline.

``async_to_sync(layer.group_send)`` opens a thread, an event loop and a connection per call. This
writes what the layer itself would write, with the layer's own serialiser and its own choice of
host, through one ordinary client per process.
"""

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import redis
from channels_redis.pubsub import RedisPubSubChannelLayer
from channels_redis.utils import _consistent_hash, decode_hosts
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

# The relay holds nothing while it publishes, but it waits: a frozen Redis must not hold it for the
# 58 seconds that the client's own retries take.
LIMITS: dict[str, Any] = {
    "socket_timeout": 1,
    "socket_connect_timeout": 1,
    "retry": Retry(NoBackoff(), 0),
}


class Publisher:
    """One client per host of the layer; safe in threads and after a fork, like its pools."""

    def __init__(self, layer: RedisPubSubChannelLayer) -> None:
        config = layer._kwargs
        self._serialize = layer.serialize
        self._prefix = config.get("prefix", "asgi")
        self.clients = [_client(host) for host in decode_hosts(config.get("hosts"))]

    def publish(self, messages: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
        """
        Publish ``(group, message)`` pairs; the pairs of one group arrive in this order.

        Raises:
            redis.RedisError, OSError: a host refused, or did not answer within a second.
        """
        pipelines: dict[int, Any] = {}
        for group, message in messages:
            channel = f"{self._prefix}__group__{group}"
            host = _consistent_hash(channel, len(self.clients))
            if host not in pipelines:
                pipelines[host] = self.clients[host].pipeline(transaction=False)
            pipelines[host].publish(channel, self._serialize(message))
        for pipeline in pipelines.values():
            pipeline.execute()


@cache
def publisher_of(layer: RedisPubSubChannelLayer) -> Publisher:
    """Return the publisher of ``layer``: one per process, since there is one layer per process."""
    return Publisher(layer)


def _client(host: Mapping[str, Any]) -> redis.Redis:
    """Build the synchronous twin of the pool that the layer builds for the same host entry."""
    options = {**host, **LIMITS}
    if "address" in options:
        return redis.Redis.from_url(options.pop("address"), **options)
    if "master_name" in options:
        master = options.pop("master_name")
        nodes, node_options = options.pop("sentinels"), options.pop("sentinel_kwargs", None)
        sentinel = Sentinel(nodes, sentinel_kwargs=node_options)  # type: ignore[no-untyped-call]
        client: redis.Redis = sentinel.master_for(master, **options)  # type: ignore[no-untyped-call]
        return client
    return redis.Redis(**options)
