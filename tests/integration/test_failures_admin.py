"""Dead letters and replays in the admin: scope, permissions, dry run, and once whoever confirms."""

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection, connections
from django.test import Client

from apps.helpdesk.actions import change_status, create_ticket
from apps.tenancy.models import Membership
from outbox import dead_letters, heartbeat, replay
from outbox.models import Attempt, DeadLetter, Message, Replay
from outbox.models import LogEntry as Logged
from tests.integration.failures_world import (
    LETTERS,
    REPLAYS,
    confirm,
    die,
    dry_run,
    narrow,
    record,
    staff,
    text_of,
)

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\u202e{{ 7|add:7 }}"


def messages() -> int:
    return Message.objects.filter(stream__startswith="tenant:").count()


def finish() -> None:
    while replay.step():
        pass


class TestList:
    def test_shows_the_own_tenant_to_its_admin(self, world, admin_of_a, root):
        die(world.a.tenant, type="of_a")
        die(world.b.tenant, type="of_b")

        mine, all_of_them = text_of(admin_of_a.get(LETTERS)), text_of(root.get(LETTERS))

        assert "of_a" in mine
        assert "of_b" not in mine
        assert f"tenant:{world.b.tenant.pk}" not in mine
        assert "of_a" in all_of_them
        assert "of_b" in all_of_them

    def test_shows_the_own_sites_to_an_admin_of_some(self, world, admin_of_a):
        die(world.a.tenant, site=world.a.near, type="at_near")
        die(world.a.tenant, site=world.a.far, type="at_far")
        die(world.a.tenant, type="of_no_site")
        narrow(world.a.admin, world.a.near)

        text = text_of(admin_of_a.get(LETTERS))

        assert "at_near" in text
        assert "at_far" not in text
        assert "of_no_site" not in text
        assert 'data-tile="dead"><dt>Dead</dt><dd><strong>1</strong>' in text

    def test_shows_nothing_to_an_admin_of_no_site(self, world, admin_of_a):
        die(world.a.tenant, site=world.a.near, type="at_near")
        narrow(world.a.admin)

        assert "at_near" not in text_of(admin_of_a.get(LETTERS))

    @pytest.mark.parametrize("capabilities", [["noc:view"], ["tenant:admin"], []])
    def test_needs_the_capabilities(self, world, admin_of_a, capabilities):
        letter = die(world.a.tenant)
        Membership.objects.filter(user=world.a.admin).update(capabilities=capabilities)

        for path in pages(letter):
            assert admin_of_a.get(path).status_code == 403, path

    def test_needs_the_permission_to_view(self, world, redis_url):
        letter = die(world.a.tenant)
        client = staff(world.a.admin, without="view_deadletter")

        for path in ("", "causes/", "replay/", f"{letter.pk}/change/"):
            assert client.get(LETTERS + path).status_code == 403, path

    @pytest.mark.parametrize(
        ("query", "kept"),
        [
            ("type=first", "first"),
            ("reason=poison&subject=7", "second"),
            ("subject=ticket:7", "second"),
            ("site=NEAR", "first"),
            ("text=TYPE+'first'", "first"),
            ("fingerprint=OF_FIRST", "first"),
            ("ids=ID_OF_FIRST", "first"),
            ("since=2020-01-01T00:00:00&type=first", "first"),
            ("reason=crash", None),
            ("until=2020-01-01T00:00:00", None),
            ("state=replayed", None),
            ("site=FOREIGN", None),
            ("state=all&type=second", "second"),
        ],
    )
    def test_filters(self, world, admin_of_a, query, kept):
        first = die(world.a.tenant, site=world.a.near, type="first")
        die(world.a.tenant, site=world.a.far, type="second", subject="ticket:7")
        query = (
            query.replace("NEAR", str(world.a.near.pk))
            .replace("FOREIGN", str(world.b.near.pk))
            .replace("ID_OF_FIRST", str(first.pk))
            .replace("OF_FIRST", first.fingerprint)
        )

        answer = admin_of_a.get(f"{LETTERS}?{query}")

        shown = [letter.type for letter in answer.context["cl"].result_list]
        assert shown == ([kept] if kept else [])

    @pytest.mark.parametrize(
        "query",
        ["state=x", "reason=x", "since=yesterday", "ids=x", "ids=1,,2", "site=x", "tenant=x",
         "fingerprint=" + "x" * 99, "subject=%00", "p=9", "p=x", "o=1", "q=x", "what=1",
         "ids=" + "9" * 18,
         "since=0001-01-01T00:00:00%2B14:00", "until=9999-12-31T23:59:59-14:00", "subject=-1",
         "since=10000-01-01", "ids=1%0A", "site=" + "9" * 40, "text=%25_'%22",
         "type=%ED%A0%80"],
    )  # fmt: skip
    @pytest.mark.parametrize("path", ["", "replay/"])
    def test_of_any_query_is_no_500(self, world, root, admin_of_a, path, query):
        for client in (root, admin_of_a):
            client.raise_request_exception = False

            assert client.get(f"{LETTERS}{path}?{query}").status_code in (200, 302, 400, 404)

    def test_groups_by_cause(self, world, admin_of_a, root):
        for number in range(3):
            die(world.a.tenant, type="one", n=number)
        die(world.a.tenant, type="other")
        die(world.b.tenant, type="one")

        text = text_of(admin_of_a.get(f"{LETTERS}causes/"))

        assert "3 events, one cause" in text
        assert "1 event, one cause" in text
        assert "4 dead events, 2 causes" in text
        assert "4 events, one cause" in text_of(root.get(f"{LETTERS}causes/"))

    def test_is_only_read(self, world, root):
        letter = die(world.a.tenant)
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM outbox_dead_letter")
            before = cursor.fetchall()

        assert root.get(f"{LETTERS}add/").status_code == 403
        assert root.post(f"{LETTERS}add/", {}).status_code == 403
        assert root.post(f"{LETTERS}{letter.pk}/change/", {"error": "x"}).status_code == 403
        assert root.post(f"{LETTERS}{letter.pk}/delete/", {"post": "yes"}).status_code == 403
        assert "delete_selected" not in text_of(root.get(LETTERS))
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM outbox_dead_letter")
            assert cursor.fetchall() == before


