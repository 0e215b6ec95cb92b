"""HTTP on one connection, with patience that ends: a request comes and an answer is taken in time, or it is closed."""

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
    """Reads requests, and refuses a body in very many pieces: each takes as long as a kilobyte."""

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
    """Return uvicorn's HTTP within these limits, for requests that do not begin, do not end, or are none."""

    class PatientProtocol(H11Protocol):
        waiting: asyncio.TimerHandle | None = None      # until headers must have ended
        reading: asyncio.TimerHandle | None = None      # until the client must have taken what was written

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            super().connection_made(transport)
            self.conn = Connection(limits.body_pieces)
            transport.set_write_buffer_limits(high=0)   # writing pauses as soon as the system takes no more
            self.be_patient(True)

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            self.be_patient(self.cycle is None or self.cycle.response_complete)     # headers that have not ended

        def connection_lost(self, exc: Exception | None) -> None:
            self.be_patient(False)
            super().connection_lost(exc)
            self.resume_writing()

        def be_patient(self, wait: bool) -> None:
            """Close the connection some time from the first part of a request, or not after all."""
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
            if self.cycle is not None:      # the app has no one to answer any more
                self.cycle.disconnected = True
                self.cycle.message_event.set()
            self.transport.close()

    return PatientProtocol
