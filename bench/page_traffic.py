"""
What happens on the board that ``bench page`` watches: open tickets, and changes to them by SQL.

``run`` is the child process: it writes at a rate until it is told to end, one commit per change,
and nudges after each as the application does. Six kinds, in shares; as many tickets open as close.
"""

import json
import random
import signal
import sys
from time import perf_counter, sleep, time

from bench import harness

SITES = 20
SHARES = {"status": 40, "edit": 25, "acknowledge": 15, "comment": 10, "create": 5, "close": 5}
NEXT = {"NEW": "IN_PROGRESS", "IN_PROGRESS": "ON_HOLD", "ON_HOLD": "RESOLVED", "RESOLVED": "NEW"}

MAKE_SITES = """
INSERT INTO tenancy_site (tenant_id, code, name)
SELECT %(tenant)s, 'SITE' || n, 'Site ' || n FROM generate_series(1, %(sites)s) n
"""
# No capture: what was there before the page opened is in its snapshot.
OPEN_TICKETS = """
INSERT INTO helpdesk_ticket (tenant_id, site_id, ticket_no, status, priority, description,
                             created_at)
SELECT s.tenant_id, s.id, s.code || '#' || n,
       (ARRAY['NEW', 'IN_PROGRESS', 'ON_HOLD', 'RESOLVED'])[n %% 4 + 1],
       (ARRAY['CRITICAL', 'HIGH', 'MEDIUM', 'MEDIUM', 'LOW', 'LOW', 'LOW'])[n %% 7 + 1],
       'Interface ' || n || ' of the core switch drops packets: '
         || repeat('CRC errors on the uplink. ', 5),
       now() - make_interval(mins => 20 + n)
  FROM tenancy_site s, generate_series(1, %(each)s) n WHERE s.code LIKE 'SITE%%'
"""
CREATE = """
INSERT INTO helpdesk_ticket (tenant_id, site_id, ticket_no, status, priority, description)
VALUES (%s, %s, %s, 'NEW', %s, %s) RETURNING id
"""
CHANGE = "UPDATE helpdesk_ticket SET status = %s WHERE id = %s"
EDIT = "UPDATE helpdesk_ticket SET description = %s WHERE id = %s"
ACKNOWLEDGE = """
INSERT INTO helpdesk_acknowledgement (ticket_id, acknowledged_by_id) VALUES (%s, %s)
ON CONFLICT DO NOTHING
"""
COMMENT = "INSERT INTO helpdesk_ticketnote (ticket_id, author_id, text) VALUES (%s, %s, %s)"


def make_tickets(tenant: int, count: int) -> None:
    """Put ``count`` open tickets into the tenant, spread over its sites; no events."""
    from django.db import connection, transaction

    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = replica")
        cursor.execute(MAKE_SITES, {"tenant": tenant, "sites": SITES})
        cursor.execute(OPEN_TICKETS, {"each": count // SITES})
    with connection.cursor() as cursor:
        cursor.execute("VACUUM (ANALYZE) helpdesk_ticket")


class Traffic:
    """Changes to the open tickets of one tenant. What it knows of them, it knows by itself."""

    def __init__(self, tenant: int, user: int) -> None:
        from django.db import connection

        self._tenant, self._user = tenant, user
        self._cursor = connection.cursor()
        self._cursor.execute("SET synchronous_commit = off")  # the disk is not what is measured
        self._cursor.execute("SELECT outbox_lane_of(%s)", [f"tenant:{tenant}"])
        self.lane: int = self._cursor.fetchone()[0]
        self._cursor.execute(
            "SELECT id, status FROM helpdesk_ticket WHERE tenant_id = %s AND status <> 'CLOSED'",
            [tenant],
        )
        self._status = dict(self._cursor.fetchall())
        self._ids = list(self._status)
        self._cursor.execute("SELECT id FROM tenancy_site WHERE code LIKE 'SITE%'")
        self._sites = [row[0] for row in self._cursor.fetchall()]
        self._acknowledged: set[int] = set()
        self._made = 0

    def one(self) -> None:
        """Make one change that gives one event."""
        (kind,) = random.choices(list(SHARES), list(SHARES.values()))
        at = random.randrange(len(self._ids))
        ticket = self._ids[at]
        if kind == "acknowledge" and (
            self._status[ticket] != "NEW" or ticket in self._acknowledged
        ):
            kind = "edit"
        if kind == "status":
            to = self._status[ticket] = NEXT[self._status[ticket]]
            if to == "NEW":
                self._acknowledged.discard(ticket)
            self._cursor.execute(CHANGE, [to, ticket])
        elif kind == "edit":
            self._cursor.execute(EDIT, [f"Port flaps, seen at {time() * 1e3:.0f}", ticket])
        elif kind == "acknowledge":
            self._acknowledged.add(ticket)
            self._cursor.execute(ACKNOWLEDGE, [ticket, self._user])
        elif kind == "comment":
            self._cursor.execute(COMMENT, [ticket, self._user, "Called the carrier, they look."])
        elif kind == "close":
            self._ids[at] = self._ids[-1]
            self._ids.pop()
            del self._status[ticket]
            self._cursor.execute(CHANGE, ["CLOSED", ticket])
        else:
            self._made += 1
            level = random.choices(["CRITICAL", "HIGH", "MEDIUM", "LOW"], [5, 20, 40, 35])[0]
            values = [random.choice(self._sites), f"NEW#{self._made}", level, "Device unreachable"]
            self._cursor.execute(CREATE, [self._tenant, *values])
            (made,) = self._cursor.fetchone()
            self._ids.append(made)
            self._status[made] = "NEW"


def run() -> None:
    """Write at the rate of the command line until SIGTERM; then print how fast it was."""
    tenant, user, rate = (int(word) for word in sys.argv[1:4])
    harness.prepare()
    from worker import wake

    ended: list[int] = []
    signal.signal(signal.SIGTERM, lambda signum, _: ended.append(signum))
    traffic = Traffic(tenant, user)
    began, written = perf_counter(), 0
    while not ended:
        if (ahead := began + written / rate - perf_counter()) > 0:
            sleep(ahead)
        traffic.one()
        wake.nudge([traffic.lane])
        written += 1
    print(json.dumps({"events": written, "seconds": perf_counter() - began}), flush=True)
