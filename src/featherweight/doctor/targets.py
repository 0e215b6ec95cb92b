"""Targets of any kind: source files are read, networks and recipes are built and run, run folders are judged."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from featherweight.doctor.examination import examine
from featherweight.doctor.finding import Report
from featherweight.doctor.options import Options
from featherweight.doctor.source import ENDINGS, is_folder
from featherweight.errors import FeatherweightError, SourceError, Untrusted


def consult(targets: Iterable[Any], options: Options | None = None) -> Report:
    """Examine scripts, notebooks, folders, networks, recipes, runs and modules, and return one report.

    A target that fails is named in `unread`. Raises its error if no target can be examined.
    Raises Untrusted for a network file in a run folder that the user has not trusted.
    """
    options, given = options or Options(), list(targets)
    files = [target for target in given if is_source(target)]
    others = [target for target in given if not is_source(target)]
    report, faults = Report((), levels=()), list[FeatherweightError]()
    if files or not others:
        report = examine(files)
    for target in others:
        try:
            report += examined(target, options)
        except Untrusted:
            raise
        except FeatherweightError as fault:
            faults.append(fault)
    if faults and len(faults) == len(given):
        raise faults[0] if len(faults) == 1 else SourceError(*map(str, faults))
    return report + Report((), unread=tuple(map(str, faults)), levels=())


def is_source(target: Any) -> bool:
    """Return True for the path of a script, notebook or folder, and for a path that looks like one and is missing."""
    if isinstance(target, Path):
        return target.suffix != ".toml" and not is_run(target)
    if not isinstance(target, str):
        return False
    return target.endswith(ENDINGS) or not (is_network(target) or is_run(Path(target)))


def is_run(path: Path) -> bool:
    """Return True for a run folder, and for a folder with the runs of several seeds."""
    return is_folder(path) and ((path / "recipe.toml").is_file() or any(path.glob("seed-*/recipe.toml")))


def is_network(name: str) -> bool:
    """Return True for the name of a network or a recipe, or the path of a recipe. A folder of that name comes first."""
    from featherweight.models.words import PREFIX
    from featherweight.recipe import recipe_names

    if is_folder(name):
        return False
    if name.startswith(PREFIX) or name.endswith(".toml") or name.rpartition(":")[0].endswith(ENDINGS):
        return True
    from featherweight.models import CATALOGUE

    return name in CATALOGUE or name in recipe_names()


def examined(target: Any, options: Options) -> Report:
    """Examine one network, recipe, run or module. Raises FeatherweightError if that is impossible.

    Code of the user runs in a process of its own.
    """
    from torch import nn

    from featherweight.doctor.alone import examined_alone
    from featherweight.doctor.networks import examined_module, examined_name, runs_own_code

    if isinstance(target, nn.Module):
        return examined_module(target, options)
    if not isinstance(target, (str, Path)):
        raise SourceError(f"{type(target).__name__} cannot be examined. Give a path, a name or a built network.")
    name = str(target)
    if is_run(Path(name)):
        return examined_runs(name, options)
    return examined_alone(name, options) if runs_own_code(name) else examined_name(name, options)


def examined_runs(folder: str, options: Options) -> Report:
    """Judge the run of a folder, or those of several seeds. Only the first network is built, as all are alike.

    The network of somebody else is not executed, unless the user trusts it. `unchecked` says so.
    """
    from featherweight.doctor.alone import examined_alone
    from featherweight.doctor.networks import examined_name, runs_own_code
    from featherweight.doctor.run import judge
    from featherweight.runs import open_runs

    first, *others = open_runs(folder)
    report = judge(first, alone=not others)
    for run in others:
        report += judge(run, alone=False)
    try:
        name = str(first.path)
        report += examined_alone(name, options) if runs_own_code(name) else examined_name(name, options)
    except FeatherweightError as fault:     # its record is judged all the same
        report += Report((), unchecked=(f"{first.path}: its network: {fault}",), levels=())
    if others:
        report += Report((), unchecked=(f"{folder}: the networks of {len(others)} other seeds",), levels=())
    return report
