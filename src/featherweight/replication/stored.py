"""Runs in the storage of a cluster while they are trained, so that another node resumes them."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from featherweight.crews.storage import forget, load, pack, save, unpack
from featherweight.errors import FeatherweightError, TrainingInterrupted
from featherweight.experiment import CHECKPOINT_SECONDS, Silent
from featherweight.runs import FILES, Run
from featherweight.training.plan import Record

TRAVELS = (*(name for name in FILES if name not in ("result.json", "report.html")), "result.json")    # result.json last


class Saver(Silent):
    """Watcher that saves a run in the storage after epochs, every CHECKPOINT_SECONDS at most."""

    def __init__(self, run: Run, storage: str | None, name: str) -> None:
        self.run, self.storage, self.name = run, storage, name
        self.saved = time.monotonic()

    def on_epoch(self, record: Record) -> None:
        """Save the run. Its checkpoint of this epoch is written already."""
        if time.monotonic() - self.saved > CHECKPOINT_SECONDS:
            self.save()

    def save(self) -> None:
        """Save the run, if there is a storage."""
        if self.storage is not None:
            save(self.storage, self.name, pack(self.run.path, TRAVELS))
        self.saved = time.monotonic()


@contextmanager
def stored_run(storage: str | None, name: str) -> Iterator[tuple[Run, Saver]]:
    """Yield a run in a temporary folder, as the storage holds it or empty, and the watcher that saves it there.

    After the block the storage no longer holds the run, unless Ctrl-C or SIGTERM interrupted its training.
    """
    with TemporaryDirectory(prefix="featherweight-") as folder:
        run = Run(Path(folder) / "run")
        if storage is not None and (block := load(storage, name)) is not None:
            unpack(block, run.path, TRAVELS)
        saver = Saver(run, storage, name)
        try:
            yield run, saver
        except TrainingInterrupted:
            saver.save()
            raise
        except FeatherweightError:
            remove(storage, name)
            raise
        remove(storage, name)


def remove(storage: str | None, name: str) -> None:
    """Delete a run from the storage, if there is a storage and it holds the run."""
    if storage is not None:
        forget(storage, name)
