"""Differences in test accuracy between groups of runs: paired over seeds or over test images, and in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from featherweight.report.comparison import FEW, Group, common_heads
from featherweight.statistics import paired_difference, paired_shares
from featherweight.words import percent


@dataclass(frozen=True)
class Difference:
    """Difference in test accuracy, second group minus first, on one head. Fractions.

    The pairs are their common seeds. For one run each on the same test images, the pairs are these images.
    """

    first: str
    second: str
    head: str
    seeds: tuple[int, ...]
    mean: float
    interval: tuple[float, float]       # 95 %: bootstrap over seeds, or of paired images; no meaning for one seed
    images: int = 0                     # number of paired test images; 0: the pairs are seeds

    @property
    def has_interval(self) -> bool:
        """True if there is more than one pair."""
        return self.images > 0 or len(self.seeds) > 1

    @property
    def chance(self) -> bool:
        """True if the interval contains 0."""
        return self.interval[0] <= 0 <= self.interval[1]

    def __str__(self) -> str:
        """Return a sentence. Example: "b - a: +0.61 ± 0.12 points over 5 seeds (95 %: ...), which may be chance."."""
        what = f"{self.second} - {self.first}" + ("" if self.head == "class" else f", {self.head}")
        points, (low, high) = f"{100 * self.mean:+.2f}", self.interval
        if not self.has_interval:
            return f"{what}: {points} points with seed {self.seeds[0]} alone; one pair has no interval."
        pairs = f"on the same {self.images:,} images, one run each" if self.images else f"over {len(self.seeds)} seeds"
        cause = "the choice of images explains" if self.images else "the seeds explain"
        end = "which may be chance" if self.chance else f"more than {cause}"
        words = f"{points} ± {50 * (high - low):.2f} points {pairs}"
        return f"{what}: {words} (95 %: {100 * low:+.2f} to {100 * high:+.2f}), {end}."


def differences(groups: Sequence[Group]) -> list[Difference]:
    """Return the differences of all pairs of groups, one per common head. Groups that do not pair are left out."""
    return [found for first, second in combinations(groups, 2) for found in difference(first, second)]


def difference(first: Group, second: Group) -> list[Difference]:
    """Return the differences between two groups, one per common head that both can be paired on."""
    found = [over_seeds(first, second, head) for head in common_heads([first, second])]
    return [one for one in found if one]


def over_seeds(first: Group, second: Group, head: str) -> Difference | None:
    """Return the difference over common seeds. With at most one common seed: over test images, if that is possible.

    None for groups that do not pair.
    """
    seeds = tuple(sorted(set(first.runs) & set(second.runs)))
    if len(seeds) < 2 and (found := over_images(first, second, seeds, head)):
        return found
    if not seeds:
        return None
    one, other = first.accuracies(head), second.accuracies(head)
    mean, interval = paired_difference([one[seed] for seed in seeds], [other[seed] for seed in seeds])
    return Difference(first.name, second.name, head, seeds, mean, interval)


def over_images(first: Group, second: Group, seeds: tuple[int, ...], head: str) -> Difference | None:
    """Return the difference of two runs on the same test images: those of the common seed, or the only ones.

    None if the groups hold other runs, or if the records do not show that the images are the same.
    """
    if not seeds and len(first.runs) + len(second.runs) > 2:
        return None
    one, other = ((group.runs[seeds[0]] if seeds else next(iter(group.runs.values()))).result
                  for group in (first, second))
    same = one.get("test_sha256") and one["test_sha256"] == other.get("test_sha256")
    if not same or any(head not in result.get("wrong", {}) for result in (one, other)):
        return None     # a run of an earlier version, or other images
    wrong, others = set(one["wrong"][head]), set(other["wrong"][head])
    count = one["test"][head]["count"]
    mean, interval = paired_shares(len(others - wrong), len(wrong - others), count)
    return Difference(first.name, second.name, head, seeds, mean, interval, count)


def in_sentences(groups: Sequence[Group], found: Sequence[Difference]) -> list[str]:
    """Return the differences in sentences. With more than FEW groups, each is compared with the best only."""
    bare = [one for one in found if not one.has_interval]
    sure = [one for one in found if one.has_interval]
    said = [str(one) for one in sure] if len(groups) <= FEW else against_best(groups, sure)
    if len(bare) == 1:
        return [*said, str(bare[0])]
    return [*said, f"{len(bare)} pairs of runs have one seed in common and do not record the same test images, "
                   "so their differences have no interval."] if bare else said


def against_best(groups: Sequence[Group], found: Sequence[Difference]) -> list[str]:
    """Return, per head, sentences that compare every group with the one of the highest mean accuracy."""
    said = []
    for head in common_heads(groups):
        best = max(groups, key=lambda group: group.mean(head))
        pairs = [one for one in found if one.head == head and best.name in (one.first, one.second)]
        what = "" if head == "class" else f" of {head}"
        said.append(f"{best.name} has the highest test accuracy{what} of {len(groups)}, {percent(best.mean(head))}; "
                    "the highest of several is partly luck.")
        for title, chance in (("Below it by no more than chance may explain", True), ("Below it by more", False)):
            if named := [behind(one, best.name) for one in pairs if one.chance == chance]:
                said.append(f"{title} (95 %): {', '.join(named)}.")
        if missing := len(groups) - 1 - len(pairs):
            said.append(f"{missing} without a pair to compare.")
    return said


def behind(found: Difference, best: str) -> str:
    """Return the other group of a difference with its distance to the best, such as "b -0.61 ± 0.20"."""
    name, mean = (found.second, found.mean) if found.first == best else (found.first, -found.mean)
    low, high = found.interval
    return f"{name} {100 * mean:+.2f} ± {50 * (high - low):.2f}"
