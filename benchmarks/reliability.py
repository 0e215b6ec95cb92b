"""Count the injected faults that are survived: kills, signals, damaged files, full disks, hostile requests and more.

The faults are those of tests/reliability/battery, drawn with a seed, for --minutes minutes. The next fault is of the
kind that is furthest from its goal, and the run ends early when all goals are reached. Several faults are tried at a
time. At the end the requests of many clients are measured, while nothing else runs.
"""

from __future__ import annotations

import argparse
import importlib
import json
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Any

import serve_load

import report
from featherweight.shipping import make_bundle

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "reliability"))
from battery.load import loaded
from battery.served import Served
from battery.trial import Trial, Trials
from battery.warm import Warm

MODULES = (     # signals twice: they have the largest goal for their time, and a module has one thread
    "kills", "starts", "mutations", "names", "signals", "signals", "disk", "network", "links", "hostile", "growth",
)
GOALS = {       # key: the first words of a kind, the first match counts; 950 are 50 for each of 19 commands
    "mutated .": 250, "mutated GIF": 250, "mutated NPY": 250, "mutated JSONL, drawn": 250, "mutated card": 250,
    "mutated network": 250, "mutated data": 250, "mutated pictures": 250, "mutated safetensors, a": 250,
    "mutated": 1000, "killed in a save": 30, "killed training": 70, "killed seeds": 15, "double": 100,
    "cold cache": 20, "hostile request": 300, "EACCES": 150, "EIO": 150, "ENOSPC": 150, "EROFS": 150, "EXDEV": 150,
    "signal to": 950, "many times": 3,
}
GOAL = 50       # for all other kinds
EARLIER: dict[str, Any] = {"tried": Counter(), "results": {}, "faults": [], "runs": []}     # see --add
STARTS = 3      # of a generator; one that raised an exception so often is given up
AT_ONCE, CLIENTS, SAVED_SECONDS = 5, 32, 10      # many faults wait for time to pass, so five share two cores


@dataclass
class Row:
    """One generator of faults, and the trials made so far."""

    begin: Callable[[int], Iterator[Trial]]     # the generator of the n-th start
    copies: int         # rows of these faults, which share the goal
    made: list[Trial] = field(default_factory=list)
    broken: list[Trial] = field(default_factory=list)   # the ends of generators that raised an exception

    def __post_init__(self) -> None:
        self.trials = self.begin(0)

    @property
    def share(self) -> float:
        """Fraction of the goal that is reached."""
        if len(self.broken) >= STARTS:
            return 1.0
        if not self.made:
            return 0.0
        kind = self.made[0].kind
        return (self.copies * len(self.made) + EARLIER["tried"][group_of(kind)]) / goal_of(kind)

    def next_trial(self) -> Trial:
        """Try the next fault. If the generator raises an exception, that is a fault, and a new generator starts."""
        try:
            trial = next(self.trials)
        except Exception:
            name = getattr(self.trials, "__name__", "faults")
            trial = Trial(f"generator {name}", f"start {len(self.broken)}", "raised", traceback.format_exc(limit=-4))
            self.broken.append(trial)
            self.trials = self.begin(len(self.broken))
        else:
            self.made.append(trial)
        return trial


@dataclass
class Module:
    """The rows of one module of the battery. One thread at a time uses them, since they share a server of commands."""

    rows: list[Row]
    busy: Lock = field(default_factory=Lock)

    @property
    def share(self) -> float:
        """Fraction of the goal that its slowest row has reached."""
        return min(row.share for row in self.rows)


def main() -> int:
    options = parse()
    settings = {name: getattr(options, name) for name in ("minutes", "seed", "modules", "requests")}
    content = report.begin("reliability", settings)
    if options.add:
        add_to(json.loads(options.out.read_text()))
    until = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory(prefix="battery-") as folder, ExitStack() as stack:
        modules = [open_module(options.modules, index, Path(folder), options.seed, stack)
                   for index in range(len(options.modules))]
        rows = [row for module in modules for row in module.rows]
        with ThreadPoolExecutor(AT_ONCE) as crew:
            running = [crew.submit(try_all, modules, until) for _ in range(AT_ONCE)]
            while wait(running, timeout=SAVED_SECONDS).not_done:
                content |= results_of(rows)
                report.save(options.out, content)
        for row in rows:
            row.trials.close()      # ends its servers, which would keep this process alive
    for part in running:
        part.result()       # raises the exception of a thread, if there was one
    content |= results_of(rows)
    if options.requests:
        content["load"] = measure_load(options.requests)
    report.save(options.out, content | {"complete": True})
    print_results(content)
    print(f"written to {options.out}")
    return 1 if content["faults"] else 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "reliability")
    parser.add_argument("--minutes", type=float, default=30, help="duration of the faults")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--requests", type=int, default=10_000, help="requests of all clients at the end; 0: none")
    parser.add_argument("--add", action="store_true", help="add to the counts of --out; give another --seed")
    parser.add_argument("--modules", nargs="+", default=list(MODULES), choices=MODULES, help="modules of the battery")
    return parser.parse_args()


