"""Compare our recorder with torch.export on the catalogue, the lessons' networks and twenty unusual ones.

A network counts as described if the recorder finishes. "layers named": the description says which layer made each call.
"""

from __future__ import annotations

import ast
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import nn
from unusual_networks import UNUSUAL

import report
from featherweight.blame import in_one_line
from featherweight.graph import LayerCall, record_of
from featherweight.models import CATALOGUE, build_model, input_shapes

LESSONS = Path(__file__).resolve().parent.parent / "lessons"
Build = Callable[[], nn.Module]


def main() -> int:
    options = report.parser(__doc__, "recorders").parse_args()
    content = report.begin("recorders", {})
    torch.set_num_threads(1)
    groups: dict[str, dict[str, Build]] = {
        "catalogue": {name: lambda name=name: build_model(name) for name in CATALOGUE},
        "lessons": networks_of_lessons(), "unusual": UNUSUAL,
    }
    results = {group: {name: compare(build()) for name, build in networks.items()}
               for group, networks in groups.items()}
    content |= {"results": results, "ratios": ratios(results)}
    report.save(options.out, content | {"complete": True})
    rows = [[group, str(len(found)), *(count(found, how) for how in ("recorder", "torch.export"))]
            for group, found in results.items()]
    report.print_table("Networks described", ("networks", "tried", "recorder", "torch.export"), rows)
    for group, found in results.items():
        for name, by in found.items():
            for how, one in by.items():
                if one["fault"]:
                    print(f"{group}, {name}, {how}: {one['fault'][:160]}")
    print(f"written to {options.out}")
    return 0


def networks_of_lessons() -> dict[str, Build]:
    """Return the module classes that the lessons define and that need no arguments."""
    found: dict[str, Build] = {}
    for file in sorted(LESSONS.glob("*.py")):
        tree = ast.parse(file.read_text())
        classes = [node for node in tree.body if isinstance(node, ast.ClassDef)]
        kept = (ast.Import, ast.ImportFrom, ast.FunctionDef, ast.ClassDef)
        names: dict[str, Any] = {}
        code = ast.Module([node for node in tree.body if isinstance(node, kept) or is_number(node)], [])
        exec(compile(code, str(file), "exec"), names)       # our own lessons
        for node in classes:
            if issubclass(names[node.name], nn.Module):
                found[f"{file.stem}: {node.name}"] = names[node.name]
    return found


def is_number(node: ast.stmt) -> bool:
    """Return True for an assignment such as WIDTH = 8."""
    return isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)


def compare(module: nn.Module) -> dict[str, dict[str, Any]]:
    """Return for each way: its fault or "", its seconds, and the number of layers that it names."""
    module.eval()
    shapes = input_shapes(module)
    found = {"recorder": tried(lambda: layers_recorded(module, shapes))}
    inputs = tuple(torch.zeros(2, *shape) for shape in shapes)
    found["torch.export"] = tried(lambda: layers_exported(module, inputs))
    return found


def tried(describe: Callable[[], int]) -> dict[str, Any]:
    """Return the outcome of one description."""
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            layers, fault = describe(), ""
        except Exception as raised:     # both wrap the exceptions of the network
            layers, fault = 0, in_one_line(raised)
    return {"fault": fault, "layers": layers, "seconds": round(time.perf_counter() - started, 4)}


def layers_recorded(module: nn.Module, shapes: Any) -> int:
    """Return the number of layer calls in our record."""
    return sum(isinstance(event, LayerCall) for event in record_of(module, shapes).events)


def layers_exported(module: nn.Module, inputs: tuple[torch.Tensor, ...]) -> int:
    """Return the number of layers that the nodes of an exported program name. Any batch size, as our C needs."""
    batch = torch.export.Dim("batch", min=1, max=1024)
    shapes = tuple({0: batch} for _ in inputs)
    names = module.forward.__code__.co_flags & 0x04
    program = torch.export.export(module, inputs, dynamic_shapes=(shapes,) if names else shapes)
    stacks = [node.meta.get("nn_module_stack") for node in program.graph.nodes if node.op == "call_function"]
    return len({list(stack.values())[-1][0] for stack in stacks if stack})


def count(found: dict[str, Any], how: str) -> str:
    """Return the number of networks that were described."""
    return str(sum(not by[how]["fault"] for by in found.values()))


def ratios(results: dict[str, Any]) -> dict[str, Any]:
    """Return seconds of torch.export / seconds of the recorder, for the networks that both describe."""
    return {group: report.spread([by["torch.export"]["seconds"] / by["recorder"]["seconds"] for by in found.values()
                                  if not by["torch.export"]["fault"] and not by["recorder"]["fault"]])
            for group, found in results.items()}


if __name__ == "__main__":
    sys.exit(report.run(main))
