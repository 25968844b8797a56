"""The figures above the lists: what is dead, what waits, and whether anybody works."""

import pytest
from django.db import connection, transaction

import outbox
from apps.helpdesk.actions import create_ticket
from apps.noc.failures import figures
from apps.noc.failures.scope import EVERYTHING, scope_of
from apps.tenancy.access import access_of
from outbox import controls, heartbeat
from outbox.lanes import lane_of
from tests.integration.failures_world import die, record


@pytest.fixture
def shown(world, redis_url):
    """Return {name: tile} for a user, or for a superuser."""

    def tiles(user=None):
        scope = EVERYTHING if user is None else scope_of(access_of(user))
        return {tile.name: tile for tile in figures.tiles(scope)}

    return tiles


def execute(statement, *params):
    with connection.cursor() as cursor:
        cursor.execute(statement, params)


class TestTiles:
    def test_of_a_quiet_system_are_fine_but_for_the_missing_signs_of_life(self, shown):
        tiles = shown()

        assert [tile.value for tile in tiles.values()] == ["0", "0", "0", "-", "never", "never"]
        levels = {name: tile.level for name, tile in tiles.items()}
        assert [name for name, level in levels.items() if level != "fine"] == ["timer", "sweep"]

    def test_count_the_dead_of_the_scope(self, world, shown):
        die(world.a.tenant, site=world.a.near)
        die(world.a.tenant)
        die(world.b.tenant)

        assert shown()["dead"].value == "3"
        assert shown(world.a.admin)["dead"].value == "2"
        assert shown(world.a.site_operator)["dead"].value == "1"
        assert shown(world.b.admin)["dead"].level == "bad"

    def test_count_what_waits_in_a_paused_lane_for_its_tenant(self, world, shown):
        lane = lane_of(f"tenant:{world.a.tenant.pk}", 8)
        controls.pause(lane, actor="user:1", reason="x")
        for _ in range(3):
            create_ticket(site=world.a.near, description="x")
        record(world.a.tenant)

        assert shown()["retrying"].value == "3"
        assert shown(world.a.admin)["retrying"].value == "3"
        assert shown(world.b.admin)["retrying"].value == "0"
        assert shown()["retrying"].level == "warning"
        controls.resume(lane, actor="user:1", reason="x")
        assert shown()["retrying"].value == "0"

    @pytest.mark.parametrize(
        ("age", "value", "level"), [(1, "1 s", "fine"), (20, "20 s", "warning"),
                                    (150, "2 min", "bad"), (3 * 86_400, "3 d", "bad")]
    )  # fmt: skip
    def test_tell_the_age_of_the_oldest_that_is_not_recorded(self, world, shown, age, value, level):
        with transaction.atomic():
            outbox.publish("x", stream=f"tenant:{world.b.tenant.pk}", subject="x", payload={})
        execute(
            "UPDATE outbox_message SET occurred_at = clock_timestamp() - make_interval(secs => %s)",
            age + 0.5,
        )

        oldest = shown(world.a.admin)["oldest"]

        assert (oldest.value, oldest.level) == (value, level)
        assert int(shown()["pending"].value) >= 1

    @pytest.mark.parametrize(
        ("age", "note", "level"),
        [(2, "alive", "fine"), (30, "late", "warning"), (600, "no sign of life", "bad")],
    )
    def test_tell_whether_workers_and_beat_are_alive(self, shown, age, note, level):
        for name in (heartbeat.TIMER, heartbeat.SWEEP):
            execute(
                "INSERT INTO outbox_heartbeat VALUES"
                " (%s, clock_timestamp() - make_interval(secs => %s), 'here')",
                name,
                age,
            )

        for name in (heartbeat.TIMER, heartbeat.SWEEP):
            assert (shown()[name].note, shown()[name].level) == (note, level)

    def test_ask_the_database_little(self, world, shown, django_assert_max_num_queries):
        with django_assert_max_num_queries(6):
            shown(world.a.admin)
