"""Dead letters and replays over HTTP: scope, permission, dry run, and what each refusal says."""

import pytest
from django.contrib.auth.models import Permission
from django.db import connection

from apps.tenancy.models import Membership
from outbox import replay
from outbox.models import DeadLetter, Message, Replay
from tests.integration.failures_world import API, die, narrow, record

LETTERS, REPLAYS = f"{API}dead-letters/", f"{API}replays/"


@pytest.fixture
def manager(world, redis_url, api):
    """The admin of tenant a, who may replay."""
    permit(world.a.admin)
    return api(world.a.admin)


@pytest.fixture
def foreigner(world, redis_url, api):
    permit(world.b.admin)
    return api(world.b.admin)


def permit(user):
    user.user_permissions.add(Permission.objects.get(codename="replay_event"))


def ask(client, **body):
    return client.post(REPLAYS, body, format="json")


def plan_of(client, **body):
    answer = ask(client, dry_run=True, **body)
    assert answer.status_code == 200, answer.content
    return answer.json()


def start(client, **body):
    print_of = plan_of(client, **body)["fingerprint"]
    return ask(client, fingerprint=print_of, reason="mended", rate=1000, **body)


def types(client, query=""):
    answer = client.get(f"{LETTERS}?{query}")
    assert answer.status_code == 200, answer.content
    return [row["type"] for row in answer.json()["results"]]


class TestDeadLetters:
    def test_are_listed_newest_first_in_scope(self, world, manager, foreigner):
        die(world.a.tenant, type="first")
        die(world.a.tenant, type="second")
        die(world.b.tenant, type="foreign")

        assert types(manager) == ["second", "first"]
        assert types(foreigner) == ["foreign"]

    def test_are_those_of_ones_sites(self, world, manager):
        die(world.a.tenant, site=world.a.near, type="near")
        die(world.a.tenant, site=world.a.far, type="far")
        die(world.a.tenant, type="nowhere")
        narrow(world.a.admin, world.a.near)

        assert types(manager) == ["near"]
        assert types(manager, f"site={world.a.far.pk}") == []

    @pytest.mark.parametrize(
        ("query", "kept"),
        [
            ("type=first", ["first"]),
            ("reason=poison", ["second", "first"]),
            ("reason=crash", []),
            ("subject=ticket:7", ["second"]),
            ("text=FIRST", ["first"]),
            ("fingerprint=OF_FIRST", ["first"]),
            ("site=NEAR", ["first"]),
            ("since=2020-01-01T00:00:00Z", ["second", "first"]),
            ("until=2020-01-01T00:00:00Z", []),
            ("state=replayed", []),
            ("state=all", ["second", "first"]),
            ("limit=1", ["second"]),
        ],
    )
    def test_are_filtered(self, world, manager, query, kept):
        first = die(world.a.tenant, site=world.a.near, type="first")
        die(world.a.tenant, site=world.a.far, type="second", subject="ticket:7")
        query = query.replace("OF_FIRST", first.fingerprint).replace("NEAR", str(world.a.near.pk))

        assert types(manager, query) == kept

    @pytest.mark.parametrize(
        "query", ["what=1", "state=x", "reason=x", "since=x", "site=x", "site=0", "limit=0",
                  "cursor=x", "type=%00", "text=" + "x" * 201]
    )  # fmt: skip
    def test_refuse_a_query_that_they_do_not_know(self, manager, query):
        answer = manager.get(f"{LETTERS}?{query}")

        assert answer.status_code in (400, 404)
        assert answer["Content-Type"] == "application/problem+json"

    def test_page_by_cursor(self, world, manager):
        for _ in range(5):
            die(world.a.tenant)
        seen, path = [], f"{LETTERS}?limit=2"

        while path is not None:
            page = manager.get(path).json()
            seen += [row["id"] for row in page["results"]]
            path = page["next"]

        assert seen == sorted(seen, reverse=True)
        assert len(seen) == 5

    def test_show_one_with_its_row_and_tries(self, world, manager):
        letter = die(world.a.tenant, site=world.a.near, deep={"a": 1})

        shown = manager.get(f"{LETTERS}{letter.pk}/").json()

        assert shown["payload"] == {"site_id": world.a.near.pk, "deep": {"a": 1}}
        assert (shown["reason"], shown["attempts"], len(shown["tries"])) == ("poison", 1, 1)
        assert set(shown["tries"][0]) >= {"worker", "duration_ms", "error", "traceback"}

    @pytest.mark.parametrize(
        "payload", ['{"n": 1e5000}', '{"n": ' + "[" * 3_000 + "]" * 3_000 + "}", '{"n": 1e400}']
    )
    def test_leave_out_a_payload_that_json_cannot_carry(self, world, manager, payload):
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO outbox_message (lane, stream, type, subject, payload)"
                " VALUES (outbox_lane_of(%(s)s), %(s)s, 'odd', 'thing:1', %(p)s::jsonb)",
                {"s": f"tenant:{world.a.tenant.pk}", "p": payload},
            )
        record(world.a.tenant)
        letter = DeadLetter.objects.only("pk").get()

        shown = manager.get(f"{LETTERS}{letter.pk}/")

        assert shown.status_code == 200
        assert shown.json()["type"] == "odd"
        assert shown.json()["payload"] in (None, {"n": 10**400})

    def test_leave_out_a_payload_that_is_too_large(self, world, manager):
        letter = die(world.a.tenant, blob="x" * 300_000)

        shown = manager.get(f"{LETTERS}{letter.pk}/").json()

        assert shown["payload"] is None
        assert shown["payload_bytes"] > 300_000

    def test_of_another_tenant_are_404_as_if_they_were_not_there(self, world, manager, foreigner):
        letter = die(world.a.tenant)

        for pk in (letter.pk, 999_999, "9" * 40):
            answer = foreigner.get(f"{LETTERS}{pk}/")
            assert answer.status_code == 404
            assert answer.json()["detail"] == f"There is no dead letter {pk} in your scope."
        assert manager.get(f"{LETTERS}{letter.pk}/").status_code == 200

    @pytest.mark.parametrize("who", ["operator", "site_operator", "reader", "guest"])
    def test_need_tenant_admin(self, world, redis_url, api, who):
        letter = die(world.a.tenant)
        client = api(getattr(world.a, who))

        for path in (LETTERS, f"{LETTERS}{letter.pk}/", REPLAYS, f"{REPLAYS}1/"):
            answer = client.get(path)
            assert answer.status_code == 403
            assert "tenant:admin" in answer.json()["detail"]
        assert ask(client, dry_run=True).status_code == 403
        assert api().get(LETTERS).status_code == 401

    def test_are_only_read(self, world, manager):
        letter = die(world.a.tenant)

        for method in ("post", "put", "patch", "delete"):
            assert getattr(manager, method)(f"{LETTERS}{letter.pk}/").status_code == 405


