"""The commands that train: train, and demo, which trains on available data and shows the result."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from featherweight.cli import completion
from featherweight.cli.options import Data, DataDir, Device, Force, Json, Quiet, Trust
from featherweight.cli.output import hushed, note, save_png, show, show_json, status
from featherweight.outside import say

if TYPE_CHECKING:
    from torch import Tensor

    from featherweight.recipe import Recipe
    from featherweight.runs import Run


def train(
    recipe: Annotated[
        str | None,
        typer.Argument(
            metavar="RECIPE|MODEL", autocompletion=completion.recipe_names,
            help="Recipe: a name from `featherweight recipes`, or a .toml file. Or a network, such as model.py:Net, "
            "with the default settings. Default: the recipe of --from.",
        ),
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Recipe value to set, such as training.epochs=1. Repeatable."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option("--epochs", metavar="N", help="Short for --set training.epochs=N.")
    ] = None,
    lr: Annotated[float | None, typer.Option("--lr", metavar="X", help="Short for --set optimizer.lr=X.")] = None,
    batch_size: Annotated[
        int | None, typer.Option("--batch-size", metavar="N", help="Short for --set training.batch_size=N.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Short for --set training.seed=N.")] = None,
    seeds: Annotated[
        str | None,
        typer.Option(
            "--seeds", metavar="N|A,B,...", help="Seeds to train, one run each: 1 to N, or the seeds A, B, ..."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Folder to write. Default: runs/NAME-seedN, or runs/NAME-Nseeds."),
    ] = None,
    start: Annotated[
        Path | None, typer.Option("--from", metavar="RUN", help="Finished run whose weights training starts from.")
    ] = None,
    data: Data = None,
    data_dir: DataDir = None,
    device: Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted run where it stopped.")] = False,
    force: Force = False,
    skip_damaged: Annotated[
        bool,
        typer.Option("--skip-damaged", help="Leave out pictures that cannot be read. As data.skip_damaged=true."),
    ] = False,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="Do not write report.html into the run folder.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with code 1 if the goal is not met.")] = False,
    on: Annotated[
        str,
        typer.Option(
            "--on", metavar="local|ray[:HOST:PORT]", help="Place that trains --seeds: this machine or a Ray cluster."
        ),
    ] = "local",
    storage: Annotated[
        str | None,
        typer.Option(
            "--storage", metavar="DIR|URL", help="With --on ray: place for checkpoints that all nodes share."
        ),
    ] = None,
    trust: Trust = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train a recipe and write a run folder.

    With --seeds: one run folder per seed, and a summary of all seeds.
    """
    if recipe is None and start is None:
        raise typer.BadParameter("Missing argument 'RECIPE'. Give one, such as session7-model2, or --from RUN.")
    short = {"training.epochs": epochs, "optimizer.lr": lr, "training.batch_size": batch_size, "training.seed": seed}
    settings = with_short(set or [], short)
    if seeds is not None and "training.seed" in map(key_of, settings):
        raise typer.BadParameter("--seeds and --seed (or --set training.seed) both name the seed. Give one of them.")
    settings += ["data.skip_damaged=true"] if skip_damaged else []
    settings += [f"data.dataset={json.dumps(data, ensure_ascii=False)}"] if data else []
    if seeds is None and on != "local":
        raise typer.BadParameter(f"--on {on} trains many seeds. Give them with --seeds, or leave out --on.")
    if storage is not None and on == "local":
        raise typer.BadParameter("--storage is for the nodes of a cluster. Give --on ray too, or leave out --storage.")
    how = Switches(data_dir, device, resume, force, no_report, on, storage)
    loaded = load_recipe(recipe, start, settings, data_dir)
    report_of, result = train_run(loaded, out, how) if seeds is None else train_replicas(loaded, seeds, out, how)
    if as_json:
        show_json({"run": str(report_of), **result})
    else:
        show_result(report_of, result)
    if strict and result["goal"]["met"] is False:
        raise typer.Exit(1)


