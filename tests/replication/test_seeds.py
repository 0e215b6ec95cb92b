"""Many seeds of one recipe: the same as each alone, resumable, and never a summary of chosen ones."""

from __future__ import annotations

import multiprocessing
import os
import shutil
import signal
import threading
import time

import pytest
import torch

from featherweight import experiment
from featherweight.cores import free_cores
from featherweight.errors import RecipeError, RunError, TrainingInterrupted
from featherweight.files import names_in
from featherweight.preparation import load_data
from featherweight.replication import Replicas, train_seeds
from featherweight.replication.job import Job, Unwatched
from featherweight.replication.one_process import can_keep_step, train_in_one_process
from featherweight.replication.seeds import describe
from featherweight.runs import Run, open_runs
from featherweight.statistics import bootstrap_interval

EVERYTHING = {
    "augmentation": {"rotation": 7.0}, "data": {"validation": 100}, "training": {"epochs": 2, "ema": 0.9},
}


@pytest.fixture(scope="module")
def replicas(digits_recipe, tmp_path_factory):
    return train_seeds(digits_recipe(**EVERYTHING), [3, 1, 7], tmp_path_factory.mktemp("runs") / "three")


def same_weights(one, other):
    first, second = one.weights(), other.weights()
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


def test_a_replica_is_its_seed_trained_alone_bit_for_bit(digits_recipe, replicas, tmp_path):
    for seed in (1, 7):
        alone = experiment.train_recipe(digits_recipe(**EVERYTHING).with_seed(seed), tmp_path / f"{seed}")
        assert same_weights(alone, replicas.run(seed))
        lines = [[{k: v for k, v in line.items() if k != "seconds"} for line in run.history]
                 for run in (alone, replicas.run(seed))]
        assert lines[0] == lines[1] and alone.result["test"] == replicas.run(seed).result["test"]
        assert replicas.run(seed).environment["threads"] == 1
    assert not same_weights(replicas.run(1), replicas.run(7))


def test_the_summary_is_of_all_seeds(replicas):
    summary, runs = replicas.summary, replicas.runs
    assert replicas.seeds == [1, 3, 7] and summary["seeds"] == [3, 1, 7]
    accuracies = [replicas.run(seed).result["test"]["class"]["accuracy"] for seed in summary["seeds"]]
    found = summary["test"]["class"]
    statistics, recall = describe(accuracies), found["recall"]
    assert found == statistics | {"recall": recall, "macro_recall": pytest.approx(sum(recall) / 10)}
    of_seven = [run.result["test"]["class"]["recall"][7] for run in runs]
    assert recall[7] == pytest.approx(sum(of_seven) / 3) and found["count"] == 3 and found["accuracies"] == accuracies
    assert found["lowest"] <= found["interval"][0] <= found["mean"] <= found["interval"][1] <= found["highest"]
    assert tuple(found["interval"]) == bootstrap_interval(accuracies)
    assert summary["wall_seconds"] > 0 and summary["goal"]["met"] is None
    assert summary["parameters"] == runs[0].result["parameters"]


def test_the_goal_is_judged_on_the_mean(digits_recipe, replicas, tmp_path):
    low, mean = (replicas.summary["test"]["class"][key] for key in ("lowest", "mean"))
    assert low < mean
    recipe = digits_recipe(**EVERYTHING, goal={"accuracy": mean})
    assert train_seeds(recipe, [3, 1, 7], tmp_path / "again").summary["goal"]["met"]


def test_adding_seeds_trains_only_those(digits_recipe, replicas, tmp_path):
    copy = Replicas(shutil.copytree(replicas.path, tmp_path / "copy"))
    before = {run.path: (run.path / "model.safetensors").stat().st_mtime_ns for run in copy.runs}
    more = train_seeds(digits_recipe(**EVERYTHING), [3, 1, 7, 2], copy.path, resume=True)
    assert more.seeds == [1, 2, 3, 7] and more.summary["test"]["class"]["count"] == 4
    assert more.summary["wall_seconds"] is None
    assert {path: (path / "model.safetensors").stat().st_mtime_ns for path in before} == before


