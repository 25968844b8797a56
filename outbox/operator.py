"""Who runs a command, for the audit."""

import getpass


def operator() -> str:
    """Return ``cli:NAME`` of the account that this process runs as."""
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # an account without a name, as in a container
        return "cli"
