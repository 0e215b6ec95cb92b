"""Parse the body of a request: a picture file, a form with a picture file, or JSON with pixels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request

from featherweight.inference.card import Card
from featherweight.serve.answers import PictureRequest
from featherweight.serve.documents import PixelsIn

BYTES_A_NUMBER, BYTES_BESIDE = 64, 1000     # upper bounds for JSON: bytes per pixel, and bytes of everything else


async def read_question(request: Request, asked: PictureRequest) -> PictureRequest:
    """Return `asked` completed by the body of the request.

    A body that is neither JSON nor a form counts as a picture file, because many clients send no content type.
    asked: the options in the query string. Raises HTTPException 400 or 422 for an empty or invalid body.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await read_form(request, asked)
    body = await request.body()
    if not body:
        raise HTTPException(400, "The body is empty. Send a picture file, a form with one, or JSON with pixels.")
    if kind != "application/json":
        return replace(asked, picture=body)
    check_length(body, request.app.state.card)
    return read_pixels(body, asked)


def check_length(body: bytes, card: Card) -> None:
    """Raise HTTPException 422 for JSON that is too long for the pixels of one image. Runs before parsing."""
    count = card.picture.channels * card.picture.size**2
    if len(body) > BYTES_A_NUMBER * count + BYTES_BESIDE:
        raise HTTPException(422, f"The JSON has {len(body):,} bytes, far too many for {count:,} numbers. "
                                 f"Send {{\"pixels\": [{count:,} numbers 0 to 255]}}.")


def read_pixels(body: bytes, asked: PictureRequest) -> PictureRequest:
    """Return `asked` completed by the JSON {"pixels": [...], "number": k}. `number` may be in the query string instead.

    Raises HTTPException 400 for invalid JSON, 422 for values that are not allowed.
    """
    try:
        given = PixelsIn.model_validate_json(body)
    except ValidationError as fault:
        first = fault.errors(include_url=False)[0]
        raise HTTPException(400 if first["type"] == "json_invalid" else 422, sentence(first)) from fault
    return replace(asked, picture=given.pixels, number=asked.number if given.number is None else given.number)


async def read_form(request: Request, asked: PictureRequest) -> PictureRequest:
    """Return `asked` completed by a form: the file field `picture` and, optionally, the field `number`.

    Raises HTTPException 400 for an invalid form, 422 for a missing file or a number that is not allowed.
    """
    parser = MultiPartParser(request.headers, request.stream(), max_files=1, max_fields=1)
    parser.spool_max_size = 1 << 30     # the body is in memory already: never write it to a temporary file
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeError) as fault:     # UnicodeError: a charset that cannot decode
        raise HTTPException(400, "The form cannot be read. Send one file, in the field 'picture'.") from fault
    try:
        return replace(asked, picture=await picture_of(form), number=number_of(form, asked.number))
    finally:
        await form.close()


async def picture_of(form: FormData) -> bytes:
    """Return the bytes of the file in the field `picture`. Raises HTTPException 422 if there is no file."""
    picture = form.get("picture")
    if not isinstance(picture, UploadFile):
        raise HTTPException(422, "The form has no file in its field 'picture'. Put the picture there.")
    return await picture.read()


def number_of(form: FormData, number: int | None) -> int | None:
    """Return the field `number` of the form, or `number` from the query string if the form has no such field.

    Raises HTTPException 422 unless the field is 0 to 9.
    """
    given = form.get("number")
    if not isinstance(given, str):
        return number
    if given not in tuple("0123456789"):
        raise HTTPException(422, f"number {given[:20]!r} is not allowed. Give one of 0 to 9.")
    return int(given)


def check_number(card: Card, number: int | None) -> None:
    """Raise HTTPException 422 unless a number is given exactly if the network takes one."""
    if card.takes_number and number is None:
        raise HTTPException(422, "This network adds a number 0 to 9 to the digit. Give one: ?number=4.")
    if not card.takes_number and number is not None:
        raise HTTPException(422, f"number {number} given, and this network only reads pictures. Leave it out.")


def sentence(error: Mapping[str, Any]) -> str:
    """Return a pydantic validation error as one sentence that names the field and the value."""
    if error["type"] == "json_invalid":
        return "The body is no JSON. Send {\"pixels\": [784 numbers 0 to 255]}."
    place = " ".join(str(part)[:40] for part in error["loc"] if part not in ("query", "body")) or "The body"
    given = repr(error.get("input"))
    value = f" {given}" if len(given) <= 40 and error["type"] != "missing" else ""
    said = str(error["msg"])
    return f"{place}{value}: {said[0].lower()}{said[1:].removesuffix('.')}. /docs says what is allowed."
