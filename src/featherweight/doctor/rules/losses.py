"""Mistakes between the output of a network and its loss."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, name_of, replaced, text_of
from featherweight.doctor.flow.layers import key_of
from featherweight.doctor.flow.methods import looks_like_model
from featherweight.doctor.flow.roles import words_of
from featherweight.doctor.flow.trace import Event, Trace
from featherweight.doctor.flow.values import (
    INPUT,
    LABEL,
    LOG_PROBABILITIES,
    LOGITS,
    OUTPUT,
    PROBABILITIES,
    SIGMOID,
    Constant,
    Criterion,
    Dataset,
    Items,
    Iteration,
    Loader,
    Module,
    Number,
    Optimizer,
    Spot,
    Table,
    Tensor,
    known,
)

KIND_WORDS = {
    Number: "a number", Constant: "a constant", Optimizer: "an optimizer", Loader: "a data loader",
    Dataset: "a data set", Items: "a list", Iteration: "an iterable",
}
SYMMETRIC = ("MSELoss", "L1Loss", "SmoothL1Loss", "HuberLoss", "")
THRESHOLDS = (0.05, 0.95)


def softmax_and_loss(trace: Trace) -> Iterator[Draft]:
    """Compare the meaning of an output with the one that its loss takes."""
    for event in trace.of("loss"):
        tensor, criterion = event.value, event.subject
        if not isinstance(tensor, Tensor) or not isinstance(criterion, Criterion) or tensor.maybe:
            continue
        name, what = criterion.name, text_of(event.spot)
        where = Spot(tensor.spot.source, tensor.spot.node) if tensor.spot else event.spot
        if name == "CrossEntropyLoss" and tensor.meaning in (PROBABILITIES, SIGMOID):
            first = "softmax" if tensor.meaning == PROBABILITIES else "sigmoid"
            yield Draft("FW201", event.spot, f"Cross-entropy gets probabilities: a {first} stands before it.",
                        f"`{what}` applies log-softmax to values in [0, 1]: the loss cannot fall below a bound, and "
                        "gradients are small.", f"Pass the logits; remove the {first} at {where.where}.", "")
        elif name == "CrossEntropyLoss" and tensor.meaning == LOG_PROBABILITIES:
            yield Draft("FW202", event.spot, "Cross-entropy gets log-probabilities.",
                        "Log-softmax of log-probabilities changes nothing, so the result is right but work is wasted.",
                        "Return logits, or use nll_loss.", line_with(event, "cross_entropy", "nll_loss"))
        elif name == "NLLLoss" and tensor.meaning in (LOGITS, PROBABILITIES, SIGMOID):
            got = {LOGITS: "logits", PROBABILITIES: "probabilities", SIGMOID: "a sigmoid"}[tensor.meaning]
            yield Draft("FW203", event.spot, f"The negative log-likelihood gets {got}, not log-probabilities.",
                        f"`{what}` only negates the value of the right class, so the loss has no lower bound of 0.",
                        "Use cross-entropy on logits, or log_softmax before it.",
                        line_with(event, "nll_loss", "cross_entropy") if tensor.meaning == LOGITS else "")
        elif name == "BCEWithLogitsLoss" and tensor.meaning in (SIGMOID, PROBABILITIES):
            yield Draft("FW205", event.spot, "BCEWithLogitsLoss gets probabilities: a sigmoid stands before it.",
                        "It applies a second sigmoid, so its probabilities lie between 0.5 and 0.73.",
                        f"Remove the sigmoid at {where.where}.", "")
        elif name == "BCELoss" and tensor.meaning == SIGMOID:
            yield Draft("FW205", event.spot,
                        "A sigmoid and BCELoss do in two steps what BCEWithLogitsLoss does in one.",
                        "Far from 0 the sigmoid rounds to 0 or 1, and the gradient is lost.",
                        f"Remove the sigmoid at {where.where} and use BCEWithLogitsLoss.", "", "note")
        elif name == "BCELoss" and tensor.meaning == LOGITS and len(tensor.trail) == 1:
            yield Draft("FW205", event.spot, "BCELoss gets logits.",
                        "It takes the logarithm of values outside [0, 1], which raises an error or gives NaN.",
                        "Use BCEWithLogitsLoss.", "")


def divergence(trace: Trace) -> Iterator[Draft]:
    """Find a Kullback-Leibler divergence whose first argument is not log-probabilities."""
    for event in trace.of("loss"):
        tensor, criterion = event.value, event.subject
        if not isinstance(tensor, Tensor) or not isinstance(criterion, Criterion) or tensor.maybe:
            continue
        if criterion.name == "KLDivLoss" and tensor.meaning in (LOGITS, PROBABILITIES):
            yield Draft("FW203", event.spot,
                        f"The Kullback-Leibler divergence gets {tensor.meaning}, not log-probabilities.",
                        f"`{text_of(event.spot)}` takes log-probabilities first and probabilities second; with others "
                        "it is no divergence, and may be negative.", "Apply log_softmax to the first argument.", "")


def line_with(event: Event, old: str, new: str) -> str:
    """Return the line of a functional loss with another function."""
    text = text_of(event.spot, 300)
    return replaced(event.spot, text.replace(old, new, 1)) if old in text else ""


def softmax_twice(trace: Trace) -> Iterator[Draft]:
    """Find a softmax of probabilities."""
    for event in trace.of("apply", "layer"):
        layer = event.subject if isinstance(event.subject, Module) else None
        name = event.text or (layer.name if layer else "")
        tensor = event.value if event.kind == "layer" else event.subject
        if key_of(name) not in ("softmax", "logsoftmax") or not isinstance(tensor, Tensor) or tensor.maybe:
            continue
        if tensor.meaning == PROBABILITIES:
            yield Draft("FW204", event.spot, "A softmax is applied to probabilities.",
                        "The second softmax flattens them: for 10 classes the largest possible value is 0.23.",
                        "Keep one softmax.", "")


def swapped_arguments(trace: Trace) -> Iterator[Draft]:
    """Find loss(target, output)."""
    for event in trace.of("loss"):
        first, second, criterion = event.value, event.other, event.subject
        if not isinstance(first, Tensor) or not isinstance(second, Tensor) or not isinstance(criterion, Criterion):
            continue
        node = event.spot.node
        target_first = first.meaning == LABEL or (first.meaning == INPUT and criterion.name == "BCELoss")
        given = target_first and not first.models and second.models
        if given and criterion.name not in SYMMETRIC and isinstance(node, ast.Call):
            arguments = [ast.unparse(one) for one in node.args[:2]]
            inside = ", ".join([*reversed(arguments), *(ast.unparse(one) for one in node.keywords)])
            yield Draft("FW206", event.spot, "The loss gets the target first and the output second.",
                        f"{criterion.name} treats `{arguments[0]}` as the output of the network." if arguments else
                        "The target is treated as output.",
                        "Swap the two arguments.", replaced(event.spot, f"{ast.unparse(node.func)}({inside})"))


def threshold_on_logits(trace: Trace) -> Iterator[Draft]:
    """Find `logits > 0.5`."""
    for event in trace.of("compare"):
        tensor, bound = event.subject, known(event.value)
        node = event.spot.node
        if not isinstance(tensor, Tensor) or not isinstance(bound, Constant) or not isinstance(node, ast.Compare):
            continue
        logits = tensor.meaning == LOGITS and len(tensor.trail) == 1 and not tensor.maybe
        logits = logits or (tensor.meaning == OUTPUT and "logits" in words_of(tensor.label))
        in_reach = isinstance(bound.value, float) and THRESHOLDS[0] <= bound.value <= THRESHOLDS[1]
        if logits and tensor.models and in_reach and isinstance(node.ops[0], ast.Gt | ast.GtE):
            left = ast.unparse(node.left)
            right = ast.unparse(node.comparators[0])
            yield Draft("FW207", event.spot, f"{name_of(tensor, 'The output')} holds logits, but is compared with "
                        f"{bound.value}.",
                        "A probability of 0.5 is the logit 0; a logit of 0.5 is a probability of 0.62.",
                        "Apply sigmoid first, or compare with 0.",
                        replaced(event.spot,
                                 f"torch.sigmoid({left}) {'>' if isinstance(node.ops[0], ast.Gt) else '>='} "
                                 f"{right}"))


def wrong_argument(trace: Trace) -> Iterator[Draft]:
    """Find a call that passes a number where the function calls its parameter, such as train(..., epoch)."""
    for event in trace.of("not-callable"):
        value, output = event.subject, known(event.value)
        if not isinstance(output, Tensor) or not output.models:
            continue
        entered = [one for one in trace.of("enter") if one.index < event.index and isinstance(one.value, Table)]
        for call in reversed(entered):
            assert isinstance(call.value, Table)
            names = [name for name, one in call.value.items.items() if known(one) is value]
            if not names or not event.calls or value is None:
                continue
            kind = KIND_WORDS.get(type(value), "no function")
            if isinstance(value, Number) and value.unit == "index":
                kind = "the counter of a loop"
            yield Draft("FW208", call.spot, f"Parameter `{names[0]}` gets {kind}, but is called as a function.",
                        f"{event.spot.where.capitalize()} runs `{text_of(event.spot)}`, so `{names[0]}` must be a "
                        "function such as a loss.", f"Pass the loss as `{names[0]}`.", "")
            break


def swapped_network(trace: Trace) -> Iterator[Draft]:
    """Find a call that passes a data loader where the function takes the network."""
    for event in trace.of("enter"):
        names = event.value.items if isinstance(event.value, Table) else {}
        wrong = next((name for name, value in names.items() if looks_like_model(str(name))
                      and isinstance(known(value), Loader | Dataset)), None)
        if wrong is not None and any(isinstance(known(value), Module) for value in names.values()):
            yield Draft("FW208", event.spot, f"Parameter `{wrong}` gets {KIND_WORDS[type(known(names[wrong]))]}.",
                        f"`{text_of(event.spot)}` passes the network as another parameter.",
                        "Swap the two arguments.")


def detached_loss(trace: Trace) -> Iterator[Draft]:
    """Find backward on a loss that is cut off from the network."""
    steps = trace.of("step")
    for event in trace.of("backward"):
        loss = event.subject
        if not isinstance(loss, Tensor) or loss.detached is None or (loss.attached and not loss.detached):
            continue
        if any(step.calls == event.calls for step in steps):
            yield Draft("FW209", event.spot, f"{name_of(loss, 'The loss')} is cut off from the network.",
                        f"`{text_of(loss.detached)}` at {loss.detached.where} drops the graph, so no gradient "
                        f"reaches "
                        "a weight.", "Call backward on the loss itself, and detach only for the log.", "")


RULES = (softmax_and_loss, divergence, softmax_twice, swapped_arguments, threshold_on_logits, wrong_argument,
         swapped_network, detached_loss)
