from worker.breaker import Breaker


class TestBreaker:
    def test_opens_for_its_time_and_says_when_it_was_closed(self) -> None:
        now = [0.0]
        breaker = Breaker(seconds=10, clock=lambda: now[0])

        assert not breaker.is_open
        assert breaker.trip()
        assert not breaker.trip()
        now[0] = 9.9
        assert breaker.is_open
        now[0] = 10.0
        assert not breaker.is_open
        assert breaker.trip()
