"""Specification of the preprocessing of pictures for a network. Stored in the run and in every export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Literal, get_args

Fit = Literal["letterbox", "stretch"]       # way in which a picture becomes square, see picture_files.squared
FITS: tuple[str, ...] = get_args(Fit)
NONE = "none"           # name of the class of images that show nothing known
HANDWRITING = ("digits", "emnist", "kmnist", "mnist", "qmnist", "strokes")     # data sets of light ink on black


@dataclass(frozen=True)
class PictureSpecification:
    """Preprocessing of any picture to uint8 (channels, size, size). Lengths are in pixels of the result.

    - kind "ink": handwriting on any background becomes light ink on black. The longer side of the ink is scaled to
      `box`, and the ink's centre of mass is moved to the centre of the image.
    - kind "plain": the picture is only resized to the square, as for a data set from folders. `fit` tells how.
    """

    kind: str = "ink"
    channels: int = 1
    size: int = 28
    box: int = 20
    thinnest: float = 2.2       # thinner strokes are thickened to this width
    thickest: float = 3.0       # thicker strokes are thinned to this width
    grain: int = 0              # side in pixels of the images before the data set was enlarged; 0: not enlarged
    upright: bool = False       # shear slanted ink upright as the last step
    span: tuple[float, float] = (0.0, 255.0)    # values of an array that are mapped to 0 and 255; uint8 is unchanged
    fit: Fit = "stretch"        # of kind "plain"; networks of earlier versions lack the key, and stretch

    def to_dict(self) -> dict[str, Any]:
        """Return the values for JSON. "stretch" is left out, so that cards of earlier versions keep their hash."""
        content = asdict(self) | {"span": list(self.span)}
        return {key: value for key, value in content.items() if (key, value) != ("fit", "stretch")}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> PictureSpecification:
        """Return the specification stored by to_dict. Keys of a later version are ignored.

        Raises ValueError for values out of range.
        """
        known = {field.name for field in fields(cls)}
        kept = {key: value for key, value in content.items() if key in known}
        made = cls(**kept | ({"span": tuple(kept["span"])} if "span" in kept else {}))
        made.check()
        return made

    def check(self) -> None:
        """Raise ValueError if a value has a wrong type or is out of range."""
        lengths = (self.thinnest, self.thickest, *self.span)
        whole = (self.channels, self.size, self.box, self.grain)
        if any(type(value) is not int for value in whole) or any(type(value) not in (int, float) for value in lengths):
            raise ValueError("picture: a value is no number")
        if self.kind not in ("ink", "plain") or self.channels not in (1, 3) or type(self.upright) is not bool:
            raise ValueError("picture: kind, channels or upright is not one of those that are known")
        if self.fit not in FITS:
            raise ValueError(f"picture: fit is not one of {', '.join(FITS)}")
        if not (4 <= self.size <= 512 and 1 <= self.box <= self.size and 0 <= self.grain <= self.size):
            raise ValueError("picture: size, box or grain is out of range")
        if len(self.span) != 2 or not self.span[0] < self.span[1] or not all(abs(value) < 1e30 for value in lengths):
            raise ValueError("picture: a length or the span is out of range")


def specification_of(
    dataset: str, channels: int, size: int, upright: bool = False, fit: Fit = "letterbox"
) -> PictureSpecification:
    """Return the preprocessing of pictures for a network that was trained on `dataset`."""
    if dataset == "digits" and channels == 1:       # 8x8 images that the digit fills, enlarged to `size`
        specification = PictureSpecification("ink", 1, size, size, thinnest=size / 7, thickest=size / 4, grain=8)
    elif dataset in HANDWRITING and channels == 1:  # scaled and centred like the images of MNIST
        specification = PictureSpecification("ink", 1, size, round(size * 20 / 28), 2.2 * size / 28, 3.0 * size / 28)
    else:
        specification = PictureSpecification("plain", channels, size, box=size, fit=fit)
    return replace(specification, upright=upright)
