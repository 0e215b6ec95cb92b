"""What a picture goes through before a network sees it: declared once, carried by the run and by what is shipped."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

HANDWRITING = ("digits", "kmnist", "mnist")     # data sets of light ink on black


@dataclass(frozen=True)
class PictureSpecification:
    """From any picture to uint8 (channels, size, size). Lengths in pixels of the finished image.

    kind "ink": handwriting on any ground becomes light ink on black, its longer side fitted into box and its centre of
    mass into the centre. kind "plain": resized to the square and nothing else, as a folder data set reads it.
    """

    kind: str = "ink"
    channels: int = 1
    size: int = 28
    box: int = 20
    thinnest: float = 2.2       # strokes are thickened to this ...
    thickest: float = 3.0       # ... and thinned to this
    grain: int = 0              # pixels a side of the images that the data set was enlarged from, if it was
    upright: bool = False       # whether leaning ink is stood upright at the end
    span: tuple[float, float] = (0.0, 255.0)    # values of an array that become 0 and 255; bytes stay as they are

    def to_dict(self) -> dict[str, Any]:
        return asdict(self) | {"span": list(self.span)}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> PictureSpecification:
        """The specification that to_dict gave; keys of a later version are passed over."""
        known = {field.name for field in fields(cls)}
        kept = {key: value for key, value in content.items() if key in known}
        made = cls(**kept | ({"span": tuple(kept["span"])} if "span" in kept else {}))
        made.check()
        return made

    def check(self) -> None:
        """ValueError for values that no picture can be prepared with."""
        lengths = (self.thinnest, self.thickest, *self.span)
        whole = (self.channels, self.size, self.box, self.grain)
        if any(type(value) is not int for value in whole) or any(type(value) not in (int, float) for value in lengths):
            raise ValueError("picture: a value is no number")
        if self.kind not in ("ink", "plain") or self.channels not in (1, 3) or type(self.upright) is not bool:
            raise ValueError("picture: kind, channels or upright is not one of those that are known")
        if not (4 <= self.size <= 512 and 1 <= self.box <= self.size and 0 <= self.grain <= self.size):
            raise ValueError("picture: size, box or grain is out of range")
        if len(self.span) != 2 or not self.span[0] < self.span[1] or not all(abs(value) < 1e30 for value in lengths):
            raise ValueError("picture: a length or the span is out of range")


def specification_of(dataset: str, channels: int, size: int, upright: bool = False) -> PictureSpecification:
    """What pictures go through for a network trained on this data set."""
    if dataset == "digits" and channels == 1:       # 8x8, filled by the digit, enlarged
        specification = PictureSpecification("ink", 1, size, size, thinnest=size / 7, thickest=size / 4, grain=8)
    elif dataset in HANDWRITING and channels == 1:  # fitted and centred as MNIST's is
        specification = PictureSpecification("ink", 1, size, round(size * 20 / 28), 2.2 * size / 28, 3.0 * size / 28)
    else:
        specification = PictureSpecification("plain", channels, size, box=size)
    return replace(specification, upright=upright)
