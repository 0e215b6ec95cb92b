"""Mistakes around a training: seeds, stored weights, workers and learning rates."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, name_of, replaced, text_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Loader, Module, Optimizer, Spot, constant

USUAL = {       # optimizer -> (lowest, highest) learning rate that trains a small network
    "SGD": (1e-5, 2.0), "Adam": (1e-6, 0.03), "AdamW": (1e-6, 0.03), "NAdam": (1e-6, 0.03), "RAdam": (1e-6, 0.03),
    "Adamax": (1e-6, 0.05), "RMSprop": (1e-6, 0.03), "Adagrad": (1e-5, 0.5),
}


def no_seed(trace: Trace) -> Iterator[Draft]:
    """Find a training that sets no seed."""
    trains = [event for event in trace.of("step") if event.loops and not event.alone]
    optimizers = trace.of("optimizer")
    if trains and optimizers and not trace.of("seed"):
        yield Draft("FW601", optimizers[0].spot, "The training sets no seed.",
                    "Weights, order and augmentation differ in each run, so a result cannot be repeated.",
                    "Set a seed before the network is built.", "torch.manual_seed(1)")


def pickled(trace: Trace) -> Iterator[Draft]:
    """Find networks stored as pickle, and files of pickle that are loaded with their code."""
    for event in trace.of("save"):
        if isinstance(event.subject, Module):
            name = name_of(event.subject, "model").strip("`")
            yield Draft("FW602", event.spot, f"`{text_of(event.spot)}` stores the whole network as pickle.",
                        "The file needs the same source to load, and loading it executes code from the file.",
                        "Store the weights only.", text_of(event.spot, 300).replace(name, f"{name}.state_dict()", 1))
    for event in trace.of("load"):
        if constant(event.value) is False:
            yield Draft("FW602", event.spot, "weights_only=False executes code that the file contains.",
                        "A file of weights from others can run any command.", "Use weights_only=True.",
                        text_of(event.spot, 300).replace("weights_only=False", "weights_only=True"))


def workers_without_guard(trace: Trace) -> Iterator[Draft]:
    """Find workers that a script starts at its top level without a main guard."""
    guarded = any(isinstance(node, ast.Name) and node.id == "__name__"
                  for source in trace.sources() for node in source.nodes)
    iterated = {id(event.loader) for event in trace.events if event.loader is not None and not event.alone}
    for event in trace.of("loader"):
        loader = event.subject
        if not isinstance(loader, Loader) or event.spot.source.is_notebook or event.alone:
            continue
        workers = constant(loader.arguments.get("num_workers"), 0)
        if isinstance(workers, int) and workers > 0 and not guarded and id(loader) in iterated:
            yield Draft("FW603", event.spot, f"{workers} workers start without a main guard.",
                        "On Windows and macOS each worker runs the script again from the top and stops with an error.",
                        'Put the training under `if __name__ == "__main__":`.', 'if __name__ == "__main__":')


def learning_rates(trace: Trace) -> Iterator[Draft]:
    """Find learning rates far outside the usual for their optimizer."""
    for event in trace.of("optimizer"):
        optimizer = event.subject
        if not isinstance(optimizer, Optimizer) or optimizer.name not in USUAL:
            continue
        rate = constant(optimizer.arguments.get("lr"))
        lowest, highest = USUAL[optimizer.name]
        if isinstance(rate, int | float) and not isinstance(rate, bool) and not lowest <= rate <= highest:
            side = "above" if rate > highest else "below"
            yield Draft("FW604", event.spot,
                        f"The learning rate {rate:g} is far {side} the usual for {optimizer.name}.",
                        f"{optimizer.name} trains small networks with {lowest:g} to {highest:g}.",
                        f"Start with {'0.1' if optimizer.name == 'SGD' else '0.001'}.")


def weight_decay(trace: Trace) -> Iterator[Draft]:
    """Find a weight decay that is so strong that the weights fade."""
    for event in trace.of("optimizer"):
        optimizer = event.subject
        decay = constant(optimizer.arguments.get("weight_decay")) if isinstance(optimizer, Optimizer) else None
        if isinstance(optimizer, Optimizer) and isinstance(decay, int | float) and decay >= (
                1 if optimizer.name == "AdamW" else 0.1):
            yield Draft("FW604", event.spot, f"The weight decay {decay:g} is far above the usual.",
                        "It pulls all weights to 0 faster than the loss can move them. Small networks train with 0 to "
                        "0.001, and AdamW with up to 0.1.", "Start with 0.0005.")


def ignored_keys(trace: Trace) -> Iterator[Draft]:
    """Find weights of a DataParallel network that are loaded with strict=False into the network alone."""
    for event in trace.of("load-weights"):
        node, text = event.spot.node, event.spot.source.text
        loose = isinstance(node, ast.Call) and any(
            one.arg == "strict" and isinstance(one.value, ast.Constant) and one.value.value is False
            for one in node.keywords)
        if loose and "DataParallel(" in text and ".module" not in text and "module." not in text:
            yield Draft("FW606", event.spot, "strict=False may ignore all weights of the file.",
                        'The names of a DataParallel network begin with "module."; none is a name of the network '
                        "alone.", "Store model.module.state_dict(), and load without strict=False.",
                        replaced(event.spot, text_of(event.spot, 300).replace(", strict=False", "")))


def hashed_names(trace: Trace) -> Iterator[Draft]:
    """Find hash(name) % n, which gives another number in each process."""
    for source in trace.sources():
        for node in source.nodes if "hash(" in source.text and "PYTHONHASHSEED" not in source.text else ():
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mod) and isinstance(
                    node.left, ast.Call) and ast.unparse(node.left.func) == "hash":
                given = ast.unparse(node.left.args[0]) if node.left.args else "name"
                yield Draft("FW608", Spot(source, node), f"`{text_of(Spot(source, node))}` differs from run to run.",
                            "Python hashes texts with a new random key in each process, so a split made of it changes.",
                            "Use a hash without a key.",
                            f"zlib.crc32(str({given}).encode()) % {ast.unparse(node.right)}")


RULES = (no_seed, pickled, workers_without_guard, learning_rates, weight_decay, ignored_keys, hashed_names)
