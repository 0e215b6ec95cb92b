"""Export of a run as a bundle: a folder that can be used for prediction without torch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

from featherweight.files import write_atomically
from featherweight.inference.bundle import Bundle
from featherweight.inference.trained import TrainedNetwork
from featherweight.runs import Run
from featherweight.shipping.card_page import card_page
from featherweight.shipping.layer_outputs import with_layers
from featherweight.shipping.onnx_export import to_onnx


def make_bundle(run: Run | str | Path, folder: str | Path) -> Bundle:
    """Write model.onnx, layers.onnx, card.md and card.json into a folder and return the opened bundle.

    The bundle is not compared with torch; `export` does that. The folder is created if it is missing, and files of
    these names are replaced. The card is written last, because it makes the folder a bundle.
    Raises RunError for an unfinished run. Raises MissingExtra if onnx is not installed. Raises ModelError if torch
    cannot export the network.
    """
    network, folder = TrainedNetwork.open(run), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    model = to_onnx(network.module, network.card).SerializeToString(deterministic=True)
    for name, content in bundle_files(network, model).items():
        write_atomically(folder / name, content)
    return Bundle.open(folder)


def bundle_files(network: TrainedNetwork, model: bytes) -> dict[str, bytes]:
    """Return the files of a bundle by name. model: the content of model.onnx."""
    import onnx

    layers = with_layers(onnx.load_from_string(model)).SerializeToString(deterministic=True)
    page = card_page(network.card, network.run.result, len(model))
    files = {"model.onnx": model, "layers.onnx": layers}
    hashes = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    card = json.dumps(replace(network.card, files=hashes).to_dict(), indent=2) + "\n"
    return {**files, "card.md": page.encode(), "card.json": card.encode()}
