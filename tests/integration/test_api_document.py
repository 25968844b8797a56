"""The OpenAPI document as it is served: the committed one, made once, whatever is asked with it."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from django.utils.translation import trans_real
from drf_spectacular.generators import SchemaGenerator

from apps.tenancy.http import document

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "openapi.yaml"
PATH = "/api/v1/schema/"


def test_is_the_committed_one(database: None, api: Any) -> None:
    answer = api().get(PATH)

    assert answer.status_code == 200
    assert answer.json() == yaml.safe_load(DOCUMENT.read_text())


def test_is_the_same_whatever_is_asked_with_it(database: None, api: Any) -> None:
    client = api()
    plain = client.get(PATH).content
    known = set(trans_real._translations)

    for query in ("version=a%0Ab", "lang=de-1", "format=yaml", "format=", "x=%00"):
        for accept in ("*/*", "application/yaml", "text/html", ""):
            answer = client.get(f"{PATH}?{query}", headers={"Accept": accept})
            assert (answer.status_code, answer.content) == (200, plain)

    assert set(trans_real._translations) == known


def test_is_made_once(database: None, api: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    document.made.cache_clear()
    made = []
    make = SchemaGenerator.get_schema

    def counted(self: SchemaGenerator, *arguments: Any, **options: Any) -> Any:
        made.append(1)
        return make(self, *arguments, **options)

    monkeypatch.setattr(SchemaGenerator, "get_schema", counted)

    client = api()
    for _ in range(3):
        client.get(PATH)

    assert made == [1]


def test_is_not_sent_again_to_who_has_it(database: None, api: Any) -> None:
    client = api()
    tag = client.get(PATH)["ETag"]

    again = client.get(PATH, headers={"If-None-Match": tag})

    assert (again.status_code, again.content) == (304, b"")
    assert client.get(PATH, headers={"If-None-Match": '"x"'}).status_code == 200


def test_is_refused_to_nobody_but_by_the_limits(database: None, api: Any, settings: Any) -> None:
    settings.THROTTLES = {"read": 0, "write": 0, "anonymous": 1, "login": 0}
    client = api()

    assert [client.get(PATH).status_code for _ in range(2)] == [200, 429]