def test_what_a_folder_holds_is_not_lost(digits_recipe, replicas, tmp_path):
    recipe = digits_recipe(**EVERYTHING)
    with pytest.raises(RunError, match="resume=True goes on"):
        train_seeds(recipe, [1, 3, 7], replicas.path)
    with pytest.raises(RunError, match="not among those given"):
        train_seeds(recipe, [1], replicas.path, resume=True)
    with pytest.raises(RunError, match="was started with another"):
        train_seeds(digits_recipe(), replicas.seeds, replicas.path, resume=True)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").touch()
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"holds 'thesis.txt'"):
        train_seeds(recipe, [1], tmp_path / "full", force=True)
    with pytest.raises(RunError, match="is a file"):
        train_seeds(recipe, [1], tmp_path / "file", force=True)
    assert Run.open(replicas.run(1).path).finished


def test_force_replaces_only_runs(digits_recipe, tmp_path):
    train_seeds(digits_recipe(), [1, 2], tmp_path / "runs")
    (tmp_path / "runs" / "seed-1" / "notes.txt").touch()
    with pytest.raises(RunError, match=r"seed-1/notes.txt"):
        train_seeds(digits_recipe(), [3], tmp_path / "runs", force=True)
    (tmp_path / "runs" / "seed-1" / "notes.txt").unlink()
    assert train_seeds(digits_recipe(), [3], tmp_path / "runs", force=True).seeds == [3]


def test_a_stop_leaves_all_resumable(digits_recipe, tmp_path):
    recipe = digits_recipe(training={"epochs": 100})
    out = tmp_path / "runs"

    def stop_soon():
        while not all((out / f"seed-{seed}" / "history.jsonl").exists() for seed in (1, 2)):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop_soon)
    thread.start()
    with pytest.raises(TrainingInterrupted, match="0 of 3 seeds trained"):
        train_seeds(recipe, [1, 2, 3], out)
    thread.join()
    with pytest.raises(RunError, match="not all of its seeds are trained"):
        Replicas(out).summary  # noqa: B018
    stopped_at = [len(run.history) for run in Replicas(out).runs]
    assert all(0 < epochs < 100 for epochs in stopped_at)
    done = train_seeds(recipe, [1, 2, 3], out, resume=True)
    assert done.summary["wall_seconds"] is None      # of which this call did only the rest
    assert same_weights(done.run(2), experiment.train_recipe(recipe.with_seed(2), tmp_path / "alone"))


def test_killed_workers_are_replaced_and_go_on(digits_recipe, tmp_path):
    recipe, killed = digits_recipe(training={"epochs": 60}), []

    def kill_both():
        while not all((tmp_path / "runs" / f"seed-{seed}" / "history.jsonl").exists() for seed in (1, 2)):
            time.sleep(0.05)
        for process in multiprocessing.active_children():
            killed.append(process.pid)
            os.kill(process.pid, signal.SIGKILL)

    thread = threading.Thread(target=kill_both)
    thread.start()
    done = train_seeds(recipe, [1, 2], tmp_path / "runs")
    thread.join()
    assert len(killed) == min(2, free_cores()) and done.summary["test"]["class"]["count"] == 2
    alone = experiment.train_recipe(recipe.with_seed(1), tmp_path / "alone")
    assert same_weights(alone, done.run(1)) and len(done.run(1).history) == 60


def test_a_seed_that_fails_leaves_no_summary_of_the_others(digits_recipe, network_file, tmp_path):
    network = network_file(
        "import torch\nfrom torch import nn\n"
        "class Moody(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(784, 10))\n"
        "        self[1].weight.data.mul_(float('inf') if torch.initial_seed() == 2 else 1)\n"
    )
    recipe = digits_recipe(model={"name": f"{network}:Moody"})
    with pytest.raises(RunError, match=r"1 of 3 seeds failed, so there is no summary\. Seed 2: the loss became"):
        train_seeds(recipe, [1, 2, 3], tmp_path / "runs")
    assert [run.finished for run in Replicas(tmp_path / "runs").runs] == [True, False, True]
    assert not (tmp_path / "runs" / "summary.json").exists()


WRONG = [([], "no seeds"), ([1, 2, 1], "seed 1 is given twice"), ([-1], "seed -1")]


