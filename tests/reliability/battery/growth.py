"""What a long-lived process keeps: memory, descriptors, threads, figures, modules, temporary files.

`python growth.py WORK FOLDER COUNT SEED` does one work so often and prints what it held at the start, halfway and at
the end.
"""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from battery.attacks import ATTACKS
from battery.hostile import attempt, digit
from battery.load import loaded
from battery.served import TINY, Served, descriptors, make_bundle, resident
from battery.trial import Trial
from battery.warm import Warm
from featherweight.user_code.modules import MOST_MODULES, PREFIX

COUNTS = {"predict": 200, "train": 30, "picture": 20}
MORE_BYTES = 30_000_000     # that the second half of a work may add: allocators keep what they may need again
SERVER_BYTES = 40_000_000


def growth_trials(seed: int, folder: Path, warm: Warm, counts: dict[str, int] = COUNTS) -> Iterator[Trial]:
    """Do each work many times in a process of its own and compare its second half with its first."""
    draw = random.Random(seed)
    make_bundle(folder, warm)
    while True:
        for work, count in counts.items():
            number = draw.randrange(1 << 30)
            command = [sys.executable, __file__, work, str(folder), str(count), str(number)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            held = json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else []
            fault = compare(*held) if held else f"exit code {done.returncode}: {done.stderr[-500:]}"
            grown = f"{(held[2]['bytes'] - held[1]['bytes']) / 1e6:+.1f} MB" if held else ""
            yield Trial(f"many times: {work}", f"seed {number}: {count} times, {grown}", "nothing kept", fault)


def compare(start: dict[str, int], half: dict[str, int], end: dict[str, int]) -> str:
    """Return what grew from halfway to the end; "" for nothing."""
    del start       # the first half loads modules and fills caches
    grown = [f"{name} {half[name]} -> {end[name]}" for name in half if name != "bytes" and end[name] > half[name]]
    if end["bytes"] - half["bytes"] > MORE_BYTES:
        grown.append(f"bytes {half['bytes']:,} -> {end['bytes']:,}")
    return ", ".join(grown)


def served_growth_trials(seed: int, folder: Path, warm: Warm, count: int = 2000) -> Iterator[Trial]:
    """Send honest and hostile requests to one server and compare what its processes hold."""
    draw, bundle = random.Random(seed), make_bundle(folder, warm)
    while True:
        with Served(bundle, folder) as server:
            held = []
            for _ in range(3):
                for attack in [make(draw) for make in ATTACKS.values() for _ in range(count // 60)]:
                    attempt(server, attack)
                load = loaded(server.address, [digit()], count // 3, clients=8)
                held.append([(resident(one), settled(one)) for one in server.processes()])
            grown = [after - before for (before, _), (after, _) in zip(held[1], held[2], strict=True)]
            more = [after - before for (_, before), (_, after) in zip(held[1], held[2], strict=True)]
            fault = f"{load.lost} requests lost" if load.lost else ""
            fault = fault or (f"{max(grown):,} bytes more" if max(grown) > SERVER_BYTES else "")
            fault = fault or (f"{max(more)} descriptors more" if max(more) > 0 else "")
            what = f"seed {seed}: {count} requests, {max(grown) / 1e6:+.1f} MB"
            yield Trial("many times: served", what, "nothing kept", fault)


def settled(process: int) -> int:
    """Return the descriptors of a process when their number stays, as connections that end need a moment."""
    seen = [descriptors(process)]
    while len(seen) < 50 and (len(seen) < 10 or len(set(seen[-10:])) > 1):
        time.sleep(0.1)
        seen.append(descriptors(process))
    return seen[-1]


def usage(folder: Path) -> dict[str, int]:
    """Return what this process holds now."""
    gc.collect()
    pyplot = sys.modules.get("matplotlib.pyplot")
    return {
        "bytes": resident(os.getpid()), "descriptors": descriptors(os.getpid()), "threads": threading.active_count(),
        "system threads": sum(1 for _ in Path("/proc/self/task").iterdir()),
        "figures": len(pyplot.get_fignums()) if pyplot else 0,
        "modules": sum(1 for name in sys.modules if not name.startswith(PREFIX)),
        "user modules": max(MOST_MODULES, sum(1 for name in sys.modules if name.startswith(PREFIX))),
        "temporary files": sum(1 for _ in (folder / "temporary").iterdir()),
    }


def work_of(name: str, folder: Path) -> Callable[[int], object]:
    """Return what is done so often; it is told its number."""
    from PIL import Image

    import featherweight

    page = folder / "page.png"
    Image.effect_noise((90, 90), 90).point(lambda grey: 0 if grey < 90 else 255).save(page)

    def predict(number: int) -> object:
        source = folder / ("bundle" if number % 2 else "run")
        return featherweight.predict(source, [str(page)] * 3), featherweight.Run(folder / "run").predict(str(page))

    def train(number: int) -> object:
        network = folder / f"own{number}.py"
        network.write_text(TINY)
        recipe = {"name": "own", "model": {"name": f"{network}:Tiny"}, "data": {"dataset": "digits"}}
        return featherweight.train(featherweight.Recipe.from_dict(recipe), folder / f"run{number}", device="cpu")

    def picture(number: int) -> object:
        run = featherweight.Run(folder / "run")
        return run.plot("curves"), run.plot("confusion"), run.report(folder / "report.html")

    return {"predict": predict, "train": train, "picture": picture}[name]


def main(name: str, folder: Path, count: int) -> None:
    """Do a work count times, and print what is held at the start, halfway and at the end."""
    import torch

    torch.set_num_threads(1)
    (folder / "temporary").mkdir(exist_ok=True)
    tempfile.tempdir = str(folder / "temporary")
    work, held = work_of(name, folder), []
    for number in range(count):
        if number in (0, count // 2):
            held.append(usage(folder))
        work(number)
    print(json.dumps([*held, usage(folder)]))


ROWS = (growth_trials, served_growth_trials)

if __name__ == "__main__":
    with tempfile.TemporaryDirectory(dir=sys.argv[2]) as own:       # nothing of one run is left for the next
        for name in ("run", "bundle"):
            (Path(own) / name).symlink_to(Path(sys.argv[2]) / name)
        main(sys.argv[1], Path(own), int(sys.argv[3]))
