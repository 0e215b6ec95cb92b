"""A file system that refuses: each call of each command fails once or for ever, and tmpfs that fill up.

Every command must end with one line that names the file, or well; each file is then the old one or the new one, whole.
"""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import signal
import subprocess
import time
import tomllib
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random
from xml.etree import ElementTree

from battery.trial import Trial, wrong_end
from battery.warm import Done, Warm, share_libraries

ERRORS = ("ENOSPC", "EACCES", "EIO", "EXDEV", "EROFS")
CALLS = ("open", "write", "fsync", "rename", "mkdir")
RECIPE = ("feather-1k", "--data", "digits", "--set", "training.epochs=3", "--set", "schedule.name=constant",
          "--set", "training.batch_size=512")


MADE = {        # what is there before a fault, and the command that makes it
    "run": ("train", *RECIPE, "--out", "run"),
    "onnx": ("export", "run", "--to", "onnx", "--out", "onnx"),
    "c": ("export", "run", "--to", "c", "--out", "c"),
    "bundle": ("export", "run", "--to", "bundle", "--out", "bundle"),
    "book.xlsx": ("byhand", "--out", "book.xlsx", "--plot", "rates.png", "--updates", "2"),
    "curves.svg": ("plot", "curves", "run", "--out", "curves.svg"),
    "kernels.png": ("plot", "kernels", "run", "--out", "kernels.png"),
    "strip.png": ("predict", "run", "kernels.png", "--show", "strip.png"),
    "grid.png": ("data", "show", "digits", "--out", "grid.png"),
    "page.html": ("report", "run", "--out", "page.html"),
}


@dataclass(frozen=True)
class Task:
    """A command that writes."""

    name: str
    arguments: tuple[str, ...]
    needs: tuple[str, ...] = ()     # of MADE, in order, or "half": an interrupted run, or "pictures"
    run: str = ""               # the run folder that can be resumed afterwards
    gone: tuple[str, ...] = ()  # folders whose old files may be gone after a fault, since --force gave them up


RUNS = (
    Task("train", ("train", *RECIPE, "--out", "new", "--no-report"), run="new"),
    Task("train --resume", ("train", "half/recipe.toml", "--out", "half", "--resume", "--no-report"), ("half",),
         "half"),
    Task("train --force", ("train", *RECIPE, "--out", "run", "--force"), ("run",), "run", ("run",)),
)
SEEDS = (Task("train --seeds", ("train", *RECIPE, "--out", "seeds", "--seeds", "2"), run="seeds"),)
EXPORTS = (
    *(Task(f"export {to}", ("export", "run", "--to", to, "--out", to, "--force"), ("run", to), gone=(to,))
      for to in ("onnx", "c", "bundle")),
    Task("serve", ("serve", "run", "--port", "0"), ("run",)),
)
PAGES = (
    Task("report", ("report", "run"), ("run",)),
    Task("report --out", ("report", "run", "--out", "page.html", "--force"), ("run", "page.html")),
    Task("byhand", ("byhand", "--out", "book.xlsx", "--plot", "rates.png", "--updates", "3", "--force"),
         ("book.xlsx",)),
    Task("plot svg", ("plot", "curves", "run", "--out", "curves.svg", "--force"), ("run", "curves.svg")),
    Task("plot png", ("plot", "kernels", "run", "--out", "kernels.png", "--force"), ("run", "kernels.png")),
    Task("predict", ("predict", "run", "kernels.png", "--show", "strip.png", "--force"),
         ("run", "kernels.png", "strip.png")),
    Task("data show", ("data", "show", "digits", "--out", "grid.png", "--force"), ("grid.png",)),
    Task("data show folder", ("data", "show", "folder:pictures", "--out", "grid.png", "--force"),
         ("grid.png", "pictures")),
    Task("evaluate", ("evaluate", "run"), ("run",)),
)


def compiled_shim(folder: Path) -> Path:
    """Compile the library that makes calls fail."""
    made = folder / "shim.so"
    command = ["gcc", "-shared", "-fPIC", "-O1", "-o", str(made), str(Path(__file__).with_name("shim.c")), "-ldl"]
    subprocess.run(command, check=True, timeout=60)
    return made


@contextmanager
def faulty(folder: Path) -> Iterator[Warm]:
    """A process that forks commands whose calls can be made to fail."""
    with Warm({"LD_PRELOAD": str(compiled_shim(folder))}) as warm:
        yield warm


