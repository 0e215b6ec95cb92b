"""The story of one training: recipe -> data -> network -> loop -> run folder."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor

from featherweight.augment import Augmentation
from featherweight.continuation import begin, note_of, recipe_from
from featherweight.data import Dataset, ImageDataset, is_loadable, load_dataset, save_sample
from featherweight.distillation import keep_apart, with_teacher
from featherweight.environment import cuda_devices, describe_environment
from featherweight.errors import DataError, RunError, TrainingInterrupted
from featherweight.evaluation import confusion_matrix
from featherweight.locks import RESUME_SECONDS, writing
from featherweight.models import Blueprint
from featherweight.models.exported import is_graph
from featherweight.networks import build_network, example, find_network, match_images
from featherweight.recipe import Recipe
from featherweight.runs import Run, check_free, create_run
from featherweight.specification import specification_of
from featherweight.tasks import Loss, Task, build_task
from featherweight.training.checkpoint import load_checkpoint, save_checkpoint
from featherweight.training.fit import check_fit
from featherweight.training.interruption import stop_signals
from featherweight.training.loop import Images, Plan, Record, answer, score_heads
from featherweight.training.loop import train as train_epochs
from featherweight.training.notes import batch_norm_note
from featherweight.training.optimization import Schedule, build_average, build_optimizer, build_schedule
from featherweight.training.state import TrainingState
from featherweight.training.step import keep_freed_memory, pick_device, pick_precision
from featherweight.training.workers import refuse_while_importing
from featherweight.user_code import Source, unwarned
from featherweight.wording import call, option

CHECKPOINT_SECONDS = 30.0   # how much work a kill -9 in the middle of an epoch may cost
SHORT_SECONDS = 0.1         # since the last checkpoint: an epoch of a GPU is no longer than it takes to write one


class Watcher(Protocol):
    """Who looks on while a training runs; the command line draws its progress bar here."""

    def on_teacher(self, teacher: str, networks: int, answered: int, images: int) -> None:
        """So many networks of a teacher have answered so many training images, before anything else is built."""

    def on_note(self, note: str) -> None:
        """Something about the network or the data that a person should know, in a sentence."""

    def on_start(self, training: Training) -> None:
        """Everything is built; nothing is trained yet."""

    def on_step(self, state: TrainingState, steps: int) -> None:
        """One optimisation step is done, of so many in the epoch."""

    def on_epoch(self, record: Record) -> None:
        """One epoch is done and written down."""


class Silent:
    """The watcher that says nothing."""

    def on_teacher(self, teacher: str, networks: int, answered: int, images: int) -> None: ...

    def on_note(self, note: str) -> None: ...

    def on_start(self, training: Training) -> None: ...

    def on_step(self, state: TrainingState, steps: int) -> None: ...

    def on_epoch(self, record: Record) -> None: ...


@dataclass
class Training:
    """All that one training consists of, built from a recipe and not yet run."""

    recipe: Recipe
    blueprint: Blueprint
    task: Task
    dataset: Dataset
    device: torch.device
    precision: str
    plan: Plan
    state: TrainingState
    notes: list[str]                # what a person should know of the network, a sentence each
    start: dict[str, Any] | None    # where the first weights come from, if not from the seed

    @property
    def parameters(self) -> int:
        """Trainable parameters, each counted once."""
        return sum(p.numel() for p in self.state.model.parameters() if p.requires_grad)

    def source(self) -> Source | None:
        """The source of a network of the user's own."""
        return self.blueprint.source(self.state.model, example(self.recipe, self.device))

    def environment(self) -> dict[str, Any]:
        """What environment.json holds."""
        return describe_environment(self.device, self.precision, self.plan.seed, self.dataset.source)

    def images(self, split: ImageDataset) -> Images:
        """A split on the training's device."""
        mean, std = (torch.tensor(values, device=self.device) for values in (self.dataset.mean, self.dataset.std))
        split = split.to(self.device)
        return Images(split.images, split.labels, mean, std, split.soft)

    @property
    def curve(self) -> tuple[str, Images] | None:
        """What is measured after each epoch: nothing, the validation split, or test where the recipe asks for it."""
        name = self.recipe.curve
        split = {"none": None, "validation": self.dataset.validation, "test": self.dataset.test}[name]
        return (name, self.images(split)) if split is not None else None


