"""Ten thousand dead letters: each page asks little, and each filter leads an index."""

import json
import re

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from tests.integration.failures_world import API, LETTERS, die, fill, narrow, text_of

COUNT = 10_000
# filter of the list: what its statements may read the table by
FILTERS = {
    "": r"outbox_dead_letter_(dead|stream|pkey)",
    "type=kind_3": r"outbox_dead_letter_(dead|stream|type)",
    "reason=crash": r"outbox_dead_letter_(dead|stream|reason)",
    "fingerprint=cause4": r"outbox_dead_letter_(dead|stream|fingerprint)",
    "subject=123": r"outbox_dead_letter_subject",
    "site=SITE": r"outbox_dead_letter_(dead|stream)",
    "since=2026-01-01T00:00:00&until=2026-01-01T01:00:00": r"outbox_dead_letter_died_at",
    "text=error+77": r"outbox_dead_letter_(dead|stream)",
    "state=all": r"outbox_dead_letter_(pkey|stream)",
    "state=all&fingerprint=cause4": r"outbox_dead_letter_(pkey|stream|fingerprint)",
}


@pytest.fixture
def many(world, redis_url):
    fill(COUNT, world.a.tenant, world.b.tenant)


def plan_nodes(plan):
    yield plan
    for child in plan.get("Plans", []):
        yield from plan_nodes(child)


def scans(statement):
    """
    Return how a statement reads the table: (kind of scan, index) of each.

    A count of what is half of the table, cut at 10,000, is cheaper without an index here; that it
    could use one is what counts when the table is larger.
    """
    counts = "COUNT(" in statement
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL enable_seqscan = {'off' if counts else 'on'}")
        cursor.execute("EXPLAIN (FORMAT JSON) " + statement)
        [(found,)] = cursor.fetchall()
    plan = found if isinstance(found, list) else json.loads(found)
    return [
        (node["Node Type"], node.get("Index Name", ""))
        for node in plan_nodes(plan[0]["Plan"])
        if "Scan" in node["Node Type"]
        and (node.get("Relation Name") == "outbox_dead_letter" or "outbox_dead" in str(node))
    ]


def rows_of(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return len(cursor.fetchall())


def of_the_list(queries):
    return [q["sql"] for q in queries if 'FROM "outbox_dead_letter"' in q["sql"]]


class TestList:
    @pytest.mark.parametrize("who", ["root", "admin_of_a"])
    @pytest.mark.parametrize("query", FILTERS)
    def test_reads_by_an_index_whatever_the_filter(self, world, many, request, who, query):
        client = request.getfixturevalue(who)
        allowed = FILTERS[query]
        query = query.replace("SITE", str(world.a.near.pk))

        with CaptureQueriesContext(connection) as captured:
            assert client.get(f"{LETTERS}?{query}").status_code == 200

        statements = of_the_list(captured.captured_queries)
        assert len(statements) >= 2  # the page, and the count that is cut
        for statement in statements:
            assert "payload" not in statement.split(" FROM ")[0]
            found = scans(statement)
            assert found, statement
            for kind, index in found:
                assert kind != "Seq Scan", statement
                assert not index or re.fullmatch(allowed + "|outbox_dead_letter_(dead|stream)",
                                                 index), (statement, index)  # fmt: skip
        # A page that holds all that were counted needs no limit.
        assert " LIMIT " in statements[-1] or rows_of(statements[-1]) <= 50

    @pytest.mark.parametrize(
        ("path", "most"), [(LETTERS, 16), (f"{LETTERS}?p=20", 16), (f"{LETTERS}causes/", 12)]
    )
    def test_asks_the_database_as_often_for_many_as_for_few(
        self, world, many, root, admin_of_a, path, most, django_assert_max_num_queries
    ):
        for client in (root, admin_of_a):
            with django_assert_max_num_queries(most):
                assert client.get(path).status_code == 200

    def test_counts_no_further_than_it_pages(self, world, many, root):
        fill(100, world.a.tenant, world.b.tenant)

        text = text_of(root.get(LETTERS))

        assert "10,000+" in text
        assert "Replay all 10000 or more that match" in text

    def test_of_an_admin_of_some_sites_reads_by_an_index(self, world, many, admin_of_a):
        narrow(world.a.admin, world.a.near)

        with CaptureQueriesContext(connection) as captured:
            assert admin_of_a.get(LETTERS).status_code == 200

        for statement in of_the_list(captured.captured_queries):
            assert [kind for kind, _ in scans(statement) if kind == "Seq Scan"] == [], statement

    def test_of_causes_groups_the_newest(self, world, many, root, admin_of_a):
        assert "910 events, one cause" in text_of(root.get(f"{LETTERS}causes/"))
        assert "91 events, one cause" in text_of(admin_of_a.get(f"{LETTERS}causes/"))


class TestApi:
    @pytest.mark.parametrize(
        "query", ["", "?type=kind_3", "?fingerprint=cause4", "?subject=ticket:123", "?site=1"]
    )
    def test_reads_by_an_index_and_asks_as_often(
        self, world, many, api, query, django_assert_max_num_queries
    ):
        client = api(world.a.admin)

        with django_assert_max_num_queries(4), CaptureQueriesContext(connection) as captured:
            assert client.get(f"{API}dead-letters/{query}").status_code == 200

        [statement] = of_the_list(captured.captured_queries)
        assert "Seq Scan" not in [kind for kind, _ in scans(statement)]


class TestDryRun:
    def test_of_all_is_a_few_statements(self, world, many, admin_of_a):
        with CaptureQueriesContext(connection) as captured:
            answer = admin_of_a.get(f"{LETTERS}replay/")

        assert answer.context["plan"].total == COUNT // 10
        assert len(captured.captured_queries) < 80  # a page of 200 events each

    def test_of_more_than_a_replay_takes_says_so(self, world, many, root):
        die(world.a.tenant)

        answer = root.get(f"{LETTERS}replay/")

        assert "narrow the filter" in text_of(answer)
        assert answer.status_code == 200


def test_a_page_of_the_detail_asks_little(world, admin_of_a, django_assert_max_num_queries):
    letter = die(world.a.tenant)

    with django_assert_max_num_queries(20):
        assert admin_of_a.get(f"{LETTERS}{letter.pk}/change/").status_code == 200
