"""The run folder: what is in it, how it is written (to a temporary name, then moved) and read. No pickle.

recipe.toml              the complete recipe, defaults written out
history.jsonl            a line an epoch
result.json              parameters, accuracy of each head on test, the verdict; written last
model.safetensors        the trained network
checkpoint.safetensors   all that a resume needs; checkpoint.json shows its text part
environment.json         machine, versions, device, precision, where the data came from
data.safetensors         where the data were given as Python objects: the test images and some training images
network/                 the source of a network of the user's own, with its hash
"""

from __future__ import annotations

import html
import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import Tensor

from featherweight.documents import parse_json
from featherweight.errors import RunError
from featherweight.files import is_one_of, names_in, plain_file, sha256_of, write_atomically, write_json
from featherweight.integrity import digest, metadata_of
from featherweight.outside import shortened, visible
from featherweight.recipe import Recipe
from featherweight.record import check_history, check_result
from featherweight.user_code import ENDINGS, MANIFEST, SOURCE_FOLDER, Source, trust
from featherweight.wording import call, option

FILES = (
    "recipe.toml", "history.jsonl", "result.json", "model.safetensors", "checkpoint.safetensors", "checkpoint.json",
    "environment.json", "data.safetensors", "report.html", SOURCE_FOLDER,
)
RECORDED = ("recipe.toml", "history.jsonl", "environment.json", "data.safetensors")     # result.json has their hashes
RESULT_KEYS = (
    "recipe", "model", "parameters", "dataset", "epochs", "seed", "seconds", "test", "goal",
    "train_images", "device", "precision", "classes", "mean", "std",
)


class History(list[dict[str, Any]]):
    """The lines of history.jsonl; in a notebook it shows itself as a table."""

    def _repr_html_(self) -> str:
        """A row an epoch: learning rate, loss, accuracy of each head on train and on what was watched."""
        if not self:
            return "<p>no epoch is done yet</p>"
        heads, on = list(self[0]["train_accuracy"]), self[0].get("curve_on")
        titles = ["epoch", "learning rate", "train loss", *(f"train {head}" for head in heads)]
        rows = []
        for line in self:
            row = [f"{line['epoch']}", f"{line['lr']:.4g}", f"{line['train_loss']:.4f}"]
            row += [f"{line['train_accuracy'][head]:.2%}" for head in heads]
            rows.append(row + ([f"{line['curve'][head]['accuracy']:.2%}" for head in heads] if on else []))
        titles += [f"{on} {head}" for head in heads] if on else []
        head_row = "".join(f"<th>{html.escape(title)}</th>" for title in titles)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        return visible(f"<table><tr>{head_row}</tr>{body}</table>")


def watched_losses(lines: Sequence[Mapping[str, Any]]) -> list[float]:
    """The loss of each epoch on what the recipe watches, summed over heads as training minimises it."""
    return [sum(score.get("loss", 0.0) for score in line["curve"].values()) for line in lines]