def pages(letter):
    return [LETTERS, f"{LETTERS}causes/", f"{LETTERS}replay/", f"{LETTERS}{letter.pk}/change/",
            REPLAYS, f"{REPLAYS}delivered/"]  # fmt: skip


class TestDetail:
    def test_shows_the_row_the_attempts_and_the_links(self, world, admin_of_a, ticket):
        record(world.a.tenant)
        letter = die(world.a.tenant, subject=f"ticket:{ticket.pk}", deep={"a": [1, 2]})

        text = text_of(admin_of_a.get(f"{LETTERS}{letter.pk}/change/"))

        assert "is unknown to this release" in text
        assert "&quot;deep&quot;" in text
        assert text.count('class="attempt"') == 1
        assert Attempt.objects.get(event_id=letter.event_id).worker in text
        assert f'href="/admin/helpdesk/ticket/{ticket.pk}/change/"' in text
        assert f"receipts/?tenant={world.a.tenant.pk}&amp;seq={letter.seq}" in text
        assert f"noc_tenant_{world.a.tenant.pk}" in text
        assert f"replay/?ids={letter.pk}" in text

    def test_leads_a_superuser_to_the_task_of_an_attempt(self, world, admin_of_a, root, settings):
        with heartbeat.doing("0f2c6f0e-1d7d-4f5c-9a53-6f9a5b1c2d3e"):
            letter = die(world.a.tenant)
        page = f"{LETTERS}{letter.pk}/change/"
        link = 'href="https://flower.example.com/task/0f2c6f0e-1d7d-4f5c-9a53-6f9a5b1c2d3e"'

        assert link not in text_of(root.get(page))
        settings.FLOWER_URL = "https://flower.example.com"
        assert link in text_of(root.get(page))
        text = text_of(admin_of_a.get(page))
        assert link not in text
        assert "task 0f2c6f0e" in text

    def test_says_what_the_ticket_has_moved_to(self, world, admin_of_a, ticket):
        record(world.a.tenant)
        event = Logged.objects.get(type="ticket_created")
        bury(event)
        change_status(ticket_id=ticket.pk, to="IN_PROGRESS")
        letter = DeadLetter.objects.get()

        text = text_of(admin_of_a.get(f"{LETTERS}{letter.pk}/change/"))

        assert "the ticket has since moved to version 2" in text

    def test_leads_to_no_ticket_out_of_scope(self, world, admin_of_a, ticket):
        foreign = create_ticket(site=world.b.near, description="x")
        letter = die(world.a.tenant, subject=f"ticket:{foreign.pk}")

        text = text_of(admin_of_a.get(f"{LETTERS}{letter.pk}/change/"))

        assert "/admin/helpdesk/ticket/" + str(foreign.pk) not in text

    def test_shows_hostile_text_as_text(self, world, admin_of_a):
        letter = die(world.a.tenant, type=HOSTILE[:60], subject=HOSTILE, said=HOSTILE)

        for path in ("", f"{letter.pk}/change/", "causes/", f"replay/?ids={letter.pk}"):
            text = text_of(admin_of_a.get(LETTERS + path))
            assert "<script>alert" not in text, path
            assert "<img" not in text, path
            seen = re.sub(r'aria-label="[^"]*"', "", text)
            assert "\u202e" not in seen, path
        assert "{{ 7|add:7 }}" in text_of(admin_of_a.get(f"{LETTERS}{letter.pk}/change/"))

    def test_cuts_a_large_payload(self, world, admin_of_a):
        letter = die(world.a.tenant, blob="x" * 3_000_000)

        answer = admin_of_a.get(f"{LETTERS}{letter.pk}/change/")

        assert len(answer.content) < 60_000
        assert "Cut after 20000 of" in text_of(answer)

    @pytest.mark.parametrize("path", ["", "causes/"])
    def test_of_another_tenant_is_not_found(self, world, admin_of_a, path):
        foreign = die(world.b.tenant)

        for pk in (foreign.pk, 999_999, "x", "9" * 40, f"{foreign.pk}%00"):
            answer = admin_of_a.get(f"{LETTERS}{pk}/change/")
            assert answer.status_code in (400, 404), pk
            assert "unheard_of" not in text_of(answer)

    def test_hides_the_attempts_from_who_may_not_view_them(self, world, redis_url):
        letter = die(world.a.tenant)
        client = staff(world.a.admin, without="view_attempt")

        text = text_of(client.get(f"{LETTERS}{letter.pk}/change/"))

        assert 'class="attempt"' not in text
        assert "permission to view attempts" in text