@pytest.mark.parametrize(("seeds", "words"), WRONG)
def test_seeds_are_checked(digits_recipe, tmp_path, seeds, words):
    with pytest.raises(RecipeError, match=words):
        train_seeds(digits_recipe(), seeds, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_a_recipe_that_cannot_be_trained_makes_no_folder(digits_recipe, tmp_path):
    with pytest.raises(RecipeError):
        train_seeds(digits_recipe(optimizer={"lr": -1}), [1], tmp_path / "runs")
    with pytest.raises(Exception, match="validation: 99999"):
        train_seeds(digits_recipe(data={"validation": 99999}), [1], tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_runs_are_found_in_either_kind_of_folder(replicas, digits_run, tmp_path):
    assert [run.path for run in open_runs(replicas.path)] == [run.path for run in replicas.runs]
    assert [run.path for run in open_runs(digits_run.path)] == [digits_run.path]
    with pytest.raises(RunError, match="does not exist"):
        open_runs(tmp_path / "nothing")


# ---- all seeds in one process, as a GPU trains them; here on the CPU ----


class Listener(Unwatched):
    def __init__(self):
        self.finished, self.standings = [], []

    def on_standing(self, seed, standing):
        self.standings.append((seed, standing.steps))

    def on_finish(self, seed, result):
        self.finished.append((seed, result["seed"]))


def job_of(recipe, path):
    path.mkdir(exist_ok=True)
    return Job(recipe, load_data(recipe, None), "cpu", Replicas(path))


def test_one_process_leaves_the_same_folders_as_processes(digits_recipe, replicas, tmp_path):
    listener, job = Listener(), job_of(digits_recipe(**EVERYTHING), tmp_path / "runs")
    assert train_in_one_process(job, [3, 1, 7], listener, bool) == [3, 1, 7]
    in_step = Replicas(tmp_path / "runs")
    assert listener.finished == [(3, 3), (1, 1), (7, 7)] and in_step.seeds == replicas.seeds
    for one, other in zip(replicas.runs, in_step.runs, strict=True):
        assert names_in(one.path) == names_in(other.path) and one.result.keys() == other.result.keys()
        assert [line.keys() for line in one.history] == [line.keys() for line in other.history]
        assert one.recipe == other.recipe and one.weights().keys() == other.weights().keys()
        # dropout draws other numbers, all else is the same
        assert other.history[-1]["train_loss"] == pytest.approx(one.history[-1]["train_loss"], abs=0.1)
        assert other.history[-1]["curve"]["class"]["count"] == 100


def test_one_process_that_is_stopped_goes_on(digits_recipe, tmp_path):
    job, steps = job_of(digits_recipe(training={"epochs": 3}), tmp_path / "runs"), []
    assert train_in_one_process(job, [1, 2], Unwatched(), lambda: steps.append(1) or len(steps) > 30) == []
    assert not any(run.finished for run in job.replicas.runs)
    begun = [len(run.history) for run in job.replicas.runs]
    assert begun[0] == begun[1] and 0 < begun[0] < 3
    listener = Listener()
    assert train_in_one_process(job, [1, 2, 9], listener, bool) == [9, 1, 2]    # the new one alone, then the others
    assert [len(run.history) for run in job.replicas.runs] == [3, 3, 3]
    assert all(run.finished for run in job.replicas.runs)


def test_only_a_gpu_trains_them_in_one_process_and_only_what_keeps_step(digits_recipe):
    assert can_keep_step(digits_recipe(), torch.device("cuda"))
    assert not can_keep_step(digits_recipe(), torch.device("cpu"))
    plateau = digits_recipe(schedule={"name": "plateau"}, data={"validation": 100})
    assert not can_keep_step(plateau, torch.device("cuda"))
    assert can_keep_step(digits_recipe(training={"fraction": 0.5}), torch.device("cuda"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_on_a_gpu_a_replica_is_its_seed_trained_alone(digits_recipe, network_file, tmp_path):
    network = network_file(
        "from torch import nn\n"
        "class Plain(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Conv2d(1, 4, 3, stride=3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(),\n"
        "                         nn.Linear(324, 10))\n"
    )
    recipe = digits_recipe(model={"name": f"{network}:Plain"}, augmentation={"rotation": 7.0})
    together = train_seeds(recipe, [1, 2], tmp_path / "runs", device="cuda")
    for run in together.runs:
        alone = experiment.train_recipe(run.recipe, tmp_path / f"{run.path.name}", device="cuda")
        assert run.history[-1]["train_loss"] == pytest.approx(alone.history[-1]["train_loss"], abs=1e-4)


@pytest.mark.parametrize("text", ["[]", "[" * 100_000, '{"test": NaN}'])
def test_a_summary_that_cannot_be_read(tmp_path, text):
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(RunError, match=r"summary\.json (is not JSON|holds no JSON object)"):
        assert Replicas(tmp_path).summary
