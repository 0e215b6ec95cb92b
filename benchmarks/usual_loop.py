"""Measure one epoch of the documents' usual training loop, of ours and of PyTorch Lightning on the CPU.

All have the same network, data, batch size, optimizer and ranges of augmentation. Each measurement is a fresh process
(peers.py) that warms up and then trains one whole epoch. The peers take turns, so other load on the machine affects all
of them.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import report
from featherweight.models import CATALOGUE

PEERS = ("usual", "featherweight-auto", "featherweight-float32", "lightning")
BASELINES = ("usual", "lightning")      # the others are compared with these
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
            for peer in peers:
                measured = run_child(options, model, peer, repeat)
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
    parser.add_argument("--models", nargs="+", choices=networks, default=["session7-model2", "session6"])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--repeats", type=report.positive, default=3, help="measurements of each peer")
    parser.add_argument("--images", type=report.positive, default=60_000, help="largest number of images in an epoch")
    parser.add_argument("--batch-size", type=report.positive, default=128)
    parser.add_argument("--data", choices=("mnist", "digits"), default="mnist")
    parser.add_argument("--data-dir", type=lambda text: str(Path(text).resolve()), help="folder with mnist/*.gz")
    return parser.parse_args()


def available(peers: list[str], find: Callable[[str], object] = importlib.util.find_spec) -> list[str]:
    """Return the peers that can run here: without lightning if it is not installed."""
    if "lightning" in peers and find("lightning") is None:
        report.say("lightning is not installed and is left out; install it with: pip install 'featherweight[bench]'")
        return [peer for peer in peers if peer != "lightning"]
    return peers


def run_child(options: argparse.Namespace, model: str, peer: str, repeat: int) -> dict[str, Any]:
    """Run one measurement in a child process and return its result. Its standard error is passed through."""
    job = {
        "peer": peer, "model": model, "data": options.data, "data_dir": options.data_dir,
        "images": options.images, "batch_size": options.batch_size, "seed": repeat,
    }
    child = subprocess.run([sys.executable, CHILD, json.dumps(job)], stdout=subprocess.PIPE, text=True, check=False)
    if child.returncode == -signal.SIGINT:
        raise KeyboardInterrupt     # Ctrl-C reached the child before this process
    if child.returncode:
        report.say(f"{peer} with {model} ended with exit code {child.returncode}; {options.out} holds what came before")
        sys.exit(child.returncode if child.returncode > 0 else 1)
    return json.loads(child.stdout.splitlines()[-1]) | {"repeat": repeat}


def summarise(raw: list[dict[str, Any]]) -> dict[str, Any]:
    """Return {"results": {model: {peer: {quantity: spread}}}, "ratios": {model: {"usual / peer": spread}}}."""
    results: dict[str, Any] = {}
    ratios: dict[str, Any] = {}
    for model in dict.fromkeys(one["model"] for one in raw):
        runs = {peer: [one for one in raw if (one["model"], one["peer"]) == (model, peer)] for peer in PEERS}
        runs = {peer: found for peer, found in runs.items() if found}
        seconds = {peer: [one["seconds"] for one in found] for peer, found in runs.items()}
        results[model] = {peer: summarise_peer(found) for peer, found in runs.items()}
        ratios[model] = {
            f"{base} / {peer}": report.spread(report.ratios(seconds[peer], seconds[base]), 3)
            for base in BASELINES for peer in seconds if base in seconds and peer not in (base, "usual")
        }
    return {"results": results, "ratios": ratios}


def summarise_peer(runs: list[dict[str, Any]]) -> dict[str, Any]:
    values = {key: [one[key] for one in runs] for key in DIGITS}
    spreads = {key: report.spread(found, DIGITS[key]) for key, found in values.items() if None not in found}
    return {"precision": runs[0]["precision"], "images": runs[0]["images"]} | spreads


def tell(measured: dict[str, Any], repeats: int) -> None:
    report.say(
        f"{measured['model']}  {measured['repeat'] + 1}/{repeats}  {measured['peer']:<22} "
        f"{measured['seconds']:7.2f} s  {measured['images_per_second']:8,.0f} images/s  "
        f"{measured['peak_mb']:6.0f} MB  loss {measured['train_loss']:.3f}"
    )


def print_model(model: str, content: dict[str, Any]) -> None:
    rows = []
    for peer, found in content["results"][model].items():
        share, workers = found.get("augmentation_share"), found["workers_peak_mb"]["max"]
        rows.append([
            peer, found["precision"], report.show(found["seconds"], 2), f"{found['images_per_second']['median']:,.0f}",
            f"{found['peak_mb']['max']:,.0f}", f"{workers:,.0f}" if workers else "-",
            f"{share['median']:.1%}" if share else "-",
            *(report.show(content["ratios"][model].get(f"{base} / {peer}"), 2) for base in BASELINES),
        ])
    columns = ["peer", "precision", "s an epoch", "images/s", "peak MB", "worker MB", "augmenting",
               "usual / this", "lightning / this"]
    machine = content["machine"]
    report.print_table(f"{model} · {machine['processor']}, {machine['threads']} threads", columns, rows)


if __name__ == "__main__":
    sys.exit(report.run(main))
