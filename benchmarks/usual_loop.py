"""Our loop beside the loop of the documents and beside PyTorch Lightning, taking turns in one run.

Every peer trains the same network on the same images with the same ranges of augmentation, one epoch a
turn, in a fresh process, so that each one's peak memory is its own.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from report import RESULTS, installed, spread, write
from rich.console import Console
from rich.table import Table

PEERS = ("usual", "lightning", "featherweight-float32", "featherweight-auto")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=["session7-model2", "session6"])
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--images", type=int, default=60_000)
    parser.add_argument("--out", type=Path, default=RESULTS / "usual_loop.json")
    given = parser.parse_args()
    peers = [peer for peer in given.peers if is_here(peer)]
    turns: list[dict[str, Any]] = []
    for repeat in range(given.repeats):
        for model in given.models:
            for peer in peers:
                turns.append(one_turn(peer, model, repeat, given))
                write(given.out, {"repeats": repeat + 1, "images": given.images, **summary(turns, given.models, peers)})
    Console().print(table(summary(turns, given.models, peers)["models"]))


def is_here(peer: str) -> bool:
    """Whether a peer is installed; one line where it is not."""
    if peer == "lightning" and not installed("lightning"):
        print("lightning is not installed: pip install 'featherweight[bench]'; going on without it", file=sys.stderr)
        return False
    return True


def one_turn(peer: str, model: str, repeat: int, given: argparse.Namespace) -> dict[str, Any]:
    """One epoch of one peer in its own process."""
    script = Path(__file__).with_name("peers.py")
    command = [sys.executable, "-W", "ignore", str(script), peer, model, "--data", given.data]
    done = subprocess.run([*command, "--images", str(given.images)], stdout=subprocess.PIPE, text=True, check=True)
    turn = {"peer": peer, "model": model, "repeat": repeat, **json.loads(done.stdout.splitlines()[-1])}
    print(f"{model} {peer} {repeat + 1}/{given.repeats}: {turn['seconds']:.2f} s", file=sys.stderr, flush=True)
    return turn


def summary(turns: list[dict[str, Any]], models: list[str], peers: list[str]) -> dict[str, Any]:
    """For each model and peer: seconds, images a second, memory, and the ratio to the usual loop of the same repeat."""
    found: dict[str, dict[str, Any]] = {}
    for model in models:
        usual = {t["repeat"]: t["seconds"] for t in turns if (t["model"], t["peer"]) == (model, "usual")}
        for peer in peers:
            own = [turn for turn in turns if (turn["model"], turn["peer"]) == (model, peer)]
            if not own:
                continue
            made: dict[str, Any] = {
                "seconds": spread([turn["seconds"] for turn in own]),
                "images_a_second": spread([turn["images"] / turn["seconds"] for turn in own]),
                "peak_mb": spread([turn["peak_mb"] for turn in own]),
                "largest_worker_mb": spread([turn["largest_worker_mb"] for turn in own]),
            }
            if usual:
                made["times_the_usual_loop"] = spread([usual[turn["repeat"]] / turn["seconds"] for turn in own])
            if "augmentation_share" in own[0]:
                made["augmentation_share"] = spread([turn["augmentation_share"] for turn in own])
                made["precision"] = own[0]["precision"]
            found.setdefault(model, {})[peer] = made
    return {"models": found}


def table(models: dict[str, dict[str, Any]]) -> Table:
    """Medians, with the spread of the ratio."""
    made = Table("model", "peer", "s an epoch", "images a s", "peak MB", "times the usual loop", "augmentation")
    for model, peers in models.items():
        for peer, own in peers.items():
            ratio = own.get("times_the_usual_loop")
            share = own.get("augmentation_share")
            made.add_row(
                model, peer, f"{own['seconds']['median']:.2f}", f"{own['images_a_second']['median']:,.0f}",
                f"{own['peak_mb']['median']:.0f}",
                f"{ratio['median']:.2f} ({ratio['lowest']:.2f} to {ratio['highest']:.2f})" if ratio else "",
                f"{share['median']:.1%}" if share else "",
            )
    return made


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit("interrupted; the turns so far are written")