def train(
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
) -> Run:
    """Train a recipe to its end and leave a run folder; out defaults to runs/NAME-seedN.

    start: a finished run whose weights are the first, as the recipe's training.start; its own recipe is the default.
    resume goes on where an interrupted run stopped, to the same final weights, bit for bit on one CPU. A finished run
    is returned as it is. dataset: the recipe's data where it is loaded already, without a validation split, perhaps
    with a teacher's soft labels. blueprint: the network, if the recipe's name is not enough to find it. Raises
    RunError for a folder that exists (unless force), the faults of recipe, data and model, TrainingDiverged, and
    TrainingInterrupted after Ctrl-C or SIGTERM.
    """
    refuse_while_importing()
    recipe = recipe_from(start, recipe)
    watcher = watcher or Silent()
    out = Path(out) if out is not None else default_out(recipe)
    keep_apart(recipe, out)
    before = Run.open(out) if resume else None
    torch_device = pick_device(device)
    with torch.random.fork_rng(devices=cuda_devices()), claimed(out, force=force, resume=resume):
        blueprint = blueprint or find_network(recipe, before)
        recipe = match_images(recipe, blueprint, watcher.on_note)
        if before and reopen(out, recipe).finished:
            return before
        whole = dataset or load_data(recipe, data_dir)
        taught = with_teacher(recipe, whole, torch_device, tell=watcher.on_teacher)
        training = build_training(recipe, taught, torch_device, blueprint)
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
        return finish(run, training)


@contextmanager
def claimed(out: Path, *, force: bool, resume: bool) -> Iterator[None]:
    """Keep other processes out of the run's folder; raise RunError, before data is loaded, if it is in use."""
    if not resume:
        check_free(out, force=force)    # before a lock is laid into a folder of something else
    with writing(out, wait=RESUME_SECONDS if resume else 0):
        if not resume:
            check_free(out, force=force)
        yield


def take_up(run: Run, training: Training) -> None:
    """Bring a training to where its interrupted run stopped."""
    run.sweep()
    if run.source is None:      # killed before it was written, or a run of an earlier version
        run.keep(training.source())
    else:
        check_source(run, run.source, training)
    load_checkpoint(run, training.state)


def check_source(run: Run, before: Source, training: Training) -> None:
    """Raise RunError if the network to resume is not the one that the run began with, or only its graph."""
    name = training.blueprint.name
    if is_graph(before) and training.blueprint.user_class:
        raise RunError(f"run {str(run.path)!r} holds {name} as a graph in evaluation mode, which is not trained on. "
                       "Resume it where it was begun: featherweight.train(model=..., resume=True).")
    now = training.source()
    if now and any(text != before.files.get(file, text) for file, text in now.files.items()):
        raise RunError(f"{name} changed since run {str(run.path)!r} began. Put it back, or train into another folder "
                       f"with {option('out')}.")


def default_out(recipe: Recipe) -> Path:
    """Where a run goes when nobody says."""
    return Path("runs") / f"{name_of(recipe)}-seed{recipe.training.seed}"


def name_of(recipe: Recipe) -> str:
    """The recipe's name, and the run from which it starts."""
    start = recipe.training.start
    return f"{recipe.name}-from-{Path(start).resolve().name}" if start else recipe.name


def load_data(recipe: Recipe, data_dir: str | Path | None) -> Dataset:
    """The recipe's data, not yet split by a seed."""
    data = recipe.data
    return load_dataset(data.dataset, **data.seen, data_dir=data_dir)


