"""Trainings that do not go on as they stopped, or repeat themselves."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, text_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Spot
from featherweight.doctor.source import Source


def optimizer_left_out(trace: Trace) -> Iterator[Draft]:
    """Find a training that is resumed without the optimizer's state, although the checkpoint holds it."""
    for source in trace.sources("optimizer"):
        key = optimizer_key(source)
        loads = [node for node in source.nodes if isinstance(node, ast.Call) and isinstance(
            node.func, ast.Attribute) and node.func.attr == "load_state_dict"]
        resumed = [node for node in loads if "sched" in ast.unparse(node.func).lower()]
        if key and resumed and not any(
                key in ast.unparse(node) or "opt" in ast.unparse(node.func).lower() for node in loads):
            spot = Spot(source, resumed[0])
            yield Draft("FW609", spot, "The training goes on without the state of its optimizer.",
                        f"The checkpoint holds {key}, but nothing loads it: momentum and averages begin again at 0.",
                        "Load it too.", f"optimizer.load_state_dict(checkpoint[{key}])")


def optimizer_key(source: Source) -> str:
    """Return the key under which a checkpoint stores the optimizer's state, as the source writes it, or ""."""
    for node in source.nodes:
        if isinstance(node, ast.Dict) and len(node.keys) > 1:
            for key, value in zip(node.keys, node.values, strict=True):
                text = ast.unparse(value).lower()
                if isinstance(key, ast.Constant) and "opt" in text and text.endswith(".state_dict()"):
                    return repr(key.value)
    return ""


def same_seed_in_each_epoch(trace: Trace) -> Iterator[Draft]:
    """Find a seed that is set to the same number at the start of each epoch of one training."""
    seen = set[int]()
    seeds = [event for event in trace.of("seed", "use") if event.kind == "seed" or event.text == "manual_seed"]
    for event in seeds:
        loop = event.loops[-1] if event.loops else None
        node = event.spot.node
        if loop is None or id(node) in seen or not isinstance(node, ast.Call) or not isinstance(loop.node, ast.For):
            continue
        inside = [step for step in trace.of("step") if step.inside(loop) and len(step.loops) > len(event.loops)]
        built = [one for one in trace.of("optimizer") if one.inside(loop)]
        names = {one.id for argument in node.args for one in ast.walk(argument) if isinstance(one, ast.Name)}
        turned = {one.id for one in ast.walk(loop.node.target) if isinstance(one, ast.Name)}
        if inside and not built and not names & turned and node.args:
            seen.add(id(node))
            yield Draft("FW610", event.spot, "Each epoch begins with the same seed.",
                        f"`{text_of(event.spot)}` repeats order and augmentation of the first epoch in all others.",
                        "Set the seed once before the loop, or add the epoch to it.")


RULES = (optimizer_left_out, same_seed_in_each_epoch)
