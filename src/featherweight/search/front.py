"""The front of a study: its networks, everything that was tried, and their files in the folder of the search."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from featherweight.environment import describe_environment
from featherweight.errors import RunError
from featherweight.files import write_atomically, write_json
from featherweight.search.finale import validation_of, winners
from featherweight.search.ledger import NAME
from featherweight.search.records import Front, Point
from featherweight.search.study import Member, Study

FRONT = "front.json"


def front_of(study: Study, command: str, seconds: float) -> Front:
    """Return the front as far as the study has come. Networks that are not tested yet have no test accuracies."""
    import torch

    problem = study.problem
    members = [study.members[number] for number in study.frozen] if study.frozen else winners(study)
    machine = describe_environment(torch.device("cpu"), "auto", problem.seed, problem.data)
    return Front(
        data=problem.data, form=problem.form, budgets=problem.budgets.to_dict(), seed=problem.seed,
        points=[point_of(study, one) for one in sorted(members, key=lambda one: one.costs.parameters)],
        tried=[study.tried(one) for one in study.members],
        machine={key: machine[key] for key in ("device_name", "cores", "platform", "python", "versions")},
        seconds=round(seconds, 1), command=command,
    )


def point_of(study: Study, member: Member) -> Point:
    """Return the record of a network of the front."""
    tested = {seed: event for (number, seed), event in study.tests.items() if number == member.number and event}
    seeds = sorted(tested)
    return Point(member.number, member.candidate, member.costs, validation_of(study, member),
                 [tested[seed]["accuracy"] for seed in seeds], [run_name(member.number, seed) for seed in seeds])


def run_name(number: int, seed: int) -> str:
    """Return the run folder of a network and a seed, relative to the folder of the search."""
    return f"runs/trial-{number}/seed-{seed}"


def keep_run(folder: Path, number: int, seed: int, files: Mapping[str, str]) -> None:
    """Write the files of a run folder that a worker returned. Raises RunError for a name outside of the folder."""
    run = folder / run_name(number, seed)
    for name, content in files.items():
        place = run / name
        if not place.resolve().is_relative_to(run.resolve()):
            raise RunError(f"a worker returned the file {name!r}, which is outside of its run folder.")
        place.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(place, base64.b64decode(content))


def summary_of(front: Front, study: Study, folder: Path) -> dict[str, Any]:
    """Return the front for programs: without all that was tried, and with the correlation of the rungs."""
    content = {key: value for key, value in front.to_dict().items() if key != "tried"}
    states = [one.state for one in front.tried]
    return {
        "folder": str(folder), **content, "trials": {state: states.count(state) for state in sorted(set(states))},
        "rungs": {"epochs": study.epochs, "rank_correlation": study.correlation()},
        "levels": study.cells, "files": {"front": os.fspath(folder / FRONT), "ledger": os.fspath(folder / NAME)},
    }


def write_front_file(folder: Path, front: Front) -> None:
    """Write front.json."""
    write_json(folder / FRONT, front.to_dict())
