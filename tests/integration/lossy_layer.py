"""
Channel layers that lose, double and reorder messages, for real, between relay and feed.

``LossyRedis`` is a proxy before a Redis: what subscribers are sent of the tenants' groups meets
the faults, everything else passes. ``LossyMemoryLayer`` is the in-memory layer with the same
faults; it may be sent to from any thread.
"""

import asyncio
import random
import threading
from collections import Counter
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from channels.layers import InMemoryChannelLayer

from tests.tcp_proxy import TcpProxy

LOST, DOUBLED, LATE = 0.3, 0.1, 0.2
LATE_SECONDS = 0.25  # at most; others overtake it
GROUP = "noc_tenant_"
Layers = dict[str, dict[str, Any]]


class Faults:
    """Chooses what becomes of each message, by a seed, and counts."""

    def __init__(
        self, seed: int, *, lost: float = LOST, doubled: float = DOUBLED, late: float = LATE
    ) -> None:
        self.fired: Counter[str] = Counter()
        self._chances = {"lost": lost, "doubled": doubled, "late": late}
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def delays(self) -> list[float]:
        """Return after how many seconds each copy of the next message is to arrive."""
        with self._lock:
            fate = self._fate()
            self.fired[fate] += 1
            later = self._random.uniform(0, LATE_SECONDS)
        return {"lost": [], "doubled": [0.0, later], "late": [later]}.get(fate, [0.0])

    def _fate(self) -> str:
        chosen = self._random.random()
        for fate, chance in self._chances.items():
            if chosen < chance:
                return fate
            chosen -= chance
        return "passed"


class LossyRedis(TcpProxy):
    """The Redis of ``url``, but its subscribers do not get what they should."""

    def __init__(self, url: str, faults: Faults) -> None:
        self._redis = urlsplit(url)
        assert self._redis.port is not None
        super().__init__(self._redis.port)
        self._faults = faults

    def layers(self) -> Layers:
        """Return the value of ``CHANNEL_LAYERS``."""
        user, at, _ = self._redis.netloc.rpartition("@")
        url = self._redis._replace(netloc=f"{user}{at}127.0.0.1:{self.port}").geturl()
        return {
            "default": {
                "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
                "CONFIG": {"hosts": [url]},
            }
        }

    async def _pump(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        generation: int,
        *,
        to_server: bool,
    ) -> None:
        if to_server:
            await super()._pump(source, sink, generation, to_server=True)
            return
        loop = asyncio.get_running_loop()
        with suppress(asyncio.IncompleteReadError):  # the server has closed
            while answer := await _value(source):
                delays = self._faults.delays() if _to_subscriber(answer) else [0.0]
                for delay in delays:
                    if delay:
                        loop.call_later(delay, _write, sink, answer)
                    else:
                        _write(sink, answer)
                await sink.drain()


def _write(sink: asyncio.StreamWriter, data: bytes) -> None:
    if not sink.is_closing():
        sink.write(data)


def _to_subscriber(answer: bytes) -> bool:
    """Tell whether this is a published message of a tenant's group, in protocol 2 or 3."""
    return answer[1:].startswith(b"3\r\n$7\r\nmessage\r\n") and GROUP.encode() in answer[:100]


async def _value(source: asyncio.StreamReader) -> bytes:
    """Read one value of Redis's protocol, as it is; nothing at the end."""
    line = await source.readline()
    kind, length = line[:1], line[1:].strip()
    if kind in (b"$", b"=", b"!"):
        return line + (await source.readexactly(int(length) + 2) if int(length) >= 0 else b"")
    if kind in (b"*", b">", b"~", b"%", b"|"):
        count = int(length) * (2 if kind in (b"%", b"|") else 1)
        return line + b"".join([await _value(source) for _ in range(count)])
    return line


class LossyMemoryLayer(InMemoryChannelLayer):
    """Its queues live in the loop that joined first; a message from elsewhere is taken there."""

    def __init__(self, *, faults: Faults, **options: Any) -> None:
        super().__init__(**options)
        self._faults = faults
        self._home: asyncio.AbstractEventLoop | None = None
        self._sending: set[asyncio.Task[None]] = set()

    @staticmethod
    def layers(faults: Faults) -> Layers:
        """Return the value of ``CHANNEL_LAYERS``."""
        backend = f"{__name__}.{LossyMemoryLayer.__name__}"
        return {"default": {"BACKEND": backend, "CONFIG": {"faults": faults}}}

    async def group_add(self, group: str, channel: str) -> None:
        self._home = self._home or asyncio.get_running_loop()
        await super().group_add(group, channel)

    async def group_send(self, group: str, message: dict[str, Any]) -> None:
        home = self._home
        if home is None or home.is_closed():
            return  # nobody has joined
        for delay in self._faults.delays() if group.startswith(GROUP) else [0.0]:
            home.call_soon_threadsafe(home.call_later, delay, self._send_here, group, message)

    def _send_here(self, group: str, message: dict[str, Any]) -> None:
        task = asyncio.ensure_future(super().group_send(group, message))
        self._sending.add(task)
        task.add_done_callback(self._sending.discard)
