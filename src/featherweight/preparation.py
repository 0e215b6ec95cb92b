"""Build everything that a training needs from a recipe: data, network, plan, optimizer, state.

Nothing is trained or written here. `experiment` runs the training and `results` measures it.
`trial` does both without test images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from featherweight.augment import Augmentation
from featherweight.continuation import begin, note_of
from featherweight.data import Dataset, Images, load_dataset
from featherweight.devices import keep_freed_memory, pick_precision
from featherweight.environment import describe_environment
from featherweight.errors import DataError
from featherweight.models import Blueprint
from featherweight.models.exported import is_graph
from featherweight.networks import build_network, example, find_network
from featherweight.recipe import Recipe
from featherweight.tasks import Loss, Task, build_task
from featherweight.training.compiled.program import EngineChoice, choose_engine
from featherweight.training.engine import Replica
from featherweight.training.fit import check_fit
from featherweight.training.imbalance import class_weights, imbalance_note
from featherweight.training.optimization import Schedule, build_average, build_optimizer, build_schedule
from featherweight.training.plan import Plan
from featherweight.training.state import TrainingState
from featherweight.user_code import Source

MOST_RECORDED = 1000        # damaged pictures in environment.json
MeasureCode = Callable[[nn.Module, Recipe], Mapping[str, int]]      # bytes of the C code: "ram" and "flash"


@dataclass
class PreparedTraining:
    """All objects of one training, built from a recipe and not yet run."""

    recipe: Recipe
    blueprint: Blueprint
    task: Task
    dataset: Dataset
    device: torch.device
    precision: str
    plan: Plan
    state: TrainingState
    notes: list[str]                # warnings about the network, a sentence each
    start: dict[str, Any] | None    # record of the run that the first weights come from; None: drawn from the seed
    engine: EngineChoice
    code: Mapping[str, int] | None = None   # bytes of the C code, "ram" and "flash", if the goal limits them

    @property
    def where(self) -> str:
        """Device, precision and engine in words, such as "cpu, bf16, compiled"."""
        return f"{self.device}, {self.precision}, {self.engine.name}"

    @property
    def parameters(self) -> int:
        """Number of trainable parameters, each counted once."""
        return sum(p.numel() for p in self.state.model.parameters() if p.requires_grad)

    def source(self) -> Source | None:
        """Return the source text of a user's own network, or None for one of the catalogue."""
        return self.blueprint.source(self.state.model, example(self.recipe, self.device))

    def environment(self) -> dict[str, Any]:
        """Return the content of environment.json."""
        environment = describe_environment(self.device, self.precision, self.plan.seed, self.dataset.source)
        skipped = self.dataset.skipped
        damaged = {"skipped": {"count": len(skipped), "pictures": list(skipped[:MOST_RECORDED])}} if skipped else {}
        return {**environment, "engine": self.engine.name, **damaged}

    @property
    def replica(self) -> Replica:
        """Replica for the training loop, with images on the training's device."""
        data = self.dataset.train.to(self.device)
        return Replica(self.state, data, self.plan, self.curve, self.engine)

    @property
    def curve_name(self) -> Literal["none", "validation", "test"]:
        """Split measured after each epoch. "auto" is "validation" for data that have such a split."""
        own = self.dataset.validation is not None and self.recipe.evaluation.curve == "auto"
        return "validation" if own else self.recipe.curve

    @property
    def curve(self) -> tuple[str, Images] | None:
        """Name and images that are measured after each epoch: validation, test if the recipe says so, or None."""
        name = self.curve_name
        split = {"none": None, "validation": self.dataset.validation, "test": self.dataset.test}[name]
        return (name, split.to(self.device)) if split is not None else None


def load_data(recipe: Recipe, data_dir: str | Path | None) -> Dataset:
    """Load the data set of a recipe. Validation images are not held out yet."""
    data = recipe.data
    return load_dataset(data.dataset, **data.loading, strokes=data.strokes, marks=data.marks, data_dir=data_dir)


