"""The websocket ``/ws/noc/`` on a real server, PostgreSQL and Redis, seen by its clients."""

import json
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import redis
from channels.layers import channel_layers, get_channel_layer
from django.contrib.auth.models import User
from django.db import connection, transaction
from django.test import Client, override_settings
from websockets.exceptions import ConnectionClosed, InvalidStatus

import outbox
from apps.helpdesk import actions
from apps.helpdesk.models import Ticket
from apps.noc.feed import connection as feed_connection
from apps.noc.models import Anomaly, Finding
from tests.integration.feed_world import Viewer, World, served_world

TICKET_KEYS = [
    *("ticket_id", "ticket_no", "priority", "assigned_to", "site_id", "site_name"),
    *("description", "updated_at", "version"),
]


@pytest.fixture
def world(database: None, redis_url: str) -> Iterator[World]:
    with served_world() as made:
        yield made


@pytest.fixture
def operator(world: World) -> User:
    return world.user("operator")


@pytest.fixture
def ticket(world: World, operator: User) -> Ticket:
    made = actions.create_ticket(
        site=world.north, description="No carrier", priority="HIGH", actor=operator
    )
    world.drain()
    return made


def change(ticket: Ticket, to: str) -> None:
    actions.change_status(ticket_id=ticket.pk, to=to, actor=None, reason="tests")


class TestAdmission:
    def test_accepts_a_token_without_an_origin(self, world: World, operator: User) -> None:
        assert world.connect(operator).start()["scope"] == {"sites": "*"}

    def test_accepts_a_session_from_an_allowed_origin(self, world: World, operator: User) -> None:
        viewer = world.open(Cookie=world.session(operator), Origin=world.server.http)

        assert viewer.start()["type"] == "hello"

    @pytest.mark.parametrize(
        "origin",
        [None, "null", "http://evil.example", "http://127.0.0.1:1", "https://{host}", "{url}.evil"],
    )
    def test_refuses_a_session_from_any_other_origin(
        self, world: World, operator: User, origin: str | None
    ) -> None:
        headers = {"Cookie": world.session(operator)}
        if origin is not None:
            url = world.server.http
            headers["Origin"] = origin.format(host=url.removeprefix("http://"), url=url)

        assert refusal(lambda: world.open(**headers)) == 403

    def test_refuses_a_token_from_an_origin_that_is_not_allowed(
        self, world: World, operator: User
    ) -> None:
        assert refusal(lambda: world.connect(operator, Origin="http://evil.example")) == 403

    @pytest.mark.parametrize(
        "authorization", ["Token ", "Token nonsense", "Token a b", "Bearer x", "Basic eDp5"]
    )
    def test_refuses_what_is_no_token_even_with_a_session(
        self, world: World, operator: User, authorization: str
    ) -> None:
        headers = {
            "Authorization": authorization,
            "Cookie": world.session(operator),
            "Origin": world.server.http,
        }

        assert refusal(lambda: world.open(**headers)) == 403

    def test_refuses_a_session_that_was_ended(self, world: World, operator: User) -> None:
        cookie = world.session(operator)
        operator.set_password("another-password")
        operator.save()

        assert refusal(lambda: world.open(Cookie=cookie, Origin=world.server.http)) == 403

    def test_refuses_who_may_not_view(self, world: World) -> None:
        user = world.user("clerk", capabilities=("ticket:write",))

        assert refusal(lambda: world.connect(user)) == 403

    def test_refuses_who_belongs_to_no_tenant(self, world: World) -> None:
        user = User.objects.create_user("nobody")

        assert refusal(lambda: world.connect(user)) == 403

    def test_refuses_other_paths(self, world: World, operator: User) -> None:
        assert refusal(lambda: world.connect(operator, "../other/")) == 403


