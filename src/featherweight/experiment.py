"""Train one recipe into a run folder: prepare, train with checkpoints, measure, write the result."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

import torch

from featherweight.continuation import recipe_from
from featherweight.data import Dataset, is_loadable, save_sample
from featherweight.data.names import is_path
from featherweight.devices import cuda_devices, pick_device
from featherweight.errors import RecipeError, RunError, TrainingInterrupted
from featherweight.locks import RESUME_SECONDS, writing
from featherweight.models import Blueprint
from featherweight.models.exported import is_graph
from featherweight.networks import find_network, match_images
from featherweight.preparation import MeasureCode, PreparedTraining, build_training, load_data
from featherweight.recipe import Recipe
from featherweight.results import write_result
from featherweight.runs import Run, check_free, create_run
from featherweight.teachers import keep_apart, with_teacher
from featherweight.training.checkpoint import load_checkpoint, save_checkpoint
from featherweight.training.loop import train as train_replicas
from featherweight.training.plan import Record
from featherweight.training.state import Position, TrainingState
from featherweight.training.stop_signals import stop_signals
from featherweight.user_code import Source, unwarned
from featherweight.wording import call, option
from featherweight.workers import refuse_while_importing

CHECKPOINT_SECONDS = 30.0   # between two checkpoints inside an epoch; kill -9 loses at most this much training
SHORT_SECONDS = 0.1         # no checkpoint after a shorter epoch, as on a GPU: writing takes as long as the epoch


class Watcher(Protocol):
    """Callbacks that report the progress of a training, for example to a progress bar."""

    def on_teacher(self, teacher: str, networks: int, answered: int, images: int) -> None:
        """Called before the network is built, while the teacher's soft labels are computed.

        teacher: the recipe's teacher. networks: number of its networks. answered: images done, out of `images`.
        """

    def on_note(self, note: str) -> None:
        """Called with a warning about the network or the data, one sentence."""

    def on_start(self, training: PreparedTraining) -> None:
        """Called when everything is built, before the first step."""

    def on_step(self, state: TrainingState, steps: int) -> None:
        """Called after each optimisation step. steps: number of steps in the epoch."""

    def on_epoch(self, record: Record) -> None:
        """Called after each epoch with its results."""


class Silent:
    """A watcher that reports nothing."""

    def on_teacher(self, teacher: str, networks: int, answered: int, images: int) -> None: ...

    def on_note(self, note: str) -> None: ...

    def on_start(self, training: PreparedTraining) -> None: ...

    def on_step(self, state: TrainingState, steps: int) -> None: ...

    def on_epoch(self, record: Record) -> None: ...


def train_recipe(
    recipe: Recipe | str | Path | None = None,
    out: str | Path | None = None,
    *,
    start: Run | str | Path | None = None,
    data_dir: str | Path | None = None,
    device: str = "auto",
    resume: bool = False,
    force: bool = False,
    watcher: Watcher | None = None,
    dataset: Dataset | None = None,
    blueprint: Blueprint | None = None,
    measure_code: MeasureCode | None = None,
) -> Run:
    """Train a recipe to its end and return the run, with its result.

    out: the run folder, by default runs/NAME-seedN.
    start: a finished run whose weights are the first weights, as training.start. Its recipe is the default recipe.
    resume: continue an interrupted run to the same final weights, bit for bit on the same CPU.
    With resume, a run that is finished already is returned unchanged.
    force: replace the run that the folder holds.
    dataset: the recipe's data, if loaded already. Validation images are not held out yet; soft labels are allowed.
    blueprint: the network, if the recipe's name is not enough to find it.
    measure_code: counts the bytes of the network's C code. Needed if the goal has max_ram or max_flash.
    Raises RunError if the folder exists (unless force), and the errors of recipe, data and model.
    Raises TrainingDiverged if the loss is NaN or infinite, and TrainingInterrupted after Ctrl-C or SIGTERM.
    """
    refuse_while_importing()
    recipe = recipe_from(start, recipe)
    watcher = watcher or Silent()
    out = Path(out) if out is not None else default_out(recipe)
    keep_apart(recipe, out)
    check_chip(recipe, measure_code)
    before = Run.open(out) if resume else None
    torch_device = pick_device(device)
    with torch.random.fork_rng(devices=cuda_devices()), claimed(out, force=force, resume=resume):
        blueprint = blueprint or find_network(recipe, before)
        recipe = match_images(recipe, blueprint, watcher.on_note)
        if before and reopen(out, recipe).finished:
            return before
        whole = dataset or load_data(recipe, data_dir)
        taught = with_teacher(recipe, whole, torch_device, tell=watcher.on_teacher)
        training = build_training(recipe, taught, torch_device, blueprint, begun_by=engine_of(before),
                                  measure_code=measure_code)
        for note in training.notes:
            watcher.on_note(note)
        if before:
            take_up(before, training)
        run = before or create_run(out, recipe, training.source(), force=force)
        run.save_json("environment.json", training.environment())
        if not is_loadable(whole.name):
            run.save_tensors("data.safetensors", *save_sample(whole))
        watcher.on_start(training)
        run_epochs(run, training, watcher)
        return write_result(run, training)


def check_chip(recipe: Recipe, measure_code: MeasureCode | None) -> None:
    """Raise RecipeError if the goal limits the C code, and the caller cannot count its bytes."""
    if recipe.goal.names_chip and measure_code is None:
        raise RecipeError("goal.max_ram and goal.max_flash are counted by the command train and by "
                          "featherweight.train. Train with one of them, or leave them out.")


@contextmanager
def claimed(out: Path, *, force: bool, resume: bool) -> Iterator[None]:
    """Hold the lock of the run folder inside the block. Raises RunError if the folder is in use or not free."""
    if not resume:
        check_free(out, force=force)    # before the lock file is created: the folder may hold other files
    with writing(out, wait=RESUME_SECONDS if resume else 0):
        if not resume:
            check_free(out, force=force)
        yield


def begin_run(run: Run, recipe: Recipe, training: PreparedTraining) -> None:
    """Create the folder of a run, or load the checkpoint of a run that was begun. Write environment.json."""
    if run.begun:
        take_up(run, training)
    else:
        create_run(run.path, recipe, training.source())
    run.save_json("environment.json", training.environment())


def take_up(run: Run, training: PreparedTraining) -> None:
    """Load the checkpoint of an interrupted run into the training. Raises RunError if the network's source changed."""
    run.sweep()
    if run.source is None:      # killed before the source was written, or a run of an earlier version
        run.keep(training.source())
    else:
        check_source(run, run.source, training)
    load_checkpoint(run, training.state)


