"""A finished run as a function: pictures in, the most probable classes of each head out."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from featherweight.augment import normalise
from featherweight.errors import FeatherweightError, PictureError
from featherweight.experiment import load_network
from featherweight.inference.picture import prepare_ink, prepare_plain, read_picture
from featherweight.runs import Run
from featherweight.tasks import DigitSum, as_heads, build_task

HANDWRITING = ("mnist", "kmnist", "digits")


@dataclass(frozen=True)
class Prediction:
    """The answers of one picture: for each head (class, probability), most probable first."""

    picture: str
    answers: dict[str, list[tuple[str, float]]]

    def to_dict(self) -> dict[str, Any]:
        heads = {
            head: [{"class": name, "probability": probability} for name, probability in ranked]
            for head, ranked in self.answers.items()
        }
        return {"picture": self.picture, **heads}

    def _repr_html_(self) -> str:
        cells = [
            f"<tr><th>{html.escape(head)}</th>"
            + "".join(f"<td>{html.escape(name)} {probability:.1%}</td>" for name, probability in ranked)
            for head, ranked in self.answers.items()
        ]
        return f"<table><caption>{html.escape(self.picture)}</caption>{'</tr>'.join(cells)}</tr></table>"


class Predictor:
    """A finished run's network with its own normalisation. RunError where the run is not finished."""

    def __init__(self, run: Run | str | Path) -> None:
        self.run = run if isinstance(run, Run) else Run.open(run)
        self.task = build_task(self.run.recipe.task)
        self.classes: list[str] = self.run.result["classes"]
        self.mean, self.std = (torch.tensor(self.run.result[key]) for key in ("mean", "std"))
        self.network = load_network(self.run)

    def prepare(self, picture: Image.Image) -> NDArray[np.uint8]:
        """A picture -> uint8 (C, H, W) as in the data set that the run was trained on."""
        data = self.run.recipe.data
        if data.dataset.startswith("folder:") or data.channels != 1:
            return prepare_plain(picture, data.channels, data.size)
        if data.dataset in HANDWRITING:
            return prepare_ink(picture, data.size)[None]
        return prepare_plain(picture, 1, data.size)

    def check_number(self, number: int | None) -> None:
        """FeatherweightError where the task needs a number 0..9 and has none, or has one and needs none."""
        needed = isinstance(self.task, DigitSum)
        if needed and (number is None or not 0 <= number <= 9):
            given = "no number" if number is None else f"number {number}"
            raise FeatherweightError(f"{given} given: this run adds a number 0..9 to the digit. Give --number K.")
        if not needed and number is not None:
            raise FeatherweightError(f"number {number} given: this run only classifies pictures. Leave --number out.")

    @torch.inference_mode()
    def predict(self, picture: str | Path, *, number: int | None = None, top: int = 3) -> Prediction:
        """The top classes of one picture file; PictureError where it cannot be read or is blank."""
        self.check_number(number)
        try:
            pixels = torch.from_numpy(self.prepare(read_picture(picture)).copy())
        except PictureError as fault:
            name = f"picture {str(picture)!r}"
            raise fault if name in str(fault) else PictureError(f"{name}: {fault}") from fault
        images = normalise(pixels[None].float() / 255, self.mean, self.std)
        inputs: tuple[Tensor, ...] = ()
        if isinstance(self.task, DigitSum) and number is not None:
            inputs = DigitSum.with_numbers(torch.zeros(1, dtype=torch.int64), torch.tensor([number])).inputs
        outputs = as_heads(self.network(images, *inputs))
        answers = {
            head: rank(output[0].float().softmax(dim=0), self.labels(head), top)
            for head, output in zip(self.task.heads, outputs, strict=True)
        }
        return Prediction(str(picture), answers)

    def labels(self, head: str) -> list[str]:
        """The names of a head's classes."""
        return [str(total) for total in range(19)] if head == "sum" else self.classes


def rank(probabilities: Tensor, labels: Sequence[str], top: int) -> list[tuple[str, float]]:
    """(classes,) probabilities -> the top (label, probability) pairs, most probable first."""
    best = probabilities[: len(labels)].topk(min(top, len(labels)))
    return [(labels[i], p) for p, i in zip(best.values.tolist(), best.indices.tolist(), strict=True)]


def predict(
    run: Run | str | Path, pictures: Sequence[str | Path], *, number: int | None = None, top: int = 3
) -> list[Prediction]:
    """Predictions for picture files, in their order. Raises at the first that cannot be answered."""
    predictor = Predictor(run)
    return [predictor.predict(picture, number=number, top=top) for picture in pictures]
