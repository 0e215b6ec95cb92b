"""A finished run's network as torch runs it."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from featherweight.errors import RunError
from featherweight.forward import as_input
from featherweight.inference.card import Card
from featherweight.inference.network import Numbers, Pixels, Probabilities, finite
from featherweight.networks import load_network
from featherweight.outside import shortened
from featherweight.record import NEXT_MOVE
from featherweight.runs import Run
from featherweight.specification import PictureSpecification, specification_of
from featherweight.tasks import DigitSum, ask, build_task


class TrainedNetwork:
    """A Network with a run's own normalisation and weights."""

    def __init__(self, run: Run) -> None:
        self.run, self.module = run, load_network(run)
        self.card = card_of(run)
        self.mean, self.std = torch.tensor(self.card.mean), torch.tensor(self.card.std)

    @classmethod
    def open(cls, run: Run | str | Path) -> TrainedNetwork:
        """The network of a run; RunError where a folder is none or is not finished."""
        return cls(run if isinstance(run, Run) else Run.open(run))

    @torch.inference_mode()
    def answer(self, images: Pixels, numbers: Numbers | None = None) -> Probabilities:
        outputs = ask(self.module, *self.inputs(images, numbers))
        return finite({
            head: output.float().softmax(dim=1)[:, : len(labels)].numpy()
            for (head, labels), output in zip(self.card.heads.items(), outputs, strict=True)
        }, self.run.path)

    def inputs(self, images: Pixels, numbers: Numbers | None = None) -> tuple[Tensor, ...]:
        """Return what the module is given: normalised images, and numbers as one-hot rows where there are some."""
        pixels = as_input(torch.tensor(images), self.mean, self.std)
        if numbers is None:
            return (pixels,)
        labels = torch.zeros(len(numbers), dtype=torch.int64)
        return (pixels, *DigitSum.with_numbers(labels, torch.tensor(numbers)).inputs)


def card_of(run: Run) -> Card:
    """What a finished run says of itself."""
    result, task = run.result, build_task(run.recipe.task)
    labels = {head: tuple(str(total) for total in range(19)) if head == "sum" else tuple(result["classes"])
              for head in task.heads}
    made = Card(
        recipe=result["recipe"], model=result["model"], parameters=result["parameters"], dataset=result["dataset"],
        heads=labels, takes_number=isinstance(task, DigitSum), mean=tuple(result["mean"]), std=tuple(result["std"]),
        accuracy={head: result["test"][head]["accuracy"] for head in task.heads},
        picture=picture_of(run),
    )
    made.check()
    return made


def picture_of(run: Run) -> PictureSpecification:
    """What pictures go through for a run; RunError for values that are not possible."""
    carried, data = run.result.get("picture"), run.recipe.data
    if not carried:     # runs of earlier versions carry none
        return specification_of(data.dataset, **data.seen)
    try:
        return PictureSpecification.from_dict(carried)
    except (TypeError, ValueError) as fault:
        raise RunError(f"{run.path / 'result.json'}: {shortened(fault)}. {NEXT_MOVE}") from fault
