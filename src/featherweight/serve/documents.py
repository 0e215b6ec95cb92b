"""The JSON documents of requests and answers. /openapi.json is generated from these classes."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, FailFast, Field

Byte = Annotated[float, Field(ge=0, le=255, allow_inf_nan=False, strict=True)]


class Document(BaseModel):
    """Base class of all documents: immutable; unknown fields are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, serialize_by_alias=True, validate_by_name=True)


class PixelsIn(Document):
    """The pixels of an image as the network sees it, row by row. A drawing is light ink on black, 784 numbers."""

    pixels: Annotated[list[Byte], FailFast()]       # stop at the first error: a million errors would fill the memory
    number: int | None = Field(None, ge=0, le=9, strict=True, description="Number to add, if the network takes one.")


class Ranked(Document):
    """One class and its probability, 0 to 1."""

    name: str = Field(alias="class")
    probability: float


class Seen(Document):
    """The input of the network, channel by channel and row by row, 0 to 255. /predict accepts `pixels` again."""

    channels: int
    height: int
    width: int
    pixels: list[int]


class Looked(Document):
    """The important regions: how far the probability of the best class falls if a square patch is blanked."""

    name: str = Field(alias="class", description="The most probable class.")
    patch: int = Field(description="Side of the patch in pixels.")
    falls: list[float] = Field(description="Per pixel, row by row: mean fall over the patches that cover the pixel.")


class Maps(Document):
    """One layer's activation maps."""

    title: str
    shape: list[int] = Field(description="Channels, height, width.")
    low: float = Field(description="The lowest activation, stored as byte 0.")
    high: float = Field(description="The highest activation, stored as byte 255.")
    maps: str = Field(description="One byte per unit, channel by channel and row by row, in base64.")


class Answer(Document):
    """The prediction for one image: all classes of each head, most probable first, without `none`.

    looked and layers are present only with explain=true.
    """

    heads: dict[str, list[Ranked]]
    number: int | None = None
    digits: int = Field(1, description="Digits side by side in the picture. many=true predicts each separately.")
    doubted: bool = Field(False, description="True if no class has half of the probability: the network does not know.")
    seen: Seen
    looked: dict[str, Looked] | None = None
    layers: list[Maps] | None = None


class Answers(Document):
    """The predictions with many=true: one per digit in the picture, from left to right."""

    answers: list[Answer]


class Health(Document):
    """The answer of /health while the server is running."""

    status: str = "ok"


class Fault(Document):
    """The reason why a request failed, the allowed values and the next step, as a text."""

    error: str