class Stage:
    """A folder with everything that the commands replace or read, and copies of it to spoil."""

    def __init__(self, folder: Path, warm: Warm, needs: Iterable[str]) -> None:
        self.warm, self.folder, self.count = warm, folder, 0
        self.before = folder / "before"
        self.before.mkdir(parents=True)
        for name in dict.fromkeys(needs):
            {"half": self.interrupt, "pictures": self.draw}.get(name, self.make)(name)

    def make(self, name: str) -> None:
        """Run the command that makes a file or a folder; it must succeed."""
        done = self.warm.run(*MADE[name], cwd=self.before, env=home_in(self.before), timeout=120)
        assert done.code == 0, done.err

    def draw(self, name: str) -> None:
        """Draw pictures of two classes."""
        from PIL import Image

        for split, kind in product(("train", "test"), ("black", "white")):
            place = self.before / name / split / kind
            place.mkdir(parents=True)
            for number in range(3):
                Image.new("L", (9, 9), (100 if kind == "white" else 0) + number).save(place / f"{number}.png")

    def interrupt(self, name: str) -> None:
        """Leave a run that was interrupted after its first epoch."""
        while True:
            started = self.warm.start("train", *RECIPE, "--out", name, "--force", cwd=self.before,
                                      env=home_in(self.before))
            while not (self.before / name / "history.jsonl").exists():
                time.sleep(0.005)
            started.send(signal.SIGTERM)
            if started.wait().code == 128 + signal.SIGTERM and not (self.before / name / "result.json").exists():
                return

    @contextmanager
    def copy(self) -> Iterator[Path]:
        """A copy of all, removed at the end."""
        self.count += 1
        copy = self.folder / f"trial{self.count}"
        shutil.copytree(self.before, copy)
        for name in ("tmp", "home"):
            shutil.rmtree(copy / name, ignore_errors=True)
            (copy / name).mkdir()
        try:
            yield copy
        finally:
            shutil.rmtree(copy)


def home_in(folder: Path) -> dict[str, str]:
    """The environment of a user whose home, caches and temporary files all lie in a folder.

    Only compiled code is shared.
    """
    places = {"HOME": "home", "XDG_CACHE_HOME": "home/cache", "XDG_STATE_HOME": "home/state", "TMPDIR": "tmp"}
    for place in ("home", "tmp"):
        (folder / place).mkdir(exist_ok=True)
    share_libraries(folder / "home" / "cache")
    asan = {"ASAN_OPTIONS": "verify_asan_link_order=0"}     # the shim comes before it
    return asan | {"FEATHERWEIGHT_DATA": ""} | {name: str(folder / place) for name, place in places.items()}


def run_task(
    warm: Warm, task: Task, folder: Path, env: Mapping[str, str], timeout: float = 90, first: str = ""
) -> Done:
    """Run a command; a server is told to stop when it answers."""
    started = warm.start(*task.arguments, cwd=folder, env={**home_in(folder), **env}, first=first)
    if task.arguments[0] == "serve":
        until = time.monotonic() + timeout
        out = started.folder / "out"
        while time.monotonic() < until and not (out.exists() and "answers at" in out.read_text()):
            if warm.wait_for(started.pid, 0.02) is not None:
                break
        started.send(signal.SIGTERM)
    return started.wait(timeout)


def files_in(folder: Path) -> dict[str, bytes]:
    """Path -> bytes of all files but those of the home."""
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in sorted(folder.rglob("*")) if file.is_file() and "home" not in file.relative_to(folder).parts
    }


def broken(name: str, content: bytes) -> str:
    """Return what is wrong with a file that should be whole; "" for one that is."""
    try:
        check_whole(name, content)
    except Exception as fault:
        return f"{name} is half-written: {type(fault).__name__} {fault}"[:200]
    return ""


def check_whole(name: str, content: bytes) -> None:
    """Raise anything for a file that ends too early."""
    from PIL import Image
    from safetensors.torch import load

    match Path(name).suffix:
        case ".json":
            json.loads(content)
        case ".jsonl":
            [json.loads(line) for line in content.decode().splitlines()]
        case ".toml":
            tomllib.loads(content.decode())
        case ".svg":
            ElementTree.fromstring(content)
        case ".png":
            Image.open(io.BytesIO(content)).load()
        case ".xlsx":
            assert zipfile.ZipFile(io.BytesIO(content)).testzip() is None
        case ".safetensors":
            load(content)
        case ".onnx":
            import onnx

            onnx.checker.check_model(onnx.load_from_string(content))
        case ".html":
            assert content.rstrip().endswith(b"</html>")
        case _:
            assert content.endswith(b"\n")


@dataclass
class Undisturbed:
    """A command without a fault: what it calls how often, and what it leaves."""

    calls: dict[str, int]
    names: set[str]
    written: set[str]
    sizes: list[int]
    weights: dict[str, bytes]
    by_torch: dict[str, bytes]      # weights of a training for which nothing could be compiled


