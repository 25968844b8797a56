"""What can go wrong with a ticket; each message says what to do."""


class HelpdeskError(Exception):
    """The root of every error that the helpdesk raises by itself."""


class IllegalTransition(HelpdeskError):
    """The status cannot follow the present one: choose one of ``allowed``."""

    def __init__(self, *, present: str, to: str, allowed: frozenset[str]) -> None:
        self.present, self.to, self.allowed = present, to, allowed
        if present == to:
            problem = f"The ticket is already {present}: nothing to change."
        elif allowed:
            problem = f"{present} cannot become {to}: choose one of {', '.join(sorted(allowed))}."
        else:
            problem = f"{present} is final: open a new ticket instead of setting {to}."
        super().__init__(problem)


class HoldNeedsReason(HelpdeskError):
    """A ticket goes on hold only with a reason: say what it waits for."""

    def __init__(self) -> None:
        super().__init__("ON_HOLD needs a reason: say in the note what the ticket waits for.")


class StaleVersion(HelpdeskError):
    """Someone changed the row since ``expected`` was loaded: load it again and repeat."""

    def __init__(self, *, expected: int, present: int | None = None) -> None:
        self.expected, self.present = expected, present
        now = "has changed since" if present is None else f"is now at version {present}"
        super().__init__(
            f"The ticket {now}, and version {expected} was to be changed: load it again and repeat."
        )


class UnknownTicket(HelpdeskError):
    """There is no such ticket any more: it was deleted."""

    def __init__(self, ticket_id: int) -> None:
        self.ticket_id = ticket_id
        super().__init__(f"There is no ticket {ticket_id}: it may have been deleted.")


class WrongTenant(HelpdeskError):
    """A ticket, its site and its assignee are of one tenant: choose one of the ticket's own."""