def engine_of(run: Run | None) -> str | None:
    """Return the engine that began a run, None if it was not begun. Runs of earlier versions were trained by torch."""
    if run is None or not (run.path / "environment.json").exists():
        return None
    return str(run.environment.get("engine", "torch"))


def check_source(run: Run, before: Source, training: PreparedTraining) -> None:
    """Raise RunError if the network's source differs from the run's, or if the run holds only the network's graph."""
    name = training.blueprint.name
    if is_graph(before) and training.blueprint.user_class:
        raise RunError(f"run {str(run.path)!r} holds {name} as a graph in evaluation mode, which is not trained on. "
                       "Resume it where it was begun: featherweight.train(model=..., resume=True).")
    now = training.source()
    if now and any(text != before.files.get(file, text) for file, text in now.files.items()):
        raise RunError(f"{name} changed since run {str(run.path)!r} began. Put it back, or train into another folder "
                       f"with {option('out')}.")


def default_out(recipe: Recipe) -> Path:
    """Default run folder: runs/NAME-seedN."""
    return Path("runs") / f"{name_of(recipe)}-seed{recipe.training.seed}"


def name_of(recipe: Recipe) -> str:
    """Name of the recipe; with training.start, NAME-from-RUN."""
    start = recipe.training.start
    return f"{recipe.name}-from-{Path(start).resolve().name}" if start else recipe.name


def run_epochs(run: Run, training: PreparedTraining, watcher: Watcher) -> None:
    """Train all remaining epochs. Raises TrainingInterrupted after a stop signal.

    The history and a checkpoint are written together, after the last epoch and on interruption. They are also written
    after an epoch, if the last save is more than SHORT_SECONDS ago, and every CHECKPOINT_SECONDS within an epoch.
    """
    state, saved_at = training.state, time.monotonic()
    history = run.history[: state.position.epoch]   # a killed run may have a line without its checkpoint

    def save() -> None:
        nonlocal saved_at
        run.save_history(history)
        save_checkpoint(run, state)
        saved_at = time.monotonic()

    def on_step(position: Position, steps: int) -> None:
        watcher.on_step(state, steps)
        if time.monotonic() - saved_at > CHECKPOINT_SECONDS and position.step < steps:
            save()

    with stop_signals() as caught, unwarned():
        epochs = train_replicas(
            [training.replica], training.task, on_step=on_step, should_stop=lambda: bool(caught)
        )
        for (record,) in epochs:
            history.append(as_line(record))
            if training.plan.ended(state) or time.monotonic() - saved_at > SHORT_SECONDS:
                save()
            watcher.on_epoch(record)
        if caught:      # also after the last step: resuming then only writes the result
            save()
            raise TrainingInterrupted(caught[0], how_to_resume(run, state, training.plan.epochs))


def reopen(out: Path, recipe: Recipe) -> Run:
    """Return the run to resume. Raises RunError if the folder holds no run, or if its recipe differs from `recipe`.

    The goal may differ. The path of a user's network file may differ too: find_network has compared its text.
    """
    run = Run.open(out)
    before, now = run.recipe.model_dump(), recipe.model_dump()
    if not is_path(recipe.data.dataset):    # its images are square; a run of an earlier version has another data.fit
        now["data"]["fit"] = before["data"]["fit"]
    changed = [
        f"{section}.{key}" for section, values in now.items() if isinstance(values, dict) and section != "goal"
        for key, value in values.items() if before[section].get(key) != value and not (key == "name" and run.source)
    ] + [key for key in ("name", "task") if before[key] != now[key]]
    if changed:
        raise RunError(
            f"run {str(out)!r} was started with another {', '.join(changed)}. "
            f"Resume it with its own recipe: {run.path / 'recipe.toml'}"
        )
    return run


def how_to_resume(run: Run, state: TrainingState, epochs: int) -> str:
    """Return a message with the epoch and step of an interrupted training, and the command that resumes it."""
    position = state.position
    where = f"in epoch {position.epoch + 1} of {epochs}, after {position.step} of its steps"
    if position.epoch == epochs:
        where = "after the last epoch"
    return (
        f"interrupted {where}; the checkpoint is written. Go on with: "
        f"{call('train', run.path / 'recipe.toml', out=run.path, resume=True)}"
    )


def as_line(record: Record) -> dict[str, Any]:
    """Return the record as one line of history.jsonl."""
    line = asdict(record)
    if record.curve:
        line["curve"] = {head: score.without_classes() for head, score in record.curve.items()}
    return line
