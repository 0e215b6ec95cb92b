"""A training that is killed goes on to the same weights, and of two starts in one folder one wins."""

from __future__ import annotations

from itertools import islice

import pytest
from battery import kills, starts


@pytest.mark.parametrize(("trials", "count"), [
    (kills.killed_trials, 2), (kills.killed_in_save_trials, 3), (kills.killed_seeds_trials, 1),
    (starts.double_start_trials, 3),
])
def test_what_is_killed_or_started_twice_is_whole_in_the_end(trials, count, warm, tmp_path):
    made = list(islice(trials(7, tmp_path, warm), count))
    assert not [trial for trial in made if trial.fault]
