"""Times of compiled training on one thread, for layers.py: rounds of both passes, a whole step, and parts of a step."""

from __future__ import annotations

import ctypes
import time
from collections.abc import Callable

import torch

from featherweight.codegen.library import load
from featherweight.preparation import PreparedTraining
from featherweight.training.compiled.network import CompiledNetwork
from featherweight.training.compiled.program import Program
from featherweight.training.compiled.source import c_source
from featherweight.training.compiled_engine import CompiledEngine, make_augment, make_network, make_update
from featherweight.training.count import Count
from featherweight.training.engine import Replica

PARTS = ("augmentation", "forward", "backward", "optimizer")    # of a step; all else is the "rest"

Round = dict[str, float]    # microseconds of "step", of its parts, and of the passes of each stage, e.g. "forward 3"


def measure_rounds(
    training: PreparedTraining, program: Program, *, batch_size: int, warm_up: int, count: int
) -> list[Round]:
    """Train on one batch with one thread, and return `count` rounds."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    state, data = training.state, training.dataset.train
    replica = Replica(state, data, training.plan, engine=training.engine)
    picked, lr = torch.arange(batch_size), state.optimizer.param_groups[0]["lr"]
    augment, update = make_augment(replica, make_network(replica)), make_update(state)
    passes = timed_passes(program, training.precision, augment(picked, 1.0))
    # The engine comes last: it makes new gradients, and does not look for others. The passes do, in each round.
    engine = CompiledEngine([replica], training.task, Count([state.position], len(training.task.heads), data.device))
    rounds = [
        passes() | {
            "step": microseconds(lambda: engine.step(picked[None], 1.0, lr)),
            "augmentation": microseconds(lambda: augment(picked, 1.0)),
            "optimizer": microseconds(lambda: update(lr)),
        } for _ in range(warm_up + count)
    ]
    torch.set_num_threads(threads)
    return [one | {"rest": one["step"] - sum(one[part] for part in PARTS)} for one in rounds[warm_up:]]


def timed_passes(program: Program, precision: str, images: torch.Tensor) -> Callable[[], Round]:
    """Return a function that runs both passes once, and returns the microseconds of both and of each stage."""
    plan, stages = program.plan, len(program.plan.stages)
    library = load("timed", c_source(plan, half=precision == "bf16", timed=True))
    network = CompiledNetwork(Program(library, plan), len(images), threads=1)
    gradients = [torch.randn(len(images), classes) / len(images) for classes in network.classes]
    seconds = (ctypes.c_double * (2 * stages))()

    def run() -> Round:
        network.bind()
        network.forward([images], key=1)
        network.backward(gradients)
        library.times(network.handle, seconds)
        found = {}
        for name, values in (("forward", seconds[:stages]), ("backward", seconds[stages:])):
            found |= {name: sum(values)} | {f"{name} {index}": spent for index, spent in enumerate(values)}
        return {name: 1e6 * spent for name, spent in found.items()}

    return run


def microseconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return 1e6 * (time.perf_counter() - started)
