"""The network of a finished run, run by torch."""

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
from featherweight.tasks import DigitSumTask, build_task, run_network


class TrainedNetwork:
    """The network of a run with the run's weights and normalisation. Implements Network."""

    def __init__(self, run: Run) -> None:
        self.run, self.module = run, load_network(run)
        self.card = card_of(run)
        self.mean, self.std = torch.tensor(self.card.mean), torch.tensor(self.card.std)

    @classmethod
    def open(cls, run: Run | str | Path) -> TrainedNetwork:
        """Return the network of a run. Raises RunError if the folder is not a run, or if the run is unfinished."""
        return cls(run if isinstance(run, Run) else Run.open(run))

    @torch.inference_mode()
    def probabilities(self, images: Pixels, numbers: Numbers | None = None) -> Probabilities:
        outputs = run_network(self.module, *self.inputs(images, numbers))
        return finite({
            head: output.float().softmax(dim=1)[:, : len(labels)].numpy()
            for (head, labels), output in zip(self.card.heads.items(), outputs, strict=True)
        }, self.run.path)

    def inputs(self, images: Pixels, numbers: Numbers | None = None) -> tuple[Tensor, ...]:
        """Return the inputs of the module: normalised images (N, C, H, W), and numbers, if given, one-hot (N, 10)."""
        pixels = as_input(torch.tensor(images), self.mean, self.std)
        if numbers is None:
            return (pixels,)
        labels = torch.zeros(len(numbers), dtype=torch.int64)
        return (pixels, *DigitSumTask.with_numbers(labels, torch.tensor(numbers)).inputs)


def card_of(run: Run) -> Card:
    """Return the card of a finished run. Raises ValueError if its result.json holds an impossible value."""
    result, task = run.result, build_task(run.recipe.task)
    labels = {head: tuple(str(total) for total in range(19)) if head == "sum" else tuple(result["classes"])
              for head in task.heads}
    made = Card(
        recipe=result["recipe"], model=result["model"], parameters=result["parameters"], dataset=result["dataset"],
        heads=labels, takes_number=isinstance(task, DigitSumTask), mean=tuple(result["mean"]), std=tuple(result["std"]),
        accuracy={head: result["test"][head]["accuracy"] for head in task.heads},
        picture=picture_of(run),
    )
    made.check()
    return made


def picture_of(run: Run) -> PictureSpecification:
    """Return the preparation of pictures for a run. Raises RunError if result.json holds impossible values."""
    carried, data = run.result.get("picture"), run.recipe.data
    if not carried:     # result.json of earlier versions lacks the key
        return specification_of(data.dataset, **data.seen)
    try:
        return PictureSpecification.from_dict(carried)
    except (TypeError, ValueError) as fault:
        raise RunError(f"{run.path / 'result.json'}: {shortened(fault)}. {NEXT_MOVE}") from fault