@dataclass(frozen=True)
class Run:
    """A run folder, read when asked. RunError for a folder or file that is not there or not readable."""

    path: Path

    def __init__(self, path: str | Path) -> None:
        object.__setattr__(self, "path", Path(path))

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """An existing run; RunError where the folder is none."""
        run = cls(path)
        if not (run.path / "recipe.toml").is_file():
            if found := sorted(run.path.glob("seed-*/recipe.toml")):
                raise RunError(f"{str(path)!r} holds the runs of {len(found)} seeds. Give one of them, such as "
                               f"{found[0].parent}")
            what = "is no run folder (it has no recipe.toml)" if run.path.exists() else "does not exist"
            raise RunError(f"run {str(path)!r} {what}. Make one with: {call('train', 'RECIPE', out=path)}")
        return run

    @cached_property
    def recipe(self) -> Recipe:
        """Return the complete recipe. Raises RunError for a finished run if the file was edited."""
        if self.finished:
            _ = self.result     # checks the hashes
        return Recipe.read(self.path / "recipe.toml")

    @property
    def source_folder(self) -> Path:
        """Where the source of a network of the user's own lies."""
        return self.path / SOURCE_FOLDER

    @cached_property
    def source(self) -> Source | None:
        """The network's source, None for a network of the catalogue. Raises ModelError if it was changed."""
        return Source.read(self.source_folder) if (self.source_folder / MANIFEST).is_file() else None

    def keep(self, source: Source | None) -> None:
        """Write the network's source into the run, and trust it: it was executed here already."""
        if source is not None:
            source.write(self.source_folder)
            trust.remember(source.sha256)

    def trust(self) -> Run:
        """Trust the network's source in this run from now on, and return the run."""
        if self.source is not None:
            trust.remember(self.source.sha256)
        for file in self.foreign_files():
            trust.remember(sha256_of(file))
        return self

    def foreign_files(self) -> list[Path]:
        """Return the network's file from the working folder and beside recipe.toml, for a run without a source.

        Runs of an earlier version name such a file.
        """
        name = self.recipe.model.name.rpartition(":")[0]
        places = [Path(name), self.path / name] if name.endswith(ENDINGS) and self.source is None else []
        return [place for place in places if place.is_file()]

    def check_foreign_files(self) -> None:
        """Raise Untrusted if the run names a file outside of its source that nobody here has trusted."""
        for file in self.foreign_files():
            trust.check(sha256_of(file), file)

    def sweep(self) -> None:
        """Remove the temporary files that a killed process left."""
        for name in names_in(self.path):
            if is_one_of(name, FILES) and name not in FILES:
                (self.path / name).unlink()

    def clear(self) -> None:
        """Remove the run's own files, and nothing else."""
        for name in names_in(self.path):
            if name == SOURCE_FOLDER and self.source_folder.is_dir() and not self.source_folder.is_symlink():
                shutil.rmtree(self.source_folder)
            elif is_one_of(name, FILES):
                (self.path / name).unlink()

    @property
    def strangers(self) -> list[str]:
        """Return the names of what lies in the folder, or in its network/, and is no part of a run."""
        inside = [] if self.source_folder.is_symlink() else self.source_folder.rglob("*")
        return [name for name in names_in(self.path) if not is_one_of(name, FILES)] + [
            str(file.relative_to(self.path)) for file in inside
            if not file.is_dir() and file.name != MANIFEST and file.suffix not in (".py", ".pyc")
            and not file.name.startswith(".")
        ]

    @property
    def finished(self) -> bool:
        """Whether training came to its end: result.json is the last file to be written."""
        return (self.path / "result.json").is_file()

    @property
    def history(self) -> History:
        """Return one dictionary an epoch, oldest first; empty before the first.

        Raises RunError for what is no history, and for a finished run if the file was edited.
        """
        if self.finished:
            _ = self.result     # checks the hashes
        file = self.path / "history.jsonl"
        try:
            text = plain_file(file).read_text() if file.exists() else ""
            lines = [parse_json(line) for line in text.splitlines()]
        except ValueError as fault:
            raise RunError(f"{file} is not JSON: {shortened(fault)}. Train again into another folder.") from fault
        check_history(lines, file)
        if self.finished and not lines:
            raise RunError(f"run {str(self.path)!r} has no {file.name}. Train again into another folder.")
        return History(lines)

    @cached_property
    def result(self) -> dict[str, Any]:
        """result.json; RunError where the run is not finished."""
        if not self.finished:
            raise RunError(
                f"run {str(self.path)!r} is not finished ({len(self.history)} of {self.recipe.training.epochs} "
                f"epochs). Continue it with: {call('train', self.path / 'recipe.toml', out=self.path, resume=True)}"
            )
        result = self._json("result.json")
        missing = [key for key in RESULT_KEYS if key not in result]
        if missing:
            raise RunError(f"{self.path / 'result.json'} has no {missing[0]!r}. Train again into another folder.")
        check_result(result, self.path / "result.json")
        self.check_hashes(result)
        return result

    def check_hashes(self, result: Mapping[str, Any]) -> None:
        """Raise RunError if result.json was edited, or the weights are not those that it is about."""
        weights = self.path / "model.safetensors"
        if not weights.is_file() or not ("weights" in result or metadata_of(weights).get("result")):
            return      # of an earlier version; a missing file is told later
        if "weights" in result and sha256_of(weights) != result["weights"]:
            raise RunError(f"{weights} is not the file that training wrote: its sha256 is not that in result.json. "
                           "Put the original back, or train again.")
        if "weights" not in result or metadata_of(weights).get("result") != digest(result, without="weights"):
            raise RunError(f"{self.path / 'result.json'} was edited after training: it is not the record that the "
                           "weights belong to. Put the original back, or train again.")
        for name, recorded in result.get("recorded", {}).items():
            if not (self.path / name).is_file() or sha256_of(self.path / name) != recorded:
                raise RunError(f"{self.path / name} is not the file that training wrote: its sha256 is not that in "
                               "result.json. Put the original back, or train again.")
        if (now := self.source.sha256 if self.source else None) != result.get("network", now):
            raise RunError(f"{self.source_folder} is not the network that was trained: its sha256 is not that in "
                           "result.json. Put the original back, or train again.")

    @cached_property
    def environment(self) -> dict[str, Any]:
        return self._json("environment.json")

    def weights(self) -> dict[str, Tensor]:
        """The trained network's state, by parameter name."""
        return self.load_tensors("model.safetensors")[0]

    def load_tensors(self, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
        """(tensors, text) of a safetensors file of this run."""
        from safetensors import SafetensorError, safe_open

        try:
            with safe_open(plain_file(self.path / name), framework="pt") as file:
                names: list[str] = file.keys()
                return {name: file.get_tensor(name) for name in names}, file.metadata() or {}
        except (OSError, SafetensorError) as fault:
            raise RunError(
                f"{self.path / name} cannot be read: {shortened(fault)}. Train again into another folder."
            ) from fault

    def save_tensors(self, name: str, tensors: Mapping[str, Tensor], text: Mapping[str, str]) -> None:
        """Write a safetensors file in one move, so that a reader sees the old one or the new one."""
        from safetensors.torch import save

        write_atomically(self.path / name, save(dict(tensors), dict(text)))

    def save_result(self, result: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Write the trained weights and then result.json, each with a hash of the other, and hashes of RECORDED."""
        files = [name for name in RECORDED if (self.path / name).is_file()]
        result = {**result, "recorded": {name: sha256_of(self.path / name) for name in files}}
        text = {"model": result["model"], "result": digest(result, without="weights")}
        self.save_tensors("model.safetensors", tensors, text)
        self.save_json("result.json", {**result, "weights": sha256_of(self.path / "model.safetensors")})

    def save_json(self, name: str, content: Mapping[str, Any]) -> None:
        write_json(self.path / name, content)

    def save_history(self, records: Sequence[Mapping[str, Any]]) -> None:
        lines = [json.dumps(record, allow_nan=False) for record in records]
        write_atomically(self.path / "history.jsonl", "".join(f"{line}\n" for line in lines).encode())

    def _json(self, name: str) -> dict[str, Any]:
        try:
            content = parse_json(plain_file(self.path / name).read_text())
        except FileNotFoundError as fault:
            raise RunError(f"run {str(self.path)!r} has no {name}. Train again into another folder.") from fault
        except ValueError as fault:
            raise RunError(
                f"{self.path / name} is not JSON: {shortened(fault)}. Train again into another folder."
            ) from fault
        if not isinstance(content, dict):
            raise RunError(f"{self.path / name} holds no JSON object. Train again into another folder.")
        return content

    def _repr_html_(self) -> str:
        """The result and the history as two small tables."""
        result = self.result if self.finished else {"recipe": self.recipe.name, "finished": False}
        shown = {key: value for key, value in result.items() if not isinstance(value, dict | list)}
        rows = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in shown.items())
        test: dict[str, dict[str, float]] = self.result["test"] if self.finished else {}
        heads = "".join(
            f"<tr><th>test {html.escape(head)}</th><td>{score['accuracy']:.2%}</td></tr>"
            for head, score in test.items()
        )
        return visible(f"<table>{rows}{heads}</table>")


def seeds_in(path: Path) -> list[int]:
    """The seeds that have a folder seed-N in this one, in ascending order."""
    found = [re.fullmatch(r"seed-(\d+)", folder.name) for folder in path.glob("seed-*")]
    return sorted(int(match[1]) for match in found if match)


def open_runs(path: str | Path) -> list[Run]:
    """The run of a run folder, or the runs of all seeds of a folder of them; RunError where it is neither."""
    seeds = seeds_in(Path(path))
    if seeds and not (Path(path) / "recipe.toml").exists():
        return [Run.open(Path(path) / f"seed-{seed}") for seed in seeds]
    return [Run.open(path)]


def check_free(path: str | Path, *, force: bool = False) -> Run:
    """Return the run that may be created here, and change nothing.

    Raises RunError if the folder holds a run, unless force, or anything else.
    """
    run = Run(path)
    if run.path.exists() and not run.path.is_dir():
        raise RunError(f"{str(path)!r} is a file. Give a folder with {option('out')}.")
    if run.strangers:
        stranger = run.strangers[0]
        raise RunError(f"folder {str(path)!r} holds {stranger!r}, which is no part of a run. "
                       f"Give another folder with {option('out')}.")
    if any(name in FILES for name in names_in(run.path)) and not force:
        state = "a finished" if run.finished else "an unfinished"
        more = "" if run.finished else f"{option('resume')} continues it, "
        raise RunError(f"{str(path)!r} holds {state} run: {more}{option('force')} replaces it, {option('out')} takes "
                       "another folder.")
    return run


def create_run(path: str | Path, recipe: Recipe, source: Source | None = None, *, force: bool = False) -> Run:
    """Make a run folder with its recipe and the network's source, and return it.

    Only a run's own files are ever removed. Raises RunError if the folder exists, unless force replaces a run, and if
    it holds anything else.
    """
    run = check_free(path, force=force)
    if names_in(run.path):
        run.clear()
    run.path.mkdir(parents=True, exist_ok=True)
    write_atomically(run.path / "recipe.toml", recipe.to_toml().encode())
    run.keep(source)
    return run
