"""The folder of a front: its files train and prove the networks, can be written again, and replace nothing foreign."""

from __future__ import annotations

import json
import shutil

import pytest

import featherweight
from featherweight.errors import FeatherweightError
from featherweight.recipe import Recipe
from featherweight.search.front_folder import check_front
from featherweight.search.records import Front

FILES = {"network.py", "recipe.toml", "seeds.json", "c"}


def test_each_network_has_its_folder_from_small_to_large(written):
    assert {file.name for file in written.folder.iterdir()} == {"1", "2", "runs", "front.json", "front.html"}
    sizes = []
    for number in ("1", "2"):
        folder = written.folder / number
        assert {file.name for file in folder.iterdir()} == FILES
        seeds = json.loads((folder / "seeds.json").read_text())
        sizes.append(seeds["costs"]["parameters"])
        assert [one["seed"] for one in seeds["runs"]] == [1, 2]
        assert seeds["test"]["accuracies"] == [one["test"]["class"]["accuracy"] for one in seeds["runs"]]
        proof = json.loads((folder / "c/ship.json").read_text())
        assert proof["format"] == "c" and proof["form"] == "c-int8" and proof["verdict"]["agrees"]
    assert sizes == sorted(sizes) and sizes[0] < sizes[1]


def test_the_record_can_be_read_again(written):
    assert Front.from_dict(json.loads((written.folder / "front.json").read_text())) == written.front


@pytest.mark.parametrize("number", [1, 2])
def test_the_recipe_just_works_and_repeats_the_first_seed(written, number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(written.folder / str(number), tmp_path / "front/3")
    recipe = Recipe.load("front/3/recipe.toml")
    assert recipe.name == f"small-{number}" and recipe.goal.max_parameters == 500
    again = featherweight.train("front/3/recipe.toml", quiet=True, device="cpu")
    first = json.loads((written.folder / f"{number}/seeds.json").read_text())["runs"][0]
    assert again.result["test"] == first["test"] and again.result["seed"] == 1
    assert again.path.name == f"small-{number}-seed1"


def test_the_texts_state_command_result_and_origin(written):
    recipe = (written.folder / "2/recipe.toml").read_text()
    assert recipe.startswith("# Command  featherweight train 2/recipe.toml --seeds 2\n# Time ")
    assert "mean (lowest to highest) of 2 seeds at the last epoch" in recipe
    network = (written.folder / "2/network.py").read_text()
    said = " ".join(network.split())
    assert "`featherweight search --data digits --max-parameters 500 --trials 9` (seed 3)" in said
    assert "candidate 6; 9 were tried on digits" in said and "RAM 2,500 bytes, flash 1,200 bytes" in said
    assert "dropout: float = 0.02" in network and "GainlessNorm" in network


def test_a_second_time_nothing_is_made_again(study, contents):
    before = contents(study.folder / "1") | contents(study.folder / "2")
    page = (study.folder / "front.html").read_text()
    assert study.write() == []
    assert contents(study.folder / "1") | contents(study.folder / "2") == before
    assert (study.folder / "front.html").read_text() == page


def test_code_of_the_same_runs_is_not_made_again(study, contents):
    before = contents(study.folder / "1/c")
    for file in study.folder.glob("runs/*/seed-1/model.safetensors"):
        file.unlink()       # without weights, nothing can be exported
    assert study.write(command="another command") == []
    assert "`another command`" in (study.folder / "1/network.py").read_text()
    assert {name: content for name, (content, _) in contents(study.folder / "1/c").items()} == {
        name: content for name, (content, _) in before.items()}


def test_a_smaller_front_replaces_a_larger_one(study):
    large = (study.folder / "2/network.py").read_text()
    largest = max(study.front.points, key=lambda point: point.costs.parameters)
    assert study.write(points=[largest]) == []
    assert not (study.folder / "2").exists()
    assert (study.folder / "1/network.py").read_text() == large
    assert study.write(points=[]) == [] and not (study.folder / "1").exists()
    assert "No network is chosen yet" in (study.folder / "front.html").read_text()


def test_before_the_end_there_is_no_code_and_later_it_comes(bare, written):
    assert bare.write() == []
    for number in ("1", "2"):
        assert {file.name for file in (bare.folder / number).iterdir()} == FILES - {"c"}
        Recipe.load(bare.folder / number / "recipe.toml")
    assert "Test images have not been used yet" in (bare.folder / "front.html").read_text()
    assert bare.write(points=written.front.points) == []
    assert (bare.folder / "1/c/ship.json").is_file()


def test_a_network_that_cannot_be_exported_is_a_note(study):
    for file in study.folder.glob("runs/*/seed-1/model.safetensors"):
        file.unlink()
    shutil.rmtree(study.folder / "1")
    notes = study.write()
    assert len(notes) == 1 and notes[0].startswith("network 1 has no C code: ") and "model.safetensors" in notes[0]
    assert (study.folder / "1/recipe.toml").is_file() and not (study.folder / "1/c").exists()


@pytest.mark.parametrize("name", ["front.json", "front.html", "1/network.py", "2/seeds.json", "1/c/main.c"])
def test_a_changed_file_is_not_replaced(study, name, contents):
    (study.folder / name).write_text("mine")
    before = contents(study.folder)
    with pytest.raises(FeatherweightError, match=r"is not replaced\. Move it"):
        study.write(seed=4)
    assert contents(study.folder) == before


def test_foreign_files_are_not_replaced(bare, contents):
    for name in ("1", "2"):
        place = bare.folder / name
        place.write_text("mine") if name == "1" else place.mkdir()
        before = contents(bare.folder)
        with pytest.raises(FeatherweightError, match="is not replaced"):
            bare.write()
        assert contents(bare.folder) == before
        place.unlink() if name == "1" else place.rmdir()
    (bare.folder / "1").symlink_to(bare.folder / "runs")
    with pytest.raises(FeatherweightError, match="is not replaced"):
        check_front(bare.folder, 2)


def test_notes_beside_the_files_are_kept_from_removal(study):
    (study.folder / "2/notes.txt").write_text("mine")
    with pytest.raises(FeatherweightError, match=r"notes\.txt"):
        study.write(points=study.front.points[:1])
    assert (study.folder / "2/notes.txt").read_text() == "mine"


def test_what_a_killed_process_left_is_removed(study):
    for name in (".1.0123abcd", ".1.0123abcd.old", ".mine"):
        (study.folder / name).mkdir()
    assert study.write() == []
    assert {file.name for file in study.folder.iterdir() if file.name.startswith(".")} == {".mine"}


def test_names_from_outside_stay_names(bare):
    evil = 'mnist\n"""\nimport os  # <script>'
    assert bare.write(command=evil, data=evil) == []
    recipe = (bare.folder / "1/recipe.toml").read_text()
    assert not any(line.startswith(("import", '"')) for line in recipe.splitlines())
    assert not any(line.startswith("import os") for line in (bare.folder / "1/network.py").read_text().splitlines())
    assert "<script" not in (bare.folder / "front.html").read_text()


def test_runs_that_are_not_finished_do_not_count(study):
    (study.folder / "runs/0/seed-2/result.json").unlink()
    assert study.write() == []
    changed = [json.loads((study.folder / f"{n}/seeds.json").read_text())["runs"] for n in (1, 2)]
    assert [len(runs) for runs in changed] == [0, 2]
