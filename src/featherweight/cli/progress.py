"""Watching a training in the terminal: a bar where there is one, a line an epoch everywhere."""

from __future__ import annotations

import time
from types import TracebackType
from typing import TYPE_CHECKING, Self

from featherweight.cli.output import console, duration, percent

if TYPE_CHECKING:
    from featherweight.experiment import Training
    from featherweight.training.loop import Record
    from featherweight.training.state import TrainingState


class Progress:
    """An experiment's watcher that draws on standard error. Use it in a with block."""

    def __init__(self) -> None:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        self.console = console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), TextColumn("{task.fields[now]}"))
        self.bar = Bar(*columns, console=self.console, auto_refresh=False, transient=True)
        self.live = self.console.is_terminal
        self.task = self.bar.add_task("", total=None, now="")
        self.started, self.done_before, self.drawn = 0.0, 0, 0.0

    def __enter__(self) -> Self:
        if self.live:
            self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.bar.stop() if self.live else None

    def on_start(self, training: Training) -> None:
        """Say what is trained, on what and where."""
        recipe, plan, position = training.recipe, training.plan, training.state.position
        self.epochs = plan.epochs
        steps = plan.steps(len(training.dataset.train))
        self.done_before = position.epoch * steps + position.step
        self.started = time.monotonic()
        self.bar.update(self.task, total=plan.epochs * steps, completed=self.done_before)
        again = f", going on after epoch {position.epoch}, step {position.step}" if self.done_before else ""
        self.console.print(
            f"{recipe.name}: {training.parameters:,} parameters; {len(training.dataset.train):,} images of "
            f"{training.dataset.name}, {training.dataset.source}; {training.device}, {training.precision}, "
            f"seed {plan.seed}{again}",
            soft_wrap=True, markup=False,
        )

    def on_step(self, state: TrainingState, steps: int) -> None:
        """Move the bar, at most five times a second."""
        now = time.monotonic()
        if not self.live or now - self.drawn < 0.2:
            return
        self.drawn, position = now, state.position
        done = position.epoch * steps + position.step
        left = (now - self.started) / max(done - self.done_before, 1) * (self.epochs * steps - done)
        accuracy = " / ".join(percent(right / position.seen) for right in position.correct)
        text = f"loss {position.loss_sum / position.seen:.4f}  {accuracy}  {duration(left)} left"
        self.bar.update(self.task, completed=done, description=f"epoch {position.epoch + 1}/{self.epochs}", now=text)
        self.bar.refresh()

    def on_epoch(self, record: Record) -> None:
        """One line that stays."""
        width = len(str(self.epochs))
        train = " / ".join(percent(value) for value in record.train_accuracy.values())
        line = f"epoch {record.epoch:{width}d}/{self.epochs}  lr {record.lr:<8.3g} "
        line += f"train loss {record.train_loss:.4f}  {train}"
        if record.curve:
            measured = " / ".join(percent(score.accuracy) for score in record.curve.values())
            line += f"  {record.curve_on} {measured}"
        self.console.print(f"{line}  {duration(record.seconds)}", soft_wrap=True)