class TestReplays:
    def test_start_with_what_was_looked_at(self, world, manager, foreigner):
        die(world.a.tenant, type="one")
        die(world.a.tenant, type="two")
        die(world.b.tenant, type="one")

        plan = plan_of(manager, filter={"type": "one"}, action="discard")
        assert (plan["total"], plan["ready"], plan["blocked"]) == (1, 1, {})
        assert Replay.objects.count() == 0
        answer = start(manager, filter={"type": "one"}, action="discard")

        assert answer.status_code == 202
        told = answer.json()
        assert (told["state"], told["total"], told["actor"]) == (
            "running",
            1,
            f"user:{world.a.admin.pk}",
        )
        while replay.step():
            pass
        told = manager.get(f"{REPLAYS}{told['id']}/").json()
        assert (told["state"], told["discarded"]) == ("done", 1)
        assert [row["id"] for row in manager.get(REPLAYS).json()["results"]] == [told["id"]]
        assert DeadLetter.objects.filter(state="dead").count() == 2
        assert foreigner.get(REPLAYS).json()["results"] == []

    def test_name_what_is_held_back(self, world, manager):
        die(world.a.tenant)

        plan = plan_of(manager)

        assert (plan["total"], plan["ready"]) == (1, 0)
        [(why, count)] = plan["blocked"].items()
        assert (why in plan["sample"][0]["why"], count) == (True, 1)

    def test_send_delivered_events_again(self, world, manager, foreigner, ticket):
        record(world.a.tenant)
        body = {"source": "log", "filter": {"first_seq": 1, "last_seq": 9}}

        assert plan_of(foreigner, **body)["total"] == 0
        assert start(manager, **body).status_code == 202
        while replay.step():
            pass

        assert Message.objects.get(stream=f"tenant:{world.a.tenant.pk}").replay_of == 1

    def test_take_nothing_of_another_tenant_or_site(self, world, manager):
        foreign = die(world.b.tenant)
        die(world.a.tenant, site=world.a.far)
        narrow(world.a.admin, world.a.near)

        assert plan_of(manager)["total"] == 0
        assert plan_of(manager, filter={"event_ids": [str(foreign.event_id)]})["total"] == 0
        assert plan_of(manager, filter={"site": world.b.near.pk})["total"] == 0

    def test_refuse_a_stale_fingerprint_with_the_new_plan(self, world, manager):
        die(world.a.tenant)
        old = plan_of(manager)["fingerprint"]
        die(world.a.tenant)

        answer = ask(manager, fingerprint=old, reason="mended")

        assert answer.status_code == 409
        assert answer["Content-Type"] == "application/problem+json"
        assert answer.json()["plan"] == plan_of(manager)
        assert Replay.objects.count() == 0

    def test_sent_twice_are_one(self, world, manager):
        die(world.a.tenant)

        first, second = start(manager), start(manager)

        assert first.json()["id"] == second.json()["id"]
        assert Replay.objects.count() == 1

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({"fingerprint": "x"}, "reason"),
            ({"fingerprint": "x", "reason": " "}, "reason"),
            ({"reason": "x"}, "fingerprint"),
            ({"what": 1}, "what"),
            ({"dry_run": True, "filter": {"what": 1}}, "filter.what"),
            ({"dry_run": True, "filter": {"reason": "x"}}, "filter.reason"),
            ({"dry_run": True, "filter": []}, "filter"),
            ({"dry_run": True, "rate": 0}, "rate"),
            ({"dry_run": True, "rate": 50.0}, "rate"),
            ({"dry_run": True, "source": "x"}, "source"),
            ({"dry_run": True, "source": "log", "action": "discard"}, "action"),
            ({"dry_run": True, "filter": {"event_ids": ["x"]}}, "filter.event_ids.0"),
        ],
    )
    def test_name_what_is_wrong(self, world, manager, body, field):
        answer = ask(manager, **body)

        assert answer.status_code == 400
        assert field in [error["field"] for error in answer.json()["errors"]]
        assert Replay.objects.count() == 0

    @pytest.mark.parametrize(
        "body",
        [
            {"source": "log"},
            {"source": "log", "filter": {"first_seq": 1}},
            {"source": "log", "filter": {"first_seq": 1, "last_seq": 2, "reason": "crash"}},
        ],
    )
    def test_of_delivered_events_want_a_range(self, manager, body):
        answer = ask(manager, dry_run=True, **body)

        assert answer.status_code == 400
        assert "dead letters alone" in answer.json()["detail"] or (
            "range" in answer.json()["detail"]
        )

    def test_of_nothing_are_400(self, manager):
        answer = start(manager)

        assert answer.status_code == 400
        assert "nothing is chosen" in answer.json()["detail"]

    def test_too_many_at_once_are_429(self, world, manager):
        for number in range(6):
            die(world.a.tenant, type=f"t{number}")

        answers = [start(manager, filter={"type": f"t{n}"}).status_code for n in range(6)]

        assert answers == [202] * 5 + [429]

    def test_need_the_permission_to_be_asked_for_or_cancelled(self, world, redis_url, api, manager):
        die(world.a.tenant)
        started = start(manager).json()
        world.a.admin.user_permissions.clear()
        client = api(world.a.admin)

        for answer in (
            ask(client, dry_run=True),
            ask(client, fingerprint="x", reason="x"),
            client.post(f"{REPLAYS}{started['id']}/cancel/"),
        ):
            assert answer.status_code == 403
            assert "outbox.replay_event" in answer.json()["detail"]
        assert client.get(f"{REPLAYS}{started['id']}/").json()["state"] == "running"
        assert Replay.objects.count() == 1

    def test_need_the_capability_besides(self, world, manager):
        Membership.objects.filter(user=world.a.admin).update(capabilities=["noc:view"])

        assert ask(manager, dry_run=True).status_code == 403

    def test_are_cancelled(self, world, manager):
        die(world.a.tenant)
        path = f"{REPLAYS}{start(manager).json()['id']}/"

        told = manager.post(f"{path}cancel/").json()

        assert (told["state"], told["cancelled_by"]) == ("cancelled", f"user:{world.a.admin.pk}")
        assert manager.post(f"{path}cancel/").json() == told == manager.get(path).json()
        assert manager.get(f"{path}cancel/").status_code == 405

    def test_of_another_tenant_are_404(self, world, manager, foreigner):
        die(world.a.tenant)
        path = f"{REPLAYS}{start(manager).json()['id']}/"

        for answer in (
            foreigner.get(path),
            foreigner.post(f"{path}cancel/"),
            foreigner.get(f"{REPLAYS}{'9' * 40}/"),
        ):
            assert answer.status_code == 404
        assert Replay.objects.get().state == "running"