def build_training(
    recipe: Recipe, dataset: Dataset, device: torch.device, blueprint: Blueprint | None = None,
    notes: Sequence[str] | None = None,
) -> Training:
    """Build everything that a recipe describes, with weights drawn from its seed; dataset is not split, but taught.

    notes: what was found on the same network with another seed; then it is not asked again.
    """
    keep_freed_memory()
    precision = pick_precision(recipe.training.precision, device)
    task = build_task(recipe.task)
    dataset = dataset.hold_out(recipe.data.validation, recipe.split_seed, recipe.data.unseen_writers)
    if len(dataset.train) < 2:
        raise DataError(f"{len(dataset.train)} training image is left of {dataset.name}. Lower data.validation.")
    torch.manual_seed(recipe.training.seed)
    blueprint = blueprint or find_network(recipe)
    model = build_network(recipe, dataset.classes, device, blueprint)
    found = check_fit(model, task, dataset) if notes is None else notes
    start = begin(recipe, model, task, dataset)
    plan = Plan(
        epochs=recipe.training.epochs, batch_size=recipe.training.batch_size, seed=recipe.training.seed,
        fraction=recipe.training.fraction, precision=precision, gradient_clip=recipe.training.gradient_clip,
        augmentation=Augmentation(**recipe.augmentation.model_dump()),
        loss=Loss(recipe.distillation.weight, recipe.distillation.temperature),
        keep_best=recipe.training.keep == "best-on-validation", patience=recipe.training.patience,
    )
    optimizer, schedule = build_optimization(recipe, model.parameters(), len(dataset.train), plan)
    average = build_average(model, recipe.training.ema) if recipe.training.ema else None
    generator = torch.Generator(device).manual_seed(recipe.training.seed)
    state = TrainingState(model, optimizer, schedule, average, generator)
    told = list(dict.fromkeys([*found, *note_of(start, dataset), *graph_notes(blueprint)]))
    return Training(recipe, blueprint, task, dataset, device, precision, plan, state, told, start)


def graph_notes(blueprint: Blueprint) -> list[str]:
    """Return a sentence about a network of which only the graph in evaluation mode is known."""
    if blueprint.user_class is None or not is_graph(blueprint.user_class.source()):
        return []
    return [f"{blueprint.name} is a graph in evaluation mode: dropout is left out, and BatchNorm keeps its statistics. "
            "Give the class itself to train it as it was."]


def build_optimization(
    recipe: Recipe, parameters: Iterable[Tensor], images: int, plan: Plan
) -> tuple[torch.optim.Optimizer, Schedule]:
    """The recipe's optimizer of these parameters and its schedule for so many images."""
    optimizer = build_optimizer(parameters, **recipe.optimizer.model_dump())
    total_steps = plan.steps_before(images, plan.epochs)
    return optimizer, build_schedule(optimizer, total_steps=total_steps, **recipe.schedule.model_dump())


def run_epochs(run: Run, training: Training, watcher: Watcher) -> None:
    """The loop, with a line of history and a checkpoint after each epoch, and a checkpoint when interrupted."""
    state, saved_at = training.state, time.monotonic()
    history = run.history[: state.position.epoch]   # a kill may have come between a line and its checkpoint

    def save() -> None:
        nonlocal saved_at
        run.save_history(history)
        save_checkpoint(run, state)
        saved_at = time.monotonic()

    def on_step(state: TrainingState, steps: int) -> None:
        watcher.on_step(state, steps)
        if time.monotonic() - saved_at > CHECKPOINT_SECONDS and state.position.step < steps:
            save()

    with stop_signals() as caught, unwarned():
        records = train_epochs(
            state, training.images(training.dataset.train), training.task, training.plan,
            curve=training.curve, on_step=on_step, should_stop=lambda: bool(caught),
        )
        for record in records:
            history.append(as_line(record))
            if training.plan.ended(state) or time.monotonic() - saved_at > SHORT_SECONDS:
                save()
            watcher.on_epoch(record)
        if caught:      # also after the last step: the signal is heeded, and a resume only writes the result
            save()
            raise TrainingInterrupted(caught[0], how_to_resume(run, state, training.plan.epochs))


