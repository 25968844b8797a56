"""
After a change of access, have it relayed at once.

A hint only: the triggers of triggers.py write the message, whoever makes the change, and the
relay finds it within two seconds without this. The tables are others', so their models cannot
inherit ``Captured``, and signals are the one way to hear of a save.
"""

from collections.abc import Collection, Set
from typing import Any

from django.contrib.auth.models import User
from django.contrib.sessions.models import Session
from django.db.models.signals import m2m_changed, post_delete, post_save
from knox.models import AuthToken

from apps.tenancy.models import Membership, Tenant
from apps.tenancy.triggers import ACCESS_STREAM
from outbox.wake import wake

# A login saves a user, who has nothing to fear, and a session, which is none of these.
SAVED: dict[type, Set[str]] = {
    User: {"password", "is_active"},
    Membership: {"user", "capabilities", "all_sites"},
    Tenant: {"suspended_at"},
    AuthToken: {"user", "expiry"},
}
DELETED = (User, Membership, AuthToken, Session)


def _saved(
    sender: type,
    *,
    created: bool,
    update_fields: Collection[str] | None,
    using: str,
    **_: Any,
) -> None:
    if not created and (update_fields is None or not SAVED[sender].isdisjoint(update_fields)):
        wake(ACCESS_STREAM, using=using)


def _changed(*, using: str, **_: Any) -> None:
    wake(ACCESS_STREAM, using=using)


def _sites_changed(*, action: str, using: str, **_: Any) -> None:
    if action.startswith("post_"):
        wake(ACCESS_STREAM, using=using)


for model in SAVED:
    post_save.connect(_saved, sender=model)
for model in DELETED:
    post_delete.connect(_changed, sender=model)
m2m_changed.connect(_sites_changed, sender=Membership.sites.through)
