"""Build the network of a recipe, or load that of a finished run with its weights, on a device."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from featherweight.devices import cuda_devices, layout_for
from featherweight.errors import RunError
from featherweight.models import Blueprint, find_blueprint, image_shape
from featherweight.models.lazy import fill_lazy
from featherweight.models.shapes import runs_on, trying
from featherweight.outside import shortened
from featherweight.recipe import Recipe
from featherweight.record import NEXT_MOVE
from featherweight.runs import Run
from featherweight.tasks import as_heads, build_task
from featherweight.user_code import Source, text_of, written_files
from featherweight.wording import option

FEW = 2     # images that a network is tried on


def build_network(
    recipe: Recipe, classes: Sequence[str], device: torch.device, blueprint: Blueprint | None = None
) -> nn.Module:
    """Build the recipe's network for these classes on the device. blueprint: of the network, if known."""
    blueprint = blueprint or find_blueprint(recipe.model.name)
    suggested = {"in_channels": recipe.data.channels, "classes": len(classes)}
    model, inputs = blueprint.build(recipe.model.arguments, suggested).to(device), example(recipe, device)
    fill_lazy(model, inputs)
    return suited(model, inputs)


def find_network(recipe: Recipe, run: Run | None = None) -> Blueprint:
    """Return the blueprint of the recipe's network. With a run to resume, of the source in the run's folder.

    Raises RunError if the user's file changed since the run began.
    """
    if run is None or run.source is None:
        return find_blueprint(recipe.model.name)
    changed = changed_file(Path(recipe.model.name.rpartition(":")[0]), run.source)
    if changed:
        raise RunError(f"{str(changed)!r} changed since run {str(run.path)!r} began. Resume with the run's own recipe, "
                       f"{run.path / 'recipe.toml'}, or train into another folder with {option('out')}.")
    return run_blueprint(run)


def changed_file(file: Path, source: Source) -> Path | None:
    """Return the first file of a network's source whose text changed, or None. Imported files are compared too.

    Missing files count as unchanged. Files that a notebook writes are skipped: the notebook's text contains theirs.
    """
    if not file.is_file():
        return None
    above, depth = file.resolve().parents, len(Path(source.entry).parts) - 1
    folder = above[min(depth, len(above) - 1)]      # the file may be in a less deep folder now
    places = {name: folder / name for name in source.files if name not in written_files(file)} | {source.entry: file}
    return next((place for name, place in places.items()
                 if place.is_file() and text_of(place) != source.files[name]), None)


def match_images(recipe: Recipe, blueprint: Blueprint, tell: Callable[[str], None] = lambda text: None) -> Recipe:
    """Return the recipe with the channels and size of images that a user's network takes. Values in the recipe stay.

    tell: called with a sentence if a value changes.
    """
    data, given = recipe.data, recipe.data.model_fields_set
    if not blueprint.is_own or {"channels", "size"} <= given or recipe.task != "classification":
        return recipe
    suggested = {"in_channels": data.channels, "classes": 10}
    with torch.random.fork_rng(devices=cuda_devices()):
        model = blueprint.build(recipe.model.arguments, suggested)
    shape = image_shape(model, *(getattr(data, key) if key in given else None for key in ("channels", "size")))
    if shape is None or shape[:2] == (data.channels, data.size):
        return recipe
    tell(f"{blueprint.name} takes images of {'x'.join(map(str, shape))}, so data.channels={shape[0]} and "
         f"data.size={shape[1]}")
    matched = data.model_copy(update={"channels": shape[0], "size": shape[1]})
    return recipe.model_copy(update={"data": matched})


def shapes_of(recipe: Recipe) -> tuple[tuple[int, ...], ...]:
    """Shapes of the network's inputs without the batch axis: (C, H, W), then those of the task's other inputs."""
    task_batch = build_task(recipe.task).fixed_batch(torch.zeros(1, dtype=torch.int64))
    image = (recipe.data.channels, recipe.data.size, recipe.data.size)
    return (image, *(tuple(value.shape[1:]) for value in task_batch.inputs))


def load_network(run: Run, device: torch.device | None = None) -> nn.Module:
    """Return a finished run's network with its weights, in evaluation mode.

    Executes the network's source in the run's folder, if there is one.
    Raises RunError if that source is not trusted, or if the weights do not fit.
    """
    check_record(run)
    blueprint = run_blueprint(run)
    with torch.random.fork_rng(devices=cuda_devices()):     # the random weights drawn here are overwritten
        model = build_network(run.recipe, run.result["classes"], device or torch.device("cpu"), blueprint)
    try:
        model.load_state_dict(run.weights())
    except RuntimeError as fault:
        reason = shortened(fault)
        raise RunError(f"the weights of {str(run.path)!r} do not fit {run.recipe.model.name!r}: {reason}") from fault
    return model.eval()


