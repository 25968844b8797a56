"""The speed of a replay."""

from datetime import UTC, datetime, timedelta
from threading import Event
from time import monotonic

from apps.helpdesk.incidents.pace import Pace

START = datetime(2016, 2, 29, 1, 23, tzinfo=UTC)


class TestPace:
    def test_waits_the_time_between_rows_divided_by_the_speed(self):
        pace = Pace(3600, Event())
        started = monotonic()

        for minutes in (0, 3, 6):
            pace.wait(START + timedelta(minutes=minutes))

        assert monotonic() - started >= 0.1

    def test_does_not_wait_at_full_speed(self):
        Pace(None, Event()).wait(START)

    def test_ends_a_wait_of_years_when_told_to_stop(self):
        stop = Event()
        pace = Pace(1, stop)
        pace.wait(START)
        stop.set()

        pace.wait(START + timedelta(days=4_000))
