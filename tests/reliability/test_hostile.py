"""Some hostile requests of each kind, to servers that run; many more are made by the long form."""

from __future__ import annotations

from itertools import islice

import pytest
from battery import hostile
from battery.load import loaded
from battery.served import Served, make_bundle

TRIALS = {
    hostile.hostile_request_trials: 105, hostile.lost_worker_trials: 2, hostile.few_descriptors_trials: 1,
    hostile.unread_answers_trials: 1, hostile.stop_under_load_trials: 1,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("hostile")


@pytest.mark.parametrize("trials", hostile.ROWS)
def test_the_server_survives(trials, folder, warm):
    for trial in islice(trials(22, folder, warm), TRIALS[trials]):
        assert not trial.fault, trial


def test_slow_clients_take_nothing_from_others(folder, warm):
    with Served(make_bundle(folder, warm), folder) as server:
        load = loaded(server.address, [hostile.digit()], 200, clients=8, slow=50)
        assert load.lost == 0 and load.slow >= 50, load
        assert server.news() == ""
