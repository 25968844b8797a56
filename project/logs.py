"""One shape for every log line, ours and the libraries': JSON for machines, columns for people."""

from typing import Any

import structlog

_SHARED: list[Any] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.ExtraAdder(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
]


def logging_config(*, format_: str, level: str, instance: str) -> dict[str, Any]:
    """
    Return ``settings.LOGGING``; ``format_`` is ``json`` or ``console``.

    Modules log with the standard library and put fields in ``extra``; ``structlog.contextvars``
    adds what belongs to the request or task at hand.
    """
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    renderers: list[Any] = (
        [
            structlog.dev.ConsoleRenderer(
                # The other formatters print local variables: slow, and a way for secrets into logs.
                colors=False,
                exception_formatter=structlog.dev.plain_traceback,
            )
        ]
        if format_ == "console"
        else [structlog.processors.format_exc_info, structlog.processors.JSONRenderer()]
    )

    def name_instance(logger: Any, method: str, event: dict[str, Any]) -> dict[str, Any]:
        event.pop("color_message", None)  # uvicorn's second copy of its text
        return {"instance": instance, **event}

    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {
            "line": {
                "()": structlog.stdlib.ProcessorFormatter,
                "foreign_pre_chain": _SHARED,
                "processors": [
                    structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                    name_instance,
                    *renderers,
                ],
            }
        },
        "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
        "root": {"handlers": ["stderr"], "level": level},
        "loggers": {
            # Their own handlers would print each line a second time, in another shape.
            **{
                name: {"handlers": [], "level": level, "propagate": True}
                for name in (
                    *("django", "django.server"),
                    *("uvicorn", "uvicorn.access", "uvicorn.error"),
                )
            },
            # Two lines per task, many times a second: Flower and the metrics tell it better.
            "celery.worker.strategy": {"level": "WARNING"},
            "celery.app.trace": {"level": "WARNING"},
        },
    }
