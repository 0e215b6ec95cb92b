"""Placement of a column without Graphviz: order by barycentre, positions within a layer by least squares.

Source: Sugiyama, Tagawa and Toda (1981), "Methods for visual understanding of hierarchical system structures".
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise

from featherweight.layout.column import (
    GAP,
    LAYER_GAP,
    Column,
    Key,
    Line,
    Link,
    Placed,
    Point,
    Size,
    bent,
    boxed,
    weights_of,
)

SWEEPS = 8


def by_layers(column: Column) -> Placed:
    """Place a column without other programs. Edges through many layers run in one vertical line."""
    ranks, near = dict(column.ranks), defaultdict[Key, list[Key]](list)
    chains: dict[Link, list[Key]] = {}
    for start, end in column.links:
        owner = start if isinstance(start, int) else start[0]      # edges from one node share a line
        dummies: dict[Key, int] = {(owner, rank): rank for rank in range(ranks[start] + 1, ranks[end])}
        chains[start, end] = [start, *dummies, end]
        ranks |= dummies
    pairs = dict.fromkeys(pair for passed in chains.values() for pair in pairwise(passed))
    for above, below in pairs:
        near[above].append(below)
        near[below].append(above)
    rows = _ordered([[key for key in ranks if ranks[key] == rank] for rank in sorted(set(ranks.values()))], near)
    sizes = dict.fromkeys(ranks, (0.0, 0.0)) | dict(column.sizes)
    weights = weights_of(pairs, ranks)
    x = _across(rows, near, sizes, weights)
    heights = [max(sizes[key][1] for key in row) for row in rows]
    tops = [0.0, *accumulate(height + LAYER_GAP for height in heights)]
    spans = {key: (tops[k], tops[k] + heights[k]) for k, row in enumerate(rows) for key in row}
    centres = {key: (x[key], sum(spans[key]) / 2) for key in ranks}
    lines = {link: _through(passed, centres, spans, sizes) for link, passed in chains.items()}
    return boxed({key: centres[key] for key in column.ranks}, lines, column.sizes)


def _ordered(rows: list[list[Key]], near: Mapping[Key, list[Key]]) -> list[list[Key]]:
    """Return the rows in the order with the fewest crossings of all sweeps.

    A sweep sorts each row by the mean position of its neighbours.
    """
    best, fewest = rows, _crossings(rows, near)
    for sweep in range(SWEEPS):
        rows, step = [list(row) for row in rows], 1 if sweep % 2 == 0 else -1
        for k in range(1, len(rows)) if step == 1 else range(len(rows) - 2, -1, -1):
            seen = {key: place for place, key in enumerate(rows[k - step])}
            mean = {}
            for place, key in enumerate(rows[k]):
                towards = [seen[one] for one in near[key] if one in seen]
                mean[key] = sum(towards) / len(towards) if towards else place
            rows[k].sort(key=mean.__getitem__)
        if (count := _crossings(rows, near)) < fewest:
            best, fewest = rows, count
    return best


def _crossings(rows: Sequence[Sequence[Key]], near: Mapping[Key, list[Key]]) -> int:
    count = 0
    for above, below in pairwise(rows):
        place = {key: index for index, key in enumerate(below)}
        passed: list[int] = []
        for key in above:
            ends = sorted(place[one] for one in near[key] if one in place)
            count += sum(len(passed) - bisect_right(passed, end) for end in ends)
            passed = sorted([*passed, *ends])
    return count


def _across(
    rows: Sequence[Sequence[Key]],
    near: Mapping[Key, list[Key]],
    sizes: Mapping[Key, Size],
    weights: Mapping[Key, float],
) -> dict[Key, float]:
    """Return the horizontal position (x) of every key's centre.

    A sweep moves each key towards its neighbours in the row above. The next sweep uses the neighbours below. The
    result with the straightest lines is kept.
    """
    x: dict[Key, float] = {}
    for row in rows:
        x |= zip(row, spaced([0.0] * len(row), [sizes[key][0] for key in row], [1.0] * len(row)), strict=True)
    best, least = x, float("inf")
    for sweep in range(2 * SWEEPS):
        x, step = dict(x), 1 if sweep % 2 == 0 else -1
        for k in range(1, len(rows)) if step == 1 else range(len(rows) - 2, -1, -1):
            row, towards = rows[k], set(rows[k - step])
            wanted = []
            for key in row:
                pulls = [(weights[one], x[one]) for one in near[key] if one in towards]
                wanted.append(sum(w * at for w, at in pulls) / sum(w for w, _ in pulls) if pulls else x[key])
            x |= zip(row, spaced(wanted, [sizes[key][0] for key in row], [weights[key] for key in row]), strict=True)
        aside = sum(min(weights[a], weights[b]) ** 0.25 * abs(x[a] - x[b]) for a in near for b in near[a])
        if aside < least:
            best, least = x, aside
    return best


def spaced(wanted: Sequence[float], widths: Sequence[float], weights: Sequence[float]) -> list[float]:
    """Return centres of boxes in this order, at least GAP apart, as close to `wanted` as possible.

    Close means least squares with `weights`. Method: pool adjacent violators. Boxes that would overlap move as one
    block to their weighted mean.
    """
    shifts = [0.0, *accumulate((a + b) / 2 + GAP for a, b in pairwise(widths))]
    blocks: list[tuple[float, float, int]] = []     # mean, weight, count
    for want, shift, own in zip(wanted, shifts, weights, strict=False):
        mean, weight, count = want - shift, own, 1
        while blocks and blocks[-1][0] > mean:
            before, heavy, many = blocks.pop()
            mean = (mean * weight + before * heavy) / (weight + heavy)
            weight, count = weight + heavy, count + many
        blocks.append((mean, weight, count))
    means = [mean for mean, _, count in blocks for _ in range(count)]
    return [mean + shift for mean, shift in zip(means, shifts, strict=False)]


def _through(
    passed: Sequence[Key], centres: Mapping[Key, Point], spans: Mapping[Key, Point], sizes: Mapping[Key, Size]
) -> Line:
    """Return a link's line: straight down within a layer, where boxes are; sideways only between two layers."""
    points = [(centres[passed[0]][0], centres[passed[0]][1] + sizes[passed[0]][1] / 2)]
    for above, below in pairwise(passed):
        points += bent((centres[above][0], spans[above][1]), (centres[below][0], spans[below][0]))
    x, y = centres[passed[-1]]
    return tuple(dict.fromkeys([*points, (x, y - sizes[passed[-1]][1] / 2)]))
