"""The websocket ``/ws/noc/``: admits a client, and serves it until one of the two ends it."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from django.db import Error

from apps.noc import metrics
from apps.noc.feed import admission, control, inbound
from apps.noc.feed.admission import Grant
from apps.noc.feed.bye import DRAIN, LIMIT, OVERLOADED, RATE, Bye, Gone, spread_ms
from apps.noc.feed.connection import Connection
from apps.noc.feed.hub import Hub, hub
from apps.noc.feed.outlet import Frame, Send, outlet_of
from apps.noc.feed.parts import Parts
from apps.noc.feed.rate import Bucket

logger = logging.getLogger(__name__)

CLOSE_SECONDS = 1.0  # for the last frames to a client that may not read them
REFUSED, FAULT = 403, 1011

Receive = Callable[[], Awaitable[dict[str, Any]]]
Scope = dict[str, Any]


async def feed(scope: Scope, receive: Receive, send: Send) -> None:
    """Serve one websocket. Whatever goes wrong here ends this one alone and leaves nothing."""
    await receive()  # websocket.connect
    code: int = FAULT
    try:
        code = await _serve(hub(), scope, receive, send)
    except (Gone, OSError):
        code = Gone.code
    except asyncio.CancelledError:
        code = 1012  # the server ends
        raise
    except Exception:
        logger.exception("A websocket failed; its client comes back")
        await _close(send, FAULT)
    finally:
        metrics.CLOSED.labels(code).inc()


async def _serve(hub: Hub, scope: Scope, receive: Receive, send: Send) -> int:
    """Return the close code."""
    session = uuid.uuid4()
    credentials = admission.credentials_of(scope["headers"], scope.get("subprotocols", ()))
    noticed = hub.reviews.noticed
    accept = {"type": "websocket.accept", "subprotocol": credentials.subprotocol}
    try:
        grant = await _admitted(hub, credentials)
    except Bye as bye:
        await send(accept)  # before, a browser could not tell it from a network that fails
        return await _say_bye(scope, send, bye)
    if grant is None:
        await send({"type": "websocket.close"})  # HTTP 403
        return REFUSED
    await send(accept)
    try:
        await _placed(hub, session, grant)
    except Bye as bye:
        return await _say_bye(scope, send, bye)
    try:
        with metrics.FEED_CONNECTIONS.track_inprogress():
            return await _feed(hub, session, grant, noticed, scope, receive, send)
    finally:
        # Shielded: who cancels this connection must not keep its user's place.
        await asyncio.shield(hub.places.give(session))


async def _admitted(hub: Hub, credentials: admission.Credentials) -> Grant | None:
    if hub.draining:
        raise Bye(DRAIN, "this server stops", retry_after_ms=spread_ms())
    if not hub.connects.allow(asyncio.get_running_loop().time()):
        raise Bye(OVERLOADED, "too many connects at once", retry_after_ms=spread_ms(high=15_000))
    try:
        return await hub.admission.ask(credentials)
    except Error as error:
        raise _unreadable(error) from error


async def _placed(hub: Hub, session: uuid.UUID, grant: Grant) -> None:
    try:
        if not await hub.places.take(session, grant.user_id):
            most = hub.settings.sockets_per_user
            raise Bye(LIMIT, f"this user has {most} connections already: close one of them")
    except Error as error:
        raise _unreadable(error) from error


async def _feed(
    hub: Hub,
    session: uuid.UUID,
    grant: Grant,
    noticed: int,
    scope: Scope,
    receive: Receive,
    send: Send,
) -> int:
    try:
        stream = await hub.stream(grant.tenant_id)
    except Error as error:
        return await _say_bye(scope, send, _unreadable(error))
    parts = Parts(process=hub.process, session=session, grant=grant, changed=hub.receipts.changed)
    connection = Connection(
        session=session,
        grant=grant,
        stream=stream,
        pages=hub.pages,
        outlet=outlet_of(scope, send),
        parts=parts,
        delays=hub.delays,
    )
    hub.add(connection)
    if hub.reviews.noticed != noticed:
        hub.reviews.again(connection)
    if hub.draining:
        connection.end(Bye(DRAIN, "this server stops", retry_after_ms=spread_ms()))
    reader = asyncio.create_task(_read(receive, connection))
    code = FAULT
    try:
        bye = await connection.run(_cursor_of(scope))
        code = bye.code
        return await _say_bye(scope, send, bye)
    except (Gone, OSError):
        code = Gone.code
        raise
    finally:
        reader.cancel()
        hub.remove(connection)
        parts.end(code)


async def _read(receive: Receive, connection: Connection) -> None:
    """Hand the client's messages to the connection until it disconnects."""
    loop = asyncio.get_running_loop()
    rate = Bucket(per_second=inbound.PER_SECOND, burst=inbound.PER_SECOND, now=loop.time())
    forgiven = Bucket(per_second=1, burst=inbound.FORGIVEN, now=loop.time())
    told = False
    try:
        while (message := await receive())["type"] != "websocket.disconnect":
            if rate.allow(loop.time()):
                told = False
                _hand_over(message.get("text"), connection)
                continue
            if not forgiven.allow(loop.time()):
                connection.end(Bye(RATE, "too many frames", retry_after_ms=spread_ms()))
                return
            if not told:
                text = f"at most {inbound.PER_SECOND} frames a second"
                connection.request(control.error("rate_limited", text, retry_after_ms=1_000))
            told = True
    except Exception:
        logger.exception("The frames of a client could not be read")
        connection.end(Bye(OVERLOADED, "a fault of the server", retry_after_ms=spread_ms()))
    else:
        connection.end(Gone())


def _hand_over(text: str | None, connection: Connection) -> None:
    try:
        message = inbound.parse(text)
    except inbound.BadMessage as bad:
        connection.request(control.error(bad.code, str(bad)))
        return
    if isinstance(message, inbound.Ack):
        connection.ack(message.seq)
    else:
        connection.request(message)


def _cursor_of(scope: Scope) -> inbound.Resume | inbound.BadMessage | None:
    """Read ``?after_seq=N&epoch=E``; one without the other is no cursor that can be used."""
    query = parse_qs(scope.get("query_string", b"").decode("latin1"), keep_blank_values=True)
    after_seq, epoch = query.get("after_seq"), query.get("epoch")
    if after_seq is None and epoch is None:
        return None
    try:
        if after_seq is None or epoch is None:
            raise inbound.BadMessage("bad_cursor", "after_seq and epoch belong together")
        digits = after_seq[-1]
        # No more digits than int() takes; what is too large for a number of the log is told so.
        number = int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None
        return inbound.cursor_of(number, epoch[-1])
    except inbound.BadMessage as bad:
        return bad


def _unreadable(error: Error) -> Bye:
    logger.warning(
        "A connection could not be made: the database cannot be read",
        extra={"error": f"{type(error).__name__}: {error}"},
    )
    return Bye(OVERLOADED, "the database cannot be read", retry_after_ms=spread_ms())


async def _say_bye(scope: Scope, send: Send, bye: Bye) -> int:
    """Say goodbye and close; the client may be long gone. Return the close code."""
    last = Frame(control.bye(bye.code, bye.reason, retry_after_ms=bye.retry_after_ms))
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await outlet_of(scope, send).close(bye.code, bye.reason, last)
    except (OSError, RuntimeError, TimeoutError):
        logger.debug("The client vanished before its goodbye", exc_info=True)
    return bye.code


async def _close(send: Send, code: int) -> None:
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await send({"type": "websocket.close", "code": code})
    except (OSError, RuntimeError, TimeoutError):
        logger.debug("The client vanished", exc_info=True)
