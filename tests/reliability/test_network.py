"""Mirrors that lie, and a crowd at a cold cache: a few of each."""

from __future__ import annotations

from itertools import islice
from random import Random

import pytest
from battery.network import crowds, in_cache, lies, made_up, serving, start_fetching, wrong_fetch


def test_a_lying_mirror_leaves_the_cache_good(warm, tmp_path):
    for trial in islice(lies(1, tmp_path, warm), 8):
        assert not trial.fault, trial


def test_a_crowd_fetches_each_file_once(warm, tmp_path):
    for trial in islice(crowds(1, tmp_path, warm), 2):
        assert not trial.fault, trial


@pytest.mark.parametrize(("how", "reason"), [
    ("endless_redirect", "it redirects without end"),
    ("loop", "it redirects without end"),
    ("to_file", "it redirects to file:"),
    ("drip", "it is too slow"),
    ("huge", "it sends more than 64,000,000 bytes"),
    ("endless_chunks", "it sends more than 64,000,000 bytes"),
    ("no_number", "its sha256 is not the published one"),
    ("part", "HTTP 206"),
])
def test_the_message_says_how_a_mirror_lied(warm, tmp_path, how, reason):
    with serving(made_up(Random(2))) as server:
        done = start_fetching(warm, tmp_path, server, (how,)).wait(30)
        assert not wrong_fetch(done, in_cache(tmp_path), {}, server)
        assert f"could not be fetched from {server.mirror(how)} ({reason})." in done.err
