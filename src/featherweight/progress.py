"""Progress of a training: a bar in a terminal or a notebook, and one line per epoch everywhere."""

from __future__ import annotations

import html
import sys
import time
from collections.abc import Sequence
from statistics import fmean
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from featherweight.outside import visible
from featherweight.words import duration, percent

if TYPE_CHECKING:
    from featherweight.preparation import PreparedTraining
    from featherweight.replication import Standing
    from featherweight.training.plan import Record
    from featherweight.training.state import TrainingState


class OneBar:
    """Permanent lines on standard error, and below them a progress bar if standard error is a terminal.

    Use an instance in a with block. quiet: print nothing.
    """

    def __init__(self, *, quiet: bool = False) -> None:
        from rich.progress import BarColumn, TextColumn
        from rich.progress import Progress as Bar

        from featherweight.terminal import console

        self.console = console(stderr=True)
        words = (TextColumn(part, markup=False) for part in ("{task.description}", "{task.fields[now]}"))
        columns = (next(words), BarColumn(bar_width=20), next(words))
        self.bar = Bar(*columns, console=self.console, auto_refresh=False, transient=True)
        self.quiet, self.live = quiet, self.console.is_terminal and not quiet
        self.task = self.bar.add_task("", total=None, now="")
        self.total, self.started, self.done_before, self.drawn = 0, 0.0, 0, 0.0

    def say(self, line: str) -> None:
        """Print a permanent line, unless the progress is quiet."""
        if not self.quiet:
            self.console.print(visible(line), soft_wrap=True)

    def on_teacher(self, teacher: str, networks: int, answered: int, images: int) -> None:
        """Show the progress of computing a teacher's soft labels: a line at the start, and a bar.

        One network takes about ten seconds for 60,000 images.
        networks: number of networks of the teacher. answered: images done, out of `images`.
        """
        if not answered:
            predict = "the network predicts" if networks == 1 else f"{networks} networks predict"
            self.say(f"teacher {teacher}: {predict} every training image")
            self.begin(images, 0)
        self.draw(answered, "teacher", f"{answered:,} of {images:,} images")

    def on_note(self, note: str) -> None:
        """Print a note about the training as a permanent line."""
        self.say(f"note: {note}")

    def begin(self, total: int, done: int) -> None:
        """Start the bar with `total` steps; `done` of them were done before a resume."""
        self.total, self.done_before, self.started = total, done, time.monotonic()

    def begin_with(self, training: PreparedTraining) -> None:
        """Print why torch trains on a CPU, unless the recipe asks for it, and the run of the initial weights."""
        if training.engine.why and training.device.type == "cpu" and training.recipe.training.engine != "torch":
            self.say(f"trained by torch: {training.engine.why}")
        if training.start:
            self.say(f"begins with the weights of {training.start['run']}")

    def draw(self, done: int, description: str, text: str) -> None:
        """Update the bar, at most five times per second, with the estimated remaining time."""
        now = time.monotonic()
        if not self.live or now - self.drawn < 0.2:
            return
        self.drawn = now
        if new := done - self.done_before:
            text += f"  {duration((now - self.started) / new * (self.total - done))} left"
        self.show(done, description, text)

    def show(self, done: int, description: str, text: str) -> None:
        """Draw the bar now."""
        self.bar.update(self.task, total=self.total, completed=done, description=description, now=text)
        self.bar.refresh()

    def __enter__(self) -> Self:
        if self.live:
            self.bar.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.bar.stop() if self.live else None


