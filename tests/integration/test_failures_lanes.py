"""Lanes in the admin: who sees them, and pausing, resuming and skipping with a reason."""

import pytest
from django.contrib.auth.models import Permission
from django.db import connection

from apps.helpdesk.actions import create_ticket
from outbox.lanes import lane_of
from outbox.models import Lane, LaneAction, Stream
from tests.integration.failures_world import LANES, record, staff, text_of

LANE = 3


@pytest.fixture
def operator(world, redis_url):
    """Staff without a tenant's capability who may control lanes."""
    user = world.b.operator
    client = staff(user)
    user.user_permissions.set([Permission.objects.get(codename="control_lane")])
    return client


def act(client, verb, lane=LANE, **body):
    return client.post(f"{LANES}{lane}/{verb}/act/", {"reason": "the sink is mended", **body})


class TestLanes:
    def test_are_paused_and_resumed_with_a_reason(self, world, root):
        assert "stop it" not in text_of(root.get(LANES))

        assert act(root, "pause", reason="stop it")["Location"] == f"{LANES}{LANE}/change/"

        lane = Lane.objects.get(lane=LANE)
        assert lane.pause_reason == "stop it"
        for path in (LANES, f"{LANES}{LANE}/change/"):
            text = text_of(root.get(path))
            assert "stop it" in text, path
            assert "by root" in text, path
        act(root, "resume")
        assert Lane.objects.get(lane=LANE).paused_at is None
        assert [a.action for a in LaneAction.objects.order_by("id")] == ["pause", "resume"]
        assert "the sink is mended" in text_of(root.get(f"{LANES}{LANE}/change/"))

    def test_say_when_there_was_nothing_to_do(self, root):
        answer = root.post(f"{LANES}{LANE}/resume/act/", {"reason": "x"}, follow=True)

        assert "nothing to resume" in text_of(answer)
        assert LaneAction.objects.count() == 0

    def test_are_skipped_with_the_slices_kept(self, world, root, operator):
        name = f"tenant:{world.a.tenant.pk}"
        lane = lane_of(name, 8)
        act(root, "pause", lane)
        create_ticket(site=world.a.near, description="x")
        record(world.a.tenant)
        assert "1 event would be skipped" in text_of(root.get(f"{LANES}{lane}/skip/act/"))

        act(root, "skip", lane)

        stream = Stream.objects.get(name=name)
        assert stream.published_seq == stream.last_seq == 1
        assert LaneAction.objects.get(action="skip").detail["events"] == 1
        assert name in text_of(root.get(f"{LANES}{lane}/change/"))
        assert name not in text_of(operator.get(f"{LANES}{lane}/change/"))

    @pytest.mark.parametrize("verb", ["pause", "resume", "skip"])
    def test_want_post_and_a_reason(self, root, verb):
        before = list(Lane.objects.values())

        assert root.get(f"{LANES}{LANE}/{verb}/act/?reason=x").status_code == 200
        assert "errorlist" in text_of(act(root, verb, reason=" "))
        assert "errorlist" in text_of(act(root, verb, reason="x" * 1001))

        assert list(Lane.objects.values()) == before

    @pytest.mark.parametrize("path", ["9999/pause/act/", "9" * 30 + "/pause/act/", "3/drop/act/",
                                      "9999/change/", "x/change/"])  # fmt: skip
    def test_that_are_not_there_are_not_found(self, root, path):
        assert root.get(LANES + path).status_code == 404

    def test_are_closed_to_the_admins_of_tenants(self, world, admin_of_a):
        for path in ("", f"{LANE}/change/", f"{LANE}/pause/act/"):
            assert admin_of_a.get(LANES + path).status_code == 403, path
        for verb in ("pause", "resume", "skip"):
            assert act(admin_of_a, verb).status_code == 403
        assert LaneAction.objects.count() == 0
        assert "Lanes" not in text_of(admin_of_a.get("/admin/"))

    def test_are_open_to_who_may_control_them(self, world, operator):
        assert operator.get(LANES).status_code == 200

        act(operator, "pause")

        assert Lane.objects.get(lane=LANE).paused_by == f"user:{world.b.operator.pk}"
        assert "tenant:" not in text_of(operator.get(LANES))

    def test_are_not_edited_otherwise(self, root):
        assert root.post(f"{LANES}{LANE}/change/", {"low_id": 9}).status_code == 403
        assert root.get(f"{LANES}add/").status_code == 403
        assert root.post(f"{LANES}{LANE}/delete/", {"post": "yes"}).status_code == 403
        with connection.cursor() as cursor:
            cursor.execute("SELECT count(*) FROM outbox_lane")
            assert cursor.fetchone() == (8,)

    def test_show_what_a_hostile_reason_says_as_text(self, root):
        act(root, "pause", reason="<script>alert(1)</script>\u202e")

        for path in (LANES, f"{LANES}{LANE}/change/"):
            text = text_of(root.get(path))
            assert "<script>alert" not in text
            assert "\u202e" not in text
