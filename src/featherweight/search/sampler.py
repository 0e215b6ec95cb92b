"""Points of the space: proposed by Optuna (TPE, multivariate and grouped), or neighbours of the best ones so far.

Each proposal depends only on the seed, the number of the trial, and what was measured before. So a resumed search needs
no state of a sampler. TPE takes longer the more it sees, so it sees the best and the last measurements only.
"""

from __future__ import annotations

import heapq
import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.errors import MissingExtra
from featherweight.search.space import SPACE, Choice, Dimension, Real, draw, near

if TYPE_CHECKING:
    import optuna

STARTUP = 10    # measurements before TPE; until then points are random
WORST = -100.0
PARENTS = 5     # best measurements that get neighbours
RECENT = 50     # TPE sees the best RECENT measurements, and the last RECENT to 2 RECENT


@dataclass(frozen=True)
class Observation:
    """A point and its score at one rung, higher is better; None if its training failed."""

    point: dict[str, Any]
    score: float | None


class Sampler:
    """Proposes points. randomly: without TPE, as a comparison."""

    def __init__(self, seed: int, *, randomly: bool = False) -> None:
        try:
            import optuna
        except ImportError as fault:
            raise MissingExtra("optuna", "search") from fault
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.seed, self.randomly = seed, randomly
        self.models: dict[Hashable, tuple[int, int, optuna.Study]] = {}

    def point(self, number: int, attempt: int, place: Hashable, seen: Sequence[Observation]) -> dict[str, Any]:
        """Return a point for the trial `number`.

        attempt: 1, 2, ... if earlier points did not fit the budget. place: what `seen` was measured at, e.g. a rung;
        `seen` only grows from call to call.
        """
        import optuna

        seed = int(np.random.SeedSequence([self.seed, number, attempt]).generate_state(1)[0])
        study = self.model(place, seen)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)      # group=True
            study.sampler = optuna.samplers.RandomSampler(seed) if self.randomly else optuna.samplers.TPESampler(
                seed=seed, multivariate=True, group=True, n_startup_trials=STARTUP, constant_liar=False)
        trial = study.ask()
        point = draw(lambda name, dimension: suggested(trial, name, dimension))
        study.tell(trial, state=optuna.trial.TrialState.FAIL)       # measured later, and then added as a new trial
        return point

    def neighbour(self, number: int, attempt: int, seen: Sequence[Observation]) -> dict[str, Any]:
        """Return a point near one of the best that were seen. seen: at least one point that did not fail.

        Source: Real et al. (2019), "Regularized Evolution for Image Classifier Architecture Search", without ageing.
        """
        random = np.random.default_rng([self.seed, number, attempt])
        parents = [one for one in best(seen, PARENTS) if one.score is not None]
        return near(parents[random.integers(len(parents))].point, random)

    def model(self, place: Hashable, seen: Sequence[Observation]) -> optuna.Study:
        """Return the study that holds the window of what was seen. Used again as long as the window only grows."""
        import optuna

        start = window_start(len(seen))
        begun, included, study = self.models.get(place, (-1, 0, None))
        if study is None or begun != start:
            study, included = optuna.create_study(direction="maximize"), start
            study.add_trials([as_trial(one) for one in best(seen[:start])])
        study.add_trials([as_trial(one) for one in seen[included:]])
        self.models[place] = (start, len(seen), study)
        return study


def window_start(count: int) -> int:
    """Return how many of the first measurements are old: only the best of these are seen."""
    return max(0, count // RECENT - 1) * RECENT


def best(seen: Sequence[Observation], count: int = RECENT) -> list[Observation]:
    """Return the best measurements, in the order of time."""
    order = heapq.nsmallest(count, range(len(seen)), key=lambda i: (-value_of(seen[i]), i))
    return [seen[i] for i in sorted(order)]


def as_trial(one: Observation) -> optuna.trial.FrozenTrial:
    """Return a measurement as a finished trial of Optuna. One that failed violates a constraint."""
    import optuna

    distributions = {name: distribution(SPACE[name]) for name in one.point}
    trial = optuna.trial.create_trial(params=one.point, distributions=distributions, value=value_of(one))
    trial.set_constraint("failed", 1.0 if one.score is None else 0.0)
    return trial


def value_of(one: Observation) -> float:
    """Return the score; for a failure, one that is below all others."""
    return WORST if one.score is None else one.score


def distribution(dimension: Dimension) -> optuna.distributions.BaseDistribution:
    """Return a dimension as a distribution of Optuna."""
    import optuna

    if isinstance(dimension, Choice):
        return optuna.distributions.CategoricalDistribution(dimension.values)
    if isinstance(dimension, Real):
        return optuna.distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)
    return optuna.distributions.IntDistribution(dimension.low, dimension.high)


def suggested(trial: optuna.Trial, name: str, dimension: Dimension) -> Any:
    """Return the value that a trial of Optuna suggests for a dimension."""
    if isinstance(dimension, Choice):
        return trial.suggest_categorical(name, dimension.values)
    if isinstance(dimension, Real):
        return trial.suggest_float(name, dimension.low, dimension.high, log=dimension.log)
    return trial.suggest_int(name, dimension.low, dimension.high)
