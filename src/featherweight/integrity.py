"""Hashes that the files of a run or a bundle store of each other, to detect an edited, damaged or swapped file."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


def digest(content: Mapping[str, Any], without: str) -> str:
    """Return the SHA-256 of a JSON document without the key `without`, which holds the hashes of other files."""
    said = {key: value for key, value in content.items() if key != without}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def fingerprint(tensors: Mapping[str, Tensor], text: Mapping[str, str]) -> str:
    """Return the SHA-256 of named tensors (with types and shapes) and of the text stored with them."""
    import torch

    found = hashlib.sha256(json.dumps(dict(text), sort_keys=True).encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        found.update(json.dumps([name, str(tensor.dtype), list(tensor.shape)]).encode())
        found.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return found.hexdigest()


def metadata_of(path: Path) -> dict[str, str]:
    """Return the text stored in a safetensors file, or an empty dictionary if the file cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError):      # reported later, when the weights are loaded
        return {}
