"""Draw forms with a pen: random points, slant, size, pen and place, and the size and place of the ink as in MNIST.

The ink fills a box of 20 x 20 pixels and is centred by its centre of mass. strokes.py uses this file.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Pixels = NDArray[np.uint8]
Random = np.random.Generator

SIZE, BOX = 28, 20      # pixels: side of an image, longer side of its ink
SPAN = 6                # straight pieces between two points of a form
JITTER = 0.022          # standard deviation of each point, as part of the longer side
WAVES = 3               # of the field that bends a form
BEND = 0.045            # standard deviation of a wave's height
REACH = 0.06            # standard deviation of the part by which a stroke ends early or late
WIDER = 0.2             # standard deviation of the logarithm of width / height
SLANT, TURN = 0.22, 0.1         # standard deviations: shear; rotation in radians
PEN = 1.5, 3.8          # pixels: range of its width
PRESSURE = 0.15         # largest change of the pen's width along a form
SOFT = 0.7, 1.6         # pixels: range of the width of the pen's edge
GAP = 0.06              # part of the images whose line is interrupted once


@dataclass(frozen=True)
class Form:
    """The points of a form, and how its straight pieces follow from them.

    points: (points, 2), centred, the longer side is 1. curve: (ends of pieces, points), rows of weights.
    first, last: (pieces,), the numbers of their ends. tails: (point, its neighbour) of each free end of a stroke.
    """

    points: Floats
    curve: Floats
    first: NDArray[np.int64]
    last: NDArray[np.int64]
    tails: tuple[tuple[int, int], ...]


@cache
def form_of(text: str) -> Form:
    """Return the form that a text of forms.py describes."""
    strokes = [[tuple(map(float, point.split())) for point in stroke.split(",")] for stroke in text.split("|")]
    names = list(dict.fromkeys(point for stroke in strokes for point in stroke))
    rows: list[Floats] = []
    first, last, tails = list[int](), list[int](), list[tuple[int, int]]()
    for stroke in strokes:
        numbers = [names.index(point) for point in stroke]
        weights = spline(len(numbers), closed=numbers[0] == numbers[-1])
        picked = np.eye(len(names), dtype=np.float32)[numbers]              # (points of the stroke, points of the form)
        first += range(len(rows), len(rows) + len(weights) - 1)
        last += range(len(rows) + 1, len(rows) + len(weights))
        rows += list(weights @ picked)
        for end, neighbour in ((numbers[0], numbers[1]), (numbers[-1], numbers[-2])):
            if sum(one.count(names[end]) for one in strokes) == 1:
                tails.append((end, neighbour))
    points = np.array(names, np.float32)
    low, high = points.min(axis=0), points.max(axis=0)
    return Form((points - (low + high) / 2) / (high - low).max(), np.stack(rows), np.array(first), np.array(last),
                tuple(tails))


def spline(points: int, *, closed: bool) -> Floats:
    """Return the weights of a curve through points, (samples, points). Source: Catmull and Rom (1974)."""
    weights = []
    for piece in range(points - 1):
        for step in range(SPAN + (piece == points - 2)):
            t, row = step / SPAN, np.zeros(points, np.float32)
            four = (-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, t**3 - t**2)
            for number, weight in zip(range(piece - 1, piece + 3), four, strict=True):
                at = number % (points - 1) if closed else min(max(number, 0), points - 1)
                row[at] += weight / 2
            weights.append(row)
    return np.stack(weights)


def draw_form(form: Form, count: int, random: Random) -> Pixels:
    """Return `count` images of one form, uint8 (count, 28, 28)."""
    width = random.uniform(*PEN, count).astype(np.float32)
    lines = place(bent(form, count, random), width, random)                 # (count, ends, 2) in pixels
    pressure = 1 + PRESSURE * np.sin(random.uniform(0, 7, (count, 1)) + np.linspace(0, 5, len(form.first)))
    depth = (width[:, None] / 2 * pressure).astype(np.float32)              # (count, pieces)
    for image in np.flatnonzero(random.random(count) < GAP):
        begin = random.integers(1, len(form.first) - 2)      # not at an end of the form
        depth[image, begin : begin + random.integers(1, 3 if len(form.first) > 2 * SPAN else 2)] = -np.inf
    near = nearest(lines[:, form.first], lines[:, form.last], depth)
    soft = random.uniform(*SOFT, (count, 1, 1)).astype(np.float32)
    return (255 * (near / soft + 0.5).clip(0, 1)).round().astype(np.uint8)


def bent(form: Form, count: int, random: Random) -> Floats:
    """Return the ends of the straight pieces of randomly changed copies of a form, (count, ends, 2)."""
    points = form.points + random.normal(0, JITTER, (count, *form.points.shape))
    for end, neighbour in form.tails:
        further = form.points[end] - form.points[neighbour]
        reach = random.normal(0, REACH, (count, 1)) / max(float(np.hypot(*further)), 0.1)
        points[:, end] += further * reach.clip(-0.4, 0.4)
    ends = form.curve @ points
    for _ in range(WAVES):
        along, phase = random.uniform(-4, 4, (count, 1, 2)), random.uniform(0, 2 * np.pi, (count, 1))
        height = random.normal(0, BEND, (count, 1, 2))
        ends = ends + height * np.sin((along * ends).sum(axis=2) + phase)[..., None]
    ends[..., 0] *= np.exp(random.normal(0, WIDER, (count, 1)))
    ends[..., 0] -= random.normal(0, SLANT, (count, 1)) * ends[..., 1]
    angle = random.normal(0, TURN, (count, 1))
    cosine, sine, x, y = np.cos(angle), np.sin(angle), ends[..., 0].copy(), ends[..., 1].copy()
    found: Floats = np.stack([cosine * x - sine * y, sine * x + cosine * y], axis=2).astype(np.float32)
    return found


def place(ends: Floats, width: Floats, random: Random) -> Floats:
    """Return forms in pixels: with the pen their longer side is 20, and their centre of mass lies as in MNIST."""
    low, high = ends.min(axis=1), ends.max(axis=1)
    scale = (BOX - width) / (high - low).max(axis=1)
    ends = (ends - low[:, None]) * scale[:, None, None] + width[:, None, None] / 2
    length = np.hypot(*np.moveaxis(np.diff(ends, axis=1), 2, 0)) + 1e-6       # also between strokes, a small error
    middle = (ends[:, 1:] + ends[:, :-1]) / 2
    mass = (middle * length[..., None]).sum(axis=1) / length.sum(axis=1)[:, None]
    room = SIZE - ((high - low) * scale[:, None] + width[:, None])
    corner = (SIZE / 2 + random.uniform(0, 1, mass.shape) - mass).clip(0, room)
    found: Floats = (ends + corner[:, None]).astype(np.float32)
    return found


def nearest(first: Floats, last: Floats, depth: Floats) -> Floats:
    """Return how deep each pixel's centre lies inside the pen, (count, 28, 28); negative outside.

    first, last: (count, pieces, 2), the ends of straight pieces. depth: (count, pieces), half the pen's width there.
    """
    centres = np.arange(SIZE, dtype=np.float32) + 0.5
    deepest = np.full((len(first), SIZE, SIZE), -np.inf, np.float32)
    for piece in range(first.shape[1]):
        x, y = (first[:, piece, axis, None] for axis in (0, 1))
        along_x, along_y = (last[:, piece, axis, None] - first[:, piece, axis, None] for axis in (0, 1))
        off_x, off_y = (centres - x)[:, None, :], (centres - y)[:, :, None]
        square = (along_x**2 + along_y**2 + 1e-9)[..., None]
        t = ((off_x * along_x[..., None] + off_y * along_y[..., None]) / square).clip(0, 1)
        distance = np.hypot(off_x - t * along_x[..., None], off_y - t * along_y[..., None])
        np.maximum(deepest, depth[:, piece, None, None] - distance, out=deepest)
    return deepest
