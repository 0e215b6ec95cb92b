"""Finish a training: measure the network on the test images, write the weights and result.json, check the goal."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from featherweight.data.likeness import is_like_mnist
from featherweight.evaluation import confusion_matrix, macro
from featherweight.integrity import fingerprint
from featherweight.preparation import PreparedTraining
from featherweight.recipe import Recipe
from featherweight.runs import Run
from featherweight.specification import PictureSpecification, specification_of
from featherweight.training.measurement import run_on, score_heads
from featherweight.training.notes import batch_norm_note
from featherweight.training.plan import Plan
from featherweight.training.state import TrainingState


def write_result(run: Run, training: PreparedTraining) -> Run:
    """Measure the trained network on the test images, once. Write model.safetensors and result.json."""
    state, dataset, task = training.state, training.dataset, training.task
    kept = state.return_to_best() if training.plan.keep_best else state.position.epoch
    answers, targets = test_outputs(training)
    test = score_heads(task, answers, targets)
    heads = list(zip(task.heads, answers, targets, strict=True))
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
        "engine": training.engine.name,
        "train": {"accuracy": line["train_accuracy"], "loss": line["train_loss"]},
        "test": {head: score.to_dict() for head, score in test.items()},
        "confusion": {head: confusion_matrix(a.argmax(dim=1), t, a.shape[1]).tolist() for head, a, t in heads},
        "wrong": wrong_images({head: a.argmax(dim=1) != t for head, a, t in heads}, list(test)),
        "test_sha256": fingerprint({"images": dataset.test.images, "labels": dataset.test.labels}, {}),
        "curve": training.curve_name,
        **({"start": training.start} if training.start else {}),
        **({"balance": balance} if (balance := training.recipe.training.balance) != "none" else {}),
        **({"code": {"form": training.recipe.goal.code, **training.code}} if training.code else {}),
        "notes": [*training.notes, *notes_after(state)],
        "goal": compare_with_goal(
            training.recipe, training.parameters, {head: test[head].accuracy for head in task.heads},
            {head: test[head].recall for head in task.heads}, training.code,
        ),
        "classes": list(dataset.classes),
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "picture": picture_of(training).to_dict(),
        **({"network": source.sha256} if source else {}),
    }
    run.save_result(result, tensors)
    return run


def picture_of(training: PreparedTraining) -> PictureSpecification:
    """Return the preprocessing of pictures. Files of digits like those of MNIST are treated as MNIST."""
    dataset = training.dataset
    name = "mnist" if is_like_mnist(dataset) else dataset.name
    return replace(specification_of(name, **training.recipe.data.seen), span=dataset.span)


def wrong_images(wrong: Mapping[str, Tensor], heads: Sequence[str]) -> dict[str, list[int]]:
    """Return the numbers of the test images that each head classifies wrong, and that any head does for "both".

    wrong: booleans (N,) of each head. heads: the recorded heads, which include "both" for several.
    """
    of_any = torch.stack(list(wrong.values())).any(dim=0)
    return {head: wrong.get(head, of_any).nonzero().flatten().tolist() for head in heads}


def ending(plan: Plan, done: int, kept: int) -> dict[str, Any]:
    """Return the parts of result.json about the kept epoch (with keep_best) and about an early stop."""
    chosen = {"kept": {"epoch": kept, "of": done, "by": "validation loss"}} if plan.keep_best else {}
    early = {"stopped_early": {"planned": plan.epochs, "patience": plan.patience}} if done < plan.epochs else {}
    return chosen | early


def notes_after(state: TrainingState) -> list[str]:
    """Return warnings about a finished training that its numbers do not show."""
    return [note for note in (batch_norm_note(state.model),) if note]


def test_outputs(training: PreparedTraining) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    """Return the trained network's log-probabilities of the test images, and the targets, per head."""
    test = training.dataset.test.to(training.device)
    task_batches = training.task.evaluation_batches(test.labels)
    return run_on(training.state.trained, test, task_batches, training.precision, training.engine.name,
                  none=training.task.none)


def compare_with_goal(
    recipe: Recipe, parameters: int, accuracies: Mapping[str, float],
    recalls: Mapping[str, Sequence[float | None]] | None = None, code: Mapping[str, int] | None = None,
) -> dict[str, Any]:
    """Return the recipe's goal with "met" and "missed". Every head must reach the accuracy and the recalls.

    A limit without a measured value is missed. Without a goal, "met" is None.
    For an accuracy that was set for another data set, the key "dataset" names that set.

    recalls: of each class, per head. code: bytes of the network's C code.
    """
    goal, each = recipe.goal, list((recalls or {}).values())
    known = [[value for value in values if value is not None] for values in each]
    lowest = {
        "accuracy": min(accuracies.values()),
        "macro_recall": min((macro(values) or 0.0 for values in each), default=-1.0),
        "lowest_recall": min((min(values, default=-1.0) for values in known), default=-1.0),
    }
    highest = {
        "max_parameters": parameters, "max_epochs": recipe.training.epochs,
        **{f"max_{key}": code[key] if code else math.inf for key in ("ram", "flash")},
    }
    promised = {key: value for key in (*lowest, *highest) if (value := getattr(goal, key)) is not None}
    missed = [key for key, limit in promised.items()
              if (lowest[key] < limit if key in lowest else highest[key] > limit)]
    other = {"dataset": goal.dataset} if goal.dataset not in ("", recipe.data.dataset) else {}
    return {**promised, **other, "met": not missed if promised else None, "missed": missed}
