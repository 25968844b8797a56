"""What counts as a change of rights for a socket that is being admitted meanwhile."""

from apps.noc.feed.reviews import Reviews


class TestNoticed:
    def test_rises_with_every_change_that_is_told(self) -> None:
        reviews = Reviews()

        reviews.changed({"seq": 7, "user_id": 1}, ())  # also when others were lost before it

        assert (reviews.noticed, reviews.seen) == (1, 0)

    def test_rises_when_everybody_is_to_be_looked_at(self) -> None:
        reviews = Reviews()

        reviews.see_head(7)
        first = reviews.noticed
        reviews.see_head(3)  # another log

        assert (first, reviews.noticed, reviews.seen) == (1, 2, 3)

    def test_stays_while_nothing_is_new(self) -> None:
        reviews = Reviews()
        reviews.see_head(7)

        reviews.see_head(7)

        assert reviews.noticed == 1
