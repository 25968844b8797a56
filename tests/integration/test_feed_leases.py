"""The limit of sockets per user, on real PostgreSQL and with takers that run at once."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID, uuid4

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test.utils import CaptureQueriesContext

from apps.noc.feed import leases
from apps.noc.feed.models import FeedLease, FeedProcess

LIMIT = 5
ANNA, BERT = 1, 2


@pytest.fixture
def process(database: None) -> UUID:
    return entered()


def entered() -> UUID:
    process = uuid4()
    leases.enter(process)
    return process


def wishes(count: int, user: int = ANNA) -> list[tuple[UUID, int]]:
    return [(uuid4(), user) for _ in range(count)]


def unseen(process: UUID, seconds: float) -> None:
    """Let the last beat of the process be this long ago."""
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE noc_feedprocess SET seen_at = clock_timestamp() - make_interval(secs => %s)"
            " WHERE id = %s",
            [seconds, process],
        )


class TestTake:
    def test_grants_the_first_up_to_the_limit(self, process: UUID) -> None:
        wanted = wishes(LIMIT + 2)

        assert leases.take(process, wanted, LIMIT) == {lease for lease, _ in wanted[:LIMIT]}

    def test_counts_each_user_alone_and_what_they_hold_anywhere(self, process: UUID) -> None:
        leases.take(entered(), wishes(LIMIT - 1), LIMIT)
        anna, bert = wishes(2), wishes(2, BERT)

        granted = leases.take(process, [anna[0], bert[0], anna[1], bert[1]], LIMIT)

        assert granted == {anna[0][0], bert[0][0], bert[1][0]}

    def test_grants_again_what_was_released(self, process: UUID) -> None:
        held = leases.take(process, wishes(LIMIT), LIMIT)
        assert leases.take(process, wishes(1), LIMIT) == set()

        leases.release([held.pop(), uuid4()])

        assert len(leases.take(process, wishes(2), LIMIT)) == 1

    def test_grants_a_lease_that_is_held_once_more_without_counting_it_twice(
        self, process: UUID
    ) -> None:
        wanted = wishes(LIMIT)
        held = leases.take(process, wanted, LIMIT)

        assert leases.take(process, wanted, LIMIT) == held
        assert FeedLease.objects.count() == LIMIT

    def test_takes_hundreds_in_two_statements(self, process: UUID) -> None:
        wanted = [wish for user in range(1, 201) for wish in wishes(3, user)]

        with CaptureQueriesContext(connection) as queries:
            granted = leases.take(process, wanted, 2)

        statements = [each["sql"] for each in queries if each["sql"] not in ("BEGIN", "COMMIT")]
        assert len(statements) == 2
        assert len(granted) == 400

    def test_with_nobody_who_wants_one_is_nothing(self, process: UUID) -> None:
        assert leases.take(process, [], LIMIT) == set()

    def test_fails_for_a_process_that_is_not_known(self, database: None) -> None:
        with pytest.raises(leases.ProcessLost):
            leases.take(uuid4(), wishes(1), LIMIT)

        assert not FeedLease.objects.exists()

    def test_fails_for_a_process_that_others_may_soon_count_as_gone(self, process: UUID) -> None:
        unseen(process, leases.TRUSTED_SECONDS + 1)

        with pytest.raises(leases.ProcessLost):
            leases.take(process, wishes(1), LIMIT)

    def test_never_exceeds_the_limit_when_processes_take_at_once(
        self, run_at_once: Callable[[list[Callable[[], object]]], list[object]]
    ) -> None:
        users = range(1, 9)
        processes = [entered() for _ in range(6)]

        def come_and_go(process: UUID, turn: int) -> Counter[int]:
            """Take for everybody, in an order of one's own, and give some of it back."""
            most: Counter[int] = Counter()
            for round_ in range(8):
                wanted = [wish for user in users for wish in wishes(2, user)]
                granted = leases.take(process, wanted[turn:] + wanted[:turn], LIMIT)
                most |= held()
                if round_ % 2:
                    leases.release(list(granted)[::2])
            return most

        found = run_at_once(
            [
                lambda process=process, turn=turn: come_and_go(process, turn)
                for turn, process in enumerate(processes)
            ]
        )

        assert held() == dict.fromkeys(users, LIMIT)
        for most in found:
            assert max(most.values()) == LIMIT