def load_recipe(name: str | None, start: Path | None, settings: Sequence[str], data_dir: Path | None = None) -> Recipe:
    """Return the recipe of this name or file, or the default recipe of a network such as "model.py:Net".

    start: a finished run whose weights are the first weights. Without a name, its recipe is used.
    """
    from featherweight.continuation import recipe_from
    from featherweight.data.sources import SOURCES
    from featherweight.defaults import recipe_of
    from featherweight.models import full_name
    from featherweight.preparation import load_data
    from featherweight.user_code import ENDINGS

    if name is None or not (":" in name or name.endswith(ENDINGS)):
        return recipe_from(start, name, settings)
    recipe = recipe_of(full_name(name), settings)
    open_size = "training.batch_size" not in map(key_of, settings)
    if open_size and recipe.data.dataset not in SOURCES:      # a path: its number of images decides on the batch size
        recipe = recipe_of(full_name(name), settings, len(load_data(recipe, data_dir).train))
    return recipe_from(start, recipe) if start else recipe


def with_short(settings: Sequence[str], short: Mapping[str, object]) -> list[str]:
    """Return the settings of --set and those of the short options. short: key of a recipe -> value or None.

    Raises typer.BadParameter for a key that is set in both ways.
    """
    given = {key: value for key, value in short.items() if value is not None}
    for key in map(key_of, settings):
        if key in given:
            option = "--" + key.rpartition(".")[2].replace("_", "-")
            raise typer.BadParameter(f"{option} and --set {key} both set the same value. Give one of them.")
    return [*settings, *(f"{key}={value}" for key, value in given.items())]


def key_of(setting: str) -> str:
    """Return the key of a setting: "training.seed = 3" -> "training.seed"."""
    return setting.partition("=")[0].strip()


@dataclass(frozen=True)
class Switches:
    """The options of train that apply to one seed and to many seeds alike."""

    data_dir: Path | None
    device: str
    resume: bool
    force: bool
    no_report: bool
    on: str
    storage: str | None


def train_run(recipe: Recipe, out: Path | None, how: Switches) -> tuple[Path, dict[str, Any]]:
    """Train one seed. Return the run folder and its result."""
    from featherweight.budgets.chip import code_size
    from featherweight.experiment import default_out
    from featherweight.experiment import train_recipe as run_training
    from featherweight.progress import Progress

    choose_threads((out or default_out(recipe)) / "environment.json" if how.resume else None)
    with Progress(quiet=hushed.get()) as progress:
        run = run_training(
            recipe, out,
            data_dir=how.data_dir, device=how.device, resume=how.resume, force=how.force, watcher=progress,
            measure_code=code_size,
        )
    if not how.no_report:
        write_page([run], run.path, how.data_dir)
    return run.path, run.result


def choose_threads(before: Path | None) -> None:
    """Let torch use the cores that no other program keeps busy, unless OMP_NUM_THREADS says how many.

    Threads that share a core with another program would make each other wait.
    before: environment.json of the run to resume. The same number of threads gives the same weights, bit for bit.
    """
    import torch

    from featherweight.cores import unused_cores
    from featherweight.documents import parse_json

    if "OMP_NUM_THREADS" in os.environ:
        return
    possible, recorded = torch.get_num_threads(), None
    with suppress(OSError, ValueError, AttributeError):     # no such run: the training tells it
        recorded = parse_json(before.read_text()).get("threads") if before else None
    threads = recorded if isinstance(recorded, int) else unused_cores()
    if 1 <= threads < possible:
        torch.set_num_threads(threads)
    if recorded is None and threads < possible:
        note(f"Other programs are busy: {threads} of {possible} threads train.")


def train_replicas(recipe: Recipe, seeds: str, out: Path | None, how: Switches) -> tuple[Path, dict[str, Any]]:
    """Train several seeds. Return the folder that holds all runs, and their summary."""
    from featherweight.budgets.chip import code_size
    from featherweight.progress import SeedsProgress
    from featherweight.replication import train_seeds

    with SeedsProgress(quiet=hushed.get()) as progress:
        replicas = train_seeds(
            recipe, parse_seeds(seeds), out,
            data_dir=how.data_dir, device=how.device, resume=how.resume, force=how.force, watcher=progress,
            measure_code=code_size,
            on=how.on, storage=how.storage,
        )
    if not how.no_report:
        write_page(replicas.runs, replicas.path, how.data_dir)
    return replicas.path, replicas.summary


def parse_seeds(text: str) -> list[int]:
    """Parse --seeds: "20" -> [1, 2, ..., 20], "3,7,11" -> [3, 7, 11], "7," -> [7].

    Raises typer.BadParameter for other text.
    """
    parts = [part.strip() for part in text.removesuffix(",").split(",")]
    if not all(part.isdecimal() for part in parts):
        raise typer.BadParameter(f"{text!r} is neither a count of seeds, such as 20, nor a list, such as 3,7,11.")
    numbers = [int(part) for part in parts]
    if "," in text:
        return numbers
    if not 1 <= numbers[0] <= 10_000:
        raise typer.BadParameter(f"{text!r} is no count of seeds between 1 and 10000.")
    return list(range(1, numbers[0] + 1))


