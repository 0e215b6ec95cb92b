"""Each benchmark runs at its smallest from another folder and writes what README promises; no time is asserted."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from featherweight.codegen.compiler import find_compiler
from featherweight.runs import Run

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
SPREAD = {"median", "min", "max", "all"}
PEERS = ["usual", "featherweight-compiled", "featherweight-torch", "featherweight-float32"]

ENGINES = ("torch", "compiled")


def start(script: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, BENCHMARKS / script, *arguments], cwd=folder, env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, check=False, timeout=300,
    )


def run(script: str, *arguments: str, folder: Path) -> dict[str, Any]:
    done = start(script, *arguments, "--out", "made/out.json", folder=folder)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    content = json.loads((folder / "made" / "out.json").read_text())
    assert {"benchmark", "command", "started", "settings", "machine", "results", "ratios"} <= set(content)
    assert {"processor", "cores", "threads", "versions", "load_average"} <= set(content["machine"])
    assert content["complete"] is True
    return content


def test_usual_loop_compares_the_peers_and_the_threads(tmp_path: Path) -> None:
    if find_compiler() is None:
        pytest.skip("no C compiler")
    arguments = ["--data", "digits", "--images", "64", "--batch-size", "32", "--repeats", "1", "--threads", "1", "2"]
    content = run(
        "usual_loop.py", *arguments, "--models", "session7-model2", "--peers", *PEERS, folder=tmp_path
    )
    results, ratios = content["results"]["session7-model2"], content["ratios"]["session7-model2"]
    assert {threads: list(found) for threads, found in results.items()} == {"2 threads": PEERS, "1 thread": PEERS[1:]}
    for peer, found in results["2 threads"].items():
        assert found["images"] == 64
        assert found["engine"] == ("torch" if peer in ("usual", "featherweight-torch") else "compiled")
        assert all(set(found[key]) == SPREAD for key in ("seconds", "images_per_second", "peak_mb"))
    assert results["2 threads"]["usual"]["workers_peak_mb"]["max"] > 0
    assert all(0 < results["1 thread"][peer]["augmentation_share"]["median"] < 1 for peer in PEERS[1:])
    engines = "featherweight-torch / featherweight-compiled"
    assert set(ratios["2 threads"]) == {*(f"usual / {peer}" for peer in PEERS[1:]), engines}
    assert set(ratios["1 thread"]) == {engines} and set(ratios["1 thread / 2 threads"]) == set(PEERS[1:])
    for peer, found in ratios["1 thread / 2 threads"].items():
        one, two = (results[threads][peer]["seconds"]["median"] for threads in ("1 thread", "2 threads"))
        assert found["median"] == pytest.approx(one / two, rel=0.2)
    assert len(content["raw"]) == 2 * len(PEERS) - 1


def test_usual_loop_has_lightning_as_a_peer(tmp_path: Path) -> None:
    if importlib.util.find_spec("lightning") is None:
        pytest.skip("lightning is not installed")
    arguments = ["--data", "digits", "--images", "64", "--batch-size", "32", "--repeats", "1"]
    content = run(
        "usual_loop.py", *arguments, "--models", "session7-model2", "--peers", "lightning", folder=tmp_path
    )
    assert content["machine"]["versions"]["lightning"]
    (measured,) = content["raw"]
    assert (measured["peer"], measured["precision"], measured["images"]) == ("lightning", "float32", 64)
    assert 0 < measured["train_loss"] < 10


def test_a_missing_lightning_is_one_line_and_the_others_go_on(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import usual_loop

    assert usual_loop.available([*PEERS, "lightning"], find=lambda name: None) == PEERS
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "python -m pip install -e '.[bench]'" in said


def test_kernels_compares_each_precision(tmp_path: Path) -> None:
    arguments = ["--models", "session6", "--blocks", "2", "--steps", "1", "--warm-up", "1", "--batch-size", "16"]
    content = run("kernels.py", "--parts", "narrow", *arguments, folder=tmp_path)
    for precision in ("float32", "bf16"):
        assert set(content["ratios"]["session6"][precision]["torch / narrow"]) == SPREAD
        found = content["results"]["session6"][precision]
        assert all(len(found[name]["step_ms"]["all"]) == 2 for name in ("torch", "narrow"))
    operations = {(one["operation"], tuple(one["shape"])) for one in content["operations"]}
    assert {("batch_norm", (16, 16, 26, 26)), ("dropout", (16, 16, 11, 11))} <= operations
    assert len(content["operations"]) == 2 * len(operations)
    assert all(set(one["torch / narrow"]) == SPREAD for one in content["operations"])


def test_kernels_hold_each_layer_against_the_peak(tmp_path: Path) -> None:
    if find_compiler() is None:
        pytest.skip("no C compiler")
    arguments = ["--models", "feather-8k", "--precisions", "bf16", "--warm-up", "1", "--rounds", "3"]
    content = run("kernels.py", "--parts", "layers", *arguments, "--compilations", "1", folder=tmp_path)
    found = content["layers"]["feather-8k"]["bf16"]
    first, depthwise, *_ = found["stages"]
    assert (first["shape"], first["kernel"], depthwise["kernel"]) == ([10, 26, 26], "3x3", "3x3 g10")
    operations = 128 * 2 * 10 * 26 * 26 * 9
    speed = first["forward"]["gflops"]
    assert speed == pytest.approx(1e-3 * operations / first["forward"]["us"]["best"], rel=0.01)
    peak = found["peak_gflops"]["bf16"] or found["peak_gflops"]["float32"]
    assert first["forward"]["of_peak"] == pytest.approx(speed / peak, abs=0.01)
    assert depthwise["backward"]["of_peak"] == pytest.approx(
        depthwise["backward"]["gflops"] / found["peak_gflops"]["float32"], abs=0.01)
    assert 0 < found["us"]["forward"]["best"] <= found["us"]["forward"]["median"] < found["us"]["step"]["median"]
    assert {name: set(one) for name, one in found["compilation"].items()} == dict.fromkeys(
        ("recording", "compiled", "from_cache"), SPREAD
    )
    assert found["compilation"]["from_cache"]["median"] < found["compilation"]["compiled"]["median"]


def test_startup_compares_with_python_and_torch(tmp_path: Path) -> None:
    content = run("startup.py", "--repeats", "1", "--heavy-repeats", "1", folder=tmp_path)
    assert len(content["results"]) == 4
    assert all(set(found["seconds"]) == SPREAD for found in content["results"].values())
    assert len(content["ratios"]) == 2


def test_workbook_compares_with_openpyxl(tmp_path: Path) -> None:
    content = run("workbook.py", "--repeats", "1", folder=tmp_path)
    assert set(content["results"]) == {"six sheets, 70 updates", "one sheet, 1,000 updates"}
    for found in content["results"].values():
        assert {name: set(seconds) for name, seconds in found.items()} == dict.fromkeys(
            ("featherweight", "openpyxl", "command"), SPREAD
        )
    assert len(content["ratios"]) == 2


def test_pages_compare_with_evaluating(tmp_path: Path) -> None:
    content = run("pages.py", "--repeats", "1", "--runs", "1", "--data", "digits", folder=tmp_path)
    found = content["results"]["1 run"]
    assert all(set(found[name]) == SPREAD for name in ("report", "evaluate", "command"))
    assert 100 < found["page_kb"] < 3000
    assert len(content["ratios"]) == 1


def test_recipes_keep_every_seed_and_add_more(tmp_path: Path) -> None:
    digits = ["--train", "--data", "digits", "--set", "training.epochs=1", "--set", "training.engine=torch"]
    for first, last in (("1", "1"), ("2", "2")):
        command = ["feather-1k", "--first", first, "--seeds", last, "--runs", f"runs{first}", "--out", "made"]
        done = start("recipes.py", *command, *digits, folder=tmp_path)
        assert done.returncode == 0 and "Traceback" not in done.stderr, done.stderr
    file = tmp_path / "made" / "feather-1k.json"
    content = json.loads(file.read_text())
    assert content["complete"] and content["machine"]["processor"] and content["settings"]["seeds"] == [2]
    assert [one["seed"] for one in content["seeds"]] == content["summary"]["seeds"] == [1, 2]
    assert all(len(one["commit"]) >= 40 and one["threads"] == 1 for one in content["seeds"])
    assert all(one["engine"] in ENGINES for one in content["seeds"]) and content["seconds_of_the_command"] > 0
    accuracies = [one["test"]["class"]["accuracy"] for one in content["seeds"]]
    found = content["summary"]["test"]["class"]
    assert found["accuracies"] == accuracies and found["count"] == 2
    assert found["mean"] == pytest.approx(sum(accuracies) / 2)
    pupils = ["--teacher", "runs2/feather-1k", "--set", "optimizer.lr=0.02", "--seeds", "1", "--runs", "pupils"]
    done = start("recipes.py", "feather-1k", *pupils, "--out", "made", *digits, folder=tmp_path)
    assert done.returncode == 0 and "the network predicts" in done.stderr, done.stderr
    pupil = json.loads((tmp_path / "made" / "taught" / file.name).read_text())
    assert pupil["teacher"] == {"path": "runs2/feather-1k", "recipe": "feather-1k", "seeds": [2]}
    assert pupil["recipe"]["distillation"]["teacher"] == "runs2/feather-1k" and len(pupil["seeds"]) == 1
    assert pupil["recipe"]["optimizer"]["lr"] == 0.02 and pupil["set"] == ["optimizer.lr=0.02"]
    assert (tmp_path / "pupils" / "taught" / "feather-1k" / "seed-1" / "result.json").exists()
    done = start("recipes.py", "feather-1k", "--out", "made", "--set", "optimizer.lr=0.02", folder=tmp_path)
    assert done.returncode == 2 and "--set optimizer.lr=0.02 is for pupils" in done.stderr
    file.write_text(file.read_text().replace('"lr": 0.1', '"lr": 0.2'))
    done = start("recipes.py", "feather-1k", "--first", "4", "--seeds", "4", "--out", "made", folder=tmp_path)
    assert done.returncode == 2 and "another recipe by this name" in done.stderr and "Traceback" not in done.stderr


def test_replicas_compare_with_one_after_another(tmp_path: Path) -> None:
    arguments = ["--recipe", "feather-1k", "--data", "digits", "--epochs", "1", "--seeds", "2", "--repeats", "1"]
    content = run("replicas.py", *arguments, folder=tmp_path)
    assert {name: set(found) for name, found in content["results"].items()} == dict.fromkeys(
        ("one seed alone", "all seeds"), SPREAD
    )
    (found,) = content["ratios"].values()
    together, alone = (content["results"][name]["median"] for name in ("all seeds", "one seed alone"))
    assert found["median"] == pytest.approx(together / (2 * alone), abs=0.01)
    assert content["engine"] in ENGINES


def test_busy_compares_with_one_thread_alone(tmp_path: Path) -> None:
    small = ["--recipe", "feather-1k", "--data", "digits", "--repeats", "1", "--engine", "torch"]
    content = run("busy.py", *small, folder=tmp_path)
    assert {name: set(found["seconds"]) for name, found in content["results"].items()} == dict.fromkeys(
        ("one thread, alone", "default settings, alone", "default settings, one core busy",
         "torch's own settings, one core busy"), SPREAD
    )
    assert len(content["ratios"]) == 3 and content["engine"] == "torch"
    assert content["settings"]["overrides"] == ["training.epochs=1", "training.engine=torch"]


def test_gpu_measures_one_seed_fast_and_many_together(tmp_path: Path) -> None:
    once = ["--set", "training.epochs=1", "--set", "data.upright=false", "--set", "training.engine=torch"]
    arguments = ["--device", "cpu", "--data", "digits", "--parts", "fast", "seeds", "--seeds", "1", "--replicas", "2"]
    content = run("gpu.py", *arguments, *once, folder=tmp_path)
    fast, many = content["results"]["feather-fast"], content["results"]["2 seeds of feather-8k"]
    assert set(fast["seconds"]) == SPREAD and 0 < fast["mean_accuracy"] <= 1
    assert set(many["accuracy"]) == {"1", "2"} and many["summary"]["class"]["count"] == 2
    assert content["machine"]["device"] == "cpu"


def test_time_to_accuracy_measures_both(tmp_path: Path) -> None:
    content = run("time_to_accuracy.py", "--data", "digits", "--seeds", "1", "--epochs", "1", folder=tmp_path)
    ours, usual = content["results"]["feather-fast"], content["results"]["usual loop, session6"]
    assert set(ours["seconds"]) == SPREAD and 0 < ours["mean_accuracy"] <= 1 and ours["engine"] in ENGINES
    assert usual["epochs"] == 1 and usual["curve"] == [usual["accuracy"]] and usual["seconds"] > 0
    assert set(content["ratios"]["usual / feather-fast"]) == SPREAD


def test_pictures_hold_each_condition_against_the_plain_accuracy(tmp_path: Path, digits_run: Run) -> None:
    arguments = ["--images", "3", "--only", "large", "shadow", "thin pen", "ruled"]
    content = run("pictures.py", str(digits_run.path), *arguments, folder=tmp_path)
    assert list(content["results"]) == ["large", "shadow", "thin pen", "ruled"]
    assert all(0 <= found["accuracy"] <= 1 for found in content["results"].values())


def test_a_run_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    for script in ("pictures.py", "many.py"):
        done = start(script, "nowhere", "--out", "out.json", folder=tmp_path)
        assert done.returncode == 2 and "run 'nowhere' does not exist" in done.stderr
        assert "Traceback" not in done.stderr and not (tmp_path / "out.json").exists()


def test_others_measures_pictures_by_source_and_doubt(tmp_path: Path, digits_run: Run) -> None:
    folder = tmp_path / "pictures"
    (folder / "mine").mkdir(parents=True)
    ground = Image.new("L", (60, 60), 255)
    ground.paste(0, (28, 10, 34, 50))
    ground.save(folder / "mine" / "one.png")
    (folder / "manifest.tsv").write_text("file\tdigit\nmine/one.png\t1\n")
    content = run("others.py", str(digits_run.path), "--pictures", str(folder), "--count", "2", folder=tmp_path)
    kinds = ["letters", "signs", "scribbles", "faces", "empty paper"]
    assert list(content["results"]) == ["mine", "all", *kinds]
    assert all(0 <= content["results"][kind]["doubted"] <= 1 for kind in kinds)


def test_many_measures_each_kind_of_page(tmp_path: Path, digits_run: Run) -> None:
    content = run("many.py", str(digits_run.path), "--pages", "2", "--singles", "3", folder=tmp_path)
    pages = {name: found for name, found in content["results"].items() if "found" in found}
    assert len(pages) == 10 and content["results"]["single digits split"]["of"] == 3
    assert all(0 <= found["read"] <= 1 and found["milliseconds"] > 0 for found in pages.values())


def test_shipping_measures_every_form_and_the_first_answer(tmp_path: Path, digits_run: Run) -> None:
    content = run("shipping.py", str(digits_run.path), "--repeats", "1", folder=tmp_path)
    (found,) = content["results"].values()
    assert set(found["forms"]) == {"torch", "onnx", "onnx-int8", "c", "c-int8"}
    assert all(0 < form["heads"]["class"]["accuracy"] <= 1 for form in found["forms"].values())
    assert found["forms"]["c"]["verdict"]["holds"] and found["forms"]["c-int8"]["ram"] < found["forms"]["c"]["ram"]
    assert {name: set(one["seconds"]) for name, one in content["first_answer"].items()} == dict.fromkeys(
        ("bundle", "run"), SPREAD
    )


def test_explore_trains_what_a_line_of_words_says_and_looks_at_no_test_image(tmp_path: Path) -> None:
    digits = ["--set", "data.dataset=digits", "data.validation=200", "training.epochs=1", "training.engine=torch"]
    words = "z1 c4 C4 k4 s6 S6 p x6t2 w6t1 e6 n6 t8 q g h"
    done = start("explore.py", words, "--seeds", "1", "2", "--log", "log.jsonl", *digits, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    first, second = map(json.loads, (tmp_path / "log.jsonl").read_text().splitlines())
    convolutions = 36 + 144 + 16 + (36 + 24) + 4 * (54 + 36) + 36 + 432
    assert first["parameters"] == convolutions + 2 * (4 + 4 + 4 + 6 + 6 + (6 + 6) + 6 + (6 + 6) + 6 + 8) + 90
    assert (first["seed"], second["seed"]) == (1, 2) and first["validation"] != second["validation"]
    assert set(first) == {
        "network", "settings", "seed", "parameters", "validation", "train_accuracy", "seconds",
    }
    done = start("explore.py", "c4 v9 h", *digits, folder=tmp_path)
    assert done.returncode == 2 and "word 2 'v9'" in done.stderr and "Traceback" not in done.stderr


def test_data_that_are_not_there_are_one_line(tmp_path: Path) -> None:
    arguments = ["--data-dir", "nowhere", "--peers", "usual", "--repeats", "1", "--out", "out.json"]
    done = start("usual_loop.py", *arguments, folder=tmp_path)
    assert done.returncode == 2
    assert "nowhere" in done.stderr
    assert "Traceback" not in done.stderr
    assert json.loads((tmp_path / "out.json").read_text())["complete"] is False


def test_per_image_transforms_do_what_their_batched_kin_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import per_image

    image = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    image[0, 0, 10, 14:20] = 255
    still = per_image.Compose([per_image.RandomAffine(0, 0, (1, 1)), per_image.ToTensor()])
    pixels, label = per_image.PictureDataset(image, torch.tensor([3]), still)[0]
    assert torch.equal(pixels, image[0].float() / 255)
    assert label == 3
    turned = per_image.inverse_affine((14, 14), torch.pi / 2, (0, 0), 1.0)
    assert turned == pytest.approx([0, 1, 0, -1, 0, 28])    # a quarter turn about the centre
    normalised = per_image.Normalize([0.5], [0.25])(pixels)
    assert normalised.min().item() == -2
    assert normalised.max().item() == 2


def test_serve_load_loses_nothing(tmp_path: Path) -> None:
    few = ["--model", "feather-1k", "--repeats", "1", "--requests", "150", "--single", "5"]
    content = run("serve_load.py", *few, folder=tmp_path)
    results = content["results"]
    assert all(set(found) == SPREAD for found in results.values())
    assert {"pictures_a_second", "p50_ms", "p99_ms", "single_p50_ms", "memory_after_mb"} <= set(results)
    assert (results["lost"]["max"], results["exit_code"]["max"]) == (0, 143)
    assert content["ratios"]["served / without a server"]["median"] > 0


def test_search_is_held_against_random_search(tmp_path: Path) -> None:
    arguments = ["--data", "digits", "--repeats", "1", "--trials", "2", "--epochs", "1", "--parameters", "300"]
    content = run("search.py", *arguments, "--stubs", "40", folder=tmp_path)
    found = content["results"]["hypervolume"]
    kinds = ["random", "random after the starts"]
    assert list(found) == ["search", *kinds] and all(one["median"] > 0 for one in found.values())
    assert all(content["ratios"][f"hypervolume: search better than {kind}"] in ("0 of 1", "1 of 1") for kind in kinds)
    assert content["results"]["growth"]["tasks"] >= 40 and content["results"]["growth"]["resume_seconds"] >= 0


def test_crews_keep_every_task_and_every_slot(tmp_path: Path) -> None:
    """The other parts start Ray clusters. tests/crews does the same, smaller."""
    content = run("crews.py", "--parts", "nodes", "--simulated", "20", "--seconds", "0.05", folder=tmp_path)
    found = content["results"]["nodes"]
    assert 0 < found["utilisation"] <= 1 and found["driver_tasks_a_second"] > 0
