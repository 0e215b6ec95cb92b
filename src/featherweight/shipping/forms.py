"""The forms in which a network leaves: each gives its files, and a way to ask it the same questions as torch."""

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
from featherweight.inference.network import Numbers, Pixels, Probabilities
from featherweight.inference.trained import TrainedNetwork
from featherweight.shipping.c_files import c_files
from featherweight.shipping.c_float import write_float
from featherweight.shipping.c_int8 import write_int8
from featherweight.shipping.calibrate import measure_ranges
from featherweight.shipping.compiler import FAST, WATCHED, Program, find_compiler
from featherweight.shipping.fold import fold
from featherweight.shipping.proof import Questions
from featherweight.shipping.quantise import Quantised, quantise
from featherweight.shipping.read_onnx import read_graph
from featherweight.shipping.session import open_model
from featherweight.shipping.trace import describe, trace
from featherweight.shipping.write_onnx import write_graph

if TYPE_CHECKING:
    from onnx import ModelProto

Answer = Callable[[Pixels, Numbers | None], Probabilities]
TIMED = 100             # images whose times are measured
WATCHED_IMAGES = 300


@dataclass
class Form:
    """One way to run the network. exact: whether it computes in float, so that every class must be torch's."""

    name: str
    exact: bool
    files: dict[str, bytes] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    answer: Answer | None = None        # None where it cannot be asked here
    timed: Callable[[Questions], float] | None = None   # microseconds an image


@dataclass(frozen=True)
class Calibration:
    """Training images that the 8-bit grids are measured on, with numbers where one is added."""

    images: Pixels
    numbers: Numbers | None
    seed: int


def onnx_form(network: TrainedNetwork) -> Form:
    """model.onnx in float."""
    return session_form("onnx", network, trace(network), exact=True)


def int8_form(network: TrainedNetwork, calibration: Calibration) -> Form:
    """model.onnx in 8 bits."""
    import onnx

    quantised = quantised_graph(network, calibration)
    model = write_graph(quantised.graph, quantised=quantised)
    onnx.helper.set_model_props(model, describe(network) | {"calibration": calibrated(calibration)})
    form = session_form("onnx-int8", network, model, exact=False)
    form.facts["calibration"] = calibrated(calibration)
    return form


def c_form(network: TrainedNetwork, stack: ExitStack, calibration: Calibration | None) -> Form:
    """C in float, or in int8 where a calibration is given; compiled where there is a gcc, until the stack closes."""
    if calibration is None:
        form, body = Form("c", exact=True), write_float(fold(read_graph(trace(network))))
    else:
        form, body = Form("c-int8", exact=False), write_int8(quantised_graph(network, calibration))
        form.facts["calibration"] = calibrated(calibration)
    form.files = {name: text.encode() for name, text in c_files(network.card, body).items()}
    form.facts |= {"ram": body.ram, "flash": body.flash, "compiler": None}
    if find_compiler():
        form.facts["compiler"] = " ".join(("gcc", *FAST))
        program = stack.enter_context(Program(form.files, FAST, list(network.card.heads)))
        form.answer, form.timed = program.answer, program.microseconds
    return form


def watch(form: Form, network: TrainedNetwork, questions: Questions) -> None:
    """Run a C form once more with gcc's sanitizers; ExportError for what they find or where it answers differently."""
    assert form.answer
    part = questions.some(WATCHED_IMAGES)
    with Program(form.files, WATCHED, list(network.card.heads)) as program:
        watched, plain = part.ask(program.answer), part.ask(form.answer)
    if any(np.abs(watched[head] - plain[head]).max() > 1e-4 for head in plain):
        raise ExportError("the C answers differently with gcc's sanitizers than without: it depends on chance.")
    form.facts["sanitizers"] = {"flags": "-fsanitize=address,undefined", "images": len(part.images), "findings": 0}


def session_form(name: str, network: TrainedNetwork, model: ModelProto, *, exact: bool) -> Form:
    """A model as onnxruntime runs it on one thread."""
    content = model.SerializeToString(deterministic=True)
    session, heads = open_model(content), list(network.card.heads)

    def answer(images: Pixels, numbers: Numbers | None) -> Probabilities:
        return dict(zip(heads, session.run(heads, feed(images, numbers)), strict=True))

    return Form(name, exact, {"model.onnx": content}, {}, answer, partial(microseconds, answer))


def quantised_graph(network: TrainedNetwork, calibration: Calibration) -> Quantised:
    """The network in 8 bits."""
    graph = fold(read_graph(trace(network)))
    return quantise(graph, measure_ranges(graph, calibration.images, calibration.numbers))


def calibrated(calibration: Calibration) -> str:
    """On what, in words."""
    return f"{len(calibration.images):,} training images, drawn with seed {calibration.seed}"


def microseconds(answer: Answer, questions: Questions) -> float:
    """The median time of one image asked by itself."""
    part, seconds = questions.some(TIMED), []
    for index in range(len(part.images)):
        one = slice(index, index + 1)
        started = time.perf_counter()
        answer(part.images[one], None if part.numbers is None else part.numbers[one])
        seconds.append(time.perf_counter() - started)
    return median(seconds) * 1e6

