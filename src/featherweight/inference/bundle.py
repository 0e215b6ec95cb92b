"""A bundle: the folder of a shipped network. To run a bundle, numpy, Pillow and onnxruntime are enough.

- model.onnx: the network. Inputs: images, uint8 (N, C, H, W), and, if the card has takes_number, numbers, int64 (N,).
  Outputs: the probabilities of each head.
- layers.onnx: the same network with the activations of every layer as further outputs.
- card.json: description of the network and of the preparation of its pictures.
- card.md: the same description as a text to read.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from featherweight.documents import parse_json
from featherweight.errors import MissingExtra, RunError
from featherweight.files import plain_file
from featherweight.inference.card import Card
from featherweight.inference.network import Numbers, Pixels, Probabilities, finite
from featherweight.inference.runtime import load_onnxruntime, open_model
from featherweight.outside import shortened

if TYPE_CHECKING:
    import onnxruntime

FILES = ("model.onnx", "layers.onnx", "card.json", "card.md")


def is_bundle(path: str | Path) -> bool:
    """Return True if the path is the folder of a bundle."""
    return (Path(path) / "card.json").is_file()


class Bundle:
    """The network of a bundle, run by onnxruntime. Implements Network."""

    def __init__(self, path: Path, card: Card, threads: int = 1) -> None:
        self.path, self.card = path, card
        self.session = self.open_model("model.onnx", threads)

    @classmethod
    def open(cls, path: str | Path, threads: int = 1) -> Bundle:
        """Return the bundle in a folder. Raises RunError if a file is missing, damaged or from another bundle."""
        bundle = cls(Path(path), read_card(Path(path)), threads)
        bundle.check_card()
        return bundle

    def open_model(self, name: str, threads: int = 1) -> onnxruntime.InferenceSession:
        """Return a session for one ONNX file of the bundle. Raises RunError if the file is not the exported one."""
        return open_session(self.path / name, threads, self.card.files.get(name))

    def check_card(self) -> None:
        """Raise RunError if card.json was edited: model.onnx holds the SHA-256 of the original card."""
        shipped = self.session.get_modelmeta().custom_metadata_map.get("card")
        if shipped and (not self.card.files or shipped != self.card.digest()):
            raise RunError(f"{self.path / 'card.json'} is not the card of model.onnx: it was edited. Put the original "
                           "back, or export the run again.")

    def probabilities(self, images: Pixels, numbers: Numbers | None = None) -> Probabilities:
        found = self.session.run(list(self.card.heads), feed(images, numbers))
        return finite(dict(zip(self.card.heads, found, strict=True)), self.path)


def feed(images: Pixels, numbers: Numbers | None) -> dict[str, Any]:
    """Return the inputs of a session by name: images, and numbers if they are given."""
    return {"images": images} if numbers is None else {"images": images, "numbers": numbers}


def read_card(path: Path) -> Card:
    """Return the card of the bundle at `path`. Raises RunError if card.json is missing or invalid."""
    try:
        return Card.from_dict(parse_json(plain_file(path / "card.json").read_text()))
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as fault:
        reason = f"it has no {shortened(fault)}" if isinstance(fault, KeyError) else shortened(fault)
        raise RunError(f"{path / 'card.json'} is no card of a bundle: {reason}. Export the run again.") from fault


def open_session(file: Path, threads: int, sha256: str | None = None) -> onnxruntime.InferenceSession:
    """Return an onnxruntime session for an ONNX file.

    sha256: expected hash of the file; None skips the check.
    Raises RunError if the file cannot be read or has another hash, MissingExtra if onnxruntime is not installed.
    """
    try:
        load_onnxruntime()
    except ImportError as fault:
        raise MissingExtra("onnxruntime", "ship") from fault
    try:
        content = plain_file(file).read_bytes()
        known = sha256 in (None, hashlib.sha256(content).hexdigest())
        session = open_model(content, threads) if known else None
    except Exception as fault:      # the exceptions of onnxruntime have no common base class
        raise RunError(f"{file} cannot be read: {shortened(fault)}. Export the run again.") from fault
    if session is None:
        raise RunError(f"{file} is not the file that was shipped: its sha256 is not that in card.json. Put the "
                       "original back, or export the run again.")
    return session
