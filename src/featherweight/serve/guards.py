"""What stands between the network and the app, as plain ASGI: headers, the host's name, bodies whole and in time."""

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
CLOSE = {"Connection": "close"}         # the rest of the body is not kept
LINGER_SECONDS = 2


def refuse(status: int, sentence: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """A fault as every fault is answered: {"error": one sentence}."""
    return JSONResponse({"error": sentence}, status, headers)


class Guarded:
    """The app behind its guards. An exception that reaches here is logged by the server and answered with 500."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.guarded = app, HostGuard(BodyGuard(app, limits), limits.hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self.guarded(scope, receive, with_headers(send))
        else:       # the server's start and end; it does not take web sockets
            await self.app(scope, receive, send)


def with_headers(send: Send) -> Send:
    """Every response says what a browser may do with it; what does not say otherwise is not to be kept."""

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(HEADERS)
            headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return send_with_headers


class HostGuard:
    """Refuses what pages elsewhere send: under a name that was made to point here, or from their own origin."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        fault = self.fault(Headers(scope=scope)) if self.hosts else None
        if fault is not None:
            return await refuse(403, fault)(scope, receive, send)
        return await self.app(scope, receive, send)

    def fault(self, headers: Headers) -> str | None:
        """Return a sentence for a foreign host or origin, None for a request of ours."""
        host = headers.get("host", "")
        if name_of(host) not in self.hosts:
            return f"This server answers as {' or '.join(self.hosts)}, not as {host[:100]!r}. See --host."
        for origin in headers.getlist("origin"):
            if name_of(origin.partition("://")[2]) not in self.hosts:
                return f"This server answers its own page, and none of {origin[:100]!r}. Open the page that it serves."
        return None


def name_of(address: str) -> str:
    """Return a host without its port, in small letters."""
    name, _, port = address.rpartition(":")
    return (name if port.isdecimal() else address).lower()


class BodyGuard:
    """Reads a request's body before the app sees it: whole, in time and within what may be held, or not at all."""

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
        except ConnectionError:     # the client is gone, nobody waits
            pass
        finally:
            self.held -= len(body)

    async def read(self, length: str, body: bytearray, receive: Receive) -> JSONResponse | None:
        """Fill the body; gives the refusal, or None when it is whole. ConnectionError where the client went away."""
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
    """Answer at once, then let what the client is sending run into nothing before the connection closes.

    Closed with bytes unread, the system resets the connection, and the client may lose the answer.
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
    """The body that was read, once, and then what the connection says."""
    waiting = [body]

    async def receive_again() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return receive_again