def undisturbed(stage: Stage, task: Task) -> Undisturbed:
    """Run a command once and watch it."""
    with stage.copy() as folder:
        before, inodes = files_in(folder), inodes_in(folder)
        log = stage.folder / "log"
        log.unlink(missing_ok=True)
        done = run_task(stage.warm, task, folder, {"FAULT_PATH": str(folder), "FAULT_LOG": str(log)})
        assert done.code in (0, 143), (task, done)
        after = files_in(folder)
        lines = log.read_text().splitlines() if log.exists() else []
        calls = {call: sum(line.startswith(f"{call} ") for line in lines) for call in CALLS}
        moved = inodes.items() ^ inodes_in(folder).items()      # a file that is moved into place has a new number
        written = {name for name in after if before.get(name) != after[name]} | {name for name, _ in moved} & set(after)
        return Undisturbed(calls, set(after), written, [len(after[name]) for name in written],
                           weights_of(folder, task.run), torch_weights(stage, task))


def inodes_in(folder: Path) -> dict[str, int]:
    """Return the number of each file in its file system."""
    return {str(path.relative_to(folder)): path.stat().st_ino for path in folder.rglob("*") if path.is_file()}


def torch_weights(stage: Stage, task: Task) -> dict[str, bytes]:
    """The weights of a training by torch."""
    if not task.run:
        return {}
    with stage.copy() as folder:
        shutil.rmtree(folder / task.run, ignore_errors=True)
        seeds = ("--seeds", "2") if task in SEEDS else ()
        done = stage.warm.run("train", *RECIPE, "--set", "training.engine=torch", *seeds, "--out", task.run,
                              "--no-report", cwd=folder, env=home_in(folder), timeout=120)
        assert done.code == 0, done
        return weights_of(folder, task.run)


def weights_of(folder: Path, run: str) -> dict[str, bytes]:
    """The trained weights of a run, without the text beside them, which holds times."""
    from safetensors.torch import load_file

    files = (folder / run).rglob("model.safetensors") if run else ()
    return {
        f"{file.parent.name}/{name}": tensor.numpy().tobytes()
        for file in files for name, tensor in load_file(file).items()
    }


def refusals(seed: int, folder: Path, warm: Warm, tasks: Sequence[Task] = PAGES) -> Iterator[Trial]:
    """Each error in each call of each command, in an order drawn by the seed; warm has no shim and is not used."""
    random = Random(seed)
    with faulty(folder) as process:
        stage = Stage(folder / "stage", process, [need for task in tasks for need in task.needs])
        known = {task.name: undisturbed(stage, task) for task in tasks}
        cells = [
            (task, call, error, place, times)
            for task in tasks for call in CALLS for place in range(known[task.name].calls[call])
            for error in ERRORS for times in (1, 0)
        ]
        while True:
            random.shuffle(cells)
            for task, call, error, place, times in cells:
                yield refuse(stage, task, known[task.name], (call, error, place, times))


def refuse(stage: Stage, task: Task, usual: Undisturbed, cell: tuple[str, str, int, int]) -> Trial:
    """Run a command with one fault."""
    call, error, place, times = cell
    number = getattr(errno, error)
    what = f"{task.name}: {error} in {call} {place}" + ("" if times else " and all after it")
    with stage.copy() as folder:
        before, log = files_in(folder), folder / "home" / "log"
        env = {"FAULT_PATH": str(folder), "FAULT_CALL": call, "FAULT_ERRNO": str(number), "FAULT_AFTER": str(place),
               "FAULT_TIMES": str(times), "FAULT_LOG": str(log),
               "XDG_CACHE_HOME": str(folder / "home" / "empty")}      # so a training must compile its code
        done = run_task(stage.warm, task, folder, env)
        failed = [line for line in log.read_text().splitlines() if "! " in line] if log.exists() else []
        fault = wrong_line(done, task, number) or wrong_files(folder, task, usual, before, complete=done.code != 2)
        fault = fault or wrong_resumption(stage, task, usual, folder, done.err)
        outcome = "not reached" if not failed else "refused" if done.code == 2 else "harmless"
        where = failed[0].partition(str(folder))[2] if failed else ""
        detail = f"{what} {where}"
        return Trial(f"{error} in {call}", detail, outcome, f"{fault} | {done.err[-300:]}" if fault else "")


def wrong_line(done: Done, task: Task, number: int) -> str:
    """Return what is wrong with how a command ended."""
    code = 0 if task.arguments[0] == "serve" and done.code == 143 else done.code
    if wrong := wrong_end(Done(code, done.out, done.err, 0.0, done.peak)):
        return wrong
    lines = [line for line in done.err.splitlines()
             if line.startswith("featherweight: ") and line != "featherweight: interrupted."]
    if len(lines) != (code == 2):
        return f"{len(lines)} lines of fault for exit code {code}"
    if code == 2 and os.strerror(number) not in lines[0]:
        return "the line does not say what the system said"
    if code == 2 and "/" not in lines[0] and "." not in lines[0]:
        return "the line names no file"
    return ""


