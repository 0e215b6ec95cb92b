"""ASGI middleware in front of the app: security headers, checks of host and origin, limits on the body."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from featherweight.serve.limits import Limits

POLICY = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
POLICY += "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}
CLOSE = {"Connection": "close"}         # the rest of the body is not read
LINGER_SECONDS = 2


def refuse(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """Return a JSON response with an error message: {"error": sentence}. All errors of the server have this form."""
    return JSONResponse({"error": sentence}, status, headers)


class Guarded:
    """The app wrapped in HostGuard and BodyGuard. The server logs an exception that gets here and answers with 500."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.guarded = app, HostGuard(BodyGuard(app, limits), limits.hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.guarded(scope, receive, with_headers(send))
        else:       # start and end of the server; web sockets are turned off
            await self.app(scope, receive, send)


def with_headers(send: Send) -> Send:
    """Return a `send` that adds the security headers to each response.

    A response without a Cache-Control header gets `no-store`.
    """

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return send_with_headers


class HostGuard:
    """Middleware that refuses requests from pages of other sites.

    Such a page sends a foreign origin. With DNS rebinding, the page uses a host name of its own for this server.
    """

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self.fault(Headers(scope=scope)) if self.hosts else None
        if fault is not None:
            return await refuse(403, fault)(scope, receive, send)
        return await self.app(scope, receive, send)

    def fault(self, headers: Headers) -> str | None:
        """Return the message for a foreign host or origin, None if both belong to this server."""
        host = headers.get("host", "")
        if name_of(host) not in self.hosts:
            return f"This server's name is {' or '.join(self.hosts)}, not {host[:100]!r}. See --host."
        for origin in headers.getlist("origin"):
            if name_of(origin.partition("://")[2]) not in self.hosts:
                return f"Only this server's own page may send requests, not {origin[:100]!r}. Open the server's page."
        return None


def name_of(address: str) -> str:
    """Return a host name without its port, in lower case."""
    name, _, port = address.rpartition(":")
    return (name if port.isdecimal() else address).lower()


class BodyGuard:
    """Middleware that reads the whole body of a request before the app runs.

    Refuses a body that is too large, too slow, or too much together with the bodies of other requests.
    """

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits, self.held = app, limits, 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        try:
            fault = await self.read(Headers(scope=scope).get("content-length", ""), body, receive)
            if fault is None:
                await self.app(scope, replay(bytes(body), receive), send)
            else:
                await refuse_and_linger(fault, scope, receive, send)
        except ConnectionError:     # the client has closed the connection: no response is possible
            pass
        finally:
            self.held -= len(body)

    async def read(self, length: str, body: bytearray, receive: Receive) -> JSONResponse | None:
        """Read the request's body into `body`. Return the refusal, or None if the body is complete.

        length: the header Content-Length, "" if absent. Raises ConnectionError if the client closes the connection.
        """
        too_large = f"The body is larger than {self.limits.body_bytes:,} bytes. Send a smaller picture."
        if length.isdecimal() and int(length) > self.limits.body_bytes:
            return refuse(413, too_large, CLOSE)
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise ConnectionError
                    body += message.get("body", b"")
                    self.held += len(message.get("body", b""))
                    if len(body) > self.limits.body_bytes:
                        return refuse(413, too_large, CLOSE)
                    if self.held > self.limits.all_bodies:
                        return refuse(503, "Too many large requests at once. Try again in a second.",
                                      CLOSE | {"Retry-After": "1"})
                    if not message.get("more_body", False):
                        return None
        except TimeoutError:
            sentence = f"The body did not arrive within {self.limits.body_seconds:g} seconds. Send it again."
            return refuse(408, sentence, CLOSE)


async def refuse_and_linger(fault: JSONResponse, scope: Scope, receive: Receive, send: Send) -> None:
    """Send the refusal, then read and drop the rest of the body for up to LINGER_SECONDS before closing.

    If a connection closes with unread bytes, the system resets the connection. The client may then lose the response.
    """

    async def send_open(message: Message) -> None:
        await send(message if message["type"] == "http.response.start" else {**message, "more_body": True})

    await fault(scope, receive, send_open)
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while (await receive()).get("more_body", False):
                pass
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that gives the stored body once, then the messages of the connection."""
    waiting = [body]

    async def receive_again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return receive_again
