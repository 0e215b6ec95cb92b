"""The command that searches networks under budgets: search."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featherweight.cli.options import DataDir, Json, Quiet
from featherweight.cli.output import hushed, note, show, show_json, status
from featherweight.outside import say

if TYPE_CHECKING:
    from featherweight.search.search import Found


def search(
    data: Annotated[
        str | None,
        typer.Option("--data", metavar="NAME|PATH", help="Data set: a name, or a file or folder. Default: mnist."),
    ] = None,
    max_parameters: Annotated[
        int | None, typer.Option("--max-parameters", metavar="N", help="Most parameters of a network.")
    ] = None,
    max_macs: Annotated[
        int | None, typer.Option("--max-macs", metavar="N", help="Most multiply-accumulates per image.")
    ] = None,
    max_ram: Annotated[
        int | None, typer.Option("--max-ram", metavar="BYTES", help="Most RAM of the exported C code.")
    ] = None,
    max_flash: Annotated[
        int | None, typer.Option("--max-flash", metavar="BYTES", help="Most flash of the constants of that code.")
    ] = None,
    max_epochs: Annotated[
        int | None, typer.Option("--max-epochs", metavar="N", help="Epochs of a complete training. Default: 15.")
    ] = None,
    min_accuracy: Annotated[
        float | None,
        typer.Option("--min-accuracy", metavar="X", help="Accuracy that is good enough, such as 0.994: prefer the "
                     "smallest networks that reach it."),
    ] = None,
    form: Annotated[
        str | None, typer.Option("--form", metavar="FORM", help="C code that RAM and flash count: int8 (default) or "
                                 "float.")
    ] = None,
    levels: Annotated[
        int | None, typer.Option("--levels", metavar="N", help="Budgets of the front: the given one, its half, its "
                                 "quarter, ... Default: 3.")
    ] = None,
    trials: Annotated[int | None, typer.Option("--trials", metavar="N", help="Number of networks to try.")] = None,
    hours: Annotated[
        float | None,
        typer.Option("--hours", metavar="H", help="Time of the whole search. Default: 1, or no limit with --trials.")
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Seed of the search. Default: 1.")] = None,
    seeds: Annotated[
        int | None,
        typer.Option("--seeds", metavar="N", help="Trainings of each network of the front, fewer if time is short. "
                     "Default: 3."),
    ] = None,
    set: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="KEY=VALUE", help="Recipe value of all trials, e.g. data.size=32. Repeatable."),
    ] = None,
    on: Annotated[
        str,
        typer.Option("--on", metavar="local|ray[:HOST:PORT]", help="Place that runs trials: this machine or a Ray "
                     "cluster."),
    ] = "local",
    storage: Annotated[
        str | None,
        typer.Option("--storage", metavar="DIR|URL", help="With --on ray: place for files that all nodes share."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", metavar="N", help="Trials at the same time. Default: one per core.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Folder to write. Default: runs/search-DATA.")
    ] = None,
    data_dir: DataDir = None,
    resume: Annotated[bool, typer.Option("--resume", help="Resume an interrupted search where it stopped.")] = False,
    state: Annotated[
        Path | None, typer.Option("--show", metavar="DIR", help="Show the state of a search and exit. It may be "
                                  "running.")
    ] = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Search the best networks under hard budgets.

    Trials are measured on validation images only. The networks of the front are trained again with several seeds on all
    training images and tested once, at the end.
    """
    if state is not None:
        return show_state(state, as_json=as_json)
    if storage is not None and on == "local":
        raise typer.BadParameter("--storage is for the nodes of a cluster. Give --on ray too, or leave out --storage.")
    limits = {"parameters": max_parameters, "macs": max_macs, "ram": max_ram, "flash": max_flash,
              "epochs": max_epochs, "accuracy": min_accuracy}
    from featherweight.search.front_folder import write_front
    from featherweight.search.live import SearchProgress
    from featherweight.search.search import Ask, Effort
    from featherweight.search.search import search as run_search

    budgets = {name: limit for name, limit in limits.items() if limit is not None}
    ask = Ask(data, budgets, form, levels, seed, tuple(set) if set else None)
    effort = Effort(trials, hours, seeds, on, storage, workers)
    with SearchProgress(quiet=hushed.get()) as progress:
        found = run_search(ask, effort, out, resume=resume, data_dir=data_dir, watcher=progress,
                           command=shlex.join(["featherweight", *sys.argv[1:]]))
    with status("writing the networks of the front"):
        notes = write_front(found.folder, found.front, found.recipe, found.dataset, data_dir=data_dir)
    for line in notes:
        note(line)
    show_result(found, as_json=as_json)
    return None


def show_result(found: Found, *, as_json: bool) -> None:
    """Print the front."""
    from featherweight.cli.search_tables import front_table
    from featherweight.search.front import summary_of
    from featherweight.search.live import correlation_in_words

    if as_json:
        return show_json(summary_of(found.front, found.study, found.folder))
    show(front_table(found.front))
    page = found.folder / "front.html"
    return say("", correlation_in_words(found.study), f"folder: {found.folder}",
               *([f"page:   {page}"] if page.exists() else []))


def show_state(folder: Path, *, as_json: bool) -> None:
    """Print the state of a search from its ledger, which another process may be writing."""
    from featherweight.cli.search_tables import state_of
    from featherweight.search.front import front_of, summary_of
    from featherweight.search.ledger import Ledger
    from featherweight.search.study import study_of

    study = study_of(Ledger(folder).read(), folder)
    if as_json:
        return show_json(summary_of(front_of(study, "", study.at), study, folder))
    return show(state_of(study))


COMMANDS = (search,)
