"""Options of an examination, as the command and the Python function take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class Options:
    """Options for networks, recipes and runs.

    shapes: of each input of the networks, without the batch axis; by default those that a network takes.
    classes: number of classes; by default those of the data set.
    data: name or path of the data set for the first training steps; None: no training.
    data_dir: folder that holds the data set, or None for the usual places.
    """

    shapes: Sequence[Sequence[int]] | None = None
    classes: int | None = None
    data: str | None = None
    data_dir: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the options for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> Self:
        """Return the options that `to_dict` wrote."""
        return cls(**content)