class TestEvents:
    def test_of_every_kind_arrive_in_order_with_the_fields_of_the_protocol(
        self, world: World, operator: User
    ) -> None:
        viewer = world.connect(operator)
        hello = viewer.start()
        ticket = actions.create_ticket(
            site=world.north, description="é" * 300, priority="HIGH", actor=operator
        )
        change(ticket, "IN_PROGRESS")
        Ticket.objects.filter(pk=ticket.pk).update(priority="LOW")
        Ticket.objects.filter(pk=ticket.pk).update(site=world.south)
        Ticket.objects.filter(pk=ticket.pk).delete()
        Finding.objects.create(tenant=world.acme, site=world.north, title="T", severity="HIGH")
        Anomaly.objects.create(tenant=world.acme, metric="loss", observed=0.5, expected=0)
        world.drain()

        frames = [viewer.next() for _ in range(7)]

        assert [frame["type"] for frame in frames] == [
            *("ticket_created", "ticket_updated", "ticket_edited", "ticket_moved"),
            *("ticket_deleted", "finding_created", "anomaly_detected"),
        ]
        assert [(frame["prev"], frame["seq"]) for frame in frames] == [
            (seq - 1, seq) for seq in range(1, 8)
        ]
        assert {frame["epoch"] for frame in frames} == {hello["epoch"]}
        created, updated, _, moved, deleted, finding, anomaly = frames
        envelope = ["type", "seq", "prev", "epoch", "event_id"]
        assert list(updated) == [
            *envelope,
            *TICKET_KEYS[:2],
            *("old_status", "new_status"),
            *TICKET_KEYS[2:],
        ]
        assert list(created) == [*envelope, *TICKET_KEYS[:2], "status", *TICKET_KEYS[2:]]
        assert (updated["old_status"], updated["new_status"]) == ("NEW", "IN_PROGRESS")
        assert (updated["site_name"], updated["description"]) == ("North", "é" * 200)
        assert updated["updated_at"].endswith("Z")
        assert (moved["old_site_id"], moved["site_id"]) == (world.north.pk, world.south.pk)
        assert deleted.keys() - envelope == {"ticket_id", "ticket_no", "site_id"}
        assert finding["title"] == "T"
        assert (anomaly["site_id"], anomaly["observed"]) == (None, 0.5)

    def test_of_another_tenant_or_site_never_arrive_and_leave_no_gap(
        self, world: World, operator: User
    ) -> None:
        viewer = world.connect(world.user("north", sites=[world.north]))
        stranger = world.connect(world.user("stranger", tenant=world.other))
        assert viewer.start()["scope"] == {"sites": [world.north.pk]}
        stranger.start()
        for site in (world.south, world.north, world.far, world.south, world.south, world.north):
            actions.create_ticket(site=site, description="x", priority="LOW", actor=None)
        Finding.objects.create(tenant=world.acme, title="of the whole tenant")
        world.drain()

        frames = [viewer.next(), viewer.next()]
        far = stranger.next()

        assert [(frame["prev"], frame["seq"]) for frame in frames] == [(0, 2), (2, 5)]
        assert {frame["site_id"] for frame in frames} == {world.north.pk}
        assert (far["site_id"], far["seq"]) == (world.far.pk, 1)
        for each in (viewer, stranger):
            each.say("nonsense")  # what is answered next has nothing before it
            assert each.next()["code"] == "bad_message"

    def test_of_a_move_tell_each_scope_what_it_may_know(self, world: World, ticket: Ticket) -> None:
        north = world.connect(world.user("north", sites=[world.north]))
        south = world.connect(world.user("south", sites=[world.south]))
        north.start()
        south.start()

        Ticket.objects.filter(pk=ticket.pk).update(site=world.south)
        world.drain()

        left, came = north.next(), south.next()
        assert left["site_id"] == world.north.pk
        assert "description" not in left
        assert "South" not in json.dumps(left)
        assert (came["site_id"], came["site_name"]) == (world.south.pk, "South")

    def test_that_cannot_be_frames_keep_their_place(self, world: World, operator: User) -> None:
        viewer = world.connect(operator)
        viewer.start()
        for kind in ("billing_closed", "ticket_updated"):
            with transaction.atomic():
                outbox.publish(
                    kind,
                    stream=world.stream(world.acme),
                    subject="bill:1",
                    payload={"ticket_id": 1},
                )
        world.drain()

        frames = [viewer.next(), viewer.next()]

        assert [(frame["type"], frame["event_type"], frame["seq"]) for frame in frames] == [
            ("event_failed", "billing_closed", 1),
            ("event_failed", "ticket_updated", 2),
        ]

    def test_that_the_layer_lost_arrive_from_the_log(
        self, world: World, operator: User, ticket: Ticket
    ) -> None:
        viewer = world.connect(operator)
        viewer.start()

        change(ticket, "IN_PROGRESS")
        world.record_unheard()
        change(ticket, "RESOLVED")
        world.drain()  # the layer tells of this one only

        frames = [viewer.next(), viewer.next()]
        assert [frame["new_status"] for frame in frames] == ["IN_PROGRESS", "RESOLVED"]
        assert [frame["seq"] for frame in frames] == [2, 3]

    def test_that_nothing_follows_arrive_although_the_layer_lost_them(
        self, world: World, operator: User, ticket: Ticket
    ) -> None:
        viewer = world.connect(operator)
        viewer.start()

        change(ticket, "IN_PROGRESS")
        world.record_unheard()

        assert viewer.next()["seq"] == 2

    def test_arrive_while_there_is_no_redis(
        self, world: World, operator: User, ticket: Ticket
    ) -> None:
        dead = {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": ["redis://127.0.0.1:1/0"]},
        }
        with override_settings(CHANNEL_LAYERS={"default": dead}):
            channel_layers.backends = {}
            viewer = world.connect(operator)
            viewer.start()
            change(ticket, "IN_PROGRESS")
            world.drain()

            assert viewer.next()["seq"] == 2
        channel_layers.backends = {}

    def test_are_sent_once_whatever_the_layer_repeats_or_swaps(
        self, world: World, operator: User, ticket: Ticket, redis_url: str
    ) -> None:
        viewer = world.connect(operator)
        viewer.start()
        heard = []
        with redis.Redis.from_url(redis_url) as client, client.pubsub() as spy:
            channel = f"asgi__group__noc_tenant_{world.acme.pk}"
            spy.subscribe(channel)
            spy.get_message(timeout=5)
            for status in ("IN_PROGRESS", "RESOLVED"):
                change(ticket, status)
                world.drain()
                heard.append(spy.get_message(timeout=5)["data"])
            for message in (*heard, *reversed(heard)):
                client.publish(channel, message)
        change(ticket, "CLOSED")
        world.drain()

        frames = [viewer.next() for _ in range(3)]
        assert [frame["seq"] for frame in frames] == [2, 3, 4]


