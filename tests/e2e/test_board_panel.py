"""The panel beside the list: one ticket in full, its timeline, and what is typed in it."""

from collections.abc import Callable
from uuid import uuid4

import psycopg
from playwright.sync_api import Locator, Page, Route, expect

from tests.e2e.board import (
    HOSTILE,
    LIVE_MS,
    PHONE,
    Api,
    Seed,
    admin_of,
    live,
    row,
    shoot,
    user_of,
)
from tests.e2e.running import Running

Open = Callable[..., Page]


def opened(page: Page, ticket: Seed) -> Locator:
    """The panel with the ticket in it."""
    panel = page.locator("#panel")
    expect(panel.locator("h2")).to_have_text(ticket["ticket_no"])
    expect(panel.locator(".timeline li").first).to_be_visible(timeout=LIVE_MS)
    return panel


def path_of(ticket: Seed) -> str:
    return f"/?q={ticket['ticket_no'].replace('#', '%23')}&ticket={ticket['id']}"


class TestPanel:
    def test_shows_the_whole_ticket_and_goes_with_the_address(
        self, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        text = "Link to the core router is down. " * 10 + "The end."
        ticket = api.create(acme["sites"][0], text, "CRITICAL")
        page = live(sign_in(user_of(acme), path=f"/?q={ticket['ticket_no'].replace('#', '%23')}"))

        row(page, ticket).locator("td.description").click()

        panel = opened(page, ticket)
        expect(panel.locator(".panel-description")).to_have_text(text)
        expect(panel.locator(".panel-marks")).to_contain_text("Critical")
        expect(panel.locator("h2")).to_be_focused()
        assert f"ticket={ticket['id']}" in page.url
        shoot(page, "panel-light")
        page.reload()
        opened(live(page), ticket)

        page.keyboard.press("Escape")
        expect(panel).to_be_hidden()
        assert "ticket=" not in page.url

    def test_gives_the_focus_back_to_the_row(self, acme: Seed, api: Api, sign_in: Open) -> None:
        ticket = api.create(acme["sites"][0])
        page = live(sign_in(user_of(acme), path=path_of(ticket)))
        panel = opened(page, ticket)

        panel.get_by_role("button", name="Close the ticket").click()

        expect(row(page, ticket).locator("[data-open]")).to_be_focused()

    def test_tells_live_who_changed_what(self, acme: Seed, api: Api, sign_in: Open) -> None:
        ticket = api.create(acme["sites"][0])
        page = live(sign_in(admin_of(acme), path=path_of(ticket), color_scheme="dark"))
        panel = opened(page, ticket)
        by = api.get("auth/me/")["user"]["name"]

        api.move_on(ticket, "IN_PROGRESS")
        api.patch(f"tickets/{ticket['id']}/", {"priority": "LOW"})
        api.post(f"tickets/{ticket['id']}/comments/", {"text": f"Cable cut {HOSTILE}"})

        entries = panel.locator(".timeline li.entry")
        moved = entries.filter(has_text="changed the status")
        expect(moved).to_contain_text("New", timeout=LIVE_MS)
        expect(moved).to_contain_text("In progress")
        expect(moved).to_contain_text(by)
        expect(moved.locator("time").first).to_contain_text("UTC")
        edited = entries.filter(has_text="edited the ticket")
        expect(edited).to_contain_text("High", timeout=LIVE_MS)
        expect(edited).to_contain_text("Low")
        said = panel.locator("li.comment .said").filter(has_text="Cable cut")
        expect(said).to_have_text(f"Cable cut {HOSTILE}", timeout=LIVE_MS)
        assert said.locator("img, script").count() == 0
        expect(panel.locator(".panel-marks")).to_contain_text("In progress")
        shoot(page, "panel-dark")

    def test_says_who_received_an_event(self, acme: Seed, api: Api, sign_in: Open) -> None:
        ticket = api.create(acme["sites"][0])
        page = live(sign_in(admin_of(acme), path=path_of(ticket)))
        panel = opened(page, ticket)
        api.move_on(ticket, "IN_PROGRESS")
        entry = panel.locator("li.entry").filter(has_text="changed the status")
        expect(entry).to_have_count(1, timeout=LIVE_MS)

        entry.get_by_text("Who received it").click()

        receipts = entry.locator(".receipts")
        expect(receipts).to_contain_text("Received by", timeout=LIVE_MS)
        shoot(page, "timeline-receipts")
        operator = live(sign_in(user_of(acme), path=path_of(ticket)))
        expect(opened(operator, ticket).get_by_text("Who received it")).to_have_count(0)

    def test_keeps_what_is_typed_and_where_it_is_through_updates(
        self, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        ticket, another = (api.create(acme["sites"][0]) for _ in range(2))
        for number in range(12):
            api.post(f"tickets/{ticket['id']}/comments/", {"text": f"Line {number}\n" * 4})
        page = live(sign_in(user_of(acme), path=f"/?ticket={ticket['id']}"))
        panel = opened(page, ticket)
        expect(panel.locator("li.comment")).to_have_count(12, timeout=LIVE_MS)
        box = panel.get_by_label("Comment")
        box.fill("half a sent")
        panel.evaluate("panel => panel.scrollTop = 150")

        api.move_on(ticket, "IN_PROGRESS")

        expect(panel.locator(".panel-marks")).to_contain_text("In progress", timeout=LIVE_MS)
        expect(panel.locator("li.entry").filter(has_text="changed the status")).to_have_count(
            1, timeout=LIVE_MS
        )
        expect(box).to_have_value("half a sent")
        expect(box).to_be_focused()
        assert panel.evaluate("panel => panel.scrollTop") == 150
        page.keyboard.press("Escape")  # out of the field, then shut
        page.keyboard.press("Escape")
        expect(panel).to_be_hidden()
        row(page, another).locator("td.description").click()
        expect(opened(page, another).get_by_label("Comment")).to_have_value("")
        row(page, ticket).locator("td.description").click()
        expect(opened(page, ticket).get_by_label("Comment")).to_have_value("half a sent")

    def test_sends_a_comment(self, acme: Seed, api: Api, sign_in: Open) -> None:
        ticket = api.create(acme["sites"][0])
        page = live(sign_in(user_of(acme, may="ticket:write"), path=path_of(ticket)))
        panel = opened(page, ticket)

        panel.get_by_label("Comment").fill(HOSTILE)
        panel.get_by_role("button", name="Send").click()

        expect(panel.locator("li.comment .said")).to_have_text(HOSTILE, timeout=LIVE_MS)
        expect(panel.get_by_label("Comment")).to_have_value("")
        assert api.get(f"tickets/{ticket['id']}/comments/")["results"][0]["text"] == HOSTILE

    def test_sends_a_comment_once_when_its_answer_was_lost(
        self, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        ticket = api.create(acme["sites"][0])
        page = live(sign_in(user_of(acme, may="ticket:write"), path=path_of(ticket)))
        panel = opened(page, ticket)
        box, send = panel.get_by_label("Comment"), panel.get_by_role("button", name="Send")

        def lose(route: Route) -> None:
            route.fetch()
            route.abort()

        page.route("**/comments/", lose)
        box.fill("called the carrier")
        send.click()
        expect(panel.locator(".comment-box .refusal")).to_contain_text("does not answer")
        expect(panel.locator("li.comment")).to_have_count(1, timeout=LIVE_MS)
        page.unroute("**/comments/")

        send.click()

        expect(box).to_have_value("")
        box.fill("called the carrier")  # of another call
        send.click()
        expect(box).to_have_value("")
        notes = api.get(f"tickets/{ticket['id']}/comments/")["results"]
        assert [note["text"] for note in notes] == ["called the carrier"] * 2

    def test_loads_what_is_older(self, acme: Seed, api: Api, sign_in: Open) -> None:
        ticket = api.create(acme["sites"][0])
        for number in range(35):
            api.post(f"tickets/{ticket['id']}/comments/", {"text": f"number {number}"})
        page = live(sign_in(user_of(acme), path=path_of(ticket)))
        panel = opened(page, ticket)
        expect(panel.get_by_text("number 34", exact=True)).to_be_visible()
        expect(panel.get_by_text("number 0", exact=True)).to_have_count(0)

        panel.get_by_role("button", name="Load older").click()

        expect(panel.get_by_text("number 0", exact=True)).to_have_count(1)
        expect(panel.locator("li.comment")).to_have_count(35)

    def test_shows_what_was_seen_at_the_site(self, acme: Seed, api: Api, sign_in: Open) -> None:
        site, title = acme["sites"][0], f"{uuid4().hex} {HOSTILE}"
        ticket = api.create(site)
        api.post("noc/findings/", {"title": title, "site_id": site["id"], "severity": "HIGH"})

        page = live(sign_in(user_of(acme), path=path_of(ticket)))

        seen = opened(page, ticket).locator(".related li").filter(has_text=title[:32])
        expect(seen).to_contain_text("High")
        expect(seen.locator("bdi")).to_have_text(title)

    def test_says_that_the_ticket_was_deleted(
        self, acme: Seed, api: Api, stack: Running, sign_in: Open
    ) -> None:
        ticket = api.create(acme["sites"][0], "It goes")
        page = live(sign_in(user_of(acme), path=path_of(ticket)))
        panel = opened(page, ticket)

        with psycopg.connect(stack["database_url"]) as database:
            database.execute("DELETE FROM helpdesk_ticket WHERE id = %s", [ticket["id"]])

        expect(panel.locator(".gone")).to_have_text("This ticket was deleted.", timeout=LIVE_MS)
        expect(panel.locator(".panel-description")).to_have_text("It goes")
        shoot(page, "panel-deleted")

    def test_says_that_the_ticket_was_moved_out_of_sight(
        self, acme: Seed, api: Api, stack: Running, sign_in: Open
    ) -> None:
        narrow = user_of(acme, all_sites=False)
        seen = next(site for site in acme["sites"] if site["id"] in narrow["sites"])
        hidden = next(site for site in acme["sites"] if site["id"] not in narrow["sites"])
        ticket = api.create(seen)
        page = live(sign_in(narrow, path=path_of(ticket)))
        panel = opened(page, ticket)

        with psycopg.connect(stack["database_url"]) as database:
            database.execute(
                "UPDATE helpdesk_ticket SET site_id = %s WHERE id = %s",
                [hidden["id"], ticket["id"]],
            )

        expect(panel.locator(".gone")).to_contain_text("moved to a site", timeout=LIVE_MS)

    def test_says_that_another_tenants_ticket_is_not_there(
        self, acme: Seed, other: Seed, api: Api, sign_in: Open
    ) -> None:
        ticket = api.create(acme["sites"][0])

        page = live(sign_in(user_of(other), path=f"/?ticket={ticket['id']}"))

        expect(page.locator("#panel .gone")).to_contain_text("not yours to see")
        expect(page.locator("#panel h2")).to_have_text("Ticket")

    def test_tells_the_attempts_of_an_event_that_failed(
        self, stack: Running, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        ticket = api.create(acme["sites"][0])
        told = sign_in(user_of(acme), path=path_of(ticket))
        expect(opened(live(told), ticket).locator(".dead-letter")).to_have_count(0)
        with psycopg.connect(stack["database_url"]) as database:
            database.execute(
                "INSERT INTO outbox_dead_letter (stream, seq, epoch, event_id, type, subject,"
                " payload, context, schema_version, occurred_at, recorded_at, sink, reason, error,"
                " fingerprint, attempts) SELECT e.stream, e.seq, s.epoch, e.event_id, e.type,"
                " e.subject, e.payload, e.context, 1, e.occurred_at, e.recorded_at, 'sink',"
                " 'sink_error', 'TimeoutError', 'f00', 3"
                " FROM event_log e JOIN outbox_stream s ON s.name = e.stream"
                " WHERE e.subject = %s",
                [f"ticket:{ticket['id']}"],
            )

        for user, links in ((user_of(acme), 0), (admin_of(acme), 1)):
            page = live(sign_in(user, path=path_of(ticket)))
            letter = opened(page, ticket).locator(".dead-letter")
            expect(letter).to_contain_text("Failed event, dead after 3 attempts: sink_error")
            expect(letter.get_by_role("link")).to_have_count(links)

    def test_takes_no_acknowledgement_back_where_it_was_to_be_given(
        self, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        ticket = api.create(acme["sites"][0])
        page = live(sign_in(user_of(acme, may="ticket:write"), path=path_of(ticket)))
        panel = opened(page, ticket)
        writes: list[str] = []
        page.on("request", lambda request: writes.append(request.post_data or ""))

        here = panel.get_by_role("button", name="Acknowledge", exact=True)
        here.focus()
        box = here.bounding_box()
        assert box is not None
        api.post(f"tickets/{ticket['id']}/acknowledge/", {})  # a colleague is faster
        instead = panel.get_by_role("button", name="Acknowledged", exact=True)
        expect(instead).to_be_disabled(timeout=LIVE_MS)
        expect(instead).to_be_focused()
        page.mouse.click(box["x"] + 5, box["y"] + 5)
        instead.click(force=True)
        instead.press("Enter")

        assert [write for write in writes if '"tickets"' in write] == []
        expect(panel.locator(".facts")).to_contain_text("Acknowledged")
        shoot(page, "panel-acknowledged")
        panel.get_by_role("button", name="Take back").press("Enter")
        expect(here).to_be_enabled()
        expect(panel.locator("h2")).to_be_focused()
        assert len([write for write in writes if '"unacknowledge"' in write]) == 1

    def test_covers_a_phone_and_lets_it_go_back(self, acme: Seed, api: Api, sign_in: Open) -> None:
        ticket = api.create(acme["sites"][0], HOSTILE, "CRITICAL")
        path = f"/?q={ticket['ticket_no'].replace('#', '%23')}"
        page = sign_in(user_of(acme), path=path, viewport=PHONE, is_mobile=True, has_touch=True)
        live(page)

        row(page, ticket).locator("td.description").tap()

        panel = opened(page, ticket)
        box = panel.bounding_box()
        assert box is not None
        assert (box["x"], box["y"], box["width"]) == (0, 0, PHONE["width"])
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        shoot(page, "panel-phone")
        page.go_back()
        expect(panel).to_be_hidden()
        expect(row(page, ticket)).to_be_visible()

    def test_is_acted_from_on_a_phone(self, acme: Seed, api: Api, sign_in: Open) -> None:
        ticket = api.create(acme["sites"][0])
        path = f"/?q={ticket['ticket_no'].replace('#', '%23')}"
        page = sign_in(
            user_of(acme, may="ticket:write"),
            path=path,
            viewport=PHONE,
            is_mobile=True,
            has_touch=True,
        )
        live(page)
        row(page, ticket).locator("td.description").tap()
        panel = opened(page, ticket)

        panel.get_by_role("button", name="Status").tap()
        shoot(page, "panel-phone-sheet")
        page.locator("#sheet [data-choice=IN_PROGRESS]").tap()

        expect(panel.locator(".panel-marks")).to_contain_text("In progress")
        toast = page.locator(".toast[data-kind=done]")
        expect(toast).to_contain_text("set to In progress", timeout=LIVE_MS)
        shoot(page, "panel-phone-toast")
        toast.get_by_role("button", name="Dismiss").tap()
        expect(toast).to_have_count(0)

    def test_tells_on_a_phone_what_was_refused(
        self, acme: Seed, api: Api, sign_in: Open, word: str
    ) -> None:
        ticket = api.create(acme["sites"][0], word)
        page = live(sign_in(user_of(acme), path=f"/?q={word}", viewport=PHONE))
        row(page, ticket).locator("td.description").click()
        panel = opened(page, ticket)
        panel.get_by_role("button", name="Status").click()
        api.patch(f"tickets/{ticket['id']}/", {"priority": "CRITICAL"})
        expect(panel.locator(".panel-marks")).to_contain_text("Critical", timeout=LIVE_MS)

        page.locator("#sheet [data-choice=IN_PROGRESS]").click()

        line = panel.locator(".refused")
        expect(line).to_contain_text(" s ago: now New, Critical", timeout=LIVE_MS)
        shoot(page, "panel-phone-refused")
        line.get_by_role("button", name="Do it anyway").click()
        expect(panel.locator(".panel-marks")).to_contain_text("In progress", timeout=LIVE_MS)
        expect(line).to_have_count(0)

    def test_lets_nothing_behind_it_be_reached_on_a_phone(
        self, acme: Seed, api: Api, sign_in: Open
    ) -> None:
        ticket = api.create(acme["sites"][0])
        page = live(sign_in(user_of(acme), path=path_of(ticket), viewport=PHONE))
        panel = opened(page, ticket)
        behind = page.locator("body > :is(.bar, .notice, #floods, #away, .tools), main, .activity")

        assert behind.count() == 8
        assert behind.evaluate_all("all => all.every((part) => part.inert)")
        panel.get_by_role("button", name="Close the ticket").click()
        expect(page.locator("[inert]")).to_have_count(0)
