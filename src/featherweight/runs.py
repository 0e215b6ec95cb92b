"""The run folder: its files, written atomically and read with validation. No pickle is written or read.

- recipe.toml: the complete recipe, with all defaults
- history.jsonl: one line per epoch
- result.json: parameters, accuracy of each head on test, the verdict; written last
- model.safetensors: the trained network
- checkpoint.safetensors: all state that resuming needs; checkpoint.json shows its text part
- environment.json: machine, versions, device, precision, source of the data
- data.safetensors: only for data passed as Python objects: the test images and some training images
- network/: only for a network that the user wrote: its source, with a hash
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
from featherweight.words import percent

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
    """The lines of history.jsonl. A notebook displays the list as a table."""

    def _repr_html_(self) -> str:
        """Return an HTML table with one row per epoch.

        Columns: learning rate, training loss, and the accuracy of each head on training images and on the split that
        was measured after each epoch.
        """
        if not self:
            return "<p>no epoch is done yet</p>"
        heads, on = list(self[0]["train_accuracy"]), self[0].get("curve_on")
        titles = ["epoch", "learning rate", "train loss", *(f"train {head}" for head in heads)]
        rows = []
        for line in self:
            row = [f"{line['epoch']}", f"{line['lr']:.4g}", f"{line['train_loss']:.4f}"]
            row += [percent(line["train_accuracy"][head]) for head in heads]
            rows.append(row + ([percent(line["curve"][head]["accuracy"]) for head in heads] if on else []))
        titles += [f"{on} {head}" for head in heads] if on else []
        head_row = "".join(f"<th>{html.escape(title)}</th>" for title in titles)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
        return visible(f"<table><tr>{head_row}</tr>{body}</table>")


def watched_losses(lines: Sequence[Mapping[str, Any]]) -> list[float]:
    """Return the loss of each epoch on the split that was measured after it, summed over heads as in training."""
    return [sum(score.get("loss", 0.0) for score in line["curve"].values()) for line in lines]


@dataclass(frozen=True)
class Run:
    """A run folder. Each file is read on first access; RunError if it is missing or cannot be read."""

    path: Path

    def __init__(self, path: str | Path) -> None:
        object.__setattr__(self, "path", Path(path))

    @classmethod
    def open(cls, path: str | Path) -> Run:
        """Return an existing run. Raise RunError if the folder is not a run folder."""
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
        """The complete recipe. Raises RunError if the run is finished and the file was edited later."""
        if self.finished:
            _ = self.result     # checks the hashes
        return Recipe.read(self.path / "recipe.toml")

    @property
    def source_folder(self) -> Path:
        """Folder of the source of a network that the user wrote."""
        return self.path / SOURCE_FOLDER

    @cached_property
    def source(self) -> Source | None:
        """The network's source, or None for a network of the catalogue. Raises ModelError if the source was changed."""
        return Source.read(self.source_folder) if (self.source_folder / MANIFEST).is_file() else None

    def keep(self, source: Source | None) -> None:
        """Write the network's source into the run, and trust the source, because it was executed here already."""
        if source is not None:
            source.write(self.source_folder)
            trust.remember(source.sha256)

    def trust(self) -> Run:
        """Record that the user trusts the network's source in this run, and return the run."""
        if self.source is not None:
            trust.remember(self.source.sha256)
        for file in self.foreign_files():
            trust.remember(sha256_of(file))
        return self

    def foreign_files(self) -> list[Path]:
        """Return the files, in the working folder and beside recipe.toml, that the recipe may name as the network.

        Only runs of an earlier version name such files. For a run with a source the list is empty.
        """
        name = self.recipe.model.name.rpartition(":")[0]
        places = [Path(name), self.path / name] if name.endswith(ENDINGS) and self.source is None else []
        return [place for place in places if place.is_file()]

    def check_foreign_files(self) -> None:
        """Raise Untrusted if the recipe names a network file outside the run's source that the user never trusted."""
        for file in self.foreign_files():
            trust.check(sha256_of(file), file)

    def sweep(self) -> None:
        """Remove temporary files that a killed process left."""
        for name in names_in(self.path):
            if is_one_of(name, FILES) and name not in FILES:
                (self.path / name).unlink()

    def clear(self) -> None:
        """Remove the run's own files. Other files in the folder are kept."""
        for name in names_in(self.path):
            if name == SOURCE_FOLDER and self.source_folder.is_dir() and not self.source_folder.is_symlink():
                shutil.rmtree(self.source_folder)
            elif is_one_of(name, FILES):
                (self.path / name).unlink()

    @property
    def strangers(self) -> list[str]:
        """Names of files, in the folder or in its network/ folder, that are not part of a run."""
        inside = [] if self.source_folder.is_symlink() else self.source_folder.rglob("*")
        return [name for name in names_in(self.path) if not is_one_of(name, FILES)] + [
            str(file.relative_to(self.path)) for file in inside
            if not file.is_dir() and file.name != MANIFEST and file.suffix not in (".py", ".pyc")
            and not file.name.startswith(".")
        ]

    @property
    def begun(self) -> bool:
        """True if the folder holds a run, finished or not."""
        return (self.path / "recipe.toml").exists()

    @property
    def finished(self) -> bool:
        """True if training is complete: result.json is written last."""
        return (self.path / "result.json").is_file()

    @property
    def history(self) -> History:
        """One dictionary per epoch, oldest first. Empty before the first epoch is done.

        Raises RunError for a damaged history.jsonl, and if the run is finished and the file was edited later.
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
        """The content of result.json, validated. Raises RunError if the run is not finished or a file was edited."""
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
        """Raise RunError if the weights, `result` or another recorded file changed after training."""
        weights = self.path / "model.safetensors"
        if not weights.is_file() or not ("weights" in result or metadata_of(weights).get("result")):
            return      # a run of an earlier version, or missing weights, which are reported when they are loaded
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
        """Return the state of the trained network: parameters and buffers by name."""
        return self.load_tensors("model.safetensors")[0]

    def load_tensors(self, name: str) -> tuple[dict[str, Tensor], dict[str, str]]:
        """Return (tensors, text) of a safetensors file of this run. Raise RunError if the file cannot be read."""
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
        """Write a safetensors file. The write is atomic: a reader sees the old file or the new one."""
        from safetensors.torch import save

        write_atomically(self.path / name, save(dict(tensors), dict(text)))

    def save_result(self, result: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Write the trained weights and then result.json.

        Each of the two files stores a hash of the other. result.json also stores the hashes of the files in RECORDED.
        """
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
        """Return an HTML table with the result and the test accuracy of each head."""
        result = self.result if self.finished else {"recipe": self.recipe.name, "finished": False}
        shown = {key: value for key, value in result.items() if not isinstance(value, dict | list)}
        rows = "".join(f"<tr><th>{html.escape(k)}</th><td>{html.escape(str(v))}</td></tr>" for k, v in shown.items())
        test: dict[str, dict[str, float]] = self.result["test"] if self.finished else {}
        heads = "".join(
            f"<tr><th>test {html.escape(head)}</th><td>{percent(score['accuracy'])}</td></tr>"
            for head, score in test.items()
        )
        return visible(f"<table>{rows}{heads}</table>")