def write_page(runs: Sequence[Run], folder: Path, data_dir: Path | None) -> None:
    """Write report.html for one run or several. If the report fails, print a note: the training itself succeeded."""
    from featherweight.errors import FeatherweightError
    from featherweight.report import write_report

    try:
        with status("writing the report"):
            write_report(runs, folder / "report.html", data_dir=data_dir)
    except FeatherweightError as fault:
        note(f"no report: {fault}")


def show_result(folder: Path, result: Mapping[str, Any]) -> None:
    """Print the result of a finished run, or the summary of several seeds, and the doctor's remarks on the network."""
    from featherweight.report.remarks import remarks
    from featherweight.report.verdict import verdict_table
    from featherweight.runs import open_runs

    show(verdict_table(result))
    page = folder / "report.html"
    say(f"run folder: {folder}", *([f"report:     {page}"] if page.exists() else []), *remarks(open_runs(folder)[0]))


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Run folder to write. Always replaced.")] = Path(
        "runs/demo"
    ),
    data_dir: DataDir = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Train session7-model2 and classify five pictures.

    The data are MNIST if it is on this machine or can be downloaded, else the small digits of scikit-learn.
    """
    from featherweight.anatomy import summarize
    from featherweight.cli.use import show_predictions
    from featherweight.data import load_dataset
    from featherweight.experiment import train_recipe as run_training
    from featherweight.inference import Predictor
    from featherweight.networks import load_network
    from featherweight.progress import Progress
    from featherweight.recipe import Recipe

    name, why = choose_data(data_dir)
    epochs, accuracy = (3, 0.98) if name == "mnist" else (15, 0.93)
    note(f"Data: {name}. {why}")
    settings = [f"data.dataset={name}", f"training.epochs={epochs}", f"goal.accuracy={accuracy}", "name=demo"]
    settings += ["schedule.name=one-cycle", "optimizer.lr=0.05"] + ["training.batch_size=32"] * (name == "digits")
    recipe = Recipe.load("session7-model2", settings)
    with Progress(quiet=hushed.get()) as progress:
        run = run_training(recipe, out, data_dir=data_dir, force=True, watcher=progress)
    write_page([run], run.path, data_dir)
    dataset = load_dataset(name, data_dir=data_dir)
    pictures = write_pictures(dataset.test.images[:5], run.path.parent / f"{run.path.name}-pictures")
    truth = [dataset.classes[label] for label in dataset.test.labels[:5].tolist()]
    predictor = Predictor(run)
    predictions = [predictor.predict(picture) for picture in pictures]
    if as_json:
        return show_json({"run": str(run.path), **run.result, "truth": truth,
                          "predictions": [prediction.to_dict() for prediction in predictions]})
    show(summarize(load_network(run), name="session7-model2"))
    say("")
    show_result(run.path, run.result)
    say("", f"Five test pictures, written to {pictures[0].parent}; the truth is {', '.join(truth)}:")
    return show_predictions(predictions)


def choose_data(data_dir: Path | None) -> tuple[str, str]:
    """Return (data set, reason): MNIST if it is found or can be downloaded, else the bundled digits."""
    from featherweight.data import fetch, locate
    from featherweight.errors import DataError

    if data_dir is not None:
        return "mnist", f"Taken from {fetch('mnist', data_dir).phrase}."
    if place := locate("mnist"):
        return "mnist", f"It is at hand: {place.phrase}."
    try:
        note("MNIST is not at hand; trying to download it (11 MB) ...")
        return "mnist", f"Downloaded into {fetch('mnist', timeout=5).phrase}."
    except DataError:
        return "digits", (
            "MNIST is not at hand and cannot be downloaded from here, so these are the 1,797 digits that come "
            "with scikit-learn."
        )


def write_pictures(images: Tensor, folder: Path) -> list[Path]:
    """Write each image of a uint8 tensor (N, 1, H, W) as a PNG. Return the files."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for index, image in enumerate(images):
        files.append(folder / f"{index}.png")
        save_png(Image.fromarray(image[0].numpy()), files[-1])
    return files


COMMANDS = (train, demo)