def bury(event):
    """File an event that is in the log as the sink's failure."""
    from datetime import UTC, datetime

    from outbox import log
    from outbox.session import relay_session

    [row] = [r for r in log.read(event.stream, event.seq - 1, 1) if r.seq == event.seq]
    attempt = dead_letters.Attempt(
        row=row, number=3, reason="sink_error", started_at=datetime.now(UTC), error="Boom: no"
    )
    with relay_session() as session:
        dead_letters.bury(session.connection, [attempt])


class TestReplay:
    def test_shows_first_and_starts_when_confirmed(self, world, admin_of_a, ticket):
        record(world.a.tenant)
        bury(Logged.objects.get(type="ticket_created"))

        page = dry_run(admin_of_a, "")
        plan = page.context["plan"]
        assert (plan.total, plan.ready) == (1, 1)
        assert (Replay.objects.count(), messages()) == (0, 0)
        answer = confirm(admin_of_a, "", fingerprint=plan.fingerprint)

        row = Replay.objects.get()
        assert answer["Location"] == f"{REPLAYS}{row.pk}/change/"
        assert (row.actor, row.reason) == (f"user:{world.a.admin.pk}", "the type is known now")
        assert row.stream == f"tenant:{world.a.tenant.pk}"
        assert LogEntry.objects.get().user == world.a.admin
        finish()
        row.refresh_from_db()
        assert (row.state, row.replayed, messages()) == ("done", 1, 1)
        text = text_of(admin_of_a.get(f"{REPLAYS}{row.pk}/change/"))
        assert "Done" in text
        letter = DeadLetter.objects.get()
        detail = text_of(admin_of_a.get(f"{LETTERS}{letter.pk}/change/"))
        assert f'<a href="{REPLAYS}{row.pk}/change/">replay {row.pk}</a>' in detail
        assert "admin-a" in detail

    def test_names_what_is_held_back_and_forces_it(self, world, admin_of_a, ticket):
        record(world.a.tenant)
        bury(Logged.objects.get(type="ticket_created"))
        change_status(ticket_id=ticket.pk, to="IN_PROGRESS")

        page = dry_run(admin_of_a, "")
        forced = dry_run(admin_of_a, "force=1")

        assert "the ticket has since moved to version 2" in text_of(page)
        assert (page.context["plan"].ready, forced.context["plan"].ready) == (0, 1)
        answer = confirm(admin_of_a, "", fingerprint=forced.context["plan"].fingerprint, force="1")
        assert answer.status_code == 302
        assert Replay.objects.get().forced

    def test_discards(self, world, admin_of_a):
        letter = die(world.a.tenant)
        plan = dry_run(admin_of_a, "action=discard").context["plan"]

        confirm(admin_of_a, "", fingerprint=plan.fingerprint, action="discard")
        finish()

        letter.refresh_from_db()
        assert (letter.state, messages()) == ("discarded", 0)

    def test_takes_the_filter_of_the_list_and_nothing_else(self, world, admin_of_a):
        die(world.a.tenant, type="one")
        die(world.a.tenant, type="two")
        die(world.b.tenant, type="one")

        page = dry_run(admin_of_a, "type=one")

        assert [each.type for each in page.context["plan"].sample] == ["one"]
        assert "Replay all 1 that match" in text_of(admin_of_a.get(f"{LETTERS}?type=one"))

    def test_takes_no_foreign_ids_or_tenant(self, world, admin_of_a):
        foreign = die(world.b.tenant)

        for query in (f"ids={foreign.pk}", f"tenant={world.b.tenant.pk}", "state=all"):
            assert dry_run(admin_of_a, query).context["plan"].total == 0, query

    def test_takes_only_the_own_sites(self, world, admin_of_a):
        die(world.a.tenant, site=world.a.near)
        die(world.a.tenant, site=world.a.far)
        die(world.a.tenant)
        narrow(world.a.admin, world.a.near)

        assert dry_run(admin_of_a, "").context["plan"].total == 1
        assert dry_run(admin_of_a, f"site={world.a.near.pk}").context["plan"].total == 1

    def test_of_the_selected_goes_to_their_dry_run(self, world, admin_of_a):
        letters = [die(world.a.tenant) for _ in range(3)]
        foreign = die(world.b.tenant)
        chosen = [letters[0].pk, letters[2].pk, foreign.pk]

        answer = admin_of_a.post(
            LETTERS, {"action": "replay_selected", "_selected_action": chosen}, follow=True
        )

        assert answer.context["plan"].total == 2
        assert Replay.objects.count() == 0

    def test_of_all_across_pages_takes_the_filter(self, world, admin_of_a):
        letter = die(world.a.tenant, type="one")
        die(world.a.tenant, type="two")

        answer = admin_of_a.post(
            f"{LETTERS}?type=one",
            {"action": "replay_selected", "_selected_action": [letter.pk], "select_across": "1"},
        )

        assert answer["Location"] == f"{LETTERS}replay/?type=one"

    def test_is_never_started_by_get(self, world, admin_of_a):
        die(world.a.tenant)
        plan = dry_run(admin_of_a, "").context["plan"]

        query = f"fingerprint={plan.fingerprint}&reason=x&rate=50&action=discard"
        admin_of_a.get(f"{LETTERS}replay/?{query}")
        admin_of_a.get(f"{LETTERS}?action=replay_selected&_selected_action=1")

        assert Replay.objects.count() == 0

    def test_is_refused_without_its_permission(self, world, redis_url):
        letter = die(world.a.tenant)
        client = staff(world.a.admin, without="replay_event")
        fingerprint = replay.plan(replay.Choice()).fingerprint
        chosen = {"action": "replay_selected", "_selected_action": [letter.pk]}

        assert client.get(LETTERS).status_code == 200
        assert (
            "Replay"
            not in text_of(client.get(LETTERS))
            .split('id="changelist"')[0]
            .split('class="tiles"')[1]
        )
        assert client.get(f"{LETTERS}replay/").status_code == 403
        assert confirm(client, "", fingerprint=fingerprint).status_code == 403
        client.post(LETTERS, chosen)
        path = f"{REPLAYS}delivered/"
        query = "first_seq=1&last_seq=9"
        assert client.get(f"{path}?{query}").status_code == 403
        assert confirm(client, query, fingerprint="x", path=path).status_code == 403
        assert Replay.objects.count() == 0

    def test_is_refused_without_the_token_against_forgery(self, world, admin_of_a):
        die(world.a.tenant)
        plan = dry_run(admin_of_a, "").context["plan"]
        client = Client(enforce_csrf_checks=True)
        client.force_login(world.a.admin)

        assert confirm(client, "", fingerprint=plan.fingerprint).status_code == 403
        assert Replay.objects.count() == 0

    @pytest.mark.parametrize(
        "change", [{"reason": ""}, {"reason": " "}, {"rate": 0}, {"rate": 1001}, {"rate": "x"},
                   {"reason": "x" * 1001}]
    )  # fmt: skip
    def test_wants_a_reason_and_a_rate(self, world, admin_of_a, change):
        die(world.a.tenant)
        plan = dry_run(admin_of_a, "action=discard").context["plan"]

        answer = confirm(admin_of_a, "", fingerprint=plan.fingerprint, action="discard", **change)

        assert "errorlist" in text_of(answer)
        assert Replay.objects.count() == 0

    def test_refuses_a_stale_confirmation_and_shows_the_new_dry_run(self, world, admin_of_a):
        die(world.a.tenant)
        plan = dry_run(admin_of_a, "action=discard").context["plan"]
        die(world.a.tenant)

        answer = confirm(
            admin_of_a, "", fingerprint=plan.fingerprint, reason="keep me", action="discard"
        )

        assert answer.status_code == 409
        text = text_of(answer)
        assert "2 are chosen now" in text
        assert "keep me" in text
        assert answer.context["plan"].fingerprint in text
        assert plan.fingerprint not in text
        assert Replay.objects.count() == 0

    def test_of_what_is_replayed_already_chooses_nothing(self, world, admin_of_a):
        letter = die(world.a.tenant)
        plan = dry_run(admin_of_a, "action=discard").context["plan"]
        confirm(admin_of_a, "", fingerprint=plan.fingerprint, action="discard")
        finish()

        again = dry_run(admin_of_a, f"ids={letter.pk}")

        assert again.context["plan"].total == 0
        assert "replayed or discarded already" in text_of(again)
        answer = confirm(
            admin_of_a, f"ids={letter.pk}", fingerprint=again.context["plan"].fingerprint
        )
        assert answer.status_code == 400
        assert Replay.objects.count() == 1

    def test_confirmed_by_two_at_once_happens_once(self, world, root, admin_of_a, ticket):
        record(world.a.tenant)
        bury(Logged.objects.get(type="ticket_created"))
        stream = f"tenant={world.a.tenant.pk}"
        looked = [
            (client, query, dry_run(client, query).context["plan"].fingerprint)
            for client, query in ((admin_of_a, ""), (admin_of_a, ""), (root, stream), (root, ""))
        ]
        start = threading.Barrier(len(looked))

        def both(client, query, fingerprint):
            start.wait(20)
            try:
                return confirm(client, query, fingerprint=fingerprint).status_code
            finally:
                connections.close_all()

        with ThreadPoolExecutor(len(looked)) as threads:
            answers = list(threads.map(lambda given: both(*given), looked))
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(lambda _: (finish(), connections.close_all()), range(3)))
        finish()

        assert answers == [302] * len(looked)
        assert messages() == 1
        outcomes = [(row.state, row.replayed + row.already) for row in Replay.objects.all()]
        assert set(outcomes) == {("done", 1)}
        assert sum(row.replayed for row in Replay.objects.all()) == 1
        # A double click is one replay: those of one person for one filter.
        assert Replay.objects.filter(actor=f"user:{world.a.admin.pk}").count() <= 1

    def test_of_delivered_events_by_their_numbers(self, world, admin_of_a, root, ticket):
        record(world.a.tenant)
        path = f"{REPLAYS}delivered/"
        query = f"first_seq=1&last_seq=5&subject={ticket.pk}"

        page = dry_run(admin_of_a, query, path)
        assert page.context["plan"].ready == 1
        with_tenant = dry_run(root, f"{query}&tenant={world.a.tenant.pk}", path)
        assert with_tenant.context["plan"].ready == 1
        confirm(admin_of_a, query, fingerprint=page.context["plan"].fingerprint, path=path)
        finish()

        assert Message.objects.get(stream=f"tenant:{world.a.tenant.pk}").replay_of == 1
        assert "Give a range" in text_of(admin_of_a.get(f"{path}?type=x"))
        assert "This field is required" in text_of(root.get(f"{path}?first_seq=1&last_seq=2"))

    def test_of_delivered_events_of_another_tenant_finds_none(self, world, admin_of_b, ticket):
        record(world.a.tenant)

        query = f"first_seq=1&last_seq=5&tenant={world.a.tenant.pk}"
        page = dry_run(admin_of_b, query, f"{REPLAYS}delivered/")

        assert page.context["plan"].total == 0


