"""Hashes by which a result and its weights know each other, so that an edited or a swapped file is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def digest(result: Mapping[str, Any]) -> str:
    """Return a hash of what result.json says, without the hash of the weights in it."""
    said = {key: value for key, value in result.items() if key != "weights"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def metadata_of(path: Path) -> dict[str, str]:
    """Return the text that a safetensors file carries beside its tensors, nothing for a file that cannot be read."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as file:
            return file.metadata() or {}
    except (OSError, SafetensorError):      # told where the weights are needed
        return {}