class TestCursor:
    @pytest.fixture
    def five(self, world: World, ticket: Ticket) -> list[int]:
        for status in ("IN_PROGRESS", "RESOLVED", "IN_PROGRESS", "RESOLVED"):
            change(ticket, status)
        world.drain()
        return [1, 2, 3, 4, 5]

    def test_none_given_starts_at_the_head(
        self, world: World, operator: User, five: list[int]
    ) -> None:
        hello, synced = world.connect(operator).until("synced")

        assert (hello["head"], synced["seq"]) == (5, 5)

    @pytest.mark.parametrize(
        ("query", "reason"),
        [
            ("?after_seq=2", "epoch"),
            ("?epoch={epoch}", "epoch"),
            ("?after_seq=-1&epoch={epoch}", "epoch"),
            ("?after_seq=1e3&epoch={epoch}", "epoch"),
            ("?after_seq=99999999999999999999&epoch={epoch}", "epoch"),
            ("?after_seq=&epoch=", "epoch"),
        ],
    )
    def test_that_is_no_place_in_the_log_is_answered_by_reset(
        self, world: World, operator: User, five: list[int], query: str, reason: str
    ) -> None:
        viewer = world.connect(operator, query.format(epoch=world.head().epoch))

        reset = viewer.until("reset")[-1]

        epoch = str(world.head().epoch)
        assert reset == {
            "type": "reset",
            "reason": reason,
            "epoch": epoch,
            "head": 5,
            "min_seq": 1,
        }
        change(Ticket.objects.get(), "CLOSED")
        world.drain()  # nothing of this is sent before the client says where it stands
        viewer.say({"type": "resume", "after_seq": 5, "epoch": epoch})
        # The event may be news when the resume is answered, or history.
        assert {viewer.next()["type"], viewer.next()["type"]} == {"ticket_updated", "synced"}

    def test_set_twice_at_once_is_answered_twice(
        self, world: World, operator: User, five: list[int]
    ) -> None:
        viewer = world.connect(operator)
        epoch = viewer.start()["epoch"]

        for after_seq in (2, 4):
            viewer.say({"type": "resume", "after_seq": after_seq, "epoch": epoch})

        assert [frame["seq"] for frame in viewer.until("synced")] == [3, 4, 5, 5]
        assert [frame["seq"] for frame in viewer.until("synced")] == [5, 5]

    def test_is_reset_when_the_log_is_replaced(
        self, world: World, operator: User, ticket: Ticket
    ) -> None:
        viewer = world.connect(operator)
        old = viewer.start()["epoch"]

        with connection.cursor() as cursor:
            cursor.execute("UPDATE outbox_stream SET epoch = gen_random_uuid()")

        [reset] = viewer.until("reset")
        assert reset["reason"] == "epoch"
        assert reset["epoch"] != old


