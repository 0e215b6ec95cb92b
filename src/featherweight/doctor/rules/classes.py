"""Outputs of a network, and the classes that it tells apart."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from featherweight.doctor.draft import Draft
from featherweight.doctor.flow.roles import number_of_classes, words_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Criterion, Spot, Tensor
from featherweight.doctor.rules.leaks import sources_with_folders
from featherweight.doctor.rules.network import CLASSIFYING
from featherweight.doctor.source import Source

LISTED = re.compile(r"^\s*classes: *(\w[\w -]*(?:, *\w[\w -]*){2,})\.?\s*$", re.I | re.M)


def outputs_and_classes(trace: Trace) -> Iterator[Draft]:
    """Find a last layer whose width differs from the number of classes of the data set."""
    for event in trace.of("loss"):
        tensor, target = event.value, event.other
        if not isinstance(tensor, Tensor) or not tensor.trail or not isinstance(event.subject, Criterion):
            continue
        made = tensor.trail[0].made
        classes = next((count for count in map(number_of_classes, target.origin if target else ()) if count), None)
        if made is None or classes is None or event.subject.name not in CLASSIFYING or tensor.maybe:
            continue
        if isinstance(target, Tensor) and target.maybe:     # a further label, such as the sum of two digits
            continue
        width = tensor.trail[0].outputs
        if width is not None and width != classes:
            yield mismatch(made, width, classes, "data set has", "error" if width < classes else "warning")


def mismatch(made: Spot, width: int, classes: int, known_from: str, severity: str) -> Draft:
    """Return the finding on a last layer with another width than there are classes."""
    return Draft("FW113", made, f"The last layer has {width} outputs, the {known_from} {classes} classes.",
                 "Labels beyond the last output raise an error or read foreign memory." if width < classes else
                 f"{width - classes} outputs never have a label.", f"Give the last layer {classes} outputs.", "",
                 severity)


def outputs_and_names(trace: Trace) -> Iterator[Draft]:
    """Find a last layer whose width differs from the number of class names that the file lists."""
    widths: dict[int, tuple[Spot, int]] = {}
    for event in trace.of("output"):
        tensor = event.value
        last = tensor.trail[0] if isinstance(tensor, Tensor) and tensor.trail and not tensor.maybe else None
        if last is not None and last.made is not None and last.outputs is not None and last.outputs > 1:
            widths[id(last.made.node)] = (last.made, last.outputs)
    for made, width in widths.values() if len(widths) == 1 else ():
        counts = set(names_listed(made.source))
        if len(counts) == 1 and width not in counts:
            yield mismatch(made, width, counts.pop(), "file names", "warning")


def names_listed(source: Source) -> Iterator[int]:
    """Yield the number of names in each list such as `classes = ("cat", "dog")`, or "Classes: cat, dog" in a text."""
    yield from (len(names) for _, names in lists_of_names(source))
    for text in (ast.get_docstring(node) or "" for node in source.nodes
                 if isinstance(node, ast.Module | ast.ClassDef)):
        for found in LISTED.finditer(text):
            yield found[1].count(",") + 1


def order_of_names(trace: Trace) -> Iterator[Draft]:
    """Find names of classes in another order than the one in which ImageFolder numbers them."""
    for source in sources_with_folders(trace):
        known_order = ".classes" in source.text or "class_to_idx" in source.text or ".find_classes" in source.text
        for node, names in lists_of_names(source) if not known_order else ():
            if names != sorted(names):
                yield Draft("FW418", Spot(source, node), "The class names are not in the order of ImageFolder.",
                            f"ImageFolder numbers the folders by name: 0 is {sorted(names)[0]!r}, not {names[0]!r}.",
                            "Use the names of the data set: dataset.classes.")


def lists_of_names(source: Source) -> Iterator[tuple[ast.Assign, list[str]]]:
    """Yield each assignment such as `classes = ("cat", "dog")`, and its names."""
    for node in source.nodes:
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.List | ast.Tuple):
            words = set(words_of(ast.unparse(node.targets[0])))
            names = [one.value for one in node.value.elts if isinstance(one, ast.Constant)]
            texts = [name for name in names if isinstance(name, str)]
            if 1 < len(texts) == len(node.value.elts) and ("classes" in words or {"class", "names"} <= words):
                yield node, texts


RULES = (outputs_and_classes, outputs_and_names, order_of_names)
