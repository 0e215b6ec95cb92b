"""A search that stops anywhere and is resumed makes the same trials as an undisturbed one."""

from __future__ import annotations

import json

import pytest

from featherweight.errors import RunError
from featherweight.search.ledger import Ledger
from featherweight.search.search import Ask
from featherweight.search.study import study_of


def test_a_search_that_is_cut_anywhere_goes_on_to_the_same_ledger(here, stub_search, ledger, tmp_path):
    stub_search("whole", trials=24)
    whole = ledger("whole")
    text = (tmp_path / "whole/ledger.jsonl").read_bytes()
    kinds = {json.loads(line)["event"] for line in whole}
    assert kinds >= {"search", "trial", "rung", "measured", "failed", "checked", "frozen", "tested"}
    for cut in range(1, len(text), len(text) // 8):      # most cuts leave a torn line
        folder = tmp_path / f"cut{cut}"
        folder.mkdir()
        (folder / "ledger.jsonl").write_bytes(text[:cut])
        ask = Ask("digits", {"parameters": 600, "epochs": 9}, levels=2)
        stub_search(folder.name, trials=24, resume=True, ask=ask)
        assert ledger(folder.name) == whole, cut


def test_a_search_killed_between_a_task_and_its_line(here, stub_search, ledger):
    stub_search("whole")
    here.most = 5
    with pytest.raises(KeyboardInterrupt):
        stub_search("killed")
    here.most = None
    found = stub_search("killed", trials=None, resume=True, ask=Ask())      # the options come from the ledger
    assert ledger("killed") == ledger("whole")
    assert len(found.study.members) == 12 and not found.study.pending


def test_no_trial_is_lost_or_counted_twice(here, stub_search, tmp_path):
    front = stub_search("whole", trials=15).front
    assert [one.number for one in front.tried] == list(range(15))
    assert {one.state for one in front.tried} <= {"done", "stopped", "failed"}
    failed = [one for one in front.tried if one.state == "failed"]
    assert failed and all("infinite" in one.reason for one in failed)
    events = Ledger(tmp_path / "whole").read()
    ended = [(one["number"], one["rung"]) for one in events if one["event"] in ("measured", "failed")]
    assert len(ended) == len(set(ended))


def test_more_trials_after_the_end_of_exploring_are_made(here, stub_search):
    assert len(stub_search("more", trials=4).study.members) == 4
    assert len(stub_search("more", trials=9, resume=True).study.members) == 4      # frozen: the front is tested
    with pytest.raises(RunError, match="exists and holds"):
        stub_search("more")


@pytest.mark.parametrize(("line", "words"), [("{", "damaged"), ("[1]", "no event"), ('{"event": "measured"}', "fit")])
def test_a_damaged_line_is_named(line, words, here, stub_search, tmp_path):
    stub_search("whole")
    file = tmp_path / "whole/ledger.jsonl"
    lines = file.read_text().splitlines()
    file.write_text("\n".join([*lines[:3], line, *lines[3:]]) + "\n")
    with pytest.raises(RunError, match=words) as fault:
        study_of(Ledger(tmp_path / "whole").read(), tmp_path / "whole")
    assert "line 4" in str(fault.value)


def test_a_torn_line_is_ignored_by_readers(here, stub_search, tmp_path):
    stub_search("whole")
    file = tmp_path / "whole/ledger.jsonl"
    before = Ledger(tmp_path / "whole").read()
    file.write_bytes(file.read_bytes() + b'{"event": "tri')
    assert Ledger(tmp_path / "whole").read() == before
