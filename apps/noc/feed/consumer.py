"""The websocket ``/ws/noc/``: admits, joins the tenant group, and feeds one connection.

The handlers carry the names of the layer's messages. Nothing here runs in the thread that all
consumers of a process share: Channels' own dispatch goes through it for each message.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from channels.consumer import AsyncConsumer, get_handler_name
from channels.layers import get_channel_layer
from django.db import Error

from apps.noc import metrics
from apps.noc.feed import admission, control, database, inbound
from apps.noc.feed.connection import Bye, Connection, retry_ms
from apps.noc.feed.heads import heads
from apps.noc.feed.subscription import follow
from apps.noc.feed.wire import event_of_message
from apps.tenancy.access import Access

logger = logging.getLogger(__name__)

JOIN_SECONDS = 0.5  # a frozen Redis must not hold a connect: the log is enough
CLOSE_SECONDS = 1.0  # for the last frames to a client that may not read them

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


class FeedConsumer(AsyncConsumer):
    """One websocket."""

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        credentials = admission.credentials_of(scope["headers"])
        try:
            access = await database.run(admission.admit, credentials)
        except Error:
            logger.warning("A connection could not be judged", exc_info=True)
            await send({"type": "websocket.accept"})
            await _end(send, Bye(4102, "the database cannot be read", retry_ms()))
            return
        if access is None:
            await send({"type": "websocket.close"})  # before accept: HTTP 403
            return
        await send({"type": "websocket.accept"})
        with metrics.FEED_CONNECTIONS.track_inprogress():
            try:
                await self._serve(access, scope, receive, send)
            except Bye as bye:
                await _end(send, bye)
            except (OSError, RuntimeError):
                logger.debug("The client vanished", exc_info=True)

    async def _serve(
        self, access: Access, scope: dict[str, Any], receive: Receive, send: Send
    ) -> None:
        async def send_text(text: str) -> None:
            await send({"type": "websocket.send", "text": text})

        stream, group = f"tenant:{access.tenant_id}", f"noc_tenant_{access.tenant_id}"
        self.connection = Connection(stream=stream, sites=access.sites, send=send_text)
        joined = asyncio.Event()
        layer = get_channel_layer()
        tasks = [asyncio.create_task(self._read(receive))]
        try:
            if layer is not None:
                tasks.append(asyncio.create_task(follow(layer, group, self.dispatch, joined)))
                await _within(JOIN_SECONDS, joined)  # before the head is read: no hole between
            with heads().watching(stream, self.connection.see_head):
                run = self.connection.run(cursor=_cursor_of(scope))
                tasks.append(asyncio.create_task(run))
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        for task in done:
            task.result()  # raises what ended the connection

    async def _read(self, receive: Receive) -> None:
        """Hand the client's messages to the connection until it disconnects."""
        loop = asyncio.get_running_loop()
        rate = inbound.Rate(loop.time())
        told = False
        while (message := await receive())["type"] != "websocket.disconnect":
            if not rate.allow(loop.time()):
                if rate.refused > inbound.FORGIVEN:
                    raise Bye(4101, "too many frames", retry_ms())
                if not told:
                    text = f"at most {inbound.PER_SECOND} frames a second"
                    self.connection.request(
                        control.error("rate_limited", text, retry_after_ms=1_000)
                    )
                told = True
                continue
            told = False
            try:
                parsed = inbound.parse(message.get("text"))
            except inbound.BadMessage as bad:
                self.connection.request(control.error(bad.code, str(bad)))
            else:
                if not isinstance(parsed, inbound.Ack):
                    self.connection.request(parsed)

    async def dispatch(self, message: dict[str, Any]) -> None:
        """Call the handler of a layer message. A message that cannot be handled harms nobody."""
        try:
            handler = getattr(self, get_handler_name(message), None)
            if handler is not None:
                await handler(message)
        except Exception:
            logger.exception("A layer message was passed over; the log has what it told")

    async def ticket_updated(self, message: dict[str, Any]) -> None:
        """Take one event; the other events' handlers do the same."""
        event = event_of_message(message)
        if event is not None:
            self.connection.hint(event)

    ticket_created = ticket_edited = ticket_moved = ticket_deleted = ticket_updated
    finding_created = anomaly_detected = event_failed = ticket_updated

    async def noc_events(self, message: dict[str, Any]) -> None:
        """Take several events of one message."""
        for each in message["events"]:
            await self.ticket_updated(each)


def _cursor_of(scope: dict[str, Any]) -> inbound.Resume | inbound.BadMessage | None:
    """Read ``?after_seq=N&epoch=E``; one without the other is no cursor that can be used."""
    query = parse_qs(scope.get("query_string", b"").decode("latin1"), keep_blank_values=True)
    after_seq, epoch = query.get("after_seq"), query.get("epoch")
    if after_seq is None and epoch is None:
        return None
    try:
        if after_seq is None or epoch is None:
            raise inbound.BadMessage("bad_cursor", "after_seq and epoch belong together")
        digits = after_seq[-1]
        number = int(digits) if digits.isascii() and digits.isdigit() else None
        return inbound.cursor_of(number, epoch[-1])
    except (inbound.BadMessage, ValueError) as bad:
        return bad if isinstance(bad, inbound.BadMessage) else inbound.BadMessage("bad_cursor", "")


async def _within(seconds: float, event: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass


async def _end(send: Send, bye: Bye) -> None:
    """Say goodbye and close; the client may be long gone."""
    text = control.bye(bye.code, bye.reason, retry_after_ms=bye.retry_after_ms)
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await send({"type": "websocket.send", "text": text})
            await send({"type": "websocket.close", "code": bye.code, "reason": bye.reason})
    except (OSError, RuntimeError, TimeoutError):
        logger.debug("The client vanished before its goodbye", exc_info=True)
