"""The FastAPI app and its routes: the pages, /predict, /model and /health."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRouter
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp

from featherweight import __version__
from featherweight.errors import FeatherweightError
from featherweight.inference.card import Card
from featherweight.serve.answers import PictureRequest
from featherweight.serve.desk import BROKEN, Desk
from featherweight.serve.documents import Answer, Answers, Fault, Health, PixelsIn
from featherweight.serve.guards import Guarded, refuse
from featherweight.serve.limits import Limits
from featherweight.serve.pages import load_pages
from featherweight.serve.questions import check_number, read_question, sentence

ELSEWHERE = "There is nothing at this address. The page is at /, the description of the API at /docs."
FAULTS = {
    400: "The body does not match its content type.", 403: "The host or the origin does not belong to this server.",
    408: "The body arrived too slowly.", 413: "The body is too large.",
    422: "The picture cannot be read or is blank, or a value is not allowed.",
    503: "Too many requests. Retry-After says when to try again.", 504: "The prediction took too long.",
}
PICTURE: dict[str, Any] = {"type": "string", "format": "binary"}
BODIES = {
    "image/*": {"schema": PICTURE},
    "multipart/form-data": {"schema": {
        "type": "object", "required": ["picture"],
        "properties": {"picture": PICTURE, "number": {"type": "integer", "minimum": 0, "maximum": 9}},
    }},
    "application/json": {"schema": PixelsIn.model_json_schema()},
}
RESPONSES: dict[int | str, dict[str, Any]] = {200: {"model": Answer | Answers, "description": "The prediction."}}
RESPONSES |= {status: {"model": Fault, "description": why} for status, why in FAULTS.items()}
router = APIRouter()


def build_app(card: Card, desk: Desk, limits: Limits) -> ASGIApp:
    """Return the app wrapped in its guards.

    card: description of the network. desk: queue in front of the worker processes.
    """
    about = f"{card.model}: {card.parameters:,} parameters, trained on {card.dataset}."
    app = FastAPI(
        title="Featherweight", version=__version__, description=about, docs_url=None, redoc_url=None,
        redirect_slashes=False, lifespan=open_desk,
    )
    app.state.card, app.state.desk = card, desk
    app.include_router(router)
    for path, page in load_pages().items():
        app.add_route(path, page, methods=["GET"], include_in_schema=False)
    app.add_exception_handler(HTTPException, on_http)
    app.add_exception_handler(FeatherweightError, on_fault)
    app.add_exception_handler(RequestValidationError, on_invalid)
    app.add_exception_handler(Exception, on_bug)
    return Guarded(app, limits)


@asynccontextmanager
async def open_desk(app: FastAPI) -> AsyncIterator[None]:
    """Start the workers when the server starts, and stop them when it ends."""
    await app.state.desk.start()
    try:
        yield
    finally:
        await app.state.desk.end()


@router.post(
    "/predict", response_model=None, openapi_extra={"requestBody": {"required": True, "content": BODIES}},
    responses=RESPONSES,
)
async def predict(
    request: Request,
    explain: Annotated[bool, Query(description="Also return important regions and each layer's activations.")] = False,
    many: Annotated[bool, Query(description="Predict each digit of the picture separately, left to right.")] = False,
    number: Annotated[int | None, Query(ge=0, le=9, description="Number to add, if the network takes one.")] = None,
) -> Response:
    """Predict the classes of a picture. Send any picture file, or the pixels of an image as the network sees it."""
    question = await read_question(request, PictureRequest(b"", number, explain, many))
    check_number(request.app.state.card, question.number)
    return Response(await request.app.state.desk.submit(question), media_type="application/json")


@router.get("/health")
async def health() -> Health:
    """Confirm that the server is running."""
    return Health()


@router.get("/model")
async def model(request: Request) -> dict[str, Any]:
    """Return the card of the network: its inputs, outputs and test accuracy."""
    card: Card = request.app.state.card
    return card.to_dict()


async def on_http(request: Request, fault: Exception) -> Response:
    """Return the response for a refused request, an unknown address or a method that is not allowed."""
    assert isinstance(fault, HTTPException)
    said = ELSEWHERE if fault.status_code == 404 else str(fault.detail)
    if fault.status_code == 405:
        said = f"{request.method[:20]} is not allowed at this address. /docs lists the allowed requests."
    return refuse(fault.status_code, said, fault.headers)


async def on_fault(_: Request, fault: Exception) -> Response:
    """Return the response (422) for a picture or a number that the network cannot take."""
    text = str(fault)
    return refuse(422, text[0].upper() + text[1:])


async def on_invalid(_: Request, fault: Exception) -> Response:
    """Return the response (422) for an invalid query parameter."""
    assert isinstance(fault, RequestValidationError)
    return refuse(422, sentence(fault.errors()[0]))


async def on_bug(_: Request, fault: Exception) -> Response:
    """Return the response (500) for any other exception, without details. The server logs the traceback."""
    return refuse(500, BROKEN)
