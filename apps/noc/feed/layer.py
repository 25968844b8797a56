"""
The process's one channel of the channel layer, joined to the groups that are in use.

Whatever the layer does costs latency only, so nothing here is awaited by a connection, and every
failure is tried again. The Redis pub/sub layer gets an instance of its own: it subscribes without
waiting for the answer, forgets a channel only when it is cancelled while it waits for a message,
and notices a half-open connection late. So a layer that stays silent is flushed and joined anew.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

from channels import DEFAULT_CHANNEL_LAYER
from channels.layers import channel_layers, get_channel_layer
from channels_redis.pubsub import RedisPubSubChannelLayer

from apps.noc import metrics

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
STEP_SECONDS = 3.0  # a frozen Redis must not hold a step for longer

Take = Callable[[dict[str, Any]], None]


class Layer:
    """Joins groups and hands over their messages while it runs."""

    def __init__(self, take: Take) -> None:
        self._take = take
        self._groups: set[str] = set()
        self._changed = asyncio.Event()
        self._inner: asyncio.Task[None] | None = None
        self._backend: Any = None
        self._failing = False

    def join(self, group: str) -> None:
        self._groups.add(group)
        self._changed.set()

    def leave(self, group: str) -> None:
        self._groups.discard(group)
        self._changed.set()

    def rebuild(self) -> None:
        """Leave the channel and its connection, and join anew."""
        metrics.LAYER_REBUILDS.inc()
        if self._inner is not None:
            self._inner.cancel()

    async def run(self) -> None:
        """Receive until cancelled."""
        try:
            while True:
                self._inner = asyncio.create_task(self._receive())
                await asyncio.wait({self._inner})
                self._note(self._inner)
                await self._forget()
                await asyncio.sleep(RETRY_SECONDS)
        finally:
            if self._inner is not None:
                self._inner.cancel()
                await asyncio.wait({self._inner}, timeout=STEP_SECONDS)
            await self._forget()

    async def _receive(self) -> None:
        if self._backend is None:
            self._backend = _own_backend()
        layer = self._backend
        if layer is None:
            return  # not configured: the log is enough
        async with asyncio.timeout(STEP_SECONDS):
            channel = await layer.new_channel("feed.")
        joiner = asyncio.create_task(self._keep_joined(layer, channel))
        receiver = asyncio.create_task(self._take_all(layer, channel))
        tasks = {joiner, receiver}
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=STEP_SECONDS)
            if not isinstance(layer, RedisPubSubChannelLayer):
                for group in self._groups:
                    await layer.group_discard(group, channel)

    async def _take_all(self, layer: Any, channel: str) -> None:
        while True:
            message = await layer.receive(channel)
            self._failing = False
            try:
                self._take(message)
            except Exception:
                logger.exception("A layer message was passed over; the log has what it told")

    async def _keep_joined(self, layer: Any, channel: str) -> None:
        joined: set[str] = set()
        while True:
            self._changed.clear()
            for group in self._groups - joined:
                async with asyncio.timeout(STEP_SECONDS):
                    await layer.group_add(group, channel)
                joined.add(group)
            for group in joined - self._groups:
                async with asyncio.timeout(STEP_SECONDS):
                    await layer.group_discard(group, channel)
                joined.discard(group)
            await self._changed.wait()

    async def _forget(self) -> None:
        """Give back what the Redis layer holds; one that cannot even do that is let go of."""
        if not isinstance(self._backend, RedisPubSubChannelLayer):
            self._backend = None
            return
        try:
            async with asyncio.timeout(STEP_SECONDS):
                await self._backend.flush()
        except Exception as error:  # whatever its client raises
            logger.debug("The channel layer was not left", exc_info=error)
            self._backend = None

    def _note(self, ended: asyncio.Task[None]) -> None:
        if ended.cancelled() or (error := ended.exception()) is None:
            return
        if not self._failing:
            logger.warning(
                "Channel layer not joined, delivering from the log",
                extra={"error": f"{type(error).__name__}: {error}"},
            )
        self._failing = True


def _own_backend() -> Any:
    """Return an instance for the feed alone; a layer that lives in memory is the shared one."""
    if DEFAULT_CHANNEL_LAYER not in channel_layers.configs:
        return None
    backend = channel_layers.make_backend(DEFAULT_CHANNEL_LAYER)
    if isinstance(backend, RedisPubSubChannelLayer):
        return backend
    return get_channel_layer()
