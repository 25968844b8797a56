"""Errors and tracebacks without secrets: what is kept for months must not hold a password."""

import re
import traceback
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

import psycopg
from django.conf import settings
from django.core.signals import setting_changed

ERROR_LENGTH = 1_000  # characters
TRACEBACK_LENGTH = 16_000
GONE = "[removed]"

# Each runs in a time that grows with the text alone, whatever the text is: it may be of anybody. So
# nothing may repeat before a fixed word, nor twice in a row over the same characters.
_IN_URL = re.compile(r"(?<=://)[^\s/:'\"]*:[^\s/'\"]*(?=@)")  # up to the last @: it may hold others
_NAMED = re.compile(
    r"""(?ix)
    ((?:password|passwd|passphrase|\bpwd|secret|token|api[_-]?key|authorization|cookie
      |session[_-]?(?:key|id))
     [a-z0-9_-]{0,40}
     (?:\\?["']?\s{0,9}[=:]\s{0,9} | \ is\  | ["']\s{0,9},\s{0,9}(?=b?["'])))
    (?:(?:token|bearer|basic)\s+)?
    (?:b?"(?:[^"\\\n]|\\.)*" | b?'(?:[^'\\\n]|\\.)*' | [^\s,;&)}\]]+)
    """
)
# By the end of its name: a setting may also be of passwords, like the name of a form's field.
_SECRET_SETTING = re.compile(r"(?:SECRET|PASSWORD|PASSPHRASE|TOKEN|_KEY)$")
_SHORTEST = 6  # characters; a shorter value stands in innocent words


def error_text(error: BaseException) -> str:
    """Return ``Type: message`` of ``error``, at most 1,000 characters, without secrets."""
    return cleaned(_without_rows(f"{type(error).__name__}: {error}", error))[:ERROR_LENGTH]


def traceback_text(error: BaseException) -> str:
    """Return the traceback of ``error`` without secrets; of a very long one the two ends."""
    text = cleaned(_without_rows("".join(traceback.format_exception(error)), error))
    if len(text) <= TRACEBACK_LENGTH:
        return text
    half = TRACEBACK_LENGTH // 2
    return f"{text[:half]}\n…\n{text[-half:]}"


def cleaned(text: str) -> str:
    """Return ``text`` without what looks like a credential, and what PostgreSQL cannot store."""
    for value in _values():
        text = text.replace(value, GONE)
    text = _IN_URL.sub(GONE, text)
    text = _NAMED.sub(rf"\1{GONE}", text)
    return text.encode("utf-8", "replace").decode().replace("\x00", "?")


def _without_rows(text: str, error: BaseException) -> str:
    """Return ``text`` with PostgreSQL's messages alone: the lines below them quote rows."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        each = waiting.pop()
        if each is None or id(each) in seen:
            continue
        seen.add(id(each))
        if isinstance(each, psycopg.Error) and (message := each.diag.message_primary):
            text = text.replace(str(each), message)
        waiting += [each.__cause__, each.__context__, *getattr(each, "exceptions", ())]
    return text


@lru_cache(maxsize=1)
def _values() -> tuple[str, ...]:
    """Return the secrets that the settings hold, longest first."""
    found: set[str] = {place.get("PASSWORD") or "" for place in settings.DATABASES.values()}
    for name in dir(settings):
        if not name.isupper():
            continue
        value: Any = getattr(settings, name, None)
        if isinstance(value, str):
            if _SECRET_SETTING.search(name):
                found.add(value)
            elif url := re.search(r"://[^/\s:]*:([^\s/]+)@", value):
                found |= {url[1], unquote(url[1])}  # an error may have either
        elif isinstance(value, list | tuple) and name.startswith("SECRET"):  # former keys
            found |= {each for each in value if isinstance(each, str)}
    return tuple(sorted((each for each in found if len(each) >= _SHORTEST), key=len, reverse=True))


def _forget(**_: object) -> None:
    _values.cache_clear()


setting_changed.connect(_forget, dispatch_uid="outbox.redaction")
