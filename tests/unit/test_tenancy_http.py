"""Bodies and problems, without a database."""

import io

import pytest
from rest_framework import serializers
from rest_framework.exceptions import APIException, ParseError

from apps.tenancy.http.bodies import MAX_BYTES, Id, JSONParser, Known
from apps.tenancy.http.handler import flattened, handle
from apps.tenancy.http.problems import Problem


class TestJSONParser:
    def test_reads_a_body(self):
        assert JSONParser().parse(io.BytesIO('{"a": "ä"}'.encode())) == {"a": "ä"}

    @pytest.mark.parametrize(
        "body",
        [
            pytest.param(b"{", id="cut"),
            pytest.param(b"\xff\xfe", id="not UTF-8"),
            pytest.param(b'{"a": NaN}', id="NaN"),
            pytest.param(b'{"a": -Infinity}', id="infinity"),
            pytest.param(b"[" * 100_000, id="deep"),
            pytest.param(b'{"a": ' + b"9" * 5000 + b"}", id="huge number"),
        ],
    )
    def test_refuses_what_is_not_json(self, body):
        with pytest.raises(ParseError):
            JSONParser().parse(io.BytesIO(body))

    def test_refuses_a_body_that_is_too_large_before_it_is_read(self):
        stream = io.BytesIO(b" " * (10 * MAX_BYTES))

        with pytest.raises(Problem) as refused:
            JSONParser().parse(stream)

        assert refused.value.status_code == 413
        assert stream.tell() == MAX_BYTES + 1


class Body(Known):
    site_id = Id()


class TestKnown:
    def test_names_what_it_does_not_know_and_what_it_does(self):
        body = Body(data={"site_id": 1, "status": "NEW"})

        assert not body.is_valid()
        assert body.errors == {"status": ["unknown; known are site_id"]}

    @pytest.mark.parametrize("value", [0, -1, 2**63, 1.5, True, None, "x", [], {}, "1e3", ""])
    def test_refuses_what_cannot_be_an_id(self, value):
        assert not Body(data={"site_id": value}).is_valid()

    @pytest.mark.parametrize("value", [1, "7", 2**63 - 1])
    def test_takes_what_can(self, value):
        assert Body(data={"site_id": value}).is_valid()


class TestProblem:
    def test_carries_its_detail_and_members(self):
        response = handle(Problem(409, "NEW cannot become X", allowed=["CLOSED"]), {})

        assert response.status_code == 409
        assert response.content_type == "application/problem+json"
        assert response.data == {
            "type": "about:blank",
            "title": "Conflict",
            "status": 409,
            "detail": "NEW cannot become X",
            "allowed": ["CLOSED"],
        }

    def test_of_a_validation_error_names_each_field(self):
        error = serializers.ValidationError({"a": ["bad", "worse"], "b": {"c": ["no"]}})

        response = handle(error, {})

        assert response.data["detail"] == "a: bad; a: worse; b.c: no"
        assert {"field": "b.c", "detail": "no"} in response.data["errors"]

    def test_of_a_bug_is_left_to_the_server(self):
        assert handle(RuntimeError("a bug"), {}) is None

    def test_of_an_api_error_keeps_its_status(self):
        assert handle(APIException("broken"), {}).data["status"] == 500


class TestFlattened:
    def test_leaves_out_the_name_of_no_field(self):
        assert flattened({"non_field_errors": ["x"], "a": ["y"]}) == [("", "x"), ("a", "y")]
