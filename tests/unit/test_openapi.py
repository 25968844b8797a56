"""The committed OpenAPI document: what every operation of it must say."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(DOCUMENT.read_text(encoding="utf-8"))
    return found


def operations(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


class TestEveryOperation:
    def test_has_a_name_of_its_own_a_tag_and_a_description(self, document: dict[str, Any]) -> None:
        names = [operation["operationId"] for _, _, operation in operations(document)]

        assert len(set(names)) == len(names)
        for path, method, operation in operations(document):
            assert operation["tags"], (path, method)
            assert operation["description"], (path, method)

    def test_tells_its_problems(self, document: dict[str, Any]) -> None:
        for path, method, operation in operations(document):
            assert {"401", "429", "503"} <= set(operation["responses"]), (path, method)
            for code, response in operation["responses"].items():
                if not code.startswith("2"):
                    assert "$ref" in response or set(response["content"]) == {
                        "application/problem+json"
                    }, (path, method, code)

    def test_that_makes_a_device_tells_that_there_are_too_many(
        self, document: dict[str, Any]
    ) -> None:
        for name in ("token", "devices"):
            operation = document["paths"][f"/api/v1/auth/{name}/"]["post"]
            told = operation["responses"]["409"]
            assert "50" in told["description"]
            assert set(told["content"]) == {"application/problem+json"}

    def test_that_writes_takes_a_key_unless_it_answers_with_a_secret(
        self, document: dict[str, Any]
    ) -> None:
        key = {"$ref": "#/components/parameters/IdempotencyKey"}
        for path, method, operation in operations(document):
            wanted = method != "get" and not path.startswith("/api/v1/auth/")
            assert (key in operation.get("parameters", [])) == wanted, (path, method)


class TestTheDocument:
    def test_names_both_ways_to_log_in(self, document: dict[str, Any]) -> None:
        schemes = document["components"]["securitySchemes"]

        assert {name: each["in"] for name, each in schemes.items()} == {
            "token": "header",
            "session": "cookie",
        }