class Progress(OneBar):
    """Progress of one training: the current epoch as a bar, finished epochs as lines."""

    def on_start(self, training: PreparedTraining) -> None:
        """Print a line with the recipe, the data, the device and the seed, and start the bar."""
        recipe, plan, position = training.recipe, training.plan, training.state.position
        self.plan, self.images = plan, len(training.dataset.train)
        self.begin(plan.steps_before(self.images, plan.epochs), plan.steps_done(position, self.images))
        again = f", resuming after epoch {position.epoch}, step {position.step}" if self.done_before else ""
        self.say(
            f"{recipe.name}: {training.parameters:,} parameters; {len(training.dataset.train):,} images of "
            f"{training.dataset.name}, {training.dataset.source}; {training.where}, seed {plan.seed}{again}"
        )
        self.begin_with(training)

    def on_step(self, state: TrainingState, steps: int) -> None:
        """Update the bar with the mean loss and the accuracy of the current epoch."""
        position = state.position
        accuracy = " / ".join(percent(right / position.seen) for right in position.correct)
        text = f"loss {position.loss_sum / position.seen:.4f}  {accuracy}"
        done = self.plan.steps_done(position, self.images)
        self.draw(done, f"epoch {position.epoch + 1}/{self.plan.epochs}", text)

    def on_epoch(self, record: Record) -> None:
        """Print the results of an epoch as a permanent line."""
        epochs = self.plan.epochs
        train = " / ".join(percent(value) for value in record.train_accuracy.values())
        line = f"epoch {record.epoch:{len(str(epochs))}d}/{epochs}  lr {record.lr:<8.3g} "
        line += f"train loss {record.train_loss:.4f}  {train}"
        if record.curve:
            measured = " / ".join(percent(score.accuracy) for score in record.curve.values())
            line += f"  {record.curve_on} {measured}"
        self.say(f"{line}  {duration(record.seconds)}")


class NotebookProgress(Progress):
    """Progress of one training in a notebook: one output that is redrawn, with lines and bar as text."""

    def __init__(self) -> None:
        from IPython.display import display

        super().__init__()
        self.lines: list[str] = []
        self.live = True
        self.handle = display(Text(""), display_id=True)  # type: ignore[no-untyped-call,unused-ignore]

    def say(self, line: str) -> None:
        self.lines.append(visible(line))
        self.handle.update(Text("\n".join(self.lines)))

    def show(self, done: int, description: str, text: str) -> None:
        full = 20 * done // max(self.total, 1)
        bar = f"{description} {'█' * full}{'░' * (20 - full)} {text}"
        self.handle.update(Text("\n".join([*self.lines, bar])))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.handle.update(Text("\n".join(self.lines)))


class Text(str):
    """Text that a notebook displays unchanged, line by line."""

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(visible(self, lines=True))}</pre>"


def progress() -> Progress:
    """Return a NotebookProgress inside a notebook, else a Progress."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return NotebookProgress() if hasattr(shell, "kernel") else Progress()


class SeedsProgress(OneBar):
    """Progress of many seeds: one bar for all seeds, finished seeds as lines."""

    def on_start(self, training: PreparedTraining, seeds: Sequence[int], finished: Sequence[int], workers: int) -> None:
        """Print a line with the recipe, the data, the device and the number of seeds, and start the bar."""
        recipe, plan = training.recipe, training.plan
        self.steps = plan.steps_before(len(training.dataset.train), plan.epochs)
        self.standing: dict[int, Standing] = {}
        self.finished = self.finished_before = len(finished)
        self.count = len(seeds)
        self.begin(self.count * self.steps, self.finished * self.steps)
        again = f", {self.finished} of them trained already" if finished else ""
        self.say(
            f"{recipe.name}: {training.parameters:,} parameters; {len(training.dataset.train):,} images of "
            f"{training.dataset.name}, {training.dataset.source}; {training.where}; {self.count} seeds{again}, "
            f"{workers} side by side"
        )
        self.begin_with(training)

    def on_standing(self, seed: int, standing: Standing) -> None:
        """Update the bar with the mean loss and the accuracy of the seeds that are being trained."""
        if not self.standing and self.finished == self.finished_before:
            self.started = time.monotonic()     # leave the start of the processes out of the remaining time
        self.standing[seed] = standing
        done = self.finished * self.steps + sum(one.steps for one in self.standing.values())
        loss = fmean(one.loss for one in self.standing.values())
        heads = zip(*(one.accuracy for one in self.standing.values()), strict=True)
        accuracy = " / ".join(percent(fmean(part)) for part in heads)
        self.draw(done, f"{self.finished}/{self.count} seeds", f"loss {loss:.4f}  {accuracy}")

    def on_finish(self, seed: int, result: dict[str, Any]) -> None:
        """Print the result of a seed as a permanent line."""
        self.finished += 1
        self.standing.pop(seed, None)
        test = " / ".join(percent(score["accuracy"]) for score in result["test"].values())
        line = f"seed {seed}: test {test}, {duration(result['seconds'])}  ({self.finished} of {self.count})"
        self.say(line)