class TestSubscribe:
    def test_narrows_to_some_sites_and_never_widens(self, world: World, operator: User) -> None:
        viewer = world.connect(operator)
        viewer.start()

        viewer.say({"type": "subscribe", "sites": [world.north.pk, world.far.pk]})
        assert viewer.next() == {"type": "synced", "seq": 0}
        viewer.say({"type": "subscribe", "sites": [world.north.pk, world.south.pk, world.far.pk]})
        assert viewer.next()["type"] == "synced"
        for site in (world.south, world.far, world.north):
            actions.create_ticket(site=site, description="x", priority="LOW", actor=None)
        world.drain()

        frame = viewer.next()
        assert (frame["site_id"], frame["prev"], frame["seq"]) == (world.north.pk, 0, 2)


class TestInbound:
    @pytest.mark.parametrize(
        ("text", "code"),
        [
            ("nonsense", "bad_message"),
            ("[]", "bad_message"),
            ("[" * 4000, "bad_message"),
            ('{"type":"shout"}', "bad_message"),
            ('{"type":"ack","seq":"1"}', "bad_message"),
            ('{"type":"subscribe","sites":["1"]}', "bad_message"),
            ('{"type":"pong","seq":1,"pad":"' + "x" * 4096 + '"}', "bad_message"),
            ('{"type":"resume","after_seq":-1,"epoch":"e"}', "bad_cursor"),
            ('{"type":"resume","after_seq":1}', "bad_cursor"),
        ],
    )
    def test_that_is_not_of_the_protocol_is_answered_and_harms_nothing(
        self, world: World, operator: User, ticket: Ticket, text: str, code: str
    ) -> None:
        viewer = world.connect(operator)
        viewer.start()

        viewer.say(text)

        error = viewer.next()
        assert (error["type"], error["code"], error["temporary"]) == ("error", code, False)
        change(ticket, "IN_PROGRESS")
        world.drain()
        assert viewer.next()["seq"] == 2

    def test_binary_is_refused(self, world: World, operator: User) -> None:
        viewer = world.connect(operator)
        viewer.start()

        viewer.socket.send(b"{}")

        assert viewer.next()["code"] == "bad_message"

    def test_pong_and_ack_are_taken_in_silence(self, world: World, operator: User) -> None:
        viewer = world.connect(operator)
        viewer.start()

        viewer.say({"type": "pong", "seq": 0})
        viewer.say({"type": "ack", "seq": 10_000})
        viewer.say("nonsense")

        assert viewer.next()["code"] == "bad_message"

    def test_above_the_rate_is_told_and_then_ended(self, world: World, operator: User) -> None:
        viewer = world.connect(operator)
        viewer.start()

        def flood() -> None:
            try:
                for _ in range(2_000):
                    viewer.say({"type": "ack", "seq": 0})
            except ConnectionClosed:
                pass

        thread = threading.Thread(target=flood)
        thread.start()
        *_, bye = viewer.until("bye")
        thread.join()

        assert bye["code"] == 4101
        assert bye["retry_after_ms"] > 0
        with pytest.raises(ConnectionClosed) as closed:
            viewer.next()
        assert closed.value.rcvd.code == 4101


