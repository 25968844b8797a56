"""What can go wrong in the outbox; each docstring says what to do."""


class OutboxError(Exception):
    """The root of every error that the outbox raises by itself."""


class NotInTransaction(OutboxError):
    """``publish()`` ran outside a transaction: wrap it and its change in one ``atomic`` block."""


class BadEvent(OutboxError, ValueError):
    """The event cannot be stored: give a type, a stream, a subject and a JSON object as payload."""


class BadSettings(OutboxError):
    """``settings.OUTBOX`` cannot work as it stands: the message names the key and its range."""


class UnsafeDatabase(OutboxError):
    """The database would break the relay's promises: the message names the setting to change."""


class LaneMissing(OutboxError):
    """A lane has no row to lock, so nothing may be recorded: run ``manage.py outbox_relane``."""


class LaneCountDiffers(OutboxError):
    """Settings and database disagree on the number of lanes: run ``manage.py outbox_relane``."""


class RowsLost(OutboxError):
    """A record round deleted more than it logged; it was rolled back and nothing is lost."""


class TransportDown(OutboxError):
    """
    A sink raises it when nothing can be handed over at present, whichever event: the relay waits
    and tries again, and no event is blamed. An ``OSError`` is understood in the same way.
    """


class ReplayError(OutboxError):
    """A replay was asked for that cannot be: the message says what to change."""


class StaleSelection(ReplayError):
    """The chosen events differ from those that were looked at: run the dry run again."""


class TooManyReplays(ReplayError):
    """So many replays run already: wait until one is done, or cancel one."""
