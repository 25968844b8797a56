"""One shape of line, and nothing in it that is a secret or another's text."""

import json
import logging
import logging.config
import sys
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpRequest

from project.logs import Addresses, logging_config

Written = Callable[[logging.LogRecord], str]


def formatted(format_: str) -> Written:
    """Return what writes a record as the given format does, without touching the process's log."""
    config = logging_config(format_=format_, level="INFO", instance="noc-web")
    configurator = logging.config.DictConfigurator(config)
    formatter = configurator.configure_formatter(config["formatters"]["line"])
    return formatter.format


def record(
    message: str, *args: Any, name: str = "apps.noc", exc_info: Any = None, **extra: Any
) -> logging.LogRecord:
    return logging.getLogger(name).makeRecord(
        name, logging.INFO, "f.py", 1, message, args, exc_info, extra=extra
    )


class TestJson:
    def test_has_the_fields_of_extra_beside_its_own(self) -> None:
        line = json.loads(formatted("json")(record("Sent %d", 3, count=3)))

        assert line.pop("timestamp").endswith("Z")
        assert line == {
            "instance": "noc-web",
            "event": "Sent 3",
            "level": "info",
            "logger": "apps.noc",
            "count": 3,
        }

    def test_is_one_line_whatever_was_logged(self) -> None:
        try:
            raise ValueError("two\nlines")
        except ValueError:
            text = formatted("json")(record("a\nb", exc_info=sys.exc_info()))

        assert "\n" not in text
        assert json.loads(text)["exception"].endswith("ValueError: two\nlines")


@pytest.mark.parametrize("format_", ["json", "console"])
class TestLine:
    def test_drops_the_objects_of_libraries(self, format_: str) -> None:
        asked = HttpRequest()
        asked.method, asked.path = "GET", "/?token=hunter2"
        asked.get_full_path = lambda force_append_slash=False: "/?token=hunter2"
        written = formatted(format_)

        text = written(record("Not Found", request=asked, data={"kwargs": "hunter2"}))

        assert "Not Found" in text
        assert "hunter2" not in text

    @pytest.mark.parametrize("label", ["DETAIL:  Key (k)=(", "LINE 1: SELECT '"])
    def test_has_no_rows_and_statements_of_postgresql(self, format_: str, label: str) -> None:
        error = f"UniqueViolation: it is there\n{label}hunter2"
        written = formatted(format_)

        assert "hunter2" not in written(record("Failed: %r", ValueError(error)))
        text = written(record("Failed", error=error))
        assert "it is there" in text
        assert "hunter2" not in text


class TestLevels:
    def test_of_libraries_are_never_debug(self) -> None:
        config = logging_config(format_="json", level="DEBUG", instance="noc")

        ours = {name for name, each in config["loggers"].items() if each.get("level") == "DEBUG"}
        assert ours == {"apps", "outbox", "project", "worker"}
        assert config["root"]["level"] == "INFO"


class TestAddresses:
    def test_lose_their_query(self) -> None:
        line = record('%s - "WebSocket %s" %d', "127.0.0.1:5", "/ws/noc/?token=hunter2", 403)

        assert Addresses().filter(line)
        assert line.getMessage() == '127.0.0.1:5 - "WebSocket /ws/noc/" 403'

    def test_are_not_followed_by_a_line_that_names_none(self) -> None:
        assert not Addresses().filter(record("connection rejected (403 Forbidden)"))
