"""Points of the space: proposed by Optuna (TPE, multivariate and grouped), or neighbours of the best ones so far.

Each proposal depends only on the seed, the number of the trial, and what was measured before. So a resumed search needs
no state of a sampler. TPE takes longer the more it sees, so it sees the best and the last candidates only.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.errors import MissingExtra
from featherweight.search.space import SPACE, STARTS, Choice, Dimension, Real, draw, near

if TYPE_CHECKING:
    import optuna

STARTUP = 10    # measurements before TPE; until then points are random
WORST = -100.0


@dataclass(frozen=True)
class Observation:
    """The point of trial `number` and its score, higher is better; None if its training failed."""

    number: int
    point: dict[str, Any]
    score: float | None


Key = tuple[int, float | None]      # number and score of an observation


class Sampler:
    """Proposes points. randomly: without TPE, as a comparison. starts: points that are tried first in each cell."""

    def __init__(self, seed: int, *, randomly: bool = False, starts: Sequence[dict[str, Any]] = STARTS) -> None:
        try:
            import optuna
        except ImportError as fault:
            raise MissingExtra("optuna", "search") from fault
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.seed, self.randomly, self.starts = seed, randomly, starts
        self.trials: dict[Key, optuna.trial.FrozenTrial] = {}       # of the last proposal, for the next one

    def point(self, number: int, attempt: int, seen: Sequence[Observation]) -> dict[str, Any]:
        """Return a point for the trial `number`. attempt: 1, 2, ... if earlier points did not fit the budget."""
        import optuna

        seed = int(np.random.SeedSequence([self.seed, number, attempt]).generate_state(1)[0])
        study = optuna.create_study(direction="maximize")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)      # group=True
            study.sampler = optuna.samplers.RandomSampler(seed) if self.randomly else optuna.samplers.TPESampler(
                seed=seed, multivariate=True, group=True, n_startup_trials=STARTUP, constant_liar=False)
        self.trials = {(one.number, one.score): self.trial(one) for one in seen}
        study.add_trials(self.trials.values())
        trial = study.ask()
        return draw(lambda name, dimension: suggested(trial, name, dimension))

    def trial(self, one: Observation) -> optuna.trial.FrozenTrial:
        """Return a measurement as a trial of Optuna, whose deep copies are ordinary trials that share its values.

        Optuna copies each trial that it is given. The copies of all distributions took half of a proposal's time.
        """
        def shared(memo: dict[int, Any]) -> optuna.trial.FrozenTrial:
            twin = copy(made)
            del vars(twin)["__deepcopy__"]
            return twin

        if kept := self.trials.get((one.number, one.score)):
            return kept
        made = as_trial(one)
        vars(made)["__deepcopy__"] = shared
        return made

    def neighbour(self, number: int, attempt: int, parents: Sequence[Observation]) -> dict[str, Any]:
        """Return a point near one of the parents. None of them may be a failure.

        Source: Real et al. (2019), "Regularized Evolution for Image Classifier Architecture Search", without ageing.
        """
        random = np.random.default_rng([self.seed, number, attempt])
        return near(parents[int(random.integers(len(parents)))].point, random)


def as_trial(one: Observation) -> optuna.trial.FrozenTrial:
    """Return a measurement as a finished trial of Optuna. One that failed violates a constraint."""
    import optuna

    distributions = {name: distribution(name) for name in one.point}
    value = WORST if one.score is None else one.score
    trial = optuna.trial.create_trial(params=one.point, distributions=distributions, value=value)
    trial.set_constraint("failed", 1.0 if one.score is None else 0.0)
    return trial


@cache
def distribution(name: str) -> optuna.distributions.BaseDistribution:
    """Return a dimension of the space as a distribution of Optuna."""
    import optuna

    dimension = SPACE[name]
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
