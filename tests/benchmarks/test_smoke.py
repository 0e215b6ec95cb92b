"""The benchmarks run and write what they promise. No time is asserted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "benchmarks"


def run(script, out, *arguments):
    command = [sys.executable, str(FOLDER / script), "--out", str(out), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=out.parent, check=False)
    assert done.returncode == 0, done.stderr
    written = json.loads(out.read_text())
    assert {"processor", "cores", "versions"} <= written["machine"].keys()
    return written


def test_the_usual_loop_and_ours(tmp_path):
    peers = ["usual", "featherweight-float32", "featherweight-auto"]     # lightning is an extra of its own
    few = ["--images", "256", "--repeats", "2", "--data", "digits", "--models", "session7-model2"]
    found = run("usual_loop.py", tmp_path / "loop.json", *few, "--peers", *peers)["models"]["session7-model2"]
    assert list(found) == peers
    for own in found.values():
        assert len(own["seconds"]["values"]) == 2
        assert own["seconds"]["lowest"] <= own["seconds"]["median"] <= own["seconds"]["highest"]
        assert own["peak_mb"]["median"] > 100
    assert found["usual"]["times_the_usual_loop"]["values"] == [1.0, 1.0]
    assert 0 < found["featherweight-auto"]["augmentation_share"]["median"] < 1


def test_kernels(tmp_path):
    few = ["--models", "session7-model2", "--blocks", "1", "--steps", "1", "--batch-size", "8"]
    found = run("kernels.py", tmp_path / "kernels.json", *few)["milliseconds_a_step"]["session7-model2"]
    assert set(found) == {"float32", "bf16"} and found["bf16"]["torch_by_narrow"] > 0


def test_startup(tmp_path):
    assert len(run("startup.py", tmp_path / "startup.json", "--repeats", "1")["seconds"]) == 4
