"""A web server in this process, and two tenants whose changes it feeds to websockets."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import uvicorn
from channels.layers import channel_layers
from django.conf import settings
from django.contrib.auth.models import User
from django.db import transaction
from django.test import Client, override_settings
from websockets.sync.client import ClientConnection, connect

from apps.tenancy.models import Membership, Site, Tenant
from apps.tenancy.tokens import new_token
from outbox import log, relay
from outbox.lanes import lane_of
from tests.integration.feed_recorder import Recorder

ANSWER_SECONDS = 15.0


def production_server() -> uvicorn.Server:
    from project import web

    return web.FeedServer(web.config(host="127.0.0.1", port=0, lifespan="off", log_config=None))


class Server:
    """
    A web server on a free port, in a thread, or the one that ``make`` returns.

    Whatever its websockets said is checked against the protocol when it stops.
    """

    def __init__(self, make: Callable[[], uvicorn.Server] = production_server) -> None:
        self._uvicorn = make()
        self._recorder = Recorder(self._uvicorn.config.app)
        self._uvicorn.config.app = self._recorder
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        deadline = time.monotonic() + ANSWER_SECONDS
        while not self._uvicorn.started:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        port = self._uvicorn.servers[0].sockets[0].getsockname()[1]
        self.http, self.ws = f"http://127.0.0.1:{port}", f"ws://127.0.0.1:{port}/ws/noc/"

    async def _serve(self) -> None:
        self.loop = asyncio.get_running_loop()
        await self._uvicorn.serve()

    def stop(self) -> None:
        self._uvicorn.should_exit = True
        self._thread.join(ANSWER_SECONDS)
        assert not self._thread.is_alive()
        self._recorder.check()


class World:
    """Tenant ``acme`` with sites north and south, tenant ``other`` with one."""

    def __init__(self, server: Server, clients: ExitStack) -> None:
        self.server = server
        self._clients = clients
        self.acme = Tenant.objects.create(name="Acme", slug="acme")
        self.other = Tenant.objects.create(name="Other", slug="other")
        self.north = Site.objects.create(tenant=self.acme, code="SITE001", name="North")
        self.south = Site.objects.create(tenant=self.acme, code="SITE002", name="South")
        self.far = Site.objects.create(tenant=self.other, code="SITE001", name="Far")
        clients.enter_context(override_settings(ALLOWED_ORIGINS=[server.http]))

    @transaction.atomic  # the sites are those that the membership begins with
    def user(
        self,
        name: str,
        *,
        tenant: Tenant | None = None,
        sites: list[Site] | None = None,
        capabilities: tuple[str, ...] = ("noc:view", "ticket:write"),
    ) -> User:
        user = User.objects.create_user(name, password="a-password-for-tests")
        membership = Membership.objects.create(
            user=user,
            tenant=tenant or self.acme,
            capabilities=list(capabilities),
            all_sites=sites is None,
        )
        membership.sites.set(sites or [])
        return user

    def drain(self) -> None:
        """Record and publish what was written, as the worker would."""
        for stream in (self.stream(self.acme), self.stream(self.other)):
            relay.drain(lane_of(stream, settings.OUTBOX["lanes"]), deadline=time.monotonic() + 10)

    def record_unheard(self) -> None:
        """Record what was written while nobody hears it: the layer's messages are lost."""
        with override_settings(CHANNEL_LAYERS={}):
            self.drain()

    @staticmethod
    def stream(tenant: Tenant) -> str:
        return f"tenant:{tenant.pk}"

    def head(self) -> log.Head:
        return log.head(self.stream(self.acme))

    def connect(self, user: User, query: str = "", **headers: str) -> "Viewer":
        headers = {"Authorization": f"Token {new_token(user)}", **headers}
        return self.open(query, **headers)

    def open(self, query: str = "", **headers: str) -> "Viewer":
        """Open a websocket with just these headers."""
        socket = connect(self.server.ws + query, additional_headers=headers)
        return Viewer(self._clients.enter_context(socket))

    @staticmethod
    def session(user: User) -> str:
        """Log in as a browser does and return its cookie."""
        browser = Client()
        browser.force_login(user)
        name = settings.SESSION_COOKIE_NAME
        return f"{name}={browser.cookies[name].value}"


@contextmanager
def served_world() -> Iterator[World]:
    """A server with an empty world, and the clients that a test opens; all ended afterwards."""
    channel_layers.backends = {}
    server = Server()
    try:
        with ExitStack() as clients:
            yield World(server, clients)
    finally:
        server.stop()


class Viewer:
    """A client of the feed. Frames are kept apart: control frames, and events of the log."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket

    def next(self) -> dict[str, Any]:
        frame: dict[str, Any] = json.loads(self.socket.recv(timeout=ANSWER_SECONDS))
        return frame

    def until(self, kind: str) -> list[dict[str, Any]]:
        """Return the frames up to and with the first of this type."""
        frames = [self.next()]
        while frames[-1]["type"] != kind:
            frames.append(self.next())
        return frames

    def start(self) -> dict[str, Any]:
        """Read the greeting up to ``synced``; return ``hello``."""
        return self.until("synced")[0]

    def say(self, message: dict[str, Any] | str) -> None:
        self.socket.send(message if isinstance(message, str) else json.dumps(message))
