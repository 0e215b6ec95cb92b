"""The plan of a compiled network: stages, and what follows the stored result of each.

A stage is one convolution, one join, one softmax or one input. Its result z is stored. Normalisation, ReLU, dropout and
pooling are computed again by each later stage that reads them. So they belong to the stage before them.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor

from featherweight.graph.plain import Shape


@dataclass(frozen=True)
class Norm:
    """Batch normalisation."""

    gain: Tensor | None
    shift: Tensor | None
    mean: Tensor | None             # running statistics, and the number of batches in them
    variance: Tensor | None
    batches: Tensor | None
    eps: float
    momentum: float


@dataclass(frozen=True)
class Pool:
    """Pooling with windows that do not overlap. kind: "MAX", "MEAN" or "ROOT" of the mean square plus `added`."""

    kind: str
    window: tuple[int, int]
    added: float = 0.0


@dataclass(frozen=True)
class Conv:
    """A convolution. top, left: rows and columns of zeros before the input."""

    weight: Tensor
    bias: Tensor | None
    kernel: tuple[int, int]
    stride: int
    top: int
    left: int
    groups: int


@dataclass(frozen=True)
class Part:
    """The place of one source in a join: from channel `first` on, `down` rows and `right` columns further."""

    first: int = 0
    down: int = 0
    right: int = 0


@dataclass(frozen=True)
class Join:
    """A sum, concatenation, padding, cropping or copy of the stage's sources, each added as one part."""

    parts: tuple[Part, ...]


@dataclass(frozen=True)
class Softmax:
    """Softmax over the channels of each place, or its logarithm."""

    log: bool


@dataclass(frozen=True)
class Input:
    """One input of the network."""

    index: int


@dataclass
class Stage:
    """One stage: how z is computed from earlier stages, its shape, and what follows z, in the order of the fields.

    frozen: several later operations read the value after what follows so far, so nothing more can be added to it.
    late: dropout comes after pooling. head: index of the network's output that z is.
    """

    made: Conv | Join | Softmax | Input
    sources: tuple[int, ...]
    shape: Shape
    rectified: bool = False
    norm: Norm | None = None
    relu: bool = False
    dropout: float = 0.0
    late: bool = False
    pool: Pool | None = None
    frozen: bool = False
    head: int | None = None

    @property
    def view(self) -> Shape:
        """Shape that later stages read."""
        channels, height, width = self.shape
        rows, columns = self.pool.window if self.pool else (1, 1)
        return channels, height // rows, width // columns

    @property
    def trainable(self) -> tuple[Tensor | None, ...]:
        """Weight, bias, gain and shift; None for each that the stage does not have."""
        kernel = (self.made.weight, self.made.bias) if isinstance(self.made, Conv) else (None, None)
        return (*kernel, *((self.norm.gain, self.norm.shift) if self.norm else (None, None)))

    @property
    def statistics(self) -> tuple[Tensor | None, ...]:
        """Running mean, running variance and number of batches; None for each that the stage does not have."""
        return (self.norm.mean, self.norm.variance, self.norm.batches) if self.norm else (None, None, None)

    @property
    def tensors(self) -> list[Tensor]:
        """Parameters and running statistics of the stage."""
        return [tensor for tensor in (*self.trainable, *self.statistics) if tensor is not None]

    @property
    def trained(self) -> list[Tensor]:
        """Parameters of the stage that are trained."""
        return [tensor for tensor in self.trainable if tensor is not None and tensor.requires_grad]

    @property
    def followed(self) -> str:
        """Names of what follows the sums of the stage, in order, such as "ReLU, BatchNorm, MaxPool"."""
        pool = f"{self.pool.kind.capitalize()}Pool" if self.pool else ""
        names = [("ReLU", self.rectified), ("BatchNorm", self.norm), ("ReLU", self.relu),
                 ("Dropout", self.dropout and not self.late), (pool, self.pool), ("Dropout", self.late)]
        return ", ".join(name for name, has in names if has)

    @property
    def plain(self) -> bool:
        """True if nothing follows z."""
        return not (self.norm or self.relu or self.dropout or self.pool)


@dataclass
class Plan:
    """All stages of a network in the order of their computation, and the stage of each output."""

    stages: list[Stage] = field(default_factory=list)
    heads: list[int] = field(default_factory=list)

    def needs_gradient(self, index: int) -> bool:
        """Return True if the gradient of a stage's result is needed: it or an earlier stage is trained."""
        needed: list[bool] = []
        for stage in self.stages[: index + 1]:
            needed.append(bool(stage.trained) or any(needed[source] for source in stage.sources))
        return needed[index]
