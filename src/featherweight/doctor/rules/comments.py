"""Comments beside layers that state wrong receptive fields or numbers of parameters."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator

from featherweight.doctor.draft import Draft
from featherweight.doctor.flow.layers import KINDS, key_of, parameters_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import POOL, WEIGHTED, Class, Geometry, Module, Spot, Tensor, constant
from featherweight.doctor.source import Source
from featherweight.doctor.stated import sizes_in

FIELD = re.compile(r"(?:\bRF\b|\breceptive[ _-]?field)(?!\s*in\b)[^\d|,;]{0,14}(\d+)(?:\s*(?:->|>>|>|to)\s*(\d+))?",
                   re.I)
PARAMETERS = re.compile(r"\bparam\w*\b\D{0,3}[\s:=]*([^|;]*)", re.I)
COUNT = re.compile(r"(\d[\d,]*) param\w*\b", re.I)
NUMBER = re.compile(r"\d[\d,]*")


def receptive_fields(trace: Trace) -> Iterator[Draft]:
    """Compare the receptive fields in comments with those of the layers beside them."""
    for cls, layers in fields_of_classes(trace).items():
        source = cls.scope.source
        stated = list(comments_in(cls, source, FIELD))
        pairs = [(line, int(found[2] or found[1]), *pair) for line, found in stated
                 if (pair := layer_beside(layers, line, source)) is not None]
        wrong = [pair for pair in pairs if pair[1] != pair[3]]
        if not wrong or all(number == before for _, number, before, _ in pairs):
            continue
        line, number, _, true = wrong[0]
        said = ", ".join(str(pair[1]) for pair in pairs)
        right = ", ".join(str(pair[3]) for pair in pairs)
        comment = source.comments[line]
        start, end = next(found.span(2 if found[2] else 1) for at, found in stated if at == line)
        mended = comment[:start] + str(true) + comment[end:]
        mended = re.sub(rf"(?<=\b{true}x){number}\b", str(true), mended)
        yield Draft("FW121", comment_spot(source, line), f"The comment states receptive field {number}; it is {true}.",
                    f"In {cls.definition.name} the comments say {said}; the layers give {right}.",
                    "Correct the comment; `featherweight summary` prints the true values.",
                    source.lines[line - 1].strip().replace(comment, mended))


def fields_of_classes(trace: Trace) -> dict[Class, list[tuple[int, int, int, int]]]:
    """Return class -> (first line, last line, field before, field after) of each convolution and pooling layer."""
    fields: dict[Class, list[tuple[int, int, int, int]]] = {}
    built = Counter(id(event.subject.spot.node) for event in trace.of("build") if event.subject and event.subject.spot)
    seen = {node for node, count in built.items() if count > 1}     # in a helper: one line, several layers
    before: dict[int, Geometry | None] = {}
    classes = classes_of(trace)
    for event in trace.of("layer", "after"):
        module, tensor = event.subject, event.value
        if not isinstance(module, Module) or not isinstance(tensor, Tensor) or module.spot is None:
            continue
        if event.kind == "layer":
            before[id(module)] = tensor.geometry
            continue
        if id(module.spot.node) in seen or KINDS.get(key_of(module.name)) not in (WEIGHTED, POOL):
            continue
        seen.add(id(module.spot.node))
        start, after = before.get(id(module)), tensor.geometry
        cls = next((one for one in classes if holds(one, module.spot)), None)
        if cls is not None and start is not None and after is not None:
            node = module.spot.node
            fields.setdefault(cls, []).append(
                (module.spot.line, getattr(node, "end_lineno", 0) or module.spot.line, start.field, after.field))
    return {cls: layers for cls, layers in fields.items() if single(classes, cls)}


def classes_of(trace: Trace) -> list[Class]:
    """Return the class of each network that the file builds."""
    return [event.subject.cls for event in trace.of("network")
            if isinstance(event.subject, Module) and event.subject.cls is not None]


def single(classes: list[Class], cls: Class) -> bool:
    """True for a class whose layers are built for one place: a block used twice has several receptive fields."""
    return sum(one.definition is cls.definition for one in classes) == 1


def holds(cls: Class, spot: Spot) -> bool:
    """True if a layer is built inside a class."""
    return cls.scope.source is spot.source and cls.definition.lineno <= spot.line <= (cls.definition.end_lineno or 0)


def layer_beside(layers: list[tuple[int, int, int, int]], line: int, source: Source) -> tuple[int, int] | None:
    """Return (field before, after) of the layer on a line, or of the last layer above a line without code."""
    same = [layer for layer in layers if layer[0] <= line <= layer[1]]
    bare = source.lines[line - 1].lstrip().startswith(("#", ")", "]"))
    above = [layer for layer in layers if layer[1] < line and line - layer[1] <= 8 and bare]
    found = same or above
    if not found:
        return None
    _, _, before, after = max(found, key=lambda layer: layer[1])
    return before, after


def comments_in(cls: Class, source: Source, pattern: re.Pattern[str]) -> Iterator[tuple[int, re.Match[str]]]:
    """Yield (line, match) of the comments of a class that match."""
    for line in range(cls.definition.lineno, (cls.definition.end_lineno or 0) + 2):
        comment = source.comments.get(line, "")
        found = pattern.search(comment)
        if found and not re.search(r"\b(in|input)[ _-]?RF|RF[ _-]?in\b", comment, re.I):
            yield line, found


def comment_spot(source: Source, line: int) -> Spot:
    """Return the spot of a comment."""
    column = source.lines[line - 1].find("#")
    return Spot(source, ast.Pass(lineno=line, col_offset=max(0, column), end_lineno=line, end_col_offset=column + 1))


def parameter_counts(trace: Trace) -> Iterator[Draft]:
    """Compare the numbers of parameters in comments with those of the layers on the same line."""
    seen = set[int]()
    for event in trace.of("build"):
        module = event.subject
        if not isinstance(module, Module) or module.spot is None or id(module.spot.node) in seen:
            continue
        seen.add(id(module.spot.node))
        source, line = module.spot.source, getattr(module.spot.node, "end_lineno", module.spot.line)
        name = module.name.rpartition(".")[2]
        true = parameters_of(name, module.arguments)
        line, numbers = stated_parameters(source, line, module.spot.line - 1)
        if true is None or not numbers or int(numbers[-1].replace(",", "")) == true:
            continue
        stated = int(numbers[-1].replace(",", ""))
        product = [int(number.replace(",", "")) for number in numbers]
        if true in product:
            continue
        yield Draft("FW122", comment_spot(source, line),
                    f"The comment states {stated:,} parameters; {name} has {true:,}.",
                    count_in_words(module, name, true), "Correct the comment.",
                    source.lines[line - 1].strip().replace(numbers[-1], str(true)))


def sizes(trace: Trace) -> Iterator[Draft]:
    """Compare the sizes in comments with those of the layers beside them, for images of a known size.

    Comments are compared only if at least half of those of a class are right, because others may state another value.
    """
    stated: dict[Class, dict[int, tuple[Spot, str, int, int]]] = {}
    classes = classes_of(trace)
    for spot, name, size in sized(trace):
        cls = next((one for one in classes if holds(one, spot) and single(classes, one)), None)
        line, found = sizes_beside(spot)
        if cls is not None and len(found) == 1 and found[0][0] == found[0][1]:
            stated.setdefault(cls, {}).setdefault(line, (spot, name, found[0][0], size))
    for layers in stated.values():
        wrong = {line: one for line, one in layers.items() if one[2] != one[3]}
        for line, (spot, name, said, true) in wrong.items() if len(wrong) <= len(layers) / 2 else ():
            yield Draft("FW713", comment_spot(spot.source, line), f"The comment states {said}x{said}; `{name}` has "
                        f"{true}x{true}.", f"{len(layers) - len(wrong)} of {len(layers)} comments of this network are "
                        "right.", "Correct the comment; `featherweight summary` prints the true values.")


def sized(trace: Trace) -> Iterator[tuple[Spot, str, int]]:
    """Yield place, name and output size of each layer whose comment may state it, and of each value in a forward."""
    for event in trace.of("after", "sized"):
        module, geometry = event.subject, event.value.geometry if isinstance(event.value, Tensor) else None
        if geometry is None or geometry.size is None:
            continue
        if event.kind == "sized" and event.nested:
            yield event.spot, event.text, geometry.size
        elif isinstance(module, Module) and module.spot is not None and (
                constant(module.arguments.get("kernel_size")) not in kernels_in(module.spot)):
            yield module.spot, module.label or "the output", geometry.size


def kernels_in(spot: Spot) -> list[object]:
    """Return the sizes that the comment on a layer's line states, as sizes of a kernel."""
    _, found = sizes_beside(spot)
    return [*found, *(height for height, width in found if height == width)]


