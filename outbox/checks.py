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
    paths = {"sink": "deliver", "waker": "nudge", "judge": "verdict", "moved_on": "superseded"}
    for key, function in paths.items():
        try:
            called: object = getattr(settings, function)
        except ImportError as error:
            found.append(
                Error(
                    f"OUTBOX[{key!r}] cannot be imported: {error}",
                    hint="Give the dotted path of a function.",
                    id="outbox.E002",
                )
            )
        else:
            if not callable(called) and getattr(settings, key):
                found.append(Error(f"OUTBOX[{key!r}] is not callable", id="outbox.E003"))
    return found