def wrong_files(
    folder: Path, task: Task, usual: Undisturbed, before: Mapping[str, bytes], *, complete: bool
) -> str:
    """Return what is wrong with the files: lost, half-written, left over."""
    after = files_in(folder)
    for name in after:
        if name not in usual.names and name not in before and not name.endswith("/.lock"):
            return f"{name} is left"
    for name, content in before.items():
        if name not in after and name in usual.names and not name.startswith(task.gone or "/"):
            return f"{name} is lost"
        if name in after and after[name] != content and name not in usual.written:
            return f"{name} was changed"
    for name in usual.written & set(after):
        if before.get(name) != after[name] and (fault := broken(name, after[name])):
            return fault
    if complete and (missing := {name for name in usual.names if "report.html" not in name} - set(after)):
        return f"exit code 0, but without {sorted(missing)}"
    return ""


def wrong_resumption(stage: Stage, task: Task, usual: Undisturbed, folder: Path, said: str) -> str:
    """Return what is wrong with the run after the fault: it must go on, or begin anew, to the same weights.

    said: by the command with the fault. If nothing could be compiled, it may go on by torch, and must say so.
    """
    if not task.run:
        return ""
    begun = (folder / task.run / "recipe.toml").exists()
    again = ("train", f"{task.run}/recipe.toml", "--out", task.run, "--resume") if begun else \
        ("train", *RECIPE, "--out", task.run)
    if task in SEEDS:
        again = (*task.arguments, *(["--resume"] if any((folder / task.run).glob("seed-*")) else []))
    done = stage.warm.run(*again, "--no-report", cwd=folder, env=home_in(folder), timeout=120)
    if done.code != 0:
        return f"cannot be resumed: {done.err[-300:]}"
    if "goes on by torch" in said or weights_of(folder, task.run) in (usual.weights, usual.by_torch):
        return ""
    return "resumed to other weights"


def refusals_in_runs(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """The same for trainings, which are resumed after each fault."""
    yield from refusals(seed, folder, warm, RUNS)


def refusals_in_exports(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """The same for what makes ONNX and C."""
    yield from refusals(seed, folder, warm, EXPORTS)


def refusals_with_seeds(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """The same for a training of two seeds, each in a process of its own."""
    yield from refusals(seed, folder, warm, SEEDS)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[str | None]:
    """Mount a tmpfs of this many bytes and yield its path, or None where that is not allowed."""
    place = folder / "small"
    place.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield str(place) if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "-l", str(place)], check=True)


LIMITED = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, ({size}, {size}))"


def full_disks(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Commands on a disk that has less room than they need: a tmpfs, or a limit on the size of a file."""
    random = Random(seed)
    stage = Stage(folder / "stage", warm, ["run", "kernels.png"])
    tasks = (
        RUNS[0],
        Task("report", ("report", "run", "--out", "page.html")),
        Task("byhand", ("byhand", "--out", "book.xlsx", "--plot", "rates.png", "--updates", "3")),
        Task("plot", ("plot", "kernels", "run", "--out", "new.png")),
        Task("data show", ("data", "show", "digits", "--out", "grid.png")),
    )
    known = {task.name: undisturbed(stage, task) for task in tasks}
    need = {task.name: sum(known[task.name].sizes) for task in tasks}
    while True:
        task = random.choice(tasks)
        size = 4096 * random.randint(1, need[task.name] // 4096 + 4)
        yield fill(stage, task, known[task.name], size)


def fill(stage: Stage, task: Task, usual: Undisturbed, size: int) -> Trial:
    """Run a command with so many bytes of room."""
    present = sum((len(content) + 4095) // 4096 * 4096 for content in files_in(stage.before).values()) + 65536
    with small_disk(stage.folder, size + present) as place, stage.copy() as copy:
        folder = Path(place) / "here" if place else copy
        if place:
            shutil.copytree(copy, folder)
        before = files_in(folder)
        done = run_task(stage.warm, task, folder, {}, first="" if place else LIMITED.format(size=size))
        number = errno.ENOSPC if place else errno.EFBIG
        fault = wrong_line(done, task, number) or wrong_files(folder, task, usual, before, complete=done.code != 2)
        if place:
            subprocess.run(["mount", "-o", "remount,size=1g", place], check=True)
        fault = fault or wrong_resumption(stage, task, usual, folder, done.err)
        kind = "full disk" if place else "limited file size"
        what = f"{task.name} with {size:,} bytes of room"
        return Trial(kind, what, "refused" if done.code == 2 else "harmless",
                     f"{fault} | {done.err[-300:]}" if fault else "")


ROWS = (full_disks, refusals, refusals_in_runs, refusals_in_exports, refusals_with_seeds)
