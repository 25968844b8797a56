"""Rules that only the database can keep: what belongs to one tenant stays there, whoever writes."""

import pgtrigger

from outbox.capture import PlainTrigger


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
