"""How much a client may say, and how many may come, at once and in time."""

from apps.noc.feed.rate import Bucket


class TestBucket:
    def test_allows_the_burst_at_once_and_then_one_at_a_time(self) -> None:
        bucket = Bucket(per_second=20, burst=20, now=0.0)

        assert [bucket.allow(0.0) for _ in range(21)].count(True) == 20
        assert bucket.allow(0.06)
        assert not bucket.allow(0.06)

    def test_saves_no_more_than_the_burst(self) -> None:
        bucket = Bucket(per_second=20, burst=5, now=0.0)

        assert [bucket.allow(1_000.0) for _ in range(10)].count(True) == 5