def check_record(run: Run) -> None:
    """Raise RunError if result.json lacks a head of the task, or if mean or std does not fit data.channels."""
    result, file = run.result, run.path / "result.json"
    for head in build_task(run.recipe.task).heads:
        if head not in result["test"]:
            raise RunError(f"{file} has no test of {head!r}, a head of {run.recipe.task}. {NEXT_MOVE}")
    if not len(result["mean"]) == len(result["std"]) == run.recipe.data.channels:
        raise RunError(f"{file}: mean or std does not fit data.channels, {run.recipe.data.channels}. {NEXT_MOVE}")


def fitting_shape(
    blueprint: Blueprint, arguments: Mapping[str, Any], classes: int, shape: tuple[int, ...]
) -> tuple[int, ...]:
    """Return `shape` (C, H, W) if the network runs on such images, else the shape that the network takes."""
    with torch.random.fork_rng(devices=cuda_devices()):
        model = blueprint.build(arguments, {"in_channels": shape[0], "classes": classes})
        return shape if runs_on(model, shape) else image_shape(model, None, None) or shape


def run_blueprint(run: Run) -> Blueprint:
    """Return the blueprint of a run's network: from the source in the run's folder, else by the recipe's name."""
    source, name = run.source, run.recipe.model.name
    if source is None:
        run.check_foreign_files()
        return find_blueprint(name)
    return replace(find_blueprint(f"{run.source_folder / source.entry}:{source.attribute}"), name=name)


def example(recipe: Recipe, device: torch.device) -> tuple[Tensor, ...]:
    """Return blank inputs of the recipe's shape: images (2, C, H, W), and the task's other inputs."""
    images = torch.zeros(FEW, recipe.data.channels, recipe.data.size, recipe.data.size, device=device)
    task_batch = build_task(recipe.task).fixed_batch(torch.zeros(FEW, dtype=torch.int64, device=device))
    return images, *task_batch.inputs


def suited(model: nn.Module, inputs: tuple[Tensor, ...]) -> nn.Module:
    """Return the network in the fastest memory layout that works, with a hook that adapts its images if needed.

    Networks that call view() on feature maps need the standard layout. Networks that begin with a linear layer need
    flat images. Each case is tried on a copy. A network that always fails is returned: check_fit explains the cause.
    """
    fast = layout_for(inputs[0].device)
    standard = torch.contiguous_format
    expected = answers(model, in_standard_layout, inputs)
    if expected is None:
        flat = answers(model, flattened, inputs)
        model.register_forward_pre_hook(in_standard_layout if flat is None else flattened)
        return model.to(memory_format=standard)  # type: ignore[call-overload,no-any-return]
    if fast != standard:
        moved = None if crashes(model) else answers(
            model, lambda _, given: given, tuple(as_laid_out(one, fast) for one in inputs), fast)
        if moved is not None and all(torch.allclose(a, b, atol=1e-3) for a, b in zip(expected, moved, strict=True)):
            return model.to(memory_format=fast)  # type: ignore[call-overload,no-any-return]
        model.register_forward_pre_hook(in_standard_layout)
    return model


def crashes(model: nn.Module) -> bool:
    """Return True if the backward pass would crash on this processor in the layout "channels last".

    With AVX2, torch 2.13 writes beyond its memory for a strided 1x1 convolution of 2 to 7 channels.
    """
    return torch.backends.cpu.get_cpu_capability() == "AVX2" and any(
        isinstance(one, nn.Conv2d) and one.kernel_size == (1, 1) and max(one.stride) > 1 and one.in_channels < 8
        for one in model.modules())


def answers(
    model: nn.Module, hook: Any, inputs: tuple[Tensor, ...], layout: torch.memory_format = torch.contiguous_format
) -> list[Tensor] | None:
    """Return the outputs of a copy in evaluation mode, or None if it fails in evaluation or training mode."""
    with trying():
        try:
            twin = copy.deepcopy(model).to(memory_format=layout)  # type: ignore[call-overload]
            given = hook(twin, inputs)
            found = [one.detach().float() for one in as_heads(twin.eval()(*given))]
            twin.train()(*given)
        except Exception:       # the network's own code may raise anything
            return None
    return found


def as_laid_out(tensor: Tensor, layout: torch.memory_format) -> Tensor:
    """Return a batch of images in a memory layout. Other inputs are returned unchanged."""
    return tensor.contiguous(memory_format=layout) if tensor.dim() == 4 else tensor


def in_standard_layout(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the inputs with images in torch's standard layout. Uses clone: contiguous() skips one-channel images."""
    return tuple(
        one.clone(memory_format=torch.contiguous_format) if isinstance(one, Tensor) and one.dim() == 4 else one
        for one in inputs
    )


def flattened(_: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return the inputs with images (N, C, H, W) as rows (N, C x H x W)."""
    return tuple(one.flatten(1) if isinstance(one, Tensor) and one.dim() == 4 else one for one in inputs)


for hook in (in_standard_layout, flattened):
    hook.fits_images = True     # type: ignore[attr-defined]  # anatomy keeps these hooks in its copies and drops the user's
