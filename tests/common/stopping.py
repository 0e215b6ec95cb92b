"""A watcher that stops a training after a number of steps."""

from __future__ import annotations

import signal

from featherweight.experiment import Silent
from featherweight.training.state import TrainingState


class StopAt(Silent):
    """Sends this process a signal after so many steps."""

    def __init__(self, steps: int, number: int = signal.SIGINT) -> None:
        self.left, self.number = steps, number

    def on_step(self, state: TrainingState, steps: int) -> None:
        self.left -= 1
        if self.left == 0:
            signal.raise_signal(self.number)
