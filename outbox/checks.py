"""System checks: settings that cannot work are named before anything runs."""

from typing import Any

from django.core.checks import CheckMessage, Error, register

from outbox import failpoints
from outbox.conf import outbox_settings
from outbox.errors import BadSettings


@register
def check_settings(**_: Any) -> list[CheckMessage]:
    try:
        settings = outbox_settings()
        failpoints.arm(settings.failpoints)
    except BadSettings as error:
        return [Error(str(error), hint="Mend settings.OUTBOX.", id="outbox.E001")]
    found: list[CheckMessage] = []
    for key in ("sink", "waker"):
        try:
            called: object = settings.deliver if key == "sink" else settings.nudge
        except ImportError as error:
            found.append(
                Error(
                    f"OUTBOX[{key!r}] cannot be imported: {error}",
                    hint="Give the dotted path of a function.",
                    id="outbox.E002",
                )
            )
        else:
            if not callable(called):
                found.append(Error(f"OUTBOX[{key!r}] is not callable", id="outbox.E003"))
    return found