@pytest.fixture
def running(world, admin_of_a):
    """A replay of tenant a that no step has looked at, of two letters."""
    die(world.a.tenant, site=world.a.near)
    die(world.a.tenant, site=world.a.far)
    plan = dry_run(admin_of_a, "").context["plan"]
    confirm(admin_of_a, "", fingerprint=plan.fingerprint)
    return Replay.objects.get()


class TestReplayPages:
    def test_show_how_far_it_is(self, running, admin_of_a):
        path = f"{REPLAYS}{running.pk}/"

        before = admin_of_a.get(f"{path}progress/").json()
        finish()
        after = admin_of_a.get(f"{path}progress/").json()

        assert (before["state"], before["done"], before["total"]) == ("running", 0, 2)
        assert (after["state"], after["failed"]) == ("done", 2)
        assert "unheard_of" in text_of(admin_of_a.get(f"{path}change/"))
        items = text_of(admin_of_a.get(f"{path}items/?outcome=failed"))
        assert items.count("<td>failed</td>") == 2
        listed = text_of(admin_of_a.get(REPLAYS))
        assert "admin-a" in listed
        assert "2 of 2" in listed

    def test_cancel_by_post_alone(self, running, admin_of_a):
        path = f"{REPLAYS}{running.pk}/cancel/"

        assert admin_of_a.get(path).status_code == 405
        assert admin_of_a.post(path, follow=True).status_code == 200

        running.refresh_from_db()
        assert (running.state, running.cancelled_by) == ("cancelled", running.actor)
        assert "nothing was cancelled" in text_of(admin_of_a.post(path, follow=True))

    def test_cancel_needs_the_permission(self, world, running):
        client = staff(world.a.admin, without="replay_event")

        assert client.post(f"{REPLAYS}{running.pk}/cancel/").status_code == 403
        running.refresh_from_db()
        assert running.state == "running"

    @pytest.mark.parametrize("page", ["change/", "progress/", "items/"])
    def test_of_another_tenant_are_not_found(self, running, admin_of_b, page):
        assert admin_of_b.get(f"{REPLAYS}{running.pk}/{page}").status_code == 404
        assert admin_of_b.post(f"{REPLAYS}{running.pk}/cancel/").status_code == 404
        assert str(running.reason) not in text_of(admin_of_b.get(REPLAYS))
        running.refresh_from_db()
        assert running.state == "running"

    def test_of_more_sites_than_ones_own_are_not_found(self, world, running, admin_of_a):
        narrow(world.a.admin, world.a.near)

        assert admin_of_a.get(f"{REPLAYS}{running.pk}/change/").status_code == 404
        plan = dry_run(admin_of_a, "").context["plan"]
        confirm(admin_of_a, "", fingerprint=plan.fingerprint)
        own = Replay.objects.exclude(pk=running.pk).get()
        assert admin_of_a.get(f"{REPLAYS}{own.pk}/change/").status_code == 200
        assert own.total == 1

    def test_name_nobody_of_the_provider(self, world, admin_of_a, root):
        letter = die(world.a.tenant)
        query = f"tenant={world.a.tenant.pk}"
        plan = dry_run(root, query).context["plan"]
        confirm(root, query, fingerprint=plan.fingerprint)

        text = text_of(admin_of_a.get(REPLAYS))
        assert "the provider" in text
        assert "root" not in text
        row = Replay.objects.get()
        assert "root" not in text_of(admin_of_a.get(f"{REPLAYS}{row.pk}/change/"))
        assert admin_of_a.get(f"{REPLAYS}{row.pk}/history/").status_code == 404
        assert "Started" in text_of(root.get(f"{REPLAYS}{row.pk}/history/"))
        assert "root" in text_of(root.get(REPLAYS))
        assert letter.state == "dead"
