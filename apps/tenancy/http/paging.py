"""Lists page by an opaque cursor over the id, newest first: stable while rows come and go."""

from collections.abc import Mapping
from typing import Any

from rest_framework import serializers
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request

from apps.tenancy.http.bodies import BIGGEST_ID, Known, Whole
from apps.tenancy.http.problems import Problem

MAX_LIMIT = 500


class PageQuery(Known):
    """The query parameters of every list; a list with filters inherits it."""

    limit = Whole(min_value=1, max_value=MAX_LIMIT, default=100)
    cursor = serializers.CharField(required=False, max_length=200, help_text="from next, previous")


class NewestFirst(CursorPagination):
    page_size = 100
    page_size_query_param = "limit"
    max_page_size = MAX_LIMIT
    ordering = "-id"

    def decode_cursor(self, request: Request) -> Cursor | None:
        foreign = Problem(400, "cursor: not one of ours; follow next and previous as given.")
        try:
            cursor = super().decode_cursor(request)
        except NotFound as error:
            raise foreign from error
        if cursor is not None and cursor.position is not None:
            position = str(cursor.position)
            if not (position.isascii() and position.isdigit() and int(position) <= BIGGEST_ID):
                raise foreign
        return cursor


def query(serializer: type[Known], request: Request) -> Mapping[str, Any]:
    """
    Return the checked query parameters.

    Raises:
        ValidationError: one is unknown or has a value that is not allowed.
    """
    checked = serializer(data=request.query_params)
    checked.is_valid(raise_exception=True)
    values: Mapping[str, Any] = checked.validated_data
    return values
