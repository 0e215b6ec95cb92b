"""The routes: the page, the question, the card, and how the API is used."""

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
from featherweight.serve.answers import Question
from featherweight.serve.desk import BROKEN, Desk
from featherweight.serve.documents import Answer, Answers, Fault, Health, PixelsIn
from featherweight.serve.guards import Guarded, refuse
from featherweight.serve.limits import Limits
from featherweight.serve.pages import load_pages
from featherweight.serve.questions import check_number, read_question, sentence

ELSEWHERE = "There is nothing here. The page is at /, and /docs says how to ask."
FAULTS = {
    400: "The body is not what its type says.", 403: "The host or the origin is not one of this server's.",
    408: "The body came too slowly.", 413: "The body is too large.",
    422: "The picture cannot be read or is blank, or a value is not allowed.",
    503: "Too many requests; Retry-After says when to try again.", 504: "It took too long.",
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
RESPONSES: dict[int | str, dict[str, Any]] = {200: {"model": Answer | Answers, "description": "What it shows."}}
RESPONSES |= {status: {"model": Fault, "description": why} for status, why in FAULTS.items()}
router = APIRouter()


def build_app(card: Card, desk: Desk, limits: Limits) -> ASGIApp:
    """The app for the network of this card, whose workers answer at the desk, behind its guards."""
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
    """The workers start and end with the server."""
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
    explain: Annotated[bool, Query(description="Say where the network looked and what its layers made of it.")] = False,
    many: Annotated[bool, Query(description="Answer each digit of the picture alone, from left to right.")] = False,
    number: Annotated[int | None, Query(ge=0, le=9, description="To add, where the network takes one.")] = None,
) -> Response:
    """Say what a picture shows: any picture file, or the numbers of an image as the network sees it."""
    question = await read_question(request, Question(b"", number, explain, many))
    check_number(request.app.state.card, question.number)
    return Response(await request.app.state.desk.ask(question), media_type="application/json")


@router.get("/health")
async def health() -> Health:
    """Say that the server answers."""
    return Health()


@router.get("/model")
async def model(request: Request) -> dict[str, Any]:
    """The network's card: what goes in, what comes out, what it is worth."""
    card: Card = request.app.state.card
    return card.to_dict()


async def on_http(request: Request, fault: Exception) -> Response:
    """What the app refuses, and what it does not have."""
    assert isinstance(fault, HTTPException)
    said = ELSEWHERE if fault.status_code == 404 else str(fault.detail)
    if fault.status_code == 405:
        said = f"{request.method[:20]} is not understood here. /docs says how to ask."
    return refuse(fault.status_code, said, fault.headers)


async def on_fault(_: Request, fault: Exception) -> Response:
    """A picture or a number that the network cannot take."""
    text = str(fault)
    return refuse(422, text[0].upper() + text[1:])


async def on_invalid(_: Request, fault: Exception) -> Response:
    """A value in the address that is not allowed."""
    assert isinstance(fault, RequestValidationError)
    return refuse(422, sentence(fault.errors()[0]))


async def on_bug(_: Request, fault: Exception) -> Response:
    """Anything else: the server logs it, the answer does not say what it was."""
    return refuse(500, BROKEN)
