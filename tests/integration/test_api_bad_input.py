"""Nonsense gets a clear 4xx as problem+json, writes nothing, and never is a 500."""

import base64
import json
from urllib.parse import quote

import pytest

from apps.helpdesk.models import Ticket

TEXTS = {
    "NUL": "a\x00b",
    "lone surrogate": "a\ud800b",
    "too long": "x" * 10_001,
    "number for a list": [1],
    "an object": {"a": 1},
    "null": None,
    "empty": "",
}
IDS = [0, -1, 2**63, 10**400, "7x", "", None, True, 1.5, [], {}]


@pytest.fixture
def operator(world, api):
    return api(world.a.operator)


def refused(answer, *statuses):
    assert answer.status_code in (statuses or (400,)), answer.content
    assert answer["Content-Type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["detail"]
    return problem


def send(client, method, path, body):
    """Send JSON whose text may be anything; the client's own encoder refuses lone surrogates."""
    return client.generic(method, path, json.dumps(body), content_type="application/json")


class TestBodies:
    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    def test_with_text_that_cannot_be_kept(self, world, operator, ticket, text, captured):
        captured()
        new = {"site_id": world.a.near.pk, "description": text}

        refused(send(operator, "POST", "/api/v1/tickets/", new))
        refused(send(operator, "PATCH", f"/api/v1/tickets/{ticket.pk}/", {"description": text}))

        assert captured() == []
        assert Ticket.objects.count() == 1

    @pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
    def test_with_a_comment_that_cannot_be_kept(self, operator, ticket, text, captured):
        captured()

        refused(send(operator, "POST", f"/api/v1/tickets/{ticket.pk}/comments/", {"text": text}))

        assert captured() == []

    @pytest.mark.parametrize("site_id", IDS, ids=repr)
    def test_with_ids_that_cannot_be(self, operator, site_id):
        body = {"site_id": site_id, "description": "x"}

        refused(operator.post("/api/v1/tickets/", body, format="json"))

    @pytest.mark.parametrize(
        "status", ["", "new", "NONSENSE", None, 1, [], "NEW\x00", "\ud800"], ids=repr
    )
    def test_with_an_unknown_status(self, operator, ticket, status):
        path = f"/api/v1/tickets/{ticket.pk}/status/"

        refused(send(operator, "POST", path, {"status": status}))

    @pytest.mark.parametrize("key", ["x", "\ud800", "\x00", "k" * 100_000], ids=len)
    def test_with_an_unknown_key(self, operator, ticket, key):
        path = f"/api/v1/tickets/{ticket.pk}/status/"

        refused(send(operator, "POST", path, {"status": "RESOLVED", key: 1}))

    @pytest.mark.parametrize(
        "body",
        [b"", b"{", b"[]", b"null", b"7", b'"x"', b"\xff", b'{"status": NaN}', b"[" * 100_000],
        ids=["empty", "cut", "list", "null", "number", "text", "bytes", "NaN", "deep"],
    )
    @pytest.mark.parametrize("name", ["status", "acknowledge"])
    def test_that_are_no_json_object(self, operator, ticket, body, name):
        if (name, body) == ("acknowledge", b""):
            return  # nothing is asked, so nothing is missing
        path = f"/api/v1/tickets/{ticket.pk}/{name}/"

        refused(operator.generic("POST", path, body, content_type="application/json"))

    @pytest.mark.parametrize(
        "body",
        [
            '{"action": %s, "tickets": [{"id": 1}]}',
            '{"action": "acknowledge", "tickets": [{"id": %s}]}',
            '{"action": "acknowledge", "tickets": [{"id": 1, "version": %s}]}',
            '{"action": "assign", "assigned_to_id": %s, "tickets": [{"id": 1}]}',
        ],
    )
    def test_nested_deeper_than_anything_that_is_asked_for(self, operator, body):
        for levels in (33, 500, 800, 900, 960, 2_000):
            for opened, closed in (("[", "]"), ('{"a":', "}")):
                deep = body % (opened * levels + "1" + closed * levels)

                answer = operator.generic("POST", "/api/v1/tickets/bulk/", deep, "application/json")

                assert "32 levels" in refused(answer)["detail"]

    def test_nested_as_deep_as_may_be(self, operator, ticket):
        for levels, words in ((31, "not a valid choice"), (32, "32 levels")):
            body = f'{{"status": {"[" * levels}{"]" * levels}}}'

            problem = refused(
                operator.generic(
                    "POST", f"/api/v1/tickets/{ticket.pk}/status/", body, "application/json"
                )
            )

            assert words in problem["detail"]

    def test_too_deep_for_anything_else_that_handles_it(self, operator, monkeypatch, caplog):
        """What the parser can just read, the fields cannot look at."""
        monkeypatch.setattr("apps.tenancy.http.bodies.MAX_LEVELS", 10**6)
        details = set()
        for levels in range(980, 0, -1):
            id_ = "[" * levels + "]" * levels
            body = f'{{"action": "acknowledge", "tickets": [{{"id": {id_}}}]}}'
            answer = operator.generic("POST", "/api/v1/tickets/bulk/", body, "application/json")
            details.add(refused(answer)["detail"])
            if len(details) == 2:
                break

        assert "The request is nested too deep: send a flat one." in details
        assert "RecursionError" in caplog.text

    def test_of_ten_megabytes(self, world, operator):
        body = {"site_id": world.a.near.pk, "description": "x" * 10_000_000}

        problem = refused(operator.post("/api/v1/tickets/", body, format="json"), 413)

        assert "send less" in problem["detail"]

    def test_of_another_kind(self, operator, ticket):
        path = f"/api/v1/tickets/{ticket.pk}/status/"

        refused(operator.generic("POST", path, b"status=CLOSED", "text/plain"), 415)

    def test_in_an_unknown_encoding(self, operator, ticket):
        path = f"/api/v1/tickets/{ticket.pk}/status/"

        answer = operator.generic(
            "POST", path, b'{"status": "RESOLVED"}', "application/json; charset=x-none"
        )

        assert answer.status_code == 200  # JSON is UTF-8 whatever the header says

    @pytest.mark.parametrize("number", ["1e999", "-1e999", '"x"', "null", "{}"])
    def test_with_numbers_that_json_has_not(self, world, operator, number):
        body = f'{{"metric": "x", "observed": {number}, "expected": 0}}'.encode()

        answer = operator.generic("POST", "/api/v1/noc/anomalies/", body, "application/json")

        refused(answer)

    def test_text_that_is_merely_odd_passes_unchanged(self, world, operator):
        text = "<script>alert(1)</script> \u202eRTL 🔥 javascript:x ' OR 1=1 -- %s"
        body = {"site_id": world.a.near.pk, "description": text}

        answer = operator.post("/api/v1/tickets/", body, format="json")

        assert answer.status_code == 201
        assert answer.json()["description"] == text


class TestPaths:
    @pytest.mark.parametrize("ticket_id", ["0", str(2**63), "9" * 30, "9" * 5000, "1%00"])
    def test_with_ids_that_nobody_has(self, operator, ticket_id):
        refused(operator.get(f"/api/v1/tickets/{ticket_id}/"), 404)

    @pytest.mark.parametrize("path", ["tickets/x/", "tickets", "tickets/-1/", "nothing/", "%00/"])
    @pytest.mark.parametrize("method", ["get", "post", "delete"])
    def test_that_lead_nowhere(self, operator, method, path):
        problem = refused(getattr(operator, method)(f"/api/v1/{path}"), 404)

        assert "ends with a slash" in problem["detail"]

    def test_with_the_wrong_method(self, operator, ticket):
        refused(operator.delete(f"/api/v1/tickets/{ticket.pk}/"), 405)
        refused(operator.put(f"/api/v1/tickets/{ticket.pk}/", {}, format="json"), 405)


class TestQueries:
    @pytest.mark.parametrize(
        "query",
        [
            "limit=1000000000",
            "limit=0",
            "limit=x",
            "ordering=id",
            "status=NONSENSE",
            "status=%00",
            "priority=",
            "site=x",
            "site=" + "9" * 40,
            "site=-1",
            "assigned_to__password=x",
            "cursor=%00",
            "cursor=x",
            "cursor=" + quote(base64.b64encode(b"p=abc")),
            "cursor=" + quote(base64.b64encode(b"p=%00")),
            "cursor=" + quote(base64.b64encode(b"p=" + b"9" * 40)),
            "cursor=" + "A" * 5000,
            "token=x",
            "include=x",
            "include=",
        ],
    )
    def test_of_a_list(self, operator, ticket, query):
        refused(operator.get(f"/api/v1/tickets/?{query}"), 400)

    @pytest.mark.parametrize(
        "query",
        [
            "after_seq=-1",
            "after_seq=9223372036854775808",
            "after_seq=7.0",
            "after_seq=true",
            "after_seq=null",
            "after_seq=x",
            "limit=501",
            "limit=0",
            "scope=" + "a" * 65,
            "wait=26",
            "wait=-1",
            "wait=nan",
            "wait=inf",
            "after=1",
        ],
    )
    def test_of_the_events(self, operator, query):
        refused(operator.get(f"/api/v1/noc/events/?{query}"))


class TestHeaders:
    @pytest.mark.parametrize(
        "header",
        ["Token", "Token a b", "Token \x00", "Token \xff\xfe", "Token " + "x" * 5000, "Token é"],
        ids=repr,
    )
    def test_with_a_token_that_cannot_be_one(self, world, api, header):
        client = api()
        client.credentials(HTTP_AUTHORIZATION=header)

        refused(client.get("/api/v1/tickets/"), 401)

    @pytest.mark.parametrize("if_match", ["x", '"1", "2"', "null", "\xff"])
    def test_with_an_if_match_that_is_no_version(self, operator, ticket, if_match):
        refused(
            operator.patch(
                f"/api/v1/tickets/{ticket.pk}/",
                {"priority": "LOW"},
                format="json",
                HTTP_IF_MATCH=if_match,
            )
        )


class TestLogin:
    @pytest.mark.parametrize(
        "login",
        [
            {},
            {"username": "x"},
            {"username": "\x00", "password": "x"},
            {"username": "x", "password": "\ud800"},
            {"username": "x" * 200, "password": "x"},
            {"username": ["x"], "password": {}},
        ],
        ids=repr,
    )
    def test_with_what_cannot_be_a_login(self, database, api, login):
        refused(send(api(), "POST", "/api/v1/auth/token/", login))
