"""The folder of one recipe trained with many seeds: a run folder per seed, and a summary of all seeds.

seed-1/ seed-2/ ...      run folders, with the same content as after training one seed alone.
summary.json             mean, spread, lowest, highest and interval of the mean. Written last.
report.html              comparison of the runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featherweight.documents import parse_json
from featherweight.errors import RunError
from featherweight.experiment import reopen
from featherweight.files import is_one_of, names_in, plain_file, write_json
from featherweight.integrity import digest
from featherweight.locks import writing
from featherweight.outside import shortened
from featherweight.recipe import Recipe
from featherweight.runs import Run, seeds_in
from featherweight.wording import option

OWN_FILES = ("summary.json", "report.html")


@dataclass(frozen=True)
class Replicas:
    """The folder of one recipe trained with many seeds."""

    path: Path

    @property
    def seeds(self) -> list[int]:
        """Seeds that have a run folder, in ascending order."""
        return seeds_in(self.path)

    @property
    def runs(self) -> list[Run]:
        """The run of each seed in `seeds`, in the same order."""
        return [self.run(seed) for seed in self.seeds]

    def run(self, seed: int) -> Run:
        """Return the run of one seed. Its folder may not exist yet."""
        return Run(self.path / f"seed-{seed}")

    @property
    def summary(self) -> dict[str, Any]:
        """Content of summary.json. Raises RunError if the file is missing, not valid, or changed after training."""
        try:
            content = parse_json(plain_file(self.path / "summary.json").read_text())
        except FileNotFoundError as fault:
            raise RunError(f"{str(self.path)!r} has no summary.json: not all of its seeds are trained. Go on with the "
                           f"command that began it and {option('resume')}.") from fault
        except ValueError as fault:
            raise RunError(f"{self.path / 'summary.json'} is not JSON: {shortened(fault)}. Train again with "
                           f"{option('resume')}.") from fault
        if not isinstance(content, dict):
            raise RunError(f"{self.path / 'summary.json'} holds no JSON object. Train again with {option('resume')}.")
        if content.get("sha256") != digest(content, without="sha256"):
            raise RunError(f"{self.path / 'summary.json'} is not what training wrote: its hash is not the one in it. "
                           f"Delete it, and write it again with {option('resume')}.")
        return content

    def save_summary(self, content: Mapping[str, Any]) -> None:
        """Write summary.json. Its key "sha256" is the hash of the rest of the content."""
        write_json(self.path / "summary.json", {**content, "sha256": digest(content, without="sha256")})

    def forget_summary(self) -> None:
        """Delete the files about all seeds: summary.json and report.html."""
        for name in OWN_FILES:
            (self.path / name).unlink(missing_ok=True)


def check_folder(replicas: Replicas, recipe: Recipe, seeds: Sequence[int], *, resume: bool, force: bool) -> None:
    """Raise RunError if the seeds cannot be trained in this folder. No file is changed.

    Causes: the path is a file; the folder holds other files; it holds runs, and neither resume nor force is given.
    With resume, also a run of another recipe or of a seed that is not in `seeds`.
    """
    path, begun = replicas.path, replicas.seeds
    if path.exists() and not path.is_dir():
        raise RunError(f"{str(path)!r} is a file. Give a folder with {option('out')}.")
    if strangers := strangers_in(replicas):
        raise RunError(f"folder {str(path)!r} holds {strangers[0]!r}, which is not part of a training of seeds. "
                       f"Give another folder with {option('out')}.")
    if begun and resume:
        check_same_training(replicas, recipe, seeds)
    elif begun and not force:
        trained = sum(run.finished for run in replicas.runs)
        raise RunError(f"{str(path)!r} holds {trained} trained seeds of {len(begun)} begun: {option('resume')} goes "
                       f"on with them, {option('force')} replaces them, {option('out')} takes another folder.")


def open_folder(replicas: Replicas, recipe: Recipe, seeds: Sequence[int], *, resume: bool, force: bool) -> None:
    """Prepare the folder for training: without resume, delete all earlier runs and the summary.

    Raises the same errors as check_folder.
    """
    check_folder(replicas, recipe, seeds, resume=resume, force=force)
    if not resume:
        replicas.forget_summary()
        for run in replicas.runs:
            with writing(run.path):
                run.clear()
            run.path.rmdir()


def strangers_in(replicas: Replicas) -> list[str]:
    """Return the names of files, in the folder or its run folders, that are not part of a training of seeds."""
    known = {f"seed-{seed}" for seed in replicas.seeds}
    own = [name for name in names_in(replicas.path) if name not in known and not is_one_of(name, OWN_FILES)]
    return own + [f"seed-{seed}/{name}" for seed in replicas.seeds for name in replicas.run(seed).strangers]


def check_same_training(replicas: Replicas, recipe: Recipe, seeds: Sequence[int]) -> None:
    """Raise RunError if the folder holds a seed that is not in `seeds`, or a run of another recipe."""
    if more := set(replicas.seeds) - set(seeds):
        raise RunError(f"{str(replicas.path)!r} holds seed {min(more)}, which is not among those given: a summary is "
                       f"of all its seeds. Give it too, or another folder with {option('out')}.")
    for run, seed in zip(replicas.runs, replicas.seeds, strict=True):
        if run.begun:
            reopen(run.path, recipe.with_seed(seed))
