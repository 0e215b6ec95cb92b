"""The static files of the pages, read once at the start. A request never reads a file from the disk."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response

TYPES = {
    ".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml",
}
NAMED = {"index.html": "/", "docs.html": "/docs"}
Page = Callable[[Request], Awaitable[Response]]


def load_pages() -> dict[str, Page]:
    """Return the handlers of all static files by URL path."""
    folder = resources.files("featherweight.serve") / "static"
    return {
        NAMED.get(file.name, f"/{file.name}"): page(file.read_bytes(), TYPES["." + file.name.rpartition(".")[2]])
        for file in folder.iterdir()
    }


def page(content: bytes, media_type: str) -> Page:
    """Return a handler that always sends `content`.

    Browsers must revalidate the file on each visit, because another network may be served at the same address.
    """

    async def answer(_: Request) -> Response:
        return Response(content, media_type=media_type, headers={"Cache-Control": "no-cache"})

    return answer
