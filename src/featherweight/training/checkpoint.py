"""Write a training state into a run folder, and load it again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

from featherweight.documents import parse_json
from featherweight.errors import RunError
from featherweight.files import sha256_of
from featherweight.integrity import fingerprint
from featherweight.outside import shortened
from featherweight.runs import Run
from featherweight.training.state import TrainingState


def save_checkpoint(run: Run, state: TrainingState) -> None:
    """Write a training state atomically into checkpoint.safetensors, and a readable part into checkpoint.json.

    The file holds a hash of itself, of the recipe, and of the lines of history up to this state.
    """
    tensors, state_text = state.save()
    text = {"state": json.dumps(state_text), **hashes_beside(run, state.position.epoch)}
    run.save_tensors("checkpoint.safetensors", tensors, {**text, "sha256": fingerprint(tensors, text)})
    run.save_json("checkpoint.json", state_text)


def load_checkpoint(run: Run, state: TrainingState) -> None:
    """Load the last checkpoint of the run into `state`. Leave `state` as it is if the run has no checkpoint.

    Raises RunError if the checkpoint, the recipe or the history was changed after training wrote it.
    """
    if not (run.path / "checkpoint.safetensors").exists():
        return
    tensors, text = run.load_tensors("checkpoint.safetensors")
    expected = text.pop("sha256", None)
    if expected is None or fingerprint(tensors, text) != expected:
        what = "has no hash: an earlier version wrote it" if expected is None else \
            "is not what training wrote: its hash is not the one in it"
        raise RunError(f"{run.path / 'checkpoint.safetensors'} {what}. Put the original back, or train again into "
                       "another folder.")
    try:
        state.load(tensors, parse_json(text["state"]))
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError) as fault:
        raise RunError(f"the checkpoint of {str(run.path)!r} does not fit its recipe: {shortened(fault)}") from fault
    check_beside(run, text, state.position.epoch)


def hashes_beside(run: Run, epochs: int) -> dict[str, str]:
    """Return the SHA-256 of the recipe, and of the first `epochs` lines of history."""
    history = run.path / "history.jsonl"
    lines = history.read_bytes().splitlines(keepends=True)[:epochs] if history.is_file() else []
    return {"recipe.toml": sha256_of(run.path / "recipe.toml"),
            "history.jsonl": hashlib.sha256(b"".join(lines)).hexdigest()}


def check_beside(run: Run, text: Mapping[str, str], epochs: int) -> None:
    """Raise RunError if the recipe or the history was changed since the checkpoint was written."""
    for name, found in hashes_beside(run, epochs).items():
        if text[name] != found:
            raise RunError(f"{run.path / name} was changed since the checkpoint was written. Put the original back, or "
                           "train again into another folder.")
