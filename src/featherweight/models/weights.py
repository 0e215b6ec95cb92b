"""Weights by name beside a network: what does not fit, in words, and putting in what does."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

MOST = 3        # misfits that a message names


def misfits(model: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """A phrase for each name that only one of both has, or that has two shapes; empty where all fit.

    Counters of batches may be missing, as in files of torch before 0.4.1.
    """
    own = model.state_dict()
    extra = [name for name in weights if name not in own]
    phrases = []
    for name in own:
        if name in weights and weights[name].shape != own[name].shape:
            phrases.append(f"{name} is {tuple(weights[name].shape)}, the network's is {tuple(own[name].shape)}")
        elif name not in weights and not name.endswith("num_batches_tracked"):
            near = difflib.get_close_matches(name, extra, n=1)
            phrases.append(f"{name} is missing" + (f"; did you mean {near[0]} to be it?" if near else ""))
            extra = [other for other in extra if other not in near]
    return phrases + [f"{name} is no part of the network" for name in extra]


def in_words(phrases: Sequence[str]) -> str:
    """The first misfits and how many more there are, as a part of one line."""
    more = f", and {len(phrases) - MOST} more" if len(phrases) > MOST else ""
    return ", ".join(phrases[:MOST]) + more
