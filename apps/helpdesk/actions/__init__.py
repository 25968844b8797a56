"""
Every write to a ticket goes through here: rules, version, actor, one transaction each.

The events are not written here. They are captured by the triggers of the row, so that a write
which does not come this way is on the board all the same.
"""

from apps.helpdesk.actions.attention import acknowledge, comment, unacknowledge
from apps.helpdesk.actions.tickets import (
    UNCHANGED,
    Unchanged,
    add_ticket,
    change_status,
    create_ticket,
    delete_ticket,
    edit_ticket,
    move_ticket,
    save_ticket,
)

__all__ = [
    "UNCHANGED",
    "Unchanged",
    "acknowledge",
    "add_ticket",
    "change_status",
    "comment",
    "create_ticket",
    "delete_ticket",
    "edit_ticket",
    "move_ticket",
    "save_ticket",
    "unacknowledge",
]
