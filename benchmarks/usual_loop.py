"""Measure one epoch of the documents' usual training loop, of both our engines and of PyTorch Lightning on the CPU.

All have the same network, data, batch size, optimizer and ranges of augmentation. Each measurement is a fresh process
(peers.py) that warms up and then trains one whole epoch. The peers take turns, so other load on the machine affects all
of them. With several numbers of threads, ours are measured with each of them in every turn; the usual loop and
Lightning only with the largest.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

import report
from featherweight.cores import wait_passively
from featherweight.models import CATALOGUE

PEERS = ("usual", "featherweight-compiled", "featherweight-torch", "featherweight-float32", "lightning")
OURS = PEERS[1:4]
RATIOS = (                              # of the seconds of two peers with the same number of threads
    *(("usual", peer) for peer in PEERS[1:]), *(("lightning", peer) for peer in OURS),
    ("featherweight-torch", "featherweight-compiled"),
)
CHILD = Path(__file__).resolve().parent / "peers.py"
DIGITS = {"seconds": 3, "images_per_second": 1, "peak_mb": 1, "workers_peak_mb": 1, "augmentation_share": 4}


def main() -> int:
    options = parse()
    peers = available(options.peers)
    settings = {key: value for key, value in vars(options).items() if key != "out"} | {"peers": peers}
    content = report.begin("usual_loop", settings, "lightning", "pillow") | {"results": {}, "ratios": {}, "raw": []}
    report.save(options.out, content)
    for model in options.models:
        for repeat in range(options.repeats):
            for peer, threads in cases(peers, options.threads):
                measured = run_child(options, model, peer, threads, repeat)
                content["raw"].append(measured)
                content |= summarise(content["raw"])
                report.save(options.out, content)
                tell(measured, options.repeats)
    report.save(options.out, content | {"complete": True})
    for model in content["results"]:
        print_model(model, content)
    print(f"written to {options.out}")
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "usual_loop")
    networks = [name for name in CATALOGUE if name != "digit-sum"]      # networks with one image in and one class out
    parser.add_argument("--models", nargs="+", choices=networks, default=["session7-model2", "session6", "feather-8k"])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--threads", nargs="+", type=report.positive, default=[torch.get_num_threads()])
    parser.add_argument("--repeats", type=report.positive, default=5, help="measurements of each peer")
    parser.add_argument("--images", type=report.positive, default=60_000, help="largest number of images in an epoch")
    parser.add_argument("--batch-size", type=report.positive, default=128)
    parser.add_argument("--data", choices=("mnist", "digits"), default="mnist")
    parser.add_argument("--data-dir", type=lambda text: str(Path(text).resolve()), help="folder with mnist/*.gz")
    return parser.parse_args()


def available(peers: list[str], find: Callable[[str], object] = importlib.util.find_spec) -> list[str]:
    """Return the peers that can run here: without lightning if it is not installed."""
    if "lightning" in peers and find("lightning") is None:
        report.say("lightning is not installed and is left out; install it with: python -m pip install -e '.[bench]'")
        return [peer for peer in peers if peer != "lightning"]
    return peers


def cases(peers: list[str], threads: list[int]) -> list[tuple[str, int]]:
    """Return the (peer, number of threads) of one turn, in their order."""
    return [(peer, count) for peer in peers for count in sorted(set(threads), reverse=True)
            if peer in OURS or count == max(threads)]


def run_child(options: argparse.Namespace, model: str, peer: str, threads: int, repeat: int) -> dict[str, Any]:
    """Run one measurement in a child process and return its result. Its standard error is passed through.

    Our peers wait passively for threads, as the program featherweight does. The others have the settings of torch.
    """
    job = {
        "peer": peer, "model": model, "data": options.data, "data_dir": options.data_dir,
        "images": options.images, "batch_size": options.batch_size, "seed": repeat,
    }
    environment = os.environ | {"OMP_NUM_THREADS": str(threads)}
    if peer in OURS:
        wait_passively(environment)
    child = subprocess.run([sys.executable, CHILD, json.dumps(job)], env=environment, stdout=subprocess.PIPE, text=True,
                           check=False)
    if child.returncode == -signal.SIGINT:
        raise KeyboardInterrupt     # Ctrl-C reached the child before this process
    if child.returncode:
        report.say(f"{peer} with {model} ended with exit code {child.returncode}; {options.out} holds what came before")
        sys.exit(child.returncode if child.returncode > 0 else 1)
    return json.loads(child.stdout.splitlines()[-1]) | {"repeat": repeat}


def summarise(raw: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the spreads of all results and ratios, by model and number of threads.

    results: {model: {"2 threads": {peer: {quantity: spread}}}}.
    ratios: {model: {"2 threads": {"usual / PEER": spread}, "1 thread / 2 threads": {peer: spread}}}.
    """
    results: dict[str, Any] = {}
    ratios: dict[str, Any] = {}
    for model in dict.fromkeys(one["model"] for one in raw):
        runs: dict[int, dict[str, list[dict[str, Any]]]] = {}
        for one in raw:
            if one["model"] == model:
                runs.setdefault(one["threads"], {}).setdefault(one["peer"], []).append(one)
        results[model] = {named(count): {peer: summarise_peer(found) for peer, found in peers.items()}
                          for count, peers in runs.items()}
        ratios[model] = {named(count): ratios_of_peers(peers) for count, peers in runs.items()}
        ratios[model] |= ratios_of_threads(runs)
    return {"results": results, "ratios": ratios}


