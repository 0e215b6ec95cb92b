"""The commands that train: train, and demo, which trains on what is at hand and looks at the result."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featherweight.cli.data import DataDir
from featherweight.cli.look import Json
from featherweight.cli.output import console, note, save_png, show, show_json

if TYPE_CHECKING:
    from torch import Tensor

    from featherweight.runs import Run

Device = Annotated[str, typer.Option("--device", help="auto (cuda, then mps, then cpu), or one of them.")]


def train(
    recipe: Annotated[str, typer.Argument(metavar="RECIPE", help="A recipe's name, or a .toml file.")],
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Change the recipe, e.g. training.epochs=1; repeatable."),
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="DIR", help="Default: runs/NAME-seedN.")] = None,
    data: Annotated[str | None, typer.Option("--data", metavar="NAME", help="A data set, or folder:DIR.")] = None,
    data_dir: DataDir = None,
    device: Device = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on where an interrupted run stopped.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace the run that --out holds.")] = False,
    no_report: Annotated[bool, typer.Option("--no-report", help="Write no report.html into the run folder.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 when the goal is not met.")] = False,
    as_json: Json = False,
) -> None:
    """Train a recipe to its end and leave a run folder."""
    from featherweight.cli.progress import Progress
    from featherweight.experiment import train as run_training
    from featherweight.recipe import Recipe

    settings = [*(set or []), *([f'data.dataset="{data}"'] if data else [])]
    with Progress() as progress:
        run = run_training(
            Recipe.load(recipe, settings), out,
            data_dir=data_dir, device=device, resume=resume, force=force, watcher=progress,
        )
    if not no_report:
        write_page(run, data_dir)
    report(run, as_json=as_json)
    if strict and run.result["goal"]["met"] is False:
        raise typer.Exit(1)


def write_page(run: Run, data_dir: Path | None) -> None:
    """The run's report.html; a network that cannot be drawn is still a trained one."""
    from featherweight.errors import FeatherweightError
    from featherweight.report import write_report

    try:
        with console(stderr=True).status("writing the report"):
            write_report([run], run.path / "report.html", data_dir=data_dir)
    except FeatherweightError as fault:
        note(f"no report: {fault}")


def report(run: Run, *, as_json: bool = False) -> None:
    """A finished run's result, for people or for programs."""
    from featherweight.cli.verdict import verdict_table

    if as_json:
        show_json({"run": str(run.path), **run.result})
    else:
        show(verdict_table(run.result))
        page = run.path / "report.html"
        print(f"run folder: {run.path}" + (f"\nreport:     {page}" if page.exists() else ""))


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the run goes; replaced each time.")] = Path(
        "runs/demo"
    ),
    data_dir: DataDir = None,
) -> None:
    """Train session7-model2 on data that is at hand, and read five pictures with it."""
    from featherweight.anatomy import summarize
    from featherweight.cli.progress import Progress
    from featherweight.cli.use import show_predictions
    from featherweight.data import load_dataset
    from featherweight.experiment import load_network
    from featherweight.experiment import train as run_training
    from featherweight.inference import Predictor
    from featherweight.recipe import Recipe

    name, why = choose_data(data_dir)
    epochs, accuracy = (3, 0.98) if name == "mnist" else (15, 0.93)
    note(f"Data: {name}. {why}")
    settings = [f"data.dataset={name}", f"training.epochs={epochs}", f"goal.accuracy={accuracy}", "name=demo"]
    settings += ["schedule.name=one-cycle", "optimizer.lr=0.05"] + ["training.batch_size=32"] * (name == "digits")
    recipe = Recipe.load("session7-model2", settings)
    with Progress() as progress:
        run = run_training(recipe, out, data_dir=data_dir, force=True, watcher=progress)
    write_page(run, data_dir)
    show(summarize(load_network(run), name="session7-model2"))
    print()
    report(run)
    dataset = load_dataset(name, data_dir=data_dir)
    pictures = write_pictures(dataset.test.images[:5], run.path.parent / f"{run.path.name}-pictures")
    truth = ", ".join(dataset.classes[label] for label in dataset.test.labels[:5].tolist())
    print(f"\nFive test pictures, written to {pictures[0].parent}; the truth is {truth}:")
    predictor = Predictor(run)
    show_predictions([predictor.predict(picture) for picture in pictures])


def choose_data(data_dir: Path | None) -> tuple[str, str]:
    """(data set, why): MNIST where it is at hand or can be fetched, else the bundled digits."""
    from featherweight.data import fetch, locate
    from featherweight.errors import DataError

    if place := locate("mnist", data_dir):
        return "mnist", f"It is at hand: {place.phrase}."
    try:
        note("MNIST is not at hand; trying to download it (11 MB) ...")
        return "mnist", f"Downloaded into {fetch('mnist', data_dir, timeout=5).phrase}."
    except DataError:
        return "digits", (
            "MNIST is not at hand and cannot be downloaded from here, so these are the 1,797 digits that come "
            "with scikit-learn."
        )


def write_pictures(images: Tensor, folder: Path) -> list[Path]:
    """uint8 (N, 1, H, W) -> one PNG each."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for index, image in enumerate(images):
        files.append(folder / f"{index}.png")
        save_png(Image.fromarray(image[0].numpy()), files[-1])
    return files


COMMANDS = (train, demo)
