"""The forms of an export (ONNX, int8 ONNX, C): the files of each, and a function that runs each on the test images."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np

from featherweight.errors import ExportError
from featherweight.inference.bundle import feed
from featherweight.inference.card import Card
from featherweight.inference.network import Numbers, Pixels, Probabilities
from featherweight.inference.runtime import open_model
from featherweight.shipping.c_files import Names, c_files, stand_upright
from featherweight.shipping.c_text import Body
from featherweight.shipping.compiler import FAST, WATCHED, Program, find_compiler
from featherweight.shipping.proof import Answer, Questions

if TYPE_CHECKING:
    from onnx import ModelProto

TIMED = 100             # number of images whose time is measured
WATCHED_IMAGES = 300    # number of images for the second run of the C, with sanitizers


@dataclass
class Form:
    """One form of an exported network. exact: it computes in float, so every predicted class must be torch's."""

    name: str
    exact: bool
    files: dict[str, bytes]
    facts: dict[str, Any] = field(default_factory=dict)
    probabilities: Answer | None = None                        # None if the form cannot be run on this machine
    timed: Callable[[Questions], float] | None = None   # microseconds per image
    stands_upright: bool = False                        # makes slanted ink upright itself


def onnx_form(card: Card, model: ModelProto, *, exact: bool) -> Form:
    """Return the form of an ONNX model, run by onnxruntime on one thread."""
    content = model.SerializeToString(deterministic=True)
    session, heads = open_model(content), list(card.heads)

    def probabilities(images: Pixels, numbers: Numbers | None) -> Probabilities:
        try:
            return dict(zip(heads, session.run(heads, feed(images, numbers)), strict=True))
        except Exception as fault:      # onnxruntime's exceptions have no common base class
            raise ExportError(f"onnxruntime cannot run the exported network on {len(images)} images: "
                              f"{' '.join(str(fault).split())[:300]}. Change the network.") from fault

    return Form("onnx" if exact else "onnx-int8", exact, {"model.onnx": content}, {}, probabilities,
                partial(microseconds, probabilities))


def c_form(card: Card, body: Body, names: Names, stack: ExitStack, *, exact: bool) -> Form:
    """Return the form of C code. If gcc is found, the code is compiled and can be run until `stack` closes."""
    if card.picture.upright:
        stand_upright(card, body)
    files = {name: text.encode() for name, text in c_files(card, body, names).items()}
    form = Form("c" if exact else "c-int8", exact, files)
    form.stands_upright = card.picture.upright
    form.facts = {"name": names.file, "function": names.function, "ram": body.ram, "flash": body.flash,
                  "compiler": None}
    if find_compiler():
        form.facts["compiler"] = " ".join(("gcc", *FAST))
        program = stack.enter_context(Program(form.files, FAST, list(card.heads)))
        form.probabilities, form.timed = program.probabilities, program.microseconds
    return form


def watch(form: Form, card: Card, questions: Questions) -> dict[str, Any]:
    """Run a C form a second time, compiled with gcc's sanitizers, and return the facts for ship.json.

    Raises ExportError if the sanitizers find a fault or if the probabilities differ from the first run.
    """
    assert form.probabilities
    part = questions.some(WATCHED_IMAGES)
    with Program(form.files, WATCHED, list(card.heads)) as program:
        watched, plain = part.ask(program.probabilities), part.ask(form.probabilities)
    if any(np.abs(watched[head] - plain[head]).max() > 1e-4 for head in plain):
        raise ExportError("the C gives other outputs with gcc's sanitizers than without: it depends on chance.")
    return {"flags": "-fsanitize=address,undefined", "images": len(part.images), "findings": 0}


def microseconds(answer: Answer, questions: Questions) -> float:
    """Return the median time of a single image, in microseconds."""
    part, seconds = questions.some(TIMED), []
    for index in range(len(part.images)):
        one = slice(index, index + 1)
        started = time.perf_counter()
        answer(part.images[one], None if part.numbers is None else part.numbers[one])
        seconds.append(time.perf_counter() - started)
    return median(seconds) * 1e6
