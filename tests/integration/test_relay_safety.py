"""Start checks: the relay refuses a database that would break its promises, and says why."""

import psycopg
import pytest

from outbox.errors import LaneCountDiffers, LaneMissing, UnsafeDatabase
from outbox.safety import check_database
from tests.integration.outbox_fixtures import LANES, Bench, database_url, wait_until


class TestStart:
    def refused(self, bench: Bench, error: type[Exception], match: str) -> None:
        bench.write(*bench.tickets(1))
        with pytest.raises(error, match=match):
            bench.drainer().drain()
        assert bench.log() == []

    def broken(self, bench: Bench, break_: str, mend: str, match: str) -> None:
        bench.admin.execute(break_)
        try:
            self.refused(bench, UnsafeDatabase, match)
        finally:
            bench.admin.execute(mend)

    def test_is_refused_when_the_ids_are_drawn_in_advance(self, bench):
        self.broken(
            bench,
            "ALTER TABLE outbox_message ALTER id SET CACHE 32",
            "ALTER TABLE outbox_message ALTER id SET CACHE 1",
            "SET CACHE 1",
        )

    def test_is_refused_when_writers_may_draw_an_id_without_an_xid(self, bench):
        self.broken(
            bench,
            "ALTER TABLE outbox_message DISABLE TRIGGER outbox_take_xid",
            "ALTER TABLE outbox_message ENABLE TRIGGER outbox_take_xid",
            "outbox_take_xid",
        )

    def test_is_refused_without_a_default_partition(self, bench):
        self.broken(
            bench,
            "ALTER TABLE event_log DETACH PARTITION event_log_default",
            "ALTER TABLE event_log ATTACH PARTITION event_log_default DEFAULT",
            "default partition",
        )

    @pytest.mark.parametrize("setting", ["fsync", "full_page_writes"])
    def test_is_refused_when_a_crash_may_lose_what_was_committed(self, setting, bench):
        """The server would have to be started anew, so this session is told another value."""
        bench.admin.execute(
            "CREATE SCHEMA crafted;"
            "CREATE FUNCTION crafted.current_setting(name text) RETURNS text LANGUAGE sql AS "
            f"$$ SELECT CASE WHEN name = '{setting}' THEN 'off' "
            "ELSE pg_catalog.current_setting(name) END $$"
        )
        try:
            with (
                psycopg.connect(
                    database_url(), options="-c search_path=crafted,pg_catalog,public"
                ) as session,
                pytest.raises(UnsafeDatabase, match=setting),
            ):
                check_database(session)
        finally:
            bench.admin.execute("DROP SCHEMA crafted CASCADE")

    def test_is_refused_on_a_standby(self, bench):
        bench.admin.execute(
            "CREATE SCHEMA crafted;"
            "CREATE FUNCTION crafted.pg_is_in_recovery() RETURNS boolean "
            "LANGUAGE sql AS 'SELECT true'"
        )
        try:
            with (
                psycopg.connect(
                    database_url(), options="-c search_path=crafted,pg_catalog,public"
                ) as session,
                pytest.raises(UnsafeDatabase, match="standby"),
            ):
                check_database(session)
        finally:
            bench.admin.execute("DROP SCHEMA crafted CASCADE")

    def test_is_refused_when_the_lane_counts_differ(self, bench):
        bench.configure(lanes=LANES + 1)
        self.refused(bench, LaneCountDiffers, f"outbox_relane {LANES + 1}")

    def test_is_refused_when_a_lane_has_no_row(self, bench):
        bench.admin.execute("DELETE FROM outbox_lane WHERE lane = 3")
        self.refused(bench, LaneMissing, f"outbox_relane {LANES}")

    def test_leaves_no_connection_when_it_is_refused(self, bench):
        bench.configure(lanes=LANES + 1)
        for _ in range(3):
            with pytest.raises(LaneCountDiffers):
                bench.drainer().drain()

        sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outbox-relay' "
        here = "AND datname = current_database()"
        wait_until(lambda: bench.one(sessions + here) == 0, "the server to see the end of all")

    def test_passes_on_the_database_that_the_migrations_make(self, bench):
        with psycopg.connect(database_url()) as session:
            check_database(session)
