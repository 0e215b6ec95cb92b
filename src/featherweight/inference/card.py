"""The card of a trained network: its inputs, outputs and accuracy. Needs only the standard library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from featherweight.errors import FeatherweightError
from featherweight.integrity import digest
from featherweight.outside import LONGEST_NAME, LONGEST_PATH, MOST_CLASSES, name_fault, shortened
from featherweight.specification import PictureSpecification
from featherweight.wording import option


@dataclass(frozen=True)
class Card:
    """Description of a trained network: inputs, outputs and test accuracy. Accuracies are fractions in [0, 1]."""

    recipe: str
    model: str
    parameters: int
    dataset: str
    heads: dict[str, tuple[str, ...]]       # head -> names of its outputs, in order
    takes_number: bool                      # True if the second input is a number 0..9
    mean: tuple[float, ...]                 # of the training pixels in [0, 1], one per channel
    std: tuple[float, ...]
    accuracy: dict[str, float]              # head -> accuracy on test after training
    picture: PictureSpecification
    files: dict[str, str] = field(default_factory=dict, compare=False)      # only in a bundle: file name -> SHA-256

    def digest(self) -> str:
        """Return the SHA-256 of the card without the hashes of files."""
        return digest(self.to_dict(), without="files")

    def check_number(self, number: int | None) -> None:
        """Raise FeatherweightError unless a number 0..9 is given exactly if the network takes one."""
        if self.takes_number and (number is None or not 0 <= number <= 9):
            given = "no number" if number is None else f"number {number}"
            raise FeatherweightError(f"{given} given: this run adds a number 0..9 to the digit. "
                                    f"Give {option('number')}.")
        if not self.takes_number and number is not None:
            raise FeatherweightError(f"number {number} given: this run only classifies pictures. "
                                    f"Leave {option('number')} out.")

    def to_dict(self) -> dict[str, Any]:
        """Return the card as plain values, the content of card.json."""
        content = {key: getattr(self, key) for key in self.__dataclass_fields__ if key != "picture"}
        content["heads"] = {head: list(labels) for head, labels in self.heads.items()}
        return content | {"mean": list(self.mean), "std": list(self.std), "picture": self.picture.to_dict()}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Card:
        """Return the card that `to_dict` described.

        Raises KeyError or TypeError if a value is missing, ValueError if one is impossible.
        """
        plain = {key: content[key] for key in cls.__dataclass_fields__ if key != "files"}
        plain["files"] = dict(content.get("files", {}))
        plain["heads"] = {head: tuple(labels) for head, labels in content["heads"].items()}
        plain["mean"], plain["std"] = tuple(content["mean"]), tuple(content["std"])
        plain["picture"] = PictureSpecification.from_dict(content["picture"])
        made = cls(**plain)
        made.check()
        return made

    def check(self) -> None:
        """Raise ValueError or TypeError for a value that no network can have."""
        labels = [label for head in self.heads.values() for label in head]
        longer = {self.model: LONGEST_PATH, self.dataset: LONGEST_PATH}
        for name in (self.recipe, self.model, self.dataset, *self.heads, *labels):
            if fault := name_fault(name, longer.get(name, LONGEST_NAME)):
                raise ValueError(f"the name {shortened(repr(name), 60)} {fault}")
        if not self.heads or not all(1 <= len(labels) <= MOST_CLASSES for labels in self.heads.values()):
            raise ValueError(f"a head has no class, or more than {MOST_CLASSES:,}")
        if type(self.parameters) is not int or type(self.takes_number) is not bool:
            raise ValueError("parameters or takes_number is of another type")
        if not all(name in ("model.onnx", "layers.onnx") and isinstance(sha, str) for name, sha in self.files.items()):
            raise ValueError("files names another file than model.onnx and layers.onnx")
        if len(self.mean) != self.picture.channels or len(self.std) != self.picture.channels:
            raise ValueError("mean or std does not fit the channels")
        if self.accuracy.keys() != self.heads.keys():
            raise ValueError("accuracy does not fit the heads")
        if not all(isfinite(value) for value in (*self.mean, *self.std, *self.accuracy.values())):
            raise ValueError("mean, std or accuracy is no number")
