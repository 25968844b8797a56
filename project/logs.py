"""
One shape for every log line, ours and the libraries': JSON for machines, columns for people.

Modules log with the standard library and put fields in ``extra``; ``structlog.contextvars`` adds
what belongs to the request or task at hand.

# Note [No secrets in the log]
Addresses are logged without their query. Libraries never log at DEBUG, where they print headers,
statements and messages. A traceback has no local variables, and of PostgreSQL's errors it has the
message alone: the lines below it quote rows and statements. Objects that others put in ``extra``
are dropped, since their text is not ours to know.
"""

import logging
import re
import traceback
from collections.abc import Iterator
from typing import Any, TextIO

import psycopg
import structlog
from structlog.typing import EventDict, ExcInfo

OURS = ("apps", "outbox", "project", "worker")

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]

# Django's request (its text has the query), Celery's context of a failed task (the traceback
# again), uvicorn's second copy of its text.
_DROPPED = ("request", "data", "color_message")
_QUOTED = re.compile(r"(?:\n|\\n)(?:LINE \d+|DETAIL|CONTEXT|QUERY):.*", re.S)


def logging_config(*, format_: str, level: str, instance: str) -> dict[str, Any]:
    """
    Return ``settings.LOGGING``; ``format_`` is ``json`` or ``console``.

    ``level`` is that of our own modules; the libraries' is at least INFO.
    """
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    logging.captureWarnings(True)
    renderers: list[Any] = (
        [structlog.dev.ConsoleRenderer(colors=False, exception_formatter=_print_traceback)]
        if format_ == "console"
        else [
            structlog.processors.ExceptionRenderer(traceback_text),
            structlog.processors.JSONRenderer(),
        ]
    )

    def clean(logger: Any, method: str, event: EventDict) -> EventDict:
        for key in _DROPPED:
            event.pop(key, None)
        if str(event.get("logger")).startswith("django.security"):
            event.pop("exc_info", None)  # the message says all, and anybody can cause it
        for key in ("event", "error"):
            if isinstance(text := event.get(key), str):
                event[key] = _QUOTED.sub("", text)
        return {"instance": instance, **event}

    libraries = "INFO" if level == "DEBUG" else level
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    clean,
                    *renderers,
                ],
            }
        },
        "filters": {"addresses": {"()": "project.logs.Addresses"}},
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": libraries},
        "loggers": {
            **{name: {"level": level} for name in OURS},
            # Their own handlers would print each line a second time, in another shape.
            **{
                name: {"handlers": [], "level": libraries, "propagate": True}
                for name in ("django", "django.server", "uvicorn")
            },
            "uvicorn.error": {"level": libraries, "filters": ["addresses"]},
            # project.request_id tells of each request.
            "uvicorn.access": {"handlers": [], "propagate": False},
            "django.request": {"level": "ERROR"},
            # Two lines per task, many times a second: Flower and the metrics tell it better.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
            "celery.beat": {"level": "WARNING"},
            # Two lines for each login that is in order.
            "axes": {"level": "WARNING"},
        },
    }


class Addresses(logging.Filter):
    """Cuts the query from the address of a websocket, and drops lines that name no websocket."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                arg.partition("?")[0] if isinstance(arg, str) else arg for arg in record.args
            )
        # Of the library below, for each one that the server has told of.
        return not str(record.msg).startswith("connection ")


def traceback_text(exc_info: ExcInfo) -> str:
    """Return the traceback as Note [No secrets in the log] wants it."""
    text = "".join(traceback.format_exception(*exc_info)).rstrip("\n")
    for error in _with_causes(exc_info[1]):
        if isinstance(error, psycopg.Error) and (message := error.diag.message_primary):
            text = text.replace(str(error), message)
    return text


def _with_causes(error: BaseException | None) -> Iterator[BaseException]:
    waiting, seen = [error], set[int]()
    while waiting:
        error = waiting.pop()
        if error is not None and id(error) not in seen:
            seen.add(id(error))
            yield error
            waiting += [error.__cause__, error.__context__, *getattr(error, "exceptions", ())]


def _print_traceback(file: TextIO, exc_info: ExcInfo) -> None:
    file.write("\n" + traceback_text(exc_info))