def open_module(names: Sequence[str], index: int, folder: Path, seed: int, stack: ExitStack) -> Module:
    """Return the rows of one of the modules, with commands of their own; the stack closes them."""
    name, warm, rows = names[index], stack.enter_context(Warm()), []
    seed += 1000 * names[:index].count(name)
    for number, trials in enumerate(importlib.import_module(f"battery.{name}").ROWS):
        place = folder / f"{name}-{index}-{number}"
        rows.append(Row(partial(begin, trials, seed, place, warm), names.count(name)))
    return Module(rows)


def begin(trials: Trials, seed: int, place: Path, warm: Warm, start: int) -> Iterator[Trial]:
    """Return the generator of the n-th start, with a seed and a folder of its own."""
    folder = place / str(start)
    folder.mkdir(parents=True)
    return trials(seed + 100 * start, folder, warm)


def try_all(modules: Sequence[Module], until: float) -> None:
    """Try faults until the time is over or all goals are reached. Several threads call this at once."""
    while time.monotonic() < until and (module := take(modules)):
        row = min(module.rows, key=lambda row: row.share)
        try:
            trial = row.next_trial()
        finally:
            module.busy.release()
        if trial.fault:
            report.say(f"{trial}")


def take(modules: Sequence[Module]) -> Module | None:
    """Return the module furthest from its goals that no other thread uses, marked busy; None if none has work left."""
    while waiting := [module for module in modules if module.share < 1]:
        for module in sorted(waiting, key=lambda module: module.share):
            if module.busy.acquire(blocking=False):
                return module
        time.sleep(0.05)
    return None


def results_of(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the content of the JSON about all faults so far."""
    faults = [asdict(trial) for trial in made_in(rows) if trial.fault]
    return {"results": table_of(rows), "ratios": {}, "faults": EARLIER["faults"] + faults, "runs": EARLIER["runs"]}


def add_to(earlier: dict[str, Any]) -> None:
    """Take the counts of an earlier run, to which this one adds."""
    EARLIER["faults"], EARLIER["results"] = earlier["faults"], earlier["results"]
    EARLIER["runs"] = [*earlier.get("runs", []), {key: earlier[key] for key in ("command", "started", "machine")}]
    for kind, row in earlier["results"].items():
        EARLIER["tried"][group_of(kind)] += row["tried"]


def made_in(rows: Sequence[Row]) -> list[Trial]:
    """Return all trials so far, with the generators that raised an exception."""
    return [trial for row in rows for trial in (*row.made, *row.broken)]


def group_of(kind: str) -> str:
    """Return the kinds that share a goal with this one, as one name. Each kind of mutated file has its own goal."""
    return kind if kind.startswith("mutated") else words_of(kind)


def words_of(kind: str) -> str:
    """Return the words in GOALS with which a kind begins, or the kind itself."""
    return next((words for words in GOALS if kind.startswith(words)), kind)


def goal_of(kind: str) -> int:
    """Number of faults of a kind that should be tried."""
    return GOALS.get(words_of(kind), GOAL)


def table_of(rows: Sequence[Row]) -> dict[str, dict[str, Any]]:
    """Return for each kind the number of faults tried, the number survived, and the count of each outcome."""
    made, table = made_in(rows), {}
    for kind in sorted({trial.kind for trial in made} | set(EARLIER["results"])):
        before = EARLIER["results"].get(kind, {"tried": 0, "survived": 0, "ends": {}})
        these = [trial for trial in made if trial.kind == kind]
        ends = Counter(before["ends"]) + Counter(trial.outcome for trial in these)
        table[kind] = {
            "tried": before["tried"] + len(these), "goal": goal_of(kind),
            "survived": before["survived"] + sum(not trial.fault for trial in these), "ends": dict(ends.most_common()),
        }
    return table


def measure_load(requests: int) -> dict[str, Any]:
    """Measure requests of 32 clients to `featherweight serve`, first alone and then beside 200 slow clients."""
    found = {}
    with tempfile.TemporaryDirectory() as folder:
        bundle = make_bundle(serve_load.trained("feather-fast", Path(folder) / "run"), Path(folder) / "bundle")
        asked = [serve_load.request(body) for body in serve_load.pictures(50)]
        with Served(bundle.path, Path(folder)) as server:
            loaded(server.address, asked, 1000)     # warmed up
            for slow in (0, 200):
                load = loaded(server.address, asked, requests, CLIENTS, slow)
                found[f"{CLIENTS} clients beside {slow} slow ones"] = {
                    "requests": requests, "lost": load.lost, "p50_ms": round(load.percentile(50), 1),
                    "p99_ms": round(load.percentile(99), 1),
                }
    return found


def print_results(content: dict[str, Any]) -> None:
    rows = [
        [kind, f"{row['tried']:,}", f"{row['survived']:,}", ", ".join(f"{end} {n:,}" for end, n in row["ends"].items())]
        for kind, row in content["results"].items()
    ]
    report.print_table("Faults made on purpose", ("kind", "tried", "survived", "ends"), rows)
    for name, found in content.get("load", {}).items():
        print(f"{name}: " + ", ".join(f"{key} {value:g}" for key, value in found.items()))


if __name__ == "__main__":
    sys.exit(report.run(main))
