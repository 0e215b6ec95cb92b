"""A few changed files of every format; benchmarks/reliability.py makes many."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
from battery.mutations import ROWS, name_of
from battery.trial import Trials
from battery.warm import Warm

ONE = ("mutated checkpoint", "mutated TOML", "mutated IDX", "mutated IDX.gz", "mutated .pth",
       "mutated data.safetensors", "mutated safetensors, a user's")     # whose commands compute for a second or more


@pytest.mark.parametrize("trials", ROWS, ids=name_of)
def test_a_changed_file_gives_the_same_answer_or_one_line(trials: Trials, tmp_path: Path, warm: Warm) -> None:
    for trial in islice(trials(3, tmp_path, warm), 1 if name_of(trials) in ONE else 2):
        assert not trial.fault, trial
