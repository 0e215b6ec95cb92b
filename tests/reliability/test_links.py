"""Links, pipes and devices where a file is expected: a few of each."""

from __future__ import annotations

from itertools import islice

import pytest
from battery.links import WRITERS, attempt, build, put_dangling, put_endless, put_loop, put_pipe, read, replaced


def test_nothing_outside_is_changed(warm, tmp_path):
    for trial in islice(replaced(1, tmp_path, warm, exports=False), 5):
        assert not trial.fault, trial


def test_nothing_that_is_no_file_is_read_for_ever(warm, tmp_path):
    for trial in islice(read(1, tmp_path, warm, exports=False), 5):
        assert not trial.fault, trial


@pytest.fixture(scope="module")
def before(warm, tmp_path_factory):
    return build(tmp_path_factory.mktemp("links"), warm, exports=False)


@pytest.mark.parametrize(("place", "command"), [
    ("kernels.png", ("predict", "run", "kernels.png")),
    ("run/history.jsonl", ("curves", "run")),
    ("run/model.safetensors", ("predict", "run", "strip.png")),
    ("net.py", ("summary", "net.py:Net")),
])
def test_a_pipe_is_refused_at_once(before, warm, place, command):
    trial = attempt(before.parent, warm, before, (command, place, put_pipe), "read")
    assert (trial.outcome, trial.fault) == ("refused", "")


def test_a_pipe_in_the_place_of_the_networks_source_is_replaced(before, warm):
    trial = attempt(before.parent, warm, before, (WRITERS["run"], "run/network", put_pipe), "written")
    assert (trial.outcome, trial.fault) == ("written", "")


def test_a_loop_of_links_as_out_is_refused(before, warm):
    trial = attempt(before.parent, warm, before, (WRITERS["run"], "run", put_loop), "written")
    assert (trial.outcome, trial.fault) == ("refused", "")


def test_a_finished_run_without_a_history_is_refused(before, warm):
    trial = attempt(before.parent, warm, before, (("report", "run"), "run/history.jsonl", put_dangling), "read")
    assert (trial.outcome, trial.fault) == ("refused", "")


def test_a_device_without_end_is_refused(before, warm):
    trial = attempt(before.parent, warm, before, (("curves", "run"), "run/history.jsonl", put_endless), "read")
    assert (trial.outcome, trial.fault) == ("refused", "")
