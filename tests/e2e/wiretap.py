"""Hears every websocket of a browser and judges what the page and the server say to each other."""

from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, WebSocket

from tests.protocol_schemas import Conversation

FEED = "/ws/noc/"


class Wiretap:
    """``frames`` counts what was heard; ``check`` forgets what it has told."""

    def __init__(self, browser: Browser) -> None:
        self.frames = 0
        self._faults: list[str] = []
        browser.on("context", self._hear_context)

    def check(self) -> None:
        """Fail when a frame was against the protocol."""
        faults, self._faults = self._faults, []
        assert not faults, "\n\n".join(faults)

    def _hear_context(self, context: BrowserContext) -> None:
        context.on("page", self._hear_page)

    def _hear_page(self, page: Page) -> None:
        page.on("websocket", self._hear_socket)

    def _hear_socket(self, socket: WebSocket) -> None:
        url = urlsplit(socket.url)
        if url.path != FEED:
            return
        conversation = Conversation(url.query)
        socket.on("framesent", lambda data: self._judge(conversation, "client", data))
        socket.on("framereceived", lambda data: self._judge(conversation, "server", data))

    def _judge(self, conversation: Conversation, side: str, data: str | bytes) -> None:
        self.frames += 1
        try:
            assert isinstance(data, str), f"A frame against the protocol: binary of the {side}"
            getattr(conversation, side)(data)
        except AssertionError as fault:
            self._faults.append(f"{side}: {fault}")
