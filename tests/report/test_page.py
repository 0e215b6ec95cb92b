"""The page as a file: what it holds, that it needs nothing else, that names are only names."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser

import pytest

import featherweight
from featherweight.errors import RunError
from featherweight.report import write_report
from featherweight.report.page import called
from featherweight.report.use_of_test import sentences_on_use
from featherweight.runs import Run


class Reader(HTMLParser):
    """Headings, texts, pictures and everything that a page would fetch."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.fetched, self.labels, self.text, self.ids = [], [], [], [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.ids += [given["id"]] if "id" in given else []
        self.labels += [given["aria-label"]] if tag == "svg" and "aria-label" in given else []
        self.fetched += [value for key, value in attrs if key in ("src", "href", "xlink:href", "srcset")]

    def handle_data(self, data):
        self.text.append(data)

    def says(self):
        return " ".join(" ".join(self.text).split())


def read(page):
    return Reader(page.read_text())


def test_a_run_shows_its_target_results_and_analysis(pages, digits_run):
    page, score = read(pages["one"]), digits_run.result["test"]["class"]
    said = page.says()
    parts = ("Target", "Results", "Analysis", "Curves", "Confusion", "The worst mistakes", "By class", "Calibration",
             "Kernels", "Where it looks", "Activation maps", "Layers")
    assert [part for part in parts if part not in said] == []
    assert f"{100 * score['accuracy']:.2f} %" in said and f"{score['correct']} of {score['count']}" in said
    assert "7,524" in said and "Conv2d-1" in said and "wrong answers on test" in said
    met = "Met" if digits_run.result["goal"]["met"] else "Not met"
    assert f"{met} (a goal for mnist): accuracy" in said
    assert "on images that the training did not use" in said and "after every epoch (evaluation.curve" not in said
    assert "3 seeds; training accuracy" not in said         # the recipe's results are those of mnist
    assert page.tags.count("svg") == 3 + 4 + 3


def test_notes_stand_under_the_results(pages, tiny_runs):
    note = tiny_runs[0].result["notes"][0]
    assert "has seen 12 steps: 28 %" in note
    said = read(pages["several"]).says()
    assert said.count(note) == 1 and f"Note: slow-1, slow-2, fast-1, fast-2: {note}" in said


def test_every_epoch_stands_in_a_table_and_on_the_curves(pages, digits_run):
    text = pages["one"].read_text()
    for line in digits_run.history:
        assert f"{line['train_loss']:.4f}" in text
        assert re.search(rf"<title>epoch {line['epoch']}: train {line['train_loss']:.4f}", text)


@pytest.mark.parametrize("name", ["one", "two-heads", "several", "many"])
def test_a_page_needs_nothing_else(pages, name):
    page = read(pages[name])
    assert not {"script", "link", "iframe"} & set(page.tags)
    assert all(address.startswith(("#", "data:")) for address in page.fetched)
    assert "@import" not in pages[name].read_text() and "url(http" not in pages[name].read_text()
    assert len(page.labels) == page.tags.count("svg") and all(len(label) > 10 for label in page.labels)
    assert pages[name].stat().st_size < 3_000_000


def test_both_heads_are_shown(pages):
    said = read(pages["two-heads"])
    assert any("Confusion matrix of digit" in label for label in said.labels)
    assert any("Confusion matrix of sum" in label for label in said.labels)
    assert "both" in said.says()


def test_several_runs_stand_side_by_side(pages):
    page = read(pages["several"])
    said = page.says()
    assert "4 runs side by side" in said and "fast - slow:" in said and "over 2 seeds" in said
    assert any(label.startswith("Parameters against test accuracy: slow") for label in page.labels)
    assert all(part in said for part in ("Target", "Results", "Analysis", "What differs in their recipes"))
    assert "optimizer.lr: 0.01 (slow-1, slow-2), 0.1 (fast-1, fast-2)" in said and said.count("Learn.") == 1
    for name in ("slow-1", "slow-2", "fast-1", "fast-2"):
        assert name in said


def test_more_than_four_leave_out_what_takes_much_room(pages):
    said = read(pages["many"]).says()
    assert "6 runs side by side" in said and "shown for up to four runs" in said and "Where it looks" not in said


def test_names_are_text_whatever_they_hold(tmp_path, tiny_runs):
    evil = "<script>alert('$1$')</script>"
    folder = shutil.copytree(tiny_runs[0].path, tmp_path / "<b>run & co")
    recipe = (folder / "recipe.toml").read_text()
    assert 'target = "Learn."' in recipe
    (folder / "recipe.toml").write_text(recipe.replace('target = "Learn."', f'target = "{evil}"'))
    result = json.loads((folder / "result.json").read_text())
    Run(folder).save_result(result | {"recipe": evil}, Run(folder).weights())
    write_report([folder], tmp_path / "page.html")
    write_report([folder, tiny_runs[1]], tmp_path / "two.html")
    for name in ("page.html", "two.html"):
        page = read(tmp_path / name)
        assert "script" not in page.tags
        assert "<b>run & co" in page.says() and evil in page.says()


def test_bad_runs_are_refused_and_nothing_is_written(tmp_path, tiny_runs):
    page = tmp_path / "page.html"
    other = shutil.copytree(tiny_runs[0].path, tmp_path / "other")
    result = json.loads((other / "result.json").read_text())
    Run(other).save_result(result | {"dataset": "mnist"}, Run(other).weights())
    with pytest.raises(RunError, match="different data sets"):
        write_report([tiny_runs[0], other], page)
    write_report([tiny_runs[0], other], tmp_path / "mixed.html", mixed=True)
    bare = shutil.copytree(tiny_runs[0].path, tmp_path / "bare")
    (bare / "model.safetensors").unlink()
    with pytest.raises(RunError, match=r"model\.safetensors"):
        write_report([bare], page)
    (bare / "result.json").unlink()
    with pytest.raises(RunError, match="not finished"):
        write_report([bare], page)
    with pytest.raises(RunError, match="no run folder"):
        write_report([tmp_path], page)
    assert not page.exists()


def test_runs_are_called_by_their_folders():
    assert called([Run("a/seed1"), Run("b/seed1"), Run("b/seed2")]) == ["a/seed1", "b/seed1", "seed2"]


def test_a_curve_on_test_is_said(tmp_path, digits_recipe):
    run = featherweight.train(digits_recipe(evaluation={"curve": "test"}), tmp_path / "run", device="cpu")
    write_report([run], tmp_path / "page.html")
    said = read(tmp_path / "page.html").says()
    assert "Test images were measured after every epoch (evaluation.curve is test)" in said
    assert "training did not use" not in said


def test_one_seed_of_several_is_said_unless_all_are_shown(tmp_path, teachers):
    runs = [Run(teachers / f"seed-{seed}") for seed in (1, 2)]
    found = {run: sentences_on_use(run, alone=True) for run in runs}
    best = max(runs, key=lambda run: run.result["test"]["class"]["accuracy"])
    assert all("one of 2 seeds" in said[0] for said in found.values())
    assert "number 1 by test accuracy" in found[best][0]
    assert all(sentences_on_use(run, alone=False) == [] for run in runs)
