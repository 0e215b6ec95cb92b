"""A network in one line of words, such as `words:c8 s16 p s22 g h`.

Every command and function that takes the name of a network takes such a line. Each word is one stage, from the image
to the classes. N is the number of channels that leave the stage, for example c8 or s16.

- cN: 3x3 convolution.
- CN: 3x3 convolution with padding: height and width stay.
- kN: 1x1 convolution.
- tN: 3x3 convolution with padding and stride 2: height and width are halved.
- FN: 5x5 convolution with padding and stride 2: height and width are halved.
- sN: separable convolution: 3x3 in each channel, then 1x1 across channels.
- SN: separable convolution with padding: height and width stay.
- eN: separable convolution with batch normalisation and ReLU also between its two halves.
- nN: 1x1 convolution after a shift of each input channel to one of nine neighbouring places: smaller by 2.
- xNtR: residual: a padded separable convolution, applied R times with the same weights, added to its input each time.
- wNtR: a separable convolution without padding, applied R times with the same weights.
- p: 2x2 max pooling.
- zN: cut N pixels off each side.
- g: mean over all places (global average pooling).
- q: root mean square over all places.
- h: 1x1 convolution with bias to the classes (the head).

Batch normalisation and ReLU follow every convolution except the head. In xNtR and wNtR each of the R times has a batch
normalisation of its own; without tR, R is 1. Convolutions without padding make height and width smaller by 2, except
1x1 convolutions, which keep both.

Arguments of the network: in_channels and classes (from the data), dropout (probability of dropout after each stage that
ends in ReLU, default 0), gain (false: batch normalisation learns a shift only, except in xNtR and wNtR).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from featherweight.errors import ModelError
from featherweight.models.layers import GainlessNorm, RootMeanSquare
from featherweight.outside import shortened

PREFIX = "words:"
SEE = "The meaning of each word: python -m pydoc featherweight.models.words"
MOST_WORDS, MOST_CHANNELS, MOST_TIMES = 64, 512, 100     # the largest network takes 2 GB, the usual one 20 KB

STAGES: dict[str, Callable[[int, int, int], list[nn.Module]]] = {   # form -> layers for (input channels, N, R)
    "cN": lambda channels, n, _: convolution(channels, n, 3),
    "CN": lambda channels, n, _: convolution(channels, n, 3, padding=1),
    "kN": lambda channels, n, _: convolution(channels, n, 1),
    "tN": lambda channels, n, _: convolution(channels, n, 3, padding=1, stride=2),
    "FN": lambda channels, n, _: convolution(channels, n, 5, padding=2, stride=2),
    "sN": lambda channels, n, _: [depthwise(channels), *convolution(channels, n, 1)],
    "SN": lambda channels, n, _: [depthwise(channels, padding=1), *convolution(channels, n, 1)],
    "eN": lambda channels, n, _: [
        depthwise(channels), nn.BatchNorm2d(channels), nn.ReLU(), *convolution(channels, n, 1)
    ],
    "nN": lambda channels, n, _: [Neighbours(), *convolution(channels, n, 1)],
    "xNtR": lambda _, n, times: [Repeated(n, times, residual=True)],
    "wNtR": lambda _, n, times: [Repeated(n, times, residual=False)],
    "p": lambda *_: [nn.MaxPool2d(2)],
    "zN": lambda _, n, __: [nn.ZeroPad2d(-n)],
    "g": lambda *_: [nn.AdaptiveAvgPool2d(1)],
    "q": lambda *_: [RootMeanSquare()],
    "h": lambda channels, classes, _: [nn.Conv2d(channels, classes, 1)],
}
FORMS = {form[0]: form for form in STAGES}


@dataclass(frozen=True)
class Word:
    """One word of a row: its letter with its numbers, and its text and place for messages."""

    form: str       # a key of STAGES
    n: int          # 0 without a number
    times: int
    place: str      # "word 2 'c8' of model 'words:k4 c8 g h'"


class WordNetwork(nn.Sequential):
    """(N, in_channels, H, W) images -> (N, classes) logits: the network that a row of words describes.

    Its parts have the words' names: "2-s16" is the second word.
    """

    def __init__(
        self, words: list[Word], in_channels: int = 1, classes: int = 10, dropout: float = 0.0, gain: bool = True
    ) -> None:
        super().__init__()
        channels = in_channels
        for position, word in enumerate(words, start=1):
            layers, channels = stage(word, channels, classes)
            if not gain:
                layers = [GainlessNorm(one.num_features) if isinstance(one, nn.BatchNorm2d) else one for one in layers]
            if dropout and isinstance(layers[-1], nn.ReLU):
                layers.append(nn.Dropout(dropout))
            text = word.form.replace("N", str(word.n)).replace("R", str(word.times))
            self.add_module(f"{position}-{text}", nn.Sequential(*layers) if len(layers) > 1 else layers[0])
        self.add_module("flatten", nn.Flatten())


class Neighbours(nn.Module):
    """(N, C, H, W) -> (N, C, H - 2, W - 2): shift each channel by at most one pixel. It has no parameters.

    Channel i takes place i modulo 9 of ORDER in the 3x3 window, so that a 1x1 convolution behind it sees neighbours.
    """

    ORDER = (4, 1, 7, 3, 5, 0, 8, 2, 6)     # places of the 3x3 window, counted row by row

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[2] - 2, x.shape[3] - 2
        places = [divmod(self.ORDER[channel % 9], 3) for channel in range(x.shape[1])]
        parts = [x[:, i : i + 1, row : row + height, left : left + width] for i, (row, left) in enumerate(places)]
        return torch.cat(parts, dim=1).contiguous(memory_format=torch.channels_last)


class Repeated(nn.Module):
    """Apply one separable convolution several times, each time with a batch normalisation of its own.

    residual: pad, and add each output to its input; (N, C, H, W) keeps its shape. Otherwise each time makes height and
    width smaller by 2.
    """

    def __init__(self, channels: int, times: int, residual: bool) -> None:
        super().__init__()
        self.residual = residual
        self.depthwise = depthwise(channels, padding=int(residual))
        self.pointwise = nn.Conv2d(channels, channels, 1, bias=False)
        self.norms = nn.ModuleList([nn.BatchNorm2d(channels) for _ in range(times)])

    def forward(self, x: Tensor) -> Tensor:
        for norm in self.norms:
            changed = F.relu(norm(self.pointwise(self.depthwise(x))))
            x = x + changed if self.residual else changed
        return x


def builder_of_words(name: str) -> Callable[..., nn.Module]:
    """Return the builder of "words:c8 s16 p s22 g h". Raises ModelError for a word that is not allowed."""
    return partial(WordNetwork, read_words(name))


def read_words(name: str) -> list[Word]:
    """Return the words of "words:c8 g h". Raises ModelError, which names the first bad word and its position."""
    row = name.removeprefix(PREFIX).split()
    if not 1 <= len(row) <= MOST_WORDS:
        raise ModelError(f"model {shortened(name, 60)!r} has {len(row)} words, allowed are 1 to {MOST_WORDS}. "
                         f"Write e.g. {PREFIX + 'c8 s16 p s22 g h'!r}. {SEE}")
    return [
        read_word(text, f"word {position} {shortened(text, 20)!r} of model {shortened(name, 200)!r}")
        for position, text in enumerate(row, start=1)
    ]


def read_word(text: str, place: str) -> Word:
    """Return one word. Raises ModelError for an unknown letter, or a number that is missing, unused or too large."""
    match = re.fullmatch(r"([a-zA-Z])([0-9]{1,9})?(?:t([0-9]{1,9}))?", text)
    if not match or match[1] not in FORMS:
        raise ModelError(f"{place} is unknown. Allowed: {', '.join(FORMS.values())}, with N from 1 to {MOST_CHANNELS}. "
                         f"{SEE}")
    letter, n, times = match.groups()
    form = FORMS[letter]
    example = form.replace("N", "8").replace("R", "2")
    if ("N" in form) != (n is not None) or (times is not None and "R" not in form):
        raise ModelError(f"{place} is not of the form {form}. Write e.g. {example}. {SEE}")
    found = Word(form, int(n or 0), int(times or 1), place)
    if n is not None and not 1 <= found.n <= MOST_CHANNELS:
        raise ModelError(f"{place}: {found.n} is not from 1 to {MOST_CHANNELS}. Write e.g. {example}.")
    if not 1 <= found.times <= MOST_TIMES:
        raise ModelError(f"{place}: {found.times} times is not from 1 to {MOST_TIMES}. Write e.g. {example}.")
    return found


def stage(word: Word, channels: int, classes: int) -> tuple[list[nn.Module], int]:
    """Return the layers of a word and the number of channels that leave them. channels: those that come in.

    Raises ModelError for a repeated block that would change the number of channels.
    """
    if "R" in word.form and word.n != channels:
        raise ModelError(f"{word.place} keeps the number of channels, but {channels} come in and not {word.n}. "
                         f"Write {word.form[0]}{channels}t{word.times}, or put k{word.n} before it.")
    outputs = {"h": classes, "zN": channels}.get(word.form, word.n or channels)
    return STAGES[word.form](channels, classes if word.form == "h" else word.n, word.times), outputs


def convolution(channels: int, n: int, size: int, padding: int = 0, stride: int = 1) -> list[nn.Module]:
    """Return a convolution to n channels with batch normalisation and ReLU."""
    return [nn.Conv2d(channels, n, size, stride, padding, bias=False), nn.BatchNorm2d(n), nn.ReLU()]


def depthwise(channels: int, padding: int = 0) -> nn.Module:
    """Return a 3x3 convolution in each channel by itself."""
    return nn.Conv2d(channels, channels, 3, padding=padding, groups=channels, bias=False)
