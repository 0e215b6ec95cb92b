"""A few changed files of every format; benchmarks/reliability.py makes many. Faults found so are tested by their parts."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from battery.mutations import ROWS, name_of
from battery.trial import Trials
from battery.warm import Warm

FEW = {"mutated checkpoint": 1, "mutated TOML": 1, "mutated IDX": 1, "mutated IDX.gz": 1}


@pytest.mark.parametrize("trials", ROWS, ids=name_of)
def test_a_changed_file_gives_the_same_answer_or_one_line(trials: Trials, tmp_path: Path, warm: Warm) -> None:
    for trial in islice(trials(3, tmp_path, warm), FEW.get(name_of(trials), 2)):
        assert not trial.fault, trial
