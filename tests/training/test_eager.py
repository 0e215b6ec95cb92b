"""Optimizers without the marks of torch.compile: the same steps, and no import of what compiles."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import torch
from sklearn.datasets import load_digits

from featherweight.data.digits import bundled_digits
from featherweight.training.eager import SGD

TRAIN = """
import sys, featherweight
recipe = featherweight.Recipe.load("session6", ["data.dataset=digits", "training.epochs=1", "training.engine=torch"])
featherweight.train(recipe, sys.argv[1], device="cpu")
print([name for name in ("torch._dynamo", "sympy", "sklearn", "scipy", "matplotlib") if name in sys.modules])
"""


def test_a_training_imports_neither_the_compiler_of_torch_nor_scikit_learn(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", TRAIN, str(tmp_path / "run")], capture_output=True, text=True,
                          env=os.environ | {"OMP_NUM_THREADS": "1"}, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_digits_are_those_of_scikit_learn() -> None:
    pixels, labels = bundled_digits()
    wanted = load_digits()
    assert (pixels == wanted.images).all() and (labels == wanted.target).all()


def test_a_step_is_taken_without_gradients_and_the_state_goes_both_ways() -> None:
    ours, theirs = (torch.nn.Parameter(torch.arange(3.0)) for _ in range(2))
    mine, plain = SGD([ours], lr=0.1, momentum=0.9), torch.optim.SGD([theirs], lr=0.1, momentum=0.9)
    for weight, optimizer in ((ours, mine), (theirs, plain)):
        for _ in range(2):
            optimizer.zero_grad()
            weight.square().sum().backward()
            optimizer.step()
    assert torch.equal(ours, theirs) and ours.requires_grad and torch.is_grad_enabled()
    mine.load_state_dict(plain.state_dict())
    plain.load_state_dict(mine.state_dict())
    assert torch.equal(mine.state[ours]["momentum_buffer"], plain.state[theirs]["momentum_buffer"])
