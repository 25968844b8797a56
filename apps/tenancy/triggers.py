"""Rules that only the database can keep: what belongs to one tenant stays there, whoever writes."""

from collections.abc import Iterable
from typing import Any

import pgtrigger

from outbox import capture_delete, capture_update
from outbox.capture import PlainTrigger

ACCESS_STREAM = "access"  # one for all tenants: a process follows it with one look
ACCESS_CHANGED = "access_changed"


def tenant_is_fixed() -> PlainTrigger:
    """
    Refuse an update that would move a row to another tenant.

    Checks made once at insert (a site of a membership, the site of a ticket) therefore hold for
    ever, without locks.
    """
    return PlainTrigger(
        name="tenant_is_fixed",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition("OLD.tenant_id IS DISTINCT FROM NEW.tenant_id"),
        func="""
            RAISE EXCEPTION '% % belongs to tenant % and stays there: create a new one instead',
                TG_TABLE_NAME, OLD.id, OLD.tenant_id
                USING ERRCODE = 'integrity_constraint_violation';
        """,
    )


def site_of_same_tenant() -> PlainTrigger:
    """Refuse a membership's site that belongs to another tenant."""
    return PlainTrigger(
        name="site_of_same_tenant",
        when=pgtrigger.Before,
        operation=pgtrigger.Insert | pgtrigger.Update,
        func="""
            IF NOT EXISTS (SELECT FROM tenancy_membership m
                             JOIN tenancy_site s ON s.tenant_id = m.tenant_id
                            WHERE m.id = NEW.membership_id AND s.id = NEW.site_id) THEN
                RAISE EXCEPTION 'site % is not of the tenant of membership %',
                    NEW.site_id, NEW.membership_id USING ERRCODE = 'integrity_constraint_violation';
            END IF;
            RETURN NEW;
        """,
    )


# Note [Cursors of another scope]
# A cursor says that everything up to it was received, in the scope of that time. After the sites
# have changed, a client that goes on from it would miss what the new sites did before. So
# ``scope_seq`` keeps the head of the tenant's stream at the change, and a cursor up to there must
# take a new snapshot. But sockets go on in the former scope until they are told, and the head was
# read before the change was committed: ``scope_changed_at`` says that cursors may still be built
# under the former sites, and apps/tenancy/scope.py moves ``scope_seq`` along until they cannot.
# A stream without events has sent nothing, so there is nothing to reset.
#
# A membership gets its sites after its row. In one transaction nobody could use it in between, and
# ``now()`` is the time at which the transaction began, so the row shows that it was made in it.


def scope_of_all_sites() -> PlainTrigger:
    """Mark the change of ``all_sites``."""
    return PlainTrigger(
        name="scope_of_all_sites",
        when=pgtrigger.Before,
        operation=pgtrigger.Update,
        condition=pgtrigger.Condition(
            "OLD.all_sites IS DISTINCT FROM NEW.all_sites AND OLD.created_at <> now()"
        ),
        func="""
            NEW.scope_seq := (SELECT nullif(s.last_seq, 0) FROM outbox_stream s
                               WHERE s.name = 'tenant:' || NEW.tenant_id);
            NEW.scope_changed_at := clock_timestamp();
            RETURN NEW;
        """,
    )


def scope_of_sites() -> PlainTrigger:
    """Mark each change of the sites in the membership's row; none when that is gone too."""
    return PlainTrigger(
        name="scope_of_sites",
        when=pgtrigger.After,
        operation=pgtrigger.Insert | pgtrigger.Update | pgtrigger.Delete,
        func="""
            UPDATE tenancy_membership m
               SET scope_seq = (SELECT nullif(s.last_seq, 0) FROM outbox_stream s
                                 WHERE s.name = 'tenant:' || m.tenant_id),
                   scope_changed_at = clock_timestamp()
             WHERE m.id IN (OLD.membership_id, NEW.membership_id) AND m.created_at <> now();
            RETURN NULL;
        """,
    )


# --- What may end a socket --------------------------------------------------------------------


def _access_changed(of: str, payload: str) -> dict[str, Any]:
    """Return the message: whom it concerns, and nothing of what they may do now."""
    subject = payload if of != "session" else f"left({payload}, 16)"
    return {
        "stream": f"'{ACCESS_STREAM}'",
        "subject": f"'{of}:' || {subject}",
        "payload": {of if of == "session" else f"{of}_id": payload},
    }


def account_access() -> Iterable[PlainTrigger]:
    """Capture another password, (de)activation and deletion of a user."""
    return [
        capture_update(
            ACCESS_CHANGED,
            when_changed=["password", "is_active"],
            **_access_changed("user", "OLD.id"),
        ),
        capture_delete(ACCESS_CHANGED, order=1, **_access_changed("user", "OLD.id")),
    ]


def membership_access() -> Iterable[PlainTrigger]:
    """
    Capture what changes a membership; any change of its sites moves ``scope_changed_at``.

    A new one needs no message: who had none is not connected.
    """
    return [
        capture_update(
            ACCESS_CHANGED,
            when_changed=["capabilities", "user_id", "scope_changed_at"],
            **_access_changed("user", "OLD.user_id"),
        ),
        capture_delete(ACCESS_CHANGED, order=1, **_access_changed("user", "OLD.user_id")),
    ]


def tenant_access() -> PlainTrigger:
    """Capture the suspension of a tenant and its end."""
    return capture_update(
        ACCESS_CHANGED, when_changed=["suspended_at"], **_access_changed("tenant", "OLD.id")
    )


def session_access() -> PlainTrigger:
    """Capture the end of a session by its digest; cleaning up expired ones is none."""
    digest = "encode(sha256(convert_to(OLD.session_key, 'UTF8')), 'hex')"
    ended = capture_delete(ACCESS_CHANGED, **_access_changed("session", digest))
    ended.condition = pgtrigger.Condition("OLD.expire_date > now()")
    return ended


def token_access() -> Iterable[PlainTrigger]:
    """Capture the deletion of a token, and another expiry or user."""
    return [
        capture_update(
            ACCESS_CHANGED,
            when_changed=["expiry", "user_id"],
            **_access_changed("user", "OLD.user_id"),
        ),
        capture_delete(ACCESS_CHANGED, order=1, **_access_changed("user", "OLD.user_id")),
    ]
