"""
Replay: sending events again, or putting dead letters away, with a dry run, an audit and a limit.

One service behind admin, command line and API: :func:`plan` looks, :func:`start` asks for what was
looked at, :func:`step` does some of it, :func:`cancel` ends it. Nothing in the log is edited: an
event that is replayed is a new message in the outbox whose ``replay_of`` names the old one.
"""

from outbox.replay.choice import Choice
from outbox.replay.plan import Plan, plan
from outbox.replay.run import due, step
from outbox.replay.start import cancel, start

__all__ = ["Choice", "Plan", "cancel", "due", "plan", "start", "step"]
