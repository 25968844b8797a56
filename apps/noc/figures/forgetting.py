"""Letting go of old figures. The last sample of a site stays: it still tells what is open."""

from datetime import datetime, timedelta
from typing import Any

from django.db import connection

KEPT = timedelta(days=7)

# By the primary keys, which begin with the tenant or site: no index of the minute is needed.
STATEMENTS = (
    """
DELETE FROM noc_eventcount WHERE ctid = ANY(ARRAY(
  SELECT n.ctid FROM tenancy_tenant t CROSS JOIN LATERAL (
         SELECT ctid FROM noc_eventcount
          WHERE tenant_id = t.id AND minute < %(before)s LIMIT %(limit)s) n
   LIMIT %(limit)s))
""",
    """
DELETE FROM noc_deliverycount WHERE ctid = ANY(ARRAY(
  SELECT n.ctid FROM tenancy_tenant t CROSS JOIN LATERAL (
         SELECT ctid FROM noc_deliverycount
          WHERE tenant_id = t.id AND minute < %(before)s LIMIT %(limit)s) n
   LIMIT %(limit)s))
""",
    """
DELETE FROM noc_opensample WHERE ctid = ANY(ARRAY(
  SELECT n.ctid FROM tenancy_site s CROSS JOIN LATERAL (
         SELECT ctid FROM noc_opensample
          WHERE site_id = s.id
            AND minute < (SELECT max(minute) FROM noc_opensample
                           WHERE site_id = s.id AND minute < %(before)s)
          LIMIT %(limit)s) n
   LIMIT %(limit)s))
""",
    """
DELETE FROM noc_samplerun WHERE minute = ANY(ARRAY(
  SELECT minute FROM noc_samplerun WHERE minute < %(before)s ORDER BY minute LIMIT %(limit)s))
""",
)


def forget(*, now: datetime, limit: int) -> int:
    """Delete at most ``limit`` figures that are older than they are kept; return how many."""
    deleted = 0
    parameters: dict[str, Any] = {"before": now - KEPT}
    with connection.cursor() as cursor:
        for statement in STATEMENTS:
            if deleted < limit:
                cursor.execute(statement, parameters | {"limit": limit - deleted})
                deleted += cursor.rowcount
    return deleted