def build_training(
    recipe: Recipe, dataset: Dataset, device: torch.device, blueprint: Blueprint | None = None,
    notes: Sequence[str] | None = None, begun_by: str | None = None, measure_code: MeasureCode | None = None,
) -> PreparedTraining:
    """Build everything that a recipe describes, with weights drawn from its seed.

    dataset: not split yet, but with soft labels if the recipe has a teacher.
    notes: of the same network with another seed. With notes, the network is not checked again.
    begun_by: engine that began the training and continues it if possible; None if it was not begun.
    measure_code: counts the bytes of the network's C code, for a goal with max_ram or max_flash.
    Raises DataError if fewer than two training images are left, and ModelError if network, task and data do not fit.
    """
    keep_freed_memory()
    precision = pick_precision(recipe.training.precision, device)
    task = build_task(recipe.task, none=recipe.data.marks > 0)
    dataset = dataset.hold_out(recipe.data.validation, recipe.split_seed, recipe.data.unseen_writers)
    if len(dataset.train) < 2:
        raise DataError(f"{len(dataset.train)} training image is left of {dataset.name}. Lower data.validation.")
    torch.manual_seed(recipe.training.seed)
    blueprint = blueprint or find_network(recipe)
    model = build_network(recipe, dataset.classes, device, blueprint)
    found = check_fit(model, task, dataset) if notes is None else notes
    code = measure_code(model, recipe) if measure_code and recipe.goal.names_chip else None
    if recipe.training.balance == "class-weights":
        weights = class_weights(dataset.train.labels, len(dataset.classes))
        dataset = replace(dataset, train=dataset.train.weighted(weights))
    start = begin(recipe, model, task, dataset)
    engine = choose_engine(begun_by or recipe.training.engine, model, example(recipe, device), precision=precision,
                           device=device)
    plan = Plan(
        epochs=recipe.training.epochs, batch_size=recipe.training.batch_size, seed=recipe.training.seed,
        fraction=recipe.training.fraction, precision=precision, gradient_clip=recipe.training.gradient_clip,
        augmentation=Augmentation(**recipe.augmentation.model_dump()),
        loss=Loss(recipe.distillation.weight, recipe.distillation.temperature),
        keep_best=recipe.training.keep == "best-on-validation", patience=recipe.training.patience,
        balanced=recipe.training.balance == "balanced-sampling",
    )
    optimizer, schedule = build_optimization(recipe, model.parameters(), len(dataset.train), plan)
    average = build_average(model, recipe.training.ema) if recipe.training.ema else None
    generator = torch.Generator(device).manual_seed(recipe.training.seed)
    state = TrainingState(model, optimizer, schedule, average, generator)
    told = list(dict.fromkeys([
        *found, *note_of(start, dataset), *graph_notes(blueprint), *skipped_note(dataset), *chip_notes(recipe, code),
        *imbalance_note(dataset.train.labels, dataset.classes, recipe.training.balance),
    ]))
    if begun_by == "compiled" and engine.name == "torch":
        told.append("the training was begun in C and goes on by torch, so its weights are rounded in another way.")
    return PreparedTraining(recipe, blueprint, task, dataset, device, precision, plan, state, told, start, engine,
                            code)


def skipped_note(dataset: Dataset) -> list[str]:
    """Return a sentence about the damaged pictures that were skipped, or an empty list."""
    if not dataset.skipped:
        return []
    count = "1 damaged picture is" if len(dataset.skipped) == 1 else f"{len(dataset.skipped):,} damaged pictures are"
    return [f"{count} skipped; environment.json lists {'it' if len(dataset.skipped) == 1 else 'them'}."]


def chip_notes(recipe: Recipe, code: Mapping[str, int] | None) -> list[str]:
    """Return a sentence for each limit of the goal that the network's C code exceeds."""
    limits = {"ram": recipe.goal.max_ram, "flash": recipe.goal.max_flash}
    return [f"the C code ({recipe.goal.code}) needs {code[key]:,} bytes of {title}, more than goal.max_{key} {limit:,}."
            for (key, limit), title in zip(limits.items(), ("RAM", "flash"), strict=True)
            if code and limit is not None and code[key] > limit]


def graph_notes(blueprint: Blueprint) -> list[str]:
    """Return a warning if only the graph of a network in evaluation mode is known, else an empty list."""
    if blueprint.user_class is None or not is_graph(blueprint.user_class.source()):
        return []
    return [f"{blueprint.name} is a graph in evaluation mode: dropout is left out, and BatchNorm keeps its statistics. "
            "Give the class itself to train it as it was."]


def build_optimization(
    recipe: Recipe, parameters: Iterable[Tensor], images: int, plan: Plan
) -> tuple[torch.optim.Optimizer, Schedule]:
    """Return the recipe's optimizer for these parameters, and its schedule. images: number of training images."""
    optimizer = build_optimizer(parameters, **recipe.optimizer.model_dump())
    total_steps = plan.steps_before(images, plan.epochs)
    return optimizer, build_schedule(optimizer, total_steps=total_steps, **recipe.schedule.model_dump())
