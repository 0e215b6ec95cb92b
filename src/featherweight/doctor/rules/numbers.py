"""Comments beside layers that are one number each: all receptive fields, or all numbers of parameters."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping

from featherweight.doctor.draft import Draft
from featherweight.doctor.flow.layers import KINDS as LAYER_KINDS
from featherweight.doctor.flow.layers import key_of, parameters_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import ACTIVATION, DROPOUT, POOL, Class, Module, Spot, constant
from featherweight.doctor.rules.comments import classes_of, comment_spot, fields_of_classes, holds, single

ALONE = re.compile(r"#\s*(\d[\d,]*)\s*$")
TOTAL = re.compile(r"(\d[\d,]*\d) (?:trainable |learnable )?param", re.I)
WITHOUT_PARAMETERS = ("sequential", "modulelist", "moduledict", "flatten", "identity", "softmax", "logsoftmax")
FEWEST = 3          # right comments, before another one is taken for a wrong number of the same kind
KINDS = {
    "FW121": ("The comment states receptive field {said:,}; it is {true:,}.", "receptive fields"),
    "FW122": ("The comment states {said:,} parameters; the layer has {true:,}.", "numbers of parameters"),
}


def bare_numbers(trace: Trace) -> Iterator[Draft]:
    """Compare comments that are a number alone with the quantity that most of them state."""
    fields = fields_of_classes(trace)
    for cls in dict.fromkeys(classes_of(trace)):
        stated = numbers_beside(cls)
        true = {
            "FW121": {last: after for _, last, _, after in fields.get(cls, [])},
            "FW122": parameters_by_line(trace, cls),
        }
        if not stated or not single(classes_of(trace), cls):
            continue
        code = max(true, key=lambda one: len(agreeing(stated, true[one])))
        right, kind = agreeing(stated, true[code]), true[code]
        wrong = [line for line in stated if line in kind and line not in right]
        for line in wrong if len(right) >= FEWEST and 2 * len(wrong) <= len(right) else ():
            what, words = KINDS[code]
            source = cls.scope.source
            yield Draft(code, comment_spot(source, line), what.format(said=stated[line], true=kind[line]),
                        f"{len(right)} other comments of {cls.definition.name} state {words}, and are right.",
                        "Correct the comment; `featherweight summary` prints the true values.")


def numbers_beside(cls: Class) -> dict[int, int]:
    """Return line -> number of each comment of a class that is a number alone, beside code."""
    source, found = cls.scope.source, dict[int, int]()
    for line in range(cls.definition.lineno, (cls.definition.end_lineno or 0) + 1):
        match = ALONE.match(source.comments.get(line, ""))
        if match and not source.lines[line - 1].lstrip().startswith("#"):
            found[line] = int(match[1].replace(",", ""))
    return found


def parameters_by_line(trace: Trace, cls: Class) -> dict[int, int]:
    """Return last line -> number of parameters of each layer that a class builds alone on its line."""
    found: dict[int, set[tuple[int, int | None]]] = {}
    for event in trace.of("build"):
        module = event.subject
        if isinstance(module, Module) and module.spot is not None and holds(cls, module.spot):
            line = getattr(module.spot.node, "end_lineno", None) or module.spot.line
            count = parameters_of(module.name.rpartition(".")[2], module.arguments)
            found.setdefault(line, set()).add((id(module.spot.node), count))
    alone = {line: next(iter(layers))[1] for line, layers in found.items() if len(layers) == 1}
    return {line: count for line, count in alone.items() if count is not None}


def agreeing(stated: Mapping[int, int], true: Mapping[int, int]) -> list[int]:
    """Return the lines whose comment is right."""
    return [line for line, number in stated.items() if true.get(line) == number]


def totals(trace: Trace) -> Iterator[Draft]:
    """Compare the number of parameters that the docstring of a network states with the sum of its layers."""
    networks: dict[int, list[Module]] = {}
    for event in trace.of("network"):
        if isinstance(event.subject, Module) and event.subject.cls is not None:
            networks.setdefault(id(event.subject.cls.definition), []).append(event.subject)
    for alike in networks.values():
        cls = alike[0].cls
        assert cls is not None
        definition, found = cls.definition, TOTAL.findall(ast.get_docstring(cls.definition) or "")
        counts = {total_of(network) for network in alike} if len(found) == 1 else set()
        true = counts.pop() if len(counts) == 1 else None
        if true is not None and int(found[0].replace(",", "")) != true:
            place = Spot(cls.scope.source, definition.body[0])
            yield Draft("FW122", place, f"The docstring states {found[0]} parameters; {definition.name} has {true:,}.",
                        "The number is the sum over all layers.",
                        "Correct the docstring; `featherweight summary` prints the true values.")


def total_of(network: Module) -> int | None:
    """Return the number of parameters of a network, or None if one of its layers is not known."""
    total = 0
    for part in network.parts():
        text = ast.unparse(part.cls.definition) if part.cls is not None else ""
        count = 0 if part.cls is not None or not part.name else count_of(part)
        unknown = part is not network and not (part.name or part.cls or part.children)
        if count is None or part.open or part.unsure or unknown or "Parameter(" in text or derived_layer_in(part, text):
            return None
        total += count
    return total


def derived_layer_in(part: Module, text: str) -> bool:
    """True if the text of a class names another class of the file that derives from a layer of torch.nn."""
    names = part.cls.scope.names if part.cls is not None else {}
    return any(isinstance(value, Class) and not value.is_module and f"{name}(" in text
               and any(base.startswith("torch.nn.") for base in value.library_bases())
               for name, value in names.items())


def count_of(layer: Module) -> int | None:
    """Return the number of parameters of one layer of torch.nn, or None if it is not known."""
    key, kind = key_of(layer.name), LAYER_KINDS.get(key_of(layer.name))
    if key.startswith("batchnorm"):
        features = constant(layer.arguments.get("num_features"))
        return 2 * features if isinstance(features, int) and "affine" not in layer.arguments else None
    if key in WITHOUT_PARAMETERS or (kind in (ACTIVATION, DROPOUT, POOL) and key != "prelu"):
        return 0
    return parameters_of(layer.name.rpartition(".")[2], layer.arguments)


RULES = (bare_numbers, totals)