class TestPing:
    def test_tells_head_and_position(
        self, world: World, operator: User, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("apps.noc.feed.control.PING_SECONDS", 0.2)
        viewer = world.connect(operator)
        viewer.start()

        ping = viewer.until("ping")[-1]

        assert (ping["head"], ping["pos"]) == (1, 1)
        assert ping["t"].endswith("Z")


class TestLeavingNothing:
    """What a connection subscribed to is gone with it (channels_redis would keep it)."""

    @pytest.fixture(autouse=True)
    def _leaves_at_once(self) -> Iterator[None]:
        with override_settings(FEED={"linger_seconds": 0}):
            yield

    def test_behind_when_clients_vanish(
        self, world: World, operator: User, ticket: Ticket, redis_url: str
    ) -> None:
        viewers = [world.connect(operator) for _ in range(5)]
        for viewer in viewers:
            viewer.start()
        with redis.Redis.from_url(redis_url) as client:
            group = f"asgi__group__noc_tenant_{world.acme.pk}".encode()
            eventually(lambda: group in client.pubsub_channels("asgi*"))
            # its channel, the tenant and the changes of rights: for all sockets together
            eventually(lambda: len(client.pubsub_channels("*")) == 3)

            for viewer in viewers[:3]:
                viewer.socket.socket.close()  # no goodbye
            change(ticket, "IN_PROGRESS")
            world.drain()
            for viewer in viewers[3:]:
                viewer.socket.close()

            eventually(lambda: client.pubsub_channels("*") == [])
            eventually(lambda: metrics()["noc_feed_connections"] == 0)

    def test_behind_when_serving_one_fails(
        self, world: World, operator: User, ticket: Ticket, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        well = world.connect(operator)
        well.start()

        def fail(*_: object, **__: object) -> None:
            raise ValueError("a fault in the pump")

        with monkeypatch.context() as broken:
            broken.setattr(feed_connection.control, "hello", fail)
            ill = world.connect(operator)
            with pytest.raises(ConnectionClosed) as closed:
                ill.next()

        assert closed.value.rcvd.code == 1011
        eventually(lambda: metrics()["noc_feed_connections"] == 1)
        change(ticket, "IN_PROGRESS")
        world.drain()
        assert well.next()["seq"] == 2

    def test_behind_when_a_layer_message_is_malformed(
        self, world: World, operator: User, ticket: Ticket, redis_url: str
    ) -> None:
        viewer = world.connect(operator)
        viewer.start()
        layer = get_channel_layer()
        channel = f"asgi__group__noc_tenant_{world.acme.pk}"
        with redis.Redis.from_url(redis_url) as client:
            for odd in ({"type": "noc_events"}, {"type": "_x"}, {"type": "unknown"}, {}):
                client.publish(channel, layer.serialize(odd))

        change(ticket, "IN_PROGRESS")
        world.drain()

        assert viewer.next()["seq"] == 2


class TestMetrics:
    def test_count_each_frame_and_measure_its_delivery(
        self, world: World, operator: User, ticket: Ticket
    ) -> None:
        viewer = world.connect(operator)
        viewer.start()
        before = metrics()
        change(ticket, "IN_PROGRESS")
        world.drain()
        viewer.next()

        sent = (
            'websocket_message_sent_total{consumer="noc",message_type="ticket_updated",'
            'new_status="IN_PROGRESS",old_status="NEW"}'
        )
        count = "websocket_message_delivery_seconds_count"
        eventually(lambda: metrics().get(sent, 0) == before.get(sent, 0) + 1)
        eventually(lambda: metrics()[count] == before[count] + 1)
        assert metrics()["noc_feed_connections"] == 1

    def test_are_for_this_host_and_staff(self, database: None) -> None:
        staff = User.objects.create_user("staff", is_staff=True)
        clients = {
            name: Client(REMOTE_ADDR="203.0.113.9") for name in ("stranger", "user", "staff")
        }
        clients["user"].force_login(User.objects.create_user("user"))
        clients["staff"].force_login(staff)

        answers = {name: client.get("/metrics").status_code for name, client in clients.items()}

        assert answers == {"stranger": 403, "user": 403, "staff": 200}
        assert Client(REMOTE_ADDR="::ffff:127.0.0.1").get("/metrics").status_code == 200


def metrics() -> dict[str, float]:
    lines = Client().get("/metrics").content.decode().splitlines()
    samples = (line.rpartition(" ") for line in lines if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def refusal(open_: Callable[[], Viewer]) -> int:
    with pytest.raises(InvalidStatus) as refused:
        open_()
    status: int = refused.value.response.status_code
    return status


def eventually(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "not in time"
        time.sleep(0.02)
