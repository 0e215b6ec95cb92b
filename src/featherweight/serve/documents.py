"""The JSON that goes in and out: what is answered is made of these, and so is what /openapi.json says."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, FailFast, Field

Byte = Annotated[float, Field(ge=0, le=255, allow_inf_nan=False, strict=True)]


class Document(BaseModel):
    """Nothing that is not named."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True, validate_by_name=True)


class PixelsIn(Document):
    """An image as the network sees it, row by row: for a drawing, light ink on black, 784 numbers."""

    pixels: Annotated[list[Byte], FailFast()]       # a fault for each of a million numbers would fill the memory
    number: int | None = Field(None, ge=0, le=9, strict=True, description="To add, where the network takes one.")


class Ranked(Document):
    """One class and how probable it is, 0 to 1."""

    name: str = Field(alias="class")
    probability: float


class Seen(Document):
    """What went into the network, channel by channel and row by row, 0 to 255; it can be sent again as pixels."""

    channels: int
    height: int
    width: int
    pixels: list[int]


class Looked(Document):
    """Where the network looked: how far the winner's probability falls when a square patch is blanked."""

    name: str = Field(alias="class", description="The winner.")
    patch: int = Field(description="Side of the patch in pixels.")
    falls: list[float] = Field(description="For each pixel, row by row: the mean over the patches that cover it.")


class Maps(Document):
    """One layer's activation maps."""

    title: str
    shape: list[int] = Field(description="Channels, height, width.")
    low: float = Field(description="The lowest activation: byte 0.")
    high: float = Field(description="The highest: byte 255.")
    maps: str = Field(description="A byte for each unit, channel by channel and row by row, in base64.")


class Answer(Document):
    """All classes of each head, most probable first. looked and layers come with explain=true."""

    heads: dict[str, list[Ranked]]
    number: int | None = None
    digits: int = Field(1, description="How many stand side by side in the picture; many=true answers each alone.")
    seen: Seen
    looked: dict[str, Looked] | None = None
    layers: list[Maps] | None = None


class Answers(Document):
    """With many=true: an answer for each digit in the picture, from left to right."""

    answers: list[Answer]


class Health(Document):
    """The server answers."""

    status: str = "ok"


class Fault(Document):
    """What is wrong with a request, what is allowed and what to do, in a sentence."""

    error: str
