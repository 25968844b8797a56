"""What the tests of the feed's faults share: real web processes, a crowd of clients, writers."""

import json
import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from channels.layers import channel_layers
from django.conf import settings
from django.contrib.auth.models import User
from django.db import connection, connections, transaction
from django.test import override_settings

from apps.tenancy.models import Site, Tenant
from apps.tenancy.tokens import new_token
from outbox import log
from tests.integration.conftest import make_user
from tests.integration.feed_crowd import Crowd, Watcher
from tests.integration.feed_world import World
from tests.integration.web_process import WebProcess

# One statement, so that thousands of events are written in no time.
NEW_TICKETS = """
INSERT INTO helpdesk_ticket (tenant_id, site_id, ticket_no, description)
SELECT tenant_id, id, code || '#f' || %(first)s + n, repeat('x', 200)
  FROM tenancy_site, generate_series(1, %(count)s) n
 WHERE id = %(site)s
"""


class Rig:
    """``redis_url``: where this process publishes, and the web processes listen by default."""

    def __init__(self, folder: Path, redis_url: str, cleanup: ExitStack) -> None:
        self.redis_url = redis_url
        self.crowd = Crowd()
        cleanup.callback(self.crowd.close)
        nowhere = SimpleNamespace(http="http://127.0.0.1", ws="")  # the servers are other processes
        self.world = World(nowhere, cleanup)  # type: ignore[arg-type]
        self._folder = folder
        self._cleanup = cleanup
        self._webs = 0
        self._written = 0

    def web(
        self, *, redis_url: str | None = None, port: int | None = None, **settings: object
    ) -> WebProcess:
        """Start a web process; it is ended with the test."""
        self._webs += 1
        web = WebProcess(
            self._folder / f"web-{self._webs}.log",
            redis_url=redis_url or self.redis_url,
            port=port,
            **settings,
        )
        self._cleanup.callback(web.close)
        return web

    def watch(self, web: WebProcess, user: User, **options: Any) -> Watcher:
        """Add a client of this user to the crowd, with a token unless it is given headers."""
        headers = options.pop("headers", None)
        if headers is None:
            headers = token_of(user)
        watcher = Watcher(web.ws, headers, **options)
        self.crowd.add(watcher)
        return watcher

    @staticmethod
    def user(name: str, tenant: Tenant, sites: list[Site] | None = None) -> User:
        """Make a user that sees ``sites``, or all of them."""
        user: User = make_user(name, tenant, ["noc:view", "ticket:write"], sites)
        return user

    def write(self, site: Site, count: int = 1) -> None:
        """Write events of this site; they wait in the outbox."""
        with transaction.atomic(), connection.cursor() as cursor:
            values = {"site": site.pk, "first": self._written, "count": count}
            cursor.execute(NEW_TICKETS, values)
        self._written += count

    def head(self, site: Site) -> int:
        return log.head(f"tenant:{site.tenant_id}").last_seq

    def recorded(self, tenant: Tenant) -> dict[int, float]:
        """Return by seq when each event of the tenant was recorded, in seconds since 1970."""
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT seq, extract(epoch FROM recorded_at)::float FROM event_log"
                " WHERE stream = %s",
                [f"tenant:{tenant.pk}"],
            )
            return dict(cursor.fetchall())

    def delays(self, tenant: Tenant, watchers: Iterable[Watcher]) -> list[float]:
        """Return the seconds from the record of each event to its arrival at each watcher."""
        recorded = self.recorded(tenant)
        return [at - recorded[seq] for each in watchers for seq, at in each.arrived.items()]

    @contextmanager
    def writing(self, *sites: Site, every_seconds: float = 0.05) -> Iterator[None]:
        """Write one event of each site at a time while the block runs; a worker records them."""
        stop = threading.Event()

        def run() -> None:
            try:
                while not stop.wait(every_seconds):
                    for site in sites:
                        self.write(site)
            finally:
                connections.close_all()

        thread = threading.Thread(target=run, name="writer")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


@contextmanager
def rig_on(folder: Path, redis_url: str) -> Iterator[Rig]:
    """Make a rig whose broadcasts go to this Redis, and end all that it started."""
    layers = {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {"hosts": [redis_url]},
        }
    }
    try:
        with override_settings(CHANNEL_LAYERS=layers), ExitStack() as cleanup:
            channel_layers.backends = {}
            yield Rig(folder, redis_url, cleanup)
    finally:
        channel_layers.backends = {}


def browser_of(web: WebProcess, user: User) -> dict[str, str]:
    """Return the headers with which a logged-in page of this server connects and posts."""
    csrf = "a" * 32
    cookie = f"{World.session(user)}; {settings.CSRF_COOKIE_NAME}={csrf}"
    return {"Cookie": cookie, "Origin": web.http, "X-CSRFToken": csrf}


def token_of(user: User) -> dict[str, str]:
    return {"Authorization": f"Token {new_token(user)}"}


def ticket_of(web: WebProcess, headers: dict[str, str]) -> str:
    """Return a new ticket of who sends these headers."""
    status, body = web.request("POST", "/api/v1/auth/ws-ticket/", headers)
    assert status == 201, body
    ticket: str = json.loads(body)["ticket"]
    return ticket
