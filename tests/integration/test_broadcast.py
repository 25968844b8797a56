"""The broadcast through a real Redis, received by a second layer as another process would."""

import asyncio
import logging
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest
import redis
from channels.layers import channel_layers
from channels_redis.pubsub import RedisPubSubChannelLayer
from django.test import override_settings

from apps.noc.broadcast import CHUNK_BYTES, CHUNK_EVENTS, deliver
from outbox.errors import TransportDown
from outbox.log import LogRow
from tests.unit.test_wire import PAYLOADS

EPOCH = UUID("97f4b8b3-04bc-4811-8b0c-2d95a0be7069")
Layers = dict[str, Any]


def row(seq: int, kind: str = "ticket_updated", tenant: int = 7, **payload: Any) -> LogRow:
    now = datetime(2025, 11, 2, 10, 30, tzinfo=UTC)
    fields = PAYLOADS.get(kind, {}) | payload
    stream, subject = f"tenant:{tenant}", f"ticket:{fields.get('ticket_id')}"
    return LogRow(stream, seq, EPOCH, uuid4(), kind, subject, fields, {}, 1, None, now, now)


def access(seq: int, payload: Any) -> LogRow:
    return replace(row(seq, "access_changed"), stream="access", payload=payload)


def sent(row: LogRow) -> dict[str, Any]:
    return {
        "type": row.type,
        **row.payload,
        "tenant_id": int(row.stream.removeprefix("tenant:")),
        "seq": row.seq,
        "epoch": str(EPOCH),
        "event_id": str(row.event_id),
        "occurred_at": "2025-11-02T10:30:00Z",
    }


@pytest.fixture
def layers() -> Iterator[Callable[[Layers], Any]]:
    """Set the channel layer that the broadcast uses."""
    entered = []

    def use(config: Layers) -> Any:
        setting = override_settings(CHANNEL_LAYERS={"default": config})
        setting.enable()
        entered.append(setting)
        channel_layers.backends = {}
        return channel_layers["default"]

    yield use
    for setting in entered:
        setting.disable()
    channel_layers.backends = {}


@dataclass
class Listener:
    """A layer of its own that listens to groups while ``act`` runs."""

    config: dict[str, Any]

    def hear(
        self, expected: dict[str, int], act: Callable[[], None]
    ) -> dict[str, list[dict[str, Any]]]:
        return asyncio.run(self._hear(expected, act))

    async def _hear(
        self, expected: dict[str, int], act: Callable[[], None]
    ) -> dict[str, list[dict[str, Any]]]:
        layer = RedisPubSubChannelLayer(**self.config)
        names = {}
        for group in [*expected, "ready"]:
            names[group] = await layer.new_channel()
            await layer.group_add(group, names[group])
        # Joined is not yet subscribed: what comes back proves it, on every host.
        clients = [redis.Redis.from_url(host) for host in self.config["hosts"]]
        for group in expected:
            channel = f"{self.config.get('prefix', 'asgi')}__group__{group}"
            async with asyncio.timeout(10):
                while not any(  # noqa: ASYNC110 - only Redis knows
                    client.pubsub_numsub(channel)[0][1] for client in clients
                ):
                    await asyncio.sleep(0.01)
        for client in clients:
            client.close()
        await asyncio.to_thread(act)
        got: dict[str, list[dict[str, Any]]] = {}
        for group, count in expected.items():
            async with asyncio.timeout(10):
                got[group] = [await layer.receive(names[group]) for _ in range(count)]
        # Anything more would have come before this, which follows it on the same connections.
        for group in expected:
            await layer.group_send(group, {"type": "last"})
            async with asyncio.timeout(10):
                assert await layer.receive(names[group]) == {"type": "last"}
        await layer.flush()
        return got


@pytest.fixture
def listener(redis_url: str, layers: Callable[[Layers], Any]) -> Listener:
    layers({"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": hosts(redis_url)})
    return Listener(hosts(redis_url))


def hosts(*urls: str) -> dict[str, Any]:
    return {"hosts": list(urls)}