def held() -> Counter[int]:
    return Counter(FeedLease.objects.values_list("user_id", flat=True))


@pytest.fixture
def run_at_once(database: None) -> Callable[[list[Callable[[], object]]], list[object]]:
    """Run functions in threads that start together, each with a database session of its own."""

    def run(functions: list[Callable[[], object]]) -> list[object]:
        gate = threading.Barrier(len(functions))

        def one(function: Callable[[], object]) -> object:
            try:
                gate.wait(30)
                return function()
            finally:
                connection.close()

        with ThreadPoolExecutor(len(functions)) as threads:
            return [each.result(120) for each in [threads.submit(one, f) for f in functions]]

    return run


class TestProcess:
    def test_that_leaves_gives_everything_back(self, process: UUID) -> None:
        leases.take(process, wishes(LIMIT), LIMIT)

        leases.leave(process)

        assert not FeedProcess.objects.exists()
        assert not FeedLease.objects.exists()

    def test_that_beats_keeps_its_leases(self, process: UUID) -> None:
        leases.take(process, wishes(LIMIT), LIMIT)
        unseen(process, leases.TRUSTED_SECONDS - 5)

        assert leases.beat(process)

        assert FeedLease.objects.count() == LIMIT
        leases.take(process, [], LIMIT)

    def test_that_was_not_seen_for_a_minute_counts_no_more(self, process: UUID) -> None:
        gone = entered()
        leases.take(gone, wishes(LIMIT), LIMIT)
        unseen(gone, leases.LOST_SECONDS - 5)
        assert leases.take(process, wishes(1), LIMIT) == set()

        unseen(gone, leases.LOST_SECONDS + 1)

        assert len(leases.take(process, wishes(LIMIT + 1), LIMIT)) == LIMIT

    def test_that_was_not_seen_for_a_minute_is_removed_by_the_next_beat(
        self, process: UUID
    ) -> None:
        gone = entered()
        leases.take(gone, wishes(2), LIMIT)
        leases.take(process, wishes(1), LIMIT)
        unseen(gone, leases.LOST_SECONDS + 1)

        assert leases.beat(process)

        assert FeedProcess.objects.get().pk == process
        assert FeedLease.objects.get().process_id == process

    @pytest.mark.parametrize("removed", [True, False])
    def test_that_was_lost_is_told_and_takes_anew(self, process: UUID, removed: bool) -> None:
        mine = wishes(LIMIT)
        leases.take(process, mine, LIMIT)
        unseen(process, leases.LOST_SECONDS + 1)
        other = entered() if removed else uuid4()
        assert FeedProcess.objects.filter(pk=process).exists() != removed

        assert not leases.beat(process)

        if removed:
            leases.take(other, wishes(2), LIMIT)
        assert len(leases.take(process, mine, LIMIT)) == (LIMIT - 2 if removed else LIMIT)
        assert leases.beat(process)

    def test_leaves_no_lease_behind_that_it_took_while_it_was_removed(self, process: UUID) -> None:
        FeedLease.objects.create(id=uuid4(), user_id=ANNA, process_id=uuid4())

        assert len(leases.take(process, wishes(LIMIT), LIMIT)) == LIMIT
        leases.beat(process)

        assert FeedLease.objects.count() == LIMIT


class TestUser:
    def test_that_is_deleted_takes_the_leases_along(self, process: UUID) -> None:
        user = User.objects.create(username="anna")
        leases.take(process, wishes(2, user.pk), LIMIT)

        user.delete()

        assert not FeedLease.objects.exists()

    def test_may_be_deleted_in_sql_too(self, process: UUID) -> None:
        user = User.objects.create(username="anna")
        leases.take(process, wishes(2, user.pk), LIMIT)

        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM auth_user WHERE id = %s", [user.pk])

        assert not User.objects.exists()
