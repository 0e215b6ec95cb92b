"""A few of what a long-lived process does again and again; many more are made by the long form."""

from __future__ import annotations

from itertools import islice

import pytest
from battery.growth import COUNTS, growth_trials, served_growth_trials

FEW = {"predict": 8, "train": 4, "picture": 2}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("growth")


def test_nothing_is_kept(folder, warm):
    assert FEW.keys() == COUNTS.keys()
    for trial in islice(growth_trials(22, folder, warm, FEW), len(FEW)):
        assert not trial.fault, trial


def test_a_server_keeps_nothing(folder, warm):
    trial = next(served_growth_trials(22, folder, warm, count=120))
    assert not trial.fault, trial