class TestDeliver:
    def test_sends_one_event_flat_to_its_tenant_and_its_site(self, listener: Listener) -> None:
        one = row(1)

        got = listener.hear(
            {"noc_tenant_7": 1, "noc_site_10": 1, "noc_tenant_70": 0, "noc_site_9": 0},
            lambda: deliver([one]),
        )

        assert got["noc_tenant_7"] == got["noc_site_10"] == [sent(one)]

    def test_sends_several_events_of_a_group_as_one_message_in_order(
        self, listener: Listener
    ) -> None:
        rows = [row(1), row(2, "ticket_edited", site_id=11), row(3), row(1, tenant=8, site_id=80)]

        got = listener.hear(
            {"noc_tenant_7": 1, "noc_site_10": 1, "noc_site_11": 1, "noc_tenant_8": 1},
            lambda: deliver(rows),
        )

        first, second, third, other = map(sent, rows)
        assert got["noc_tenant_7"] == [{"type": "noc_events", "events": [first, second, third]}]
        assert got["noc_site_10"] == [{"type": "noc_events", "events": [first, third]}]
        assert got["noc_site_11"] == [second]
        assert got["noc_tenant_8"] == [other]

    def test_tells_both_sites_of_a_move(self, listener: Listener) -> None:
        moved = row(1, "ticket_moved")

        got = listener.hear({"noc_site_9": 1, "noc_site_10": 1}, lambda: deliver([moved]))

        assert got["noc_site_9"] == got["noc_site_10"] == [sent(moved)]

    def test_sends_what_cannot_be_a_frame_as_event_failed_to_the_tenant_only(
        self, listener: Listener
    ) -> None:
        odd = row(1, "billing_closed", site_id=10)

        got = listener.hear({"noc_tenant_7": 1, "noc_site_10": 0}, lambda: deliver([odd]))

        [message] = got["noc_tenant_7"]
        assert (message["type"], message["event_type"]) == ("event_failed", "billing_closed")
        assert message["seq"] == 1

    def test_passes_over_a_stream_that_is_no_tenants(self, listener: Listener) -> None:
        canary = replace(row(1), stream="canary")

        listener.hear({"noc_tenant_7": 0, "noc_site_10": 0}, lambda: deliver([canary]))

    def test_tells_each_change_of_access_to_its_watchers_and_to_the_user(
        self, listener: Listener
    ) -> None:
        payloads = [{"user_id": 5}, {"user_id": 6}, {"tenant_id": 7}, {"session": "ab12"}]
        rows = [access(seq, payload) for seq, payload in enumerate(payloads, 1)]

        got = listener.hear(
            {"noc_access": 4, "noc_user_5": 1, "noc_user_6": 1, "noc_tenant_7": 0},
            lambda: deliver(rows),
        )

        told = [
            {"type": "access_changed", "seq": seq, "epoch": str(EPOCH), **payload}
            for seq, payload in enumerate(payloads, 1)
        ]
        assert got["noc_access"] == told
        assert got["noc_user_5"] == told[:1]
        assert got["noc_user_6"] == told[1:2]

    @pytest.mark.parametrize("payload", [{}, {"user_id": "5 or so"}, {"session": None}, [5], None])
    def test_passes_over_a_change_of_access_that_concerns_nobody(
        self, listener: Listener, payload: Any
    ) -> None:
        listener.hear({"noc_access": 0}, lambda: deliver([access(1, payload)]))

    def test_cuts_many_events_into_messages_of_limited_size(self, listener: Listener) -> None:
        long = [row(seq, description="x" * 20_000, site_id=None) for seq in range(1, 8)]
        many = [row(seq, tenant=8, site_id=None) for seq in range(1, 2 * CHUNK_EVENTS + 2)]

        got = listener.hear({"noc_tenant_7": 3, "noc_tenant_8": 3}, lambda: deliver([*long, *many]))

        for messages, rows in ((got["noc_tenant_7"], long), (got["noc_tenant_8"], many)):
            chunks = [message.get("events", [message]) for message in messages]
            assert [event for chunk in chunks for event in chunk] == list(map(sent, rows))
            for chunk in chunks:
                assert len(chunk) <= CHUNK_EVENTS
                assert sum(len(event["description"]) for event in chunk) <= CHUNK_BYTES

    def test_works_from_many_threads_at_once(self, listener: Listener) -> None:
        def act() -> None:
            threads = [threading.Thread(target=deliver, args=([row(seq)],)) for seq in range(1, 21)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()

        got = listener.hear({"noc_tenant_7": 20}, act)

        assert sorted(message["seq"] for message in got["noc_tenant_7"]) == list(range(1, 21))

    def test_reaches_the_host_that_the_layer_would_choose(
        self, redis_url: str, layers: Callable[[Layers], Any]
    ) -> None:
        config = {**hosts(redis_url, redis_url), "prefix": "other"}
        layers({"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": config})
        groups = {f"noc_tenant_{tenant}": 1 for tenant in range(1, 17)}

        got = Listener(config).hear(
            groups, lambda: deliver([row(1, tenant=tenant) for tenant in range(1, 17)])
        )

        assert all(len(messages) == 1 for messages in got.values())

    def test_uses_group_send_of_any_other_layer(self, layers: Callable[[Layers], Any]) -> None:
        layer = layers({"BACKEND": "channels.layers.InMemoryChannelLayer"})

        async def scenario() -> list[dict[str, Any]]:
            name = await layer.new_channel()
            await layer.group_add("noc_tenant_7", name)
            await asyncio.to_thread(deliver, [row(1)])
            await asyncio.to_thread(deliver, [row(2), row(3)])
            async with asyncio.timeout(10):
                return [await layer.receive(name), await layer.receive(name)]

        single, several = asyncio.run(scenario())

        assert single["seq"] == 1
        assert [event["seq"] for event in several["events"]] == [2, 3]


class TestAuditTrail:
    def test_has_each_slice_with_the_groups_that_it_went_to(self, listener: Listener) -> None:
        rows = [
            *(row(4), row(5, "ticket_moved"), row(6, site_id=11), row(7, site_id=None)),
            row(2, tenant=8, site_id=80),
            access(3, {"user_id": 5, "tenant_id": 7}),
            replace(row(1), stream="nobody's"),
        ]

        assert deliver(rows) == {
            "tenant:7": {
                "noc_tenant_7": [4, 7, 4],
                "noc_site_10": [4, 5, 2],
                "noc_site_9": [5, 5, 1],
                "noc_site_11": [6, 6, 1],
            },
            "tenant:8": {"noc_tenant_8": [2, 2, 1], "noc_site_80": [2, 2, 1]},
            "access": {"noc_access": [3, 3, 1], "noc_user_5": [3, 3, 1]},
        }

    @pytest.mark.parametrize("kind", list(PAYLOADS))
    def test_is_of_no_other_field_than_those_of_the_list(
        self, listener: Listener, kind: str
    ) -> None:
        """Whatever a payload or a context holds beside them stays in the log."""
        extra = {"note": "internal", "hold_reason": "internal", "assigned_to_id": 5, "email": "x@y"}
        one = replace(row(1, kind, **extra), context={"actor": "user:5", "ip": "10.0.0.1"})
        envelope = {"type", "tenant_id", "seq", "epoch", "event_id", "occurred_at"}

        at_site = int(PAYLOADS[kind].get("site_id") == 10)
        got = listener.hear({"noc_tenant_7": 1, "noc_site_10": at_site}, lambda: deliver([one]))

        for message in (*got["noc_tenant_7"], *got["noc_site_10"]):
            assert set(message) == envelope | set(PAYLOADS[kind])
            assert "internal" not in str(message)


class TestLogs:
    def test_say_that_a_batch_was_sent_in_the_words_of_the_seed(
        self, listener: Listener, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, "apps.noc.broadcast"):
            deliver([row(1, ticket_id=5), row(2, ticket_id=6)])

        [record] = caplog.records
        assert (record.levelname, record.message) == ("INFO", "Ticket update broadcast sent")
        assert (record.ticket_id, record.count) == (5, 2)
        assert (record.first, record.last) == ("tenant:7/1", "tenant:7/2")

    def test_name_the_requests_of_a_batch_once_each_and_not_too_many(
        self, listener: Listener, caplog: pytest.LogCaptureFixture
    ) -> None:
        ids = ["a", "a", None, *(f"r-{number}" for number in range(40))]
        rows = [
            replace(row(seq, "ticket_created"), context={"request_id": id_} if id_ else {})
            for seq, id_ in enumerate(ids, 1)
        ]
        with caplog.at_level(logging.INFO, "apps.noc.broadcast"):
            deliver(rows)

        [record] = caplog.records
        assert (record.message, record.first, record.last) == (
            "Broadcast sent",
            "tenant:7/1",
            "tenant:7/43",
        )
        assert record.request_ids == ["a", *(f"r-{number}" for number in range(19))]
        assert record.more_request_ids == 21

    def test_can_be_written_for_rows_of_any_payload(
        self, listener: Listener, caplog: pytest.LogCaptureFixture
    ) -> None:
        with caplog.at_level(logging.INFO, "apps.noc.broadcast"):
            deliver([replace(row(1), payload=[], context=[]), row(2, ticket_id=6)])

        assert caplog.records[0].ticket_id == 6

    def test_say_once_for_a_batch_that_it_failed_and_the_failure_is_raised(
        self, layers: Callable[[Layers], Any], caplog: pytest.LogCaptureFixture
    ) -> None:
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))  # bound and not listening: connecting is refused
            url = f"redis://127.0.0.1:{nobody.getsockname()[1]}/0"
            layers(
                {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": hosts(url)}
            )
            with pytest.raises(TransportDown, match="ConnectionError"):
                deliver([row(1, ticket_id=5), row(2, ticket_id=6)])

        [record] = [each for each in caplog.records if each.name == "apps.noc.broadcast"]
        assert (record.levelname, record.message) == ("ERROR", "Failed to broadcast ticket update")
        assert record.ticket_id == 5

    def test_a_redis_that_accepts_and_never_answers_is_given_up(
        self, layers: Callable[[Layers], Any]
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as frozen:
            url = f"redis://127.0.0.1:{frozen.getsockname()[1]}/0"
            layers(
                {"BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer", "CONFIG": hosts(url)}
            )
            with pytest.raises(TransportDown, match=r"TimeoutError|ConnectionError"):
                deliver([row(1)])