def ratios_of_peers(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the ratios of RATIOS with the same number of threads: {"usual / PEER": spread}."""
    return {f"{base} / {peer}": ratio(runs[base], runs[peer]) for base, peer in RATIOS if base in runs and peer in runs}


def ratios_of_threads(runs: dict[int, dict[str, list[dict[str, Any]]]]) -> dict[str, Any]:
    """Return the ratios of the fewest to more threads: {"1 thread / 2 threads": {peer: spread}}."""
    few = min(runs)
    return {
        f"{named(few)} / {named(many)}": {
            peer: ratio(runs[few][peer], found) for peer, found in runs[many].items() if peer in runs[few]
        } for many in sorted(runs) if many > few
    }


def ratio(base: list[dict[str, Any]], runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the spread of the seconds of `base` divided by those of the same turn in `runs`."""
    return report.spread(report.ratios(*([one["seconds"] for one in found] for found in (runs, base))), 3)


def named(threads: int) -> str:
    return f"{threads} thread{'s' if threads > 1 else ''}"


def summarise_peer(runs: list[dict[str, Any]]) -> dict[str, Any]:
    values = {key: [one[key] for one in runs] for key in DIGITS}
    spreads = {key: report.spread(found, DIGITS[key]) for key, found in values.items() if None not in found}
    return {key: runs[0][key] for key in ("engine", "precision", "images")} | spreads


def tell(measured: dict[str, Any], repeats: int) -> None:
    report.say(
        f"{measured['model']} {measured['repeat'] + 1}/{repeats} {measured['peer']:<22} "
        f"{named(measured['threads']):>9} {measured['seconds']:7.2f} s {measured['peak_mb']:5.0f} MB  "
        f"loss {measured['train_loss']:.3f}"
    )


def print_model(model: str, content: dict[str, Any]) -> None:
    rows, machine = [], content["machine"]
    for threads, peers in content["results"][model].items():
        for peer, found in peers.items():
            share = found.get("augmentation_share")
            rows.append([
                f"{short(peer)}, {threads}", found["precision"], report.show(found["seconds"], 2),
                f"{found['peak_mb']['max']:,.0f}", f"{share['median']:.1%}" if share else "-",
            ])
    columns = ["peer", "precision", "s an epoch", "peak MB", "augmenting"]
    report.print_table(f"{model} · {machine['processor']}, {machine['cores']} cores", columns, rows)
    rows = [[short(name), which, report.show(spread, 2)]
            for which, found in content["ratios"][model].items() for name, spread in found.items()]
    if rows:
        report.print_table(f"{model} · ratios of seconds in the same turn", ["ratio", "with", "times"], rows)


def short(name: str) -> str:
    return name.replace("featherweight-", "")


if __name__ == "__main__":
    sys.exit(report.run(main))
