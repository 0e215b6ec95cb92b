"""HTTP on one connection with time limits. A client that sends or reads too slowly loses its connection."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from featherweight.serve.limits import Limits

BAD_HTTP = b'{"error":"This is no HTTP request that can be read."}'
BAD_HEADERS = [
    (b"content-type", b"application/json"), (b"content-length", str(len(BAD_HTTP)).encode()), (b"connection", b"close"),
]


class Connection(h11.Connection):
    """The h11 parser of one connection. Refuses a body in very many pieces, because each costs time."""

    def __init__(self, most_pieces: int) -> None:
        super().__init__(h11.SERVER)
        self.pieces, self.most_pieces = 0, most_pieces

    def next_event(self) -> Any:
        event = super().next_event()
        self.pieces = 0 if isinstance(event, h11.Request) else self.pieces + isinstance(event, h11.Data)
        if self.pieces > self.most_pieces:
            raise h11.RemoteProtocolError("a body in very many pieces")
        return event


def make_patient(limits: Limits) -> type[H11Protocol]:
    """Return uvicorn's HTTP protocol class with time limits for headers and for reading the response.

    Bytes that are not HTTP get the status 400 and a JSON body.
    """

    class PatientProtocol(H11Protocol):
        waiting: asyncio.TimerHandle | None = None      # timer: closes the connection if the headers do not end
        reading: asyncio.TimerHandle | None = None      # timer: aborts the connection if the client does not read

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.conn = Connection(limits.body_pieces)
            transport.set_write_buffer_limits(high=0)   # pause_writing is called as soon as the system's buffer is full
            self.be_patient(True)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.be_patient(self.cycle is None or self.cycle.response_complete)     # True while headers are incomplete

        def connection_lost(self, exc: Exception | None) -> None:
            self.be_patient(False)
            super().connection_lost(exc)
            self.resume_writing()

        def be_patient(self, wait: bool) -> None:
            """Start the timer that closes the connection (wait=True), unless it runs already; or cancel the timer."""
            if wait and self.waiting is None:
                self.waiting = self.loop.call_later(limits.head_seconds, self.transport.close)
            elif not wait and self.waiting is not None:
                self.waiting.cancel()
                self.waiting = None

        def pause_writing(self) -> None:
            super().pause_writing()
            self.reading = self.reading or self.loop.call_later(limits.reading_seconds, self.transport.abort)

        def resume_writing(self) -> None:
            super().resume_writing()
            if self.reading is not None:
                self.reading.cancel()
                self.reading = None

        def send_400_response(self, msg: str) -> None:
            if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                answer = h11.Response(status_code=400, headers=BAD_HEADERS, reason=b"Bad Request")
                events: list[Any] = [answer, h11.Data(data=BAD_HTTP), h11.EndOfMessage()]
                self.transport.write(b"".join(self.conn.send(event) or b"" for event in events))
            if self.cycle is not None:      # tell the app that the client can no longer get its response
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            self.transport.close()

    return PatientProtocol
