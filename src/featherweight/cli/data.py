"""The command group data: list the data sets, download one, draw one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from featherweight.cli.examples import example
from featherweight.cli.help import PlainCommand, PlainGroup
from featherweight.cli.options import DataDir, Force, Json
from featherweight.cli.output import check_output, note, save_png, show, show_file, show_json, table
from featherweight.outside import say

app = typer.Typer(
    help="List data sets, download one, or draw one.", cls=PlainGroup, epilog=example("data"),
    invoke_without_command=True, rich_markup_mode=None,
)


@app.callback()
def listing(context: typer.Context, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the data sets, download one, or draw one.

    Without a subcommand: list all data sets and where their files are.
    """
    if context.invoked_subcommand:
        return None
    from featherweight.data import SOURCES, locate

    found = [
        {"name": name, "place": place.phrase if (place := locate(name, data_dir)) else None, "about": source.about,
         "licence": source.licence}
        for name, source in SOURCES.items()
    ]
    if as_json:
        return show_json(found)
    missing = "not here: featherweight data get {}"
    rows = [[str(d["name"]), d["place"] or missing.format(d["name"]), str(d["about"])] for d in found]
    rows.append(["FILE or DIR", "", "Your images: folders of pictures, IDX, .npz, .npy, .mat, .csv, .parquet, .bin"])
    show(table("data set", "where", "what", rows=rows))
    return None


@app.command(cls=PlainCommand, epilog=example("data get"))
def get(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Data set to download.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Download a data set, unless it is on this machine.

    Downloaded files go into the cache. The checksum of every file is verified.
    """
    from featherweight.data import fetch

    place = fetch(name, data_dir)
    if as_json:
        return show_json({"name": name, "place": place.phrase, "files": [str(file) for file in place.files]})
    say(f"{name}: {place.phrase}")
    return None


@app.command("show", cls=PlainCommand, epilog=example("data show"))
def show_examples(
    name: Annotated[str, typer.Argument(metavar="NAME|PATH", help="Data set: a name, or a file or folder.")],
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="FILE.png", help="Picture to write. Default: NAME.png in the current folder."),
    ] = None,
    force: Force = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Draw a labelled grid of training images as a PNG.

    The grid has one row per class.
    """
    from featherweight.data import SOURCES, labelled_grid, load_dataset

    file = out or Path(f"{Path(name.rpartition(':')[2]).stem or 'folder'}.png")
    check_output(file, (".png",), "--out", force=force)
    dataset = load_dataset(name, data_dir=data_dir, channels=SOURCES[name].channels if name in SOURCES else 3)
    picture = labelled_grid(dataset.train.images.numpy(), dataset.train.labels.numpy(), dataset.classes, title=name)
    save_png(picture, file)
    note(f"{len(dataset.train):,} training and {len(dataset.test):,} test images, from {dataset.source}")
    show_file(file, as_json=as_json)