def sizes_beside(spot: Spot) -> tuple[int, list[tuple[int, int]]]:
    """Return the last line of a node, and the sizes that its comment states."""
    line = getattr(spot.node, "end_lineno", spot.line)
    return line, sizes_in(spot.source.comments.get(line, ""))


def stated_parameters(source: Source, line: int, above: int) -> tuple[int, list[str]]:
    """Return a line and the numbers that its comment states: a layer's last line, or else the comment above it."""
    found = PARAMETERS.search(source.comments.get(line, ""))
    if found or not source.lines[above - 1].lstrip().startswith("#"):
        return line, NUMBER.findall(found[1]) if found else []
    count = COUNT.search(source.comments.get(above, ""))
    return above, [count[1]] if count else []


def count_in_words(module: Module, name: str, true: int) -> str:
    """Return the arithmetic of a layer's parameters."""
    values = {key: constant(value) for key, value in module.arguments.items()}
    bias = bool(values.get("bias", True))
    if name == "Linear":
        ins, outs = values["in_features"], values["out_features"]
        return f"{ins} x {outs}{f' + {outs}' if bias else ''} = {true:,}."
    kernel = values.get("kernel_size")
    pair = kernel if isinstance(kernel, tuple) else (kernel, kernel)
    ins, outs = values["in_channels"] // values.get("groups", 1), values["out_channels"]
    return f"{ins} x {pair[0]} x {pair[1]} x {outs}{f' + {outs}' if bias else ''} = {true:,}."


RULES = (receptive_fields, parameter_counts, sizes)
