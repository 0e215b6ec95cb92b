"""A training state into a run folder and back."""

from __future__ import annotations

import json

from featherweight.documents import parse_json
from featherweight.errors import RunError
from featherweight.runs import Run
from featherweight.training.state import TrainingState


def save_checkpoint(run: Run, state: TrainingState) -> None:
    """All of it in one file, which one move makes whole; the .json beside it is for people to read."""
    tensors, text = state.save()
    run.save_tensors("checkpoint.safetensors", tensors, {"state": json.dumps(text)})
    run.save_json("checkpoint.json", text)


def load_checkpoint(run: Run, state: TrainingState) -> None:
    """Go back to the last checkpoint; a run killed before its first one starts over."""
    if not (run.path / "checkpoint.safetensors").exists():
        return
    tensors, text = run.load_tensors("checkpoint.safetensors")
    try:
        state.load(tensors, parse_json(text["state"]))
    except (KeyError, IndexError, ValueError, TypeError, AttributeError, RuntimeError) as fault:
        reason = " ".join(str(fault).split())
        raise RunError(f"the checkpoint of {str(run.path)!r} does not fit its recipe: {reason}") from fault
