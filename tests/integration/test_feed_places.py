"""The places that sockets hold: none is left to one who has gone."""

import asyncio
from uuid import uuid4

import pytest
from django.contrib.auth.models import User

from apps.noc.feed import database
from apps.noc.feed.models import FeedLease
from apps.noc.feed.places import Places
from tests.unit.feed_log import quiet, run, settle


@pytest.fixture
def user(database: None) -> User:
    return User.objects.create_user("operator")


async def held() -> int:
    return await database.run(FeedLease.objects.count)


class TestPlace:
    def test_is_taken_and_given_back(self, user: User) -> None:
        async def story() -> None:
            places, session = Places(uuid4()), uuid4()
            assert await places.take(session, user.pk)
            assert await held() == 1

            await places.give(session)

            assert await held() == 0

        run(story)

    @pytest.mark.parametrize("others", [0, 3])
    def test_of_one_who_stopped_waiting_is_given_back(self, user: User, others: int) -> None:
        async def story() -> None:
            places = Places(uuid4())
            waits = [asyncio.create_task(places.take(uuid4(), user.pk)) for _ in range(others + 1)]
            await settle()  # it is under way
            waits[-1].cancel()
            await quiet()

            assert await held() == others

        run(story)