def seeds_in(path: Path) -> list[int]:
    """Return the seeds N that have a folder seed-N in `path`, in ascending order."""
    found = [re.fullmatch(r"seed-(\d+)", folder.name) for folder in path.glob("seed-*")]
    return sorted(int(match[1]) for match in found if match)


def open_runs(path: str | Path) -> list[Run]:
    """Return the run in `path`, or the runs of all seeds if `path` holds folders seed-N.

    Raises RunError if `path` is neither.
    """
    seeds = seeds_in(Path(path))
    if seeds and not (Path(path) / "recipe.toml").exists():
        return [Run.open(Path(path) / f"seed-{seed}") for seed in seeds]
    return [Run.open(path)]


def check_free(path: str | Path, *, force: bool = False) -> Run:
    """Return the run that may be created in `path`. No file is changed.

    Raises RunError if the folder holds files that are not part of a run, or if it holds a run and force is False.
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
    """Create a run folder with the recipe and the network's source, and return the run.

    force: replace a run in the folder. Only files of that run are removed.
    Raises RunError if the folder holds files that are not part of a run, or if it holds a run and force is False.
    """
    run = check_free(path, force=force)
    if names_in(run.path):
        run.clear()
    run.path.mkdir(parents=True, exist_ok=True)
    write_atomically(run.path / "recipe.toml", recipe.to_toml().encode())
    run.keep(source)
    return run
