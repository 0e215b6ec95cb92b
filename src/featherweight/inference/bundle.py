"""A shipped network: a folder that answers with numpy, Pillow and onnxruntime alone.

model.onnx      uint8 images (N, C, H, W), and int64 numbers (N,) where the card says so -> probabilities of each head
layers.onnx     the same, with the activations of every layer as outputs
card.json       what the network says of itself, and what pictures go through
card.md         the same for a person
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featherweight.errors import MissingExtra, RunError
from featherweight.files import plain_file
from featherweight.inference.card import Card
from featherweight.inference.network import Numbers, Pixels, Probabilities
from featherweight.inference.runtime import load_onnxruntime

if TYPE_CHECKING:
    import onnxruntime

FILES = ("model.onnx", "layers.onnx", "card.json", "card.md")


def is_bundle(path: str | Path) -> bool:
    """Whether a path is the folder of a shipped network."""
    return (Path(path) / "card.json").is_file()


class Bundle:
    """A Network that onnxruntime runs."""

    def __init__(self, path: Path, card: Card, threads: int = 1) -> None:
        self.path, self.card = path, card
        self.session = open_session(path / "model.onnx", threads)

    @classmethod
    def open(cls, path: str | Path, threads: int = 1) -> Bundle:
        """The bundle in a folder; RunError where a file is missing or damaged."""
        return cls(Path(path), read_card(Path(path)), threads)

    def answer(self, images: Pixels, numbers: Numbers | None = None) -> Probabilities:
        return dict(zip(self.card.heads, self.session.run(list(self.card.heads), feed(images, numbers)), strict=True))


def feed(images: Pixels, numbers: Numbers | None) -> dict[str, Any]:
    """What onnxruntime is given."""
    return {"images": images} if numbers is None else {"images": images, "numbers": numbers}


def read_card(path: Path) -> Card:
    """card.json of a bundle; RunError where it is not one."""
    try:
        return Card.from_dict(json.loads(plain_file(path / "card.json").read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        reason = f"it has no {fault}" if isinstance(fault, KeyError) else str(fault)
        raise RunError(f"{path / 'card.json'} is no card of a bundle: {reason}. Export the run again.") from fault


def open_session(file: Path, threads: int) -> onnxruntime.InferenceSession:
    """A model ready to run; RunError where it cannot be read, MissingExtra without onnxruntime."""
    try:
        onnxruntime = load_onnxruntime()
    except ImportError as fault:
        raise MissingExtra("onnxruntime", "ship") from fault
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 3
    try:
        plain_file(file)
        return onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    except Exception as fault:      # onnxruntime's own, which share no base of their own
        reason = " ".join(str(fault).split())
        raise RunError(f"{file} cannot be read: {reason}. Export the run again.") from fault
