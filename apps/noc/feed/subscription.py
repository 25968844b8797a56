"""One connection's membership of a group of the channel layer, which leaves nothing behind.

channels_redis forgets a channel only when it is cancelled while it waits for a message. Ended at
any other moment, the channel, its subscription and its place in the group stay for ever, and its
queue grows with every event. So the channel is taken back here, whatever happened.
"""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from channels_redis.pubsub import RedisPubSubChannelLayer

logger = logging.getLogger(__name__)

Dispatch = Callable[[dict[str, Any]], Awaitable[None]]
RETRY_SECONDS = 5.0
LEAVE_SECONDS = 1.0  # a frozen Redis must not hold the end of a connection


async def follow(layer: Any, group: str, dispatch: Dispatch, joined: asyncio.Event) -> None:
    """
    Hand every message of ``group`` to ``dispatch``, until cancelled.

    Without the layer the feed goes on from the log, so a failure to join is tried again, quietly.
    """
    while True:
        prefix = f"feed.{uuid.uuid4().hex}."  # ours alone: found again below even without a name
        name = ""
        try:
            name = await layer.new_channel(prefix)
            await layer.group_add(group, name)
            joined.set()
            while True:
                await dispatch(await layer.receive(name))
        except Exception as error:  # whatever the layer's client raises
            logger.warning(
                "Channel layer not joined, delivering from the log",
                extra={"group": group, "error": f"{type(error).__name__}: {error}"},
            )
        finally:
            await _leave(layer, group, name, prefix)
        await asyncio.sleep(RETRY_SECONDS)


async def _leave(layer: Any, group: str, name: str, prefix: str) -> None:
    try:
        async with asyncio.timeout(LEAVE_SECONDS):
            if name:
                await layer.group_discard(group, name)
            if isinstance(layer, RedisPubSubChannelLayer):
                inner = layer._get_layer()
                for channel in [key for key in inner.channels if prefix in key]:
                    del inner.channels[channel]
                    await inner._get_shard(channel).unsubscribe(channel)
    except Exception as error:  # nothing to mend: the subscription dies with its connection
        logger.debug("Channel layer not left", extra={"error": f"{type(error).__name__}: {error}"})
