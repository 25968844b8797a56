"""Request bodies: JSON objects of a bounded size with known keys, or a clear refusal."""

import json
import re
from collections.abc import Iterable, Mapping
from typing import IO, Any

from rest_framework import serializers
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser

from apps.tenancy.http.problems import Problem

MAX_BYTES = 256 * 1024
MAX_LEVELS = 32  # of lists and objects in each other; what is asked for has three
TOO_DEEP = f"The body is nested deeper than {MAX_LEVELS} levels: send one flat JSON object."
BIGGEST_ID = 2**63 - 1
_INTEGER = re.compile(r"-?[0-9]+")


class JSONParser(BaseParser):
    """
    UTF-8 JSON up to 256 KiB and 32 levels; what cannot be read is a 400 or 413, never a 500.

    Deeper values could be read, and then not be quoted in an error.
    """

    media_type = "application/json"

    def parse(
        self,
        stream: IO[bytes],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read(MAX_BYTES + 1)
        if len(body) > MAX_BYTES:
            raise Problem(413, f"The body is larger than {MAX_BYTES:,} bytes: send less.")
        try:
            found = json.loads(body.decode(), parse_constant=_refuse)
        except RecursionError as error:
            raise ParseError(TOO_DEEP) from error
        except ValueError as error:
            raise ParseError(f"The body is not JSON in UTF-8: {error}") from error
        if body.count(b"[") + body.count(b"{") > MAX_LEVELS and _is_deeper(found, MAX_LEVELS):
            raise ParseError(TOO_DEEP)
        return found


def _is_deeper(value: Any, levels: int) -> bool:
    match value:
        case dict():
            inner: Iterable[Any] = value.values()
        case list():
            inner = value
        case _:
            return False
    return levels == 0 or any(_is_deeper(each, levels - 1) for each in inner)


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")


class Known(serializers.Serializer[Any]):
    """A serializer that refuses keys which it does not know, instead of ignoring them."""

    def to_internal_value(self, data: Any) -> Any:
        if isinstance(data, Mapping):
            unknown = sorted(set(data) - set(self.fields), key=str)
            if unknown:
                known = ", ".join(self.fields.keys())
                raise serializers.ValidationError(
                    {str(key): [f"unknown; known are {known}"] for key in unknown}
                )
        return super().to_internal_value(data)


class Whole(serializers.IntegerField):
    """An integer, strictly: neither 7.0 nor true nor another script's digits."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, bool | float) or not _INTEGER.fullmatch(str(data)[:100]):
            self.fail("invalid")
        return super().to_internal_value(data)


class Id(Whole):
    """A primary key: positive, and no larger than the database can hold."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(min_value=1, max_value=BIGGEST_ID, **kwargs)


class UserName(serializers.CharField):
    """A user name as it is looked up, and so as it is counted: without the spaces around it."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(max_length=150, **kwargs)
