"""How a user is called where people read it; the triggers say the same in SQL."""

from django.contrib.auth.models import User


def display_name(user: User) -> str:
    """Return the full name, else the user name."""
    return user.get_full_name() or user.username