def finish(run: Run, training: Training) -> Run:
    """Look at the test data, once; write the network and the result."""
    state, dataset, task = training.state, training.dataset, training.task
    kept = state.return_to_best() if training.plan.keep_best else state.position.epoch
    answers, targets = answer_all(training)
    test = score_heads(task, answers, targets)
    heads = zip(task.heads, answers, targets, strict=True)
    tensors = {key: value.detach().cpu().clone().contiguous() for key, value in state.trained.state_dict().items()}
    line, source = run.history[kept - 1], run.source
    result = {
        "recipe": training.recipe.name,
        "model": training.blueprint.name,
        "parameters": training.parameters,
        "dataset": dataset.name,
        "train_images": len(dataset.train),
        "epochs": state.position.epoch,
        **ending(training.plan, state.position.epoch, kept),
        "seed": training.plan.seed,
        "seconds": round(state.position.seconds, 3),
        "device": str(training.device),
        "precision": training.precision,
        "train": {"accuracy": line["train_accuracy"], "loss": line["train_loss"]},
        "test": {head: score.to_dict() for head, score in test.items()},
        "confusion": {head: confusion_matrix(a.argmax(dim=1), t, a.shape[1]).tolist() for head, a, t in heads},
        "curve": training.recipe.curve,
        **({"start": training.start} if training.start else {}),
        "notes": [*training.notes, *notes_after(state)],
        "goal": judge(training.recipe, training.parameters, {head: test[head].accuracy for head in task.heads}),
        "classes": list(dataset.classes),
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "picture": replace(specification_of(dataset.name, **training.recipe.data.seen), span=dataset.span).to_dict(),
        **({"network": source.sha256} if source else {}),
    }
    run.save_result(result, tensors)
    return run


def ending(plan: Plan, done: int, kept: int) -> dict[str, Any]:
    """The part of result.json about a training that keeps another epoch than the last, or ended before it."""
    chosen = {"kept": {"epoch": kept, "of": done, "by": "validation loss"}} if plan.keep_best else {}
    early = {"stopped_early": {"planned": plan.epochs, "patience": plan.patience}} if done < plan.epochs else {}
    return chosen | early


def notes_after(state: TrainingState) -> list[str]:
    """Sentences about a finished training that its numbers do not tell."""
    return [note for note in (batch_norm_note(state.model),) if note]


def answer_all(training: Training) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """The trained network's answers to every question about the test images, and the truth."""
    test = training.images(training.dataset.test)
    return answer(training.state.trained, test, training.task.ask_all(test.labels), training.precision)


def judge(recipe: Recipe, parameters: int, accuracies: Mapping[str, float]) -> dict[str, Any]:
    """The goal beside what came of it, for every head. met is None where the recipe promises nothing."""
    goal, epochs = recipe.goal, recipe.training.epochs
    checks = {
        "accuracy": goal.accuracy is None or min(accuracies.values()) >= goal.accuracy,
        "max_parameters": goal.max_parameters is None or parameters <= goal.max_parameters,
        "max_epochs": goal.max_epochs is None or epochs <= goal.max_epochs,
    }
    promised = {key: value for key in checks if (value := getattr(goal, key)) is not None}
    missed = [key for key, held in checks.items() if not held]
    return {**promised, "met": not missed if promised else None, "missed": missed}


def reopen(out: Path, recipe: Recipe) -> Run:
    """Return the run to resume. Raises RunError if there is none or its recipe is another one.

    The file of a network of the user's own may lie elsewhere now: find_network has compared its text.
    """
    run = Run.open(out)
    before, now = run.recipe.model_dump(), recipe.model_dump()
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
    """Where an interrupted training stands, and the command that goes on."""
    position = state.position
    where = f"in epoch {position.epoch + 1} of {epochs}, after {position.step} of its steps"
    if position.epoch == epochs:
        where = "after the last epoch"
    return (
        f"interrupted {where}; the checkpoint is written. Go on with: "
        f"{call('train', run.path / 'recipe.toml', out=run.path, resume=True)}"
    )


def as_line(record: Record) -> dict[str, Any]:
    """A record as history.jsonl holds it."""
    line = asdict(record)
    if record.curve:
        line["curve"] = {head: score.to_dict() for head, score in record.curve.items()}
    return line
