"""Code that runs in the workers of a Ray cluster. Each node needs the same version of this package.

Loading this file loads neither torch nor the work, so that a worker starts fast.
"""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from pathlib import Path
from typing import Any

from featherweight import __version__
from featherweight.cores import wait_passively
from featherweight.crews.crew import call_work
from featherweight.crews.storage import holds
from featherweight.workers import attempt

_held: dict[str, Any] = {}      # the shared object of this worker, by the name of its reference


def run_task(work: str, shared: list[Any], key: str, data: dict[str, Any], mailbox: Any) -> tuple[str, Any]:
    """Run one task in a Ray worker and return its end, as `attempt` does.

    shared: a list with the reference of the shared object. Ray leaves a reference in a list to the task.
    """
    wait_passively(os.environ)
    held = fetch(shared[0])
    return attempt(on_one_thread, held, (work, data), lambda message: mailbox.put.remote(key, message))


def on_one_thread(shared: Any, job: tuple[str, dict[str, Any]], tell: Any) -> dict[str, Any]:
    """Call the work of a job. torch is loaded with the work, and then uses one thread."""
    os.environ["OMP_NUM_THREADS"] = "1"
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(1)
    return call_work(job[0], shared, job[1], tell)


def fetch(reference: Any) -> Any:
    """Return the object of a reference. A worker fetches it once; its tensors lie in the memory of the node."""
    import ray

    name = reference.hex()
    if name not in _held:
        _held.clear()
        _held[name] = ray.get(reference)
    return _held[name]


def look(storage: str | None, token: str) -> dict[str, Any]:
    """Return version and code of this package on the node, and True if the node sees the token in the storage."""
    return {"version": __version__, "code": code_of_package(), "sees": storage is None or holds(storage, token)}


def code_of_package() -> str:
    """Return a hash of the package's source files. Two clones of one version may differ."""
    folder, found = Path(__file__).parents[1], hashlib.sha256()
    for file in sorted(folder.rglob("*.py")):
        found.update(str(file.relative_to(folder)).encode() + b"\0" + file.read_bytes())
    return found.hexdigest()


class Mailbox:
    """An actor that collects the messages of running tasks for the driver."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Any]] = []

    def put(self, key: str, message: Any) -> None:
        """Add a message."""
        self.told.append((key, message))

    def take(self) -> list[tuple[str, Any]]:
        """Return the messages and forget them."""
        told, self.told = self.told, []
        return told


def as_array(tensor: Any) -> tuple[Any, str, tuple[int, ...]]:
    """Return (bytes, dtype, shape) of a tensor. Ray stores the bytes, an array, outside of its pickle."""
    import torch

    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy(), str(tensor.dtype).removeprefix("torch."), tuple(tensor.shape)


def as_tensor(stored: tuple[Any, str, tuple[int, ...]]) -> Any:
    """Return the tensor of `as_array`. It lies in the memory of the array, which all workers of a node share."""
    import torch

    array, dtype, shape = stored
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")     # the array is read-only, and no task may change shared data
        return torch.from_numpy(array).view(getattr(torch, dtype)).reshape(shape)
