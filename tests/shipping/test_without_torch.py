"""A bundle answers where torch was never installed: a real environment, made for the test."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from featherweight.data import load_dataset
from featherweight.inference import Predictor
from featherweight.shipping import make_bundle

ROOT = Path(__file__).resolve().parents[2]
ENOUGH = ["numpy", "pillow", "onnxruntime", "typer"]      # typer brings rich


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """A fresh environment's bin folder: the package without its dependencies, and what a bundle needs."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [folder / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    done = subprocess.run([*pip, "-c", ROOT / "constraints.txt", *ENOUGH], capture_output=True, text=True, check=False)
    if done.returncode and "CI" not in os.environ:
        pytest.skip(f"pip cannot install here: {done.stderr.strip()[-200:]}")
    assert done.returncode == 0, done.stderr
    subprocess.run([*pip, "--no-deps", ROOT], check=True)
    return folder / "bin"


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != name}


def test_a_bundle_answers_without_torch(environment, digits_run, tmp_path):
    bundle = tmp_path / "bundle"
    make_bundle(digits_run, bundle)
    image = load_dataset("digits").test.images[0, 0].numpy()
    Image.fromarray(image).resize((280, 280)).save(tmp_path / "a.png")
    clean = without("PYTHONPATH")
    done = subprocess.run([environment / "python", "-c", "import torch"], env=clean, capture_output=True, check=False)
    assert b"No module named 'torch'" in done.stderr
    command = [environment / "featherweight", "predict", bundle, tmp_path / "a.png", "--json"]
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    (found,) = json.loads(done.stdout)
    ours = Predictor(digits_run).predict(tmp_path / "a.png").answers["class"]
    assert [each["class"] for each in found["class"]] == [name for name, _ in ours]
    assert [each["probability"] for each in found["class"]] == pytest.approx([share for _, share in ours], abs=1e-5)
    command[2] = digits_run.path
    done = subprocess.run(command, env=clean, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert list(environment.parent.glob("lib/python*/site-packages/featherweight/shipping/c/float.c"))
    assert "a run needs torch" in done.stderr and "--to bundle" in done.stderr
