"""Digits and other marks drawn by a program: forms.py and marks.py, with a random pen. The same seed draws the same.

Digits have the forms of many countries. Marks are no digit: letters, signs, scribbles and blots.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from featherweight.data.forms import FORMS
from featherweight.data.marks import MARKS
from featherweight.data.pen import BOX, SIZE, Form, Random, draw_form, form_of, spline
from featherweight.data.pixel_cache import Pixels, cached_pixels

Labels = NDArray[np.int64]

KINDS = tuple((digit, text) for digit, texts in FORMS.items() for text in texts)
VERSION = 1             # increase it when the same seed draws other images
TRAIN, TEST = 20_000, 2_000     # images of the data set "strokes"
AT_ONCE = 64            # images of one form that are drawn together
SCRIBBLES, BLOTS = 0.15, 0.15   # parts of the marks
LONGEST = 14            # points of a scribble


def drawn_digits(count: int, seed: int, cache_dir: Path) -> tuple[Pixels, Labels]:
    """Return `count` drawn digits, uint8 (count, 28, 28), light on black, and their labels, in random order.

    The classes are about equally frequent, and so are the forms within a class. The images are kept in a cache file.
    """
    random = np.random.default_rng(seed)
    share = np.array([1 / len(FORMS) / len(FORMS[digit]) for digit, _ in KINDS])
    chosen = random.permutation(np.repeat(np.arange(len(KINDS)), rounded(share * count)))
    forms = [form_of(text) for _, text in KINDS]
    images = kept(cache_dir, f"{count} {seed} {FORMS}", count, lambda: draw(forms, chosen, random))
    return images, np.array([digit for digit, _ in KINDS])[chosen]


def drawn_marks(count: int, seed: int, cache_dir: Path) -> Pixels:
    """Return `count` drawn marks that are no digit, uint8 (count, 28, 28), in random order, from the cache file."""
    return kept(cache_dir, f"{count} {seed} {MARKS}", count, lambda: draw_marks(count, np.random.default_rng(seed)))


def draw_marks(count: int, random: Random) -> Pixels:
    """Return letters and signs, scribbles and blots, (count, 28, 28)."""
    scribbles, blots = round(SCRIBBLES * count), round(BLOTS * count)
    forms = [form_of(text) for text in MARKS] + [scribble(random) for _ in range(scribbles)]
    chosen = np.concatenate([np.arange(count - scribbles - blots) % len(MARKS), len(MARKS) + np.arange(scribbles)])
    images = np.concatenate([draw(forms, chosen, random), *(blot(random)[None] for _ in range(blots))])
    return images[random.permutation(count)]


def scribble(random: Random) -> Form:
    """Return one line through random points."""
    count = int(random.integers(4, LONGEST))
    curve = spline(count, closed=False)
    ends = np.arange(len(curve))
    return Form(random.uniform(-0.5, 0.5, (count, 2)).astype(np.float32), curve, ends[:-1], ends[1:], ())


def blot(random: Random) -> Pixels:
    """Return one blot or several specks (28, 28): smooth noise above a level, in the box of a digit."""
    noise, times = random.normal(0, 1, (SIZE, SIZE)), int(random.integers(1, 12))
    for _ in range(times):
        padded = np.pad(noise, 1, mode="edge")
        noise = (padded[:-2, 1:-1] + padded[2:, 1:-1] + padded[1:-1, :-2] + padded[1:-1, 2:] + noise) / 5
    low = (SIZE - BOX) // 2
    inside = np.pad(noise[low:-low, low:-low], low, constant_values=-np.inf)
    level = np.quantile(inside[low:-low, low:-low], random.uniform(0.3, 0.9))
    found: Pixels = (255 * ((inside - level) / noise.std() * 2 + 0.5).clip(0, 1)).round().astype(np.uint8)
    return found


def kept(cache_dir: Path, key: str, count: int, make: Callable[[], Pixels]) -> Pixels:
    """Return images (count, 28, 28) from the cache file of a key, made if the file is missing."""
    name = hashlib.sha256(f"{VERSION} {key}".encode()).hexdigest()[:32]
    return cached_pixels(cache_dir / "strokes" / f"{name}.npy", (count, SIZE, SIZE), make)


def draw(forms: Sequence[Form], chosen: NDArray[np.int64], random: Random) -> Pixels:
    """Return an image (28, 28) of each chosen form."""
    images = np.zeros((len(chosen), SIZE, SIZE), np.uint8)
    for number, form in enumerate(forms):
        places = np.flatnonzero(chosen == number)
        for begin in range(0, len(places), AT_ONCE):
            part = places[begin : begin + AT_ONCE]
            images[part] = draw_form(form, len(part), random)
    return images


def rounded(shares: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return whole numbers with the same sum: the largest remainders are rounded up."""
    whole = np.floor(shares + 1e-9).astype(np.int64)
    missing = round(float(shares.sum())) - int(whole.sum())
    whole[np.argsort(whole - shares, kind="stable")[:missing]] += 1
    return whole
