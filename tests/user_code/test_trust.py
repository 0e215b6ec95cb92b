"""Runs of somebody else that bring a network of their own: nothing of it is executed before it is trusted."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

import featherweight
from featherweight.continuation import recipe_from
from featherweight.errors import Untrusted
from featherweight.examination import evaluate
from featherweight.networks import load_network
from featherweight.recipe import Recipe
from featherweight.runs import Run
from featherweight.user_code import load_class, trust


@pytest.fixture(scope="module")
def trained(digits_recipe, tmp_path_factory):
    """A run of a network of one's own."""
    return featherweight.train(digits_recipe(), tmp_path_factory.mktemp("runs") / "own", device="cpu")


@pytest.fixture
def theirs(trained, tmp_path, monkeypatch):
    """The run as somebody else finds it: another folder, and a machine that has trusted nothing."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(trust, "unwritten", set())
    monkeypatch.chdir(tmp_path)
    return Run.open(shutil.copytree(trained.path, tmp_path / "theirs"))


@pytest.fixture
def of_earlier_version(theirs, reseal):
    """of_earlier_version("net.py:Net"): the run without its source; its recipe names a file."""

    def strip(name: str) -> Run:
        text = (theirs.path / "recipe.toml").read_text().replace(theirs.recipe.model.name, name)
        shutil.rmtree(theirs.source_folder)
        (theirs.path / "recipe.toml").write_text(text)
        return reseal(theirs.path, network=None)

    return strip


def test_what_was_trained_here_is_trusted_here(trained, tmp_path):
    again = shutil.copytree(trained.path, tmp_path / "again")
    assert evaluate(again, device="cpu")["class"].to_dict() == trained.result["test"]["class"]


@pytest.mark.parametrize("opening", [
    load_network, lambda run: evaluate(run, device="cpu"), lambda run: featherweight.Run(run.path).model(),
    lambda run: load_class(run.source_folder / run.source.entry, "Tiny"),
    lambda run: featherweight.train(start=run.path, out=run.path.parent / "out", device="cpu"),
    lambda run: featherweight.train(run.path / "recipe.toml", run.path.parent / "out", device="cpu"),
    lambda run: featherweight.train_seeds(run.path / "recipe.toml", [1, 2], run.path.parent / "out", device="cpu"),
    lambda run: featherweight.train("session7-model2", run.path.parent / "out", device="cpu", settings=[
        "data.dataset=digits", f'distillation.teacher="{run.path}"']),
])  # fmt: skip
def test_each_way_to_open_it_asks_and_leaves_nothing(theirs, opening):
    with pytest.raises(Untrusted, match=r"network' holds a network of its own, which is a program\. Read") as fault:
        opening(theirs)
    assert "\n" not in str(fault.value) and not trust.known()
    assert not (theirs.path.parent / "out" / "recipe.toml").exists()


def test_trust_is_remembered(theirs):
    assert theirs.trust() is theirs
    assert evaluate(Run(theirs.path), device="cpu") and trust.known() == {theirs.source.sha256}
    theirs.trust()
    assert trust.store().read_text() == f"{theirs.source.sha256}\n"


def test_only_this_text_is_trusted(theirs, reseal):
    theirs.trust()
    file = theirs.source_folder / theirs.source.entry
    changed = theirs.source.__class__(theirs.source.entry, "Tiny", {file.name: file.read_text() + "\nprint('evil')\n"})
    changed.write(theirs.source_folder)
    reseal(theirs.path, network=changed.sha256)
    with pytest.raises(Untrusted):
        load_network(Run(theirs.path))


def test_results_and_curves_need_no_trust(theirs):
    assert theirs.result["model"] and theirs.history and theirs.recipe.name == "tiny"
    assert "<table>" in theirs._repr_html_()


@pytest.mark.parametrize("ending", [".py", ".ipynb"])
@pytest.mark.parametrize("beside", [True, False])
def test_a_run_without_its_source_asks_for_the_file_that_it_names(
    theirs, of_earlier_version, tiny_model, ending, beside
):
    import json

    text = Path(tiny_model.rpartition(":")[0]).read_text()
    if ending == ".ipynb":
        text = json.dumps({"cells": [{"cell_type": "code", "source": text}]})
    place = theirs.path if beside else Path.cwd()
    (place / f"net{ending}").write_text(text)
    run = of_earlier_version(f"net{ending}:Tiny")
    openings = [recipe_from] if beside else [recipe_from, load_network, lambda run: evaluate(run, device="cpu")]
    for opening in openings:
        with pytest.raises(Untrusted, match=rf"net{ending}' holds a network of its own"):
            opening(run)
    run.trust()
    assert recipe_from(run).model.name.endswith(f"net{ending}:Tiny")
    assert beside or evaluate(run, device="cpu")
    (place / f"net{ending}").write_text(text + " ")
    with pytest.raises(Untrusted):
        recipe_from(Run(run.path))


def test_a_file_planted_beside_the_recipe_is_not_taken_for_the_network(theirs):
    """The source may be one that is trusted already, such as a public network."""
    theirs.trust()
    name = theirs.recipe.model.name
    (theirs.path / "net.py").write_text("raise SystemExit('executed')\n")
    text = (theirs.path / "recipe.toml").read_text().replace(name, "net.py:Tiny")
    (theirs.path / "recipe.toml").write_text(text)
    assert Recipe.load(theirs.path / "recipe.toml").model.name == f"{theirs.source_folder / 'tiny.py'}:Tiny"


def test_runs_of_the_catalogue_never_ask(digits_run, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    copy = shutil.copytree(digits_run.path, tmp_path / "copy")
    assert evaluate(copy, device="cpu")["class"].to_dict() == digits_run.result["test"]["class"]
    assert Run(copy).trust().source is None and not trust.known()


def test_where_nothing_can_be_written_trust_holds_for_the_process(theirs, monkeypatch):
    (theirs.path.parent / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(theirs.path.parent / "file"))      # not even root can
    with pytest.raises(Untrusted):
        load_network(theirs)
    theirs.trust()
    assert isinstance(load_network(Run(theirs.path)), torch.nn.Module) and not trust.store().exists()


def test_a_network_trained_where_nothing_can_be_written_is_trusted(digits_recipe, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(trust, "unwritten", set())
    run = featherweight.train(digits_recipe(model={"arguments": {"width": 2}}), tmp_path / "run", device="cpu")
    assert run.model() is not None


def test_so_are_networks_that_workers_trained(digits_recipe, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(trust, "unwritten", set())
    replicas = featherweight.train_seeds(digits_recipe(), [1, 2], tmp_path / "runs", device="cpu")
    assert evaluate(replicas.run(2), device="cpu") and not trust.store().exists()


def test_a_store_that_is_no_text_counts_as_empty(theirs):
    trust.store().parent.mkdir(parents=True)
    trust.store().write_bytes(b"\xff\xfe\x00")
    with pytest.raises(Untrusted):
        load_network(theirs)
