"""Mistakes with eval(), train() and no_grad()."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, line_of, name_of, text_of
from featherweight.doctor.flow.layers import CHANGES_IN_EVAL, KINDS, key_of
from featherweight.doctor.flow.library import is_torchvision_model
from featherweight.doctor.flow.methods import looks_like_model
from featherweight.doctor.flow.roles import role_of, words_of
from featherweight.doctor.flow.trace import Event, Trace
from featherweight.doctor.flow.values import Module, Optimizer, Tensor, Value, constant

EVALUATION_WORDS = frozenset(("eval", "evaluate", "evaluation", "test", "validate", "validation", "valid", "val",
                              "infer",
                              "inference", "predict", "prediction", "classify", "accuracy"))
HOOKS = ("validation_step", "test_step", "predict_step", "training_step")      # of Lightning
TRAINING_WORDS = frozenset(("train", "training", "fit", "benchmark", "profile", "bench", "warmup", "calibrate"))


def mode_before(trace: Trace, model: Value | None, event: Event) -> Event | None:
    """Return the last eval() or train() of a network, or of one around it, before an event."""
    found = None
    for one in trace.of("eval", "train"):
        if one.index > event.index:
            break
        if not one.excludes(event) and concerns(one.subject, model):
            found = one
    return found


def concerns(subject: Value | None, model: Value | None) -> bool:
    """True if the mode of `subject` sets that of `model`."""
    return subject is model or (isinstance(subject, Module) and isinstance(model, Module) and model in subject.parts())


def alternatives(trace: Trace, mode: Event) -> bool:
    """True if the other arm of the same branch sets the other mode, as in `if training: ... else: ...`."""
    return any(one.kind != mode.kind and one.excludes(mode) and one.subject is mode.subject
               for one in trace.of("eval", "train"))


def changes(trace: Trace, model: Value | None) -> str:
    """Return the class of a layer that acts otherwise in evaluation, "?" if it is not known, or "" if none does."""
    if isinstance(model, Module) and (model.cls is not None or model.name):
        return changing_layer(model)
    classes = [one.subject for one in trace.of("network") if isinstance(one.subject, Module)]
    found = [changing_layer(one) for one in classes if one.cls is not None]
    return next((layer for layer in found if layer and layer != "?"), "?" if "?" in found or not classes else "")


def changing_layer(model: Module) -> str:
    """Return the class of a layer of a network that acts otherwise in evaluation."""
    unknown = ""
    for part in model.parts():
        key = key_of(part.name)
        rate = constant(part.arguments.get("p"))
        if key in CHANGES_IN_EVAL and rate != 0:
            return part.name.rpartition(".")[2]
        if key.startswith("transformer") or (key in ("lstm", "gru", "rnn", "multiheadattention")
                                             and constant(part.arguments.get("dropout"), 0)):
            return part.name.rpartition(".")[2]
        if part.name.endswith(".from_pretrained"):
            return ""           # transformers and diffusers return networks in evaluation mode
        if is_torchvision_model(part.name):
            return part.name.rpartition(".")[2]
        if part.cls is not None:
            text = ast.unparse(part.cls.definition)
            if "self.training" in text:
                return f"{part.cls.definition.name}, which asks self.training"
        if part.cls is not None and any(is_foreign(base) for base in part.cls.library_bases()):
            unknown = "?"
        if part.cls is None and not part.name.startswith("torch.nn.") and key not in KINDS and not part.children:
            unknown = "?"
    return unknown


def is_foreign(name: str) -> bool:
    """True for a base class that is not torch's own."""
    return not name.startswith("torch.nn.") and name != "builtins.object"


def is_trained(trace: Trace, event: Event) -> bool:
    """True if the output of a forward is used for training: backward follows in the same turn or call."""
    loop = event.loops[-1] if event.loops else None
    for one in trace.of("backward"):
        if one.index < event.index or not isinstance(one.subject, Value):
            continue
        loss = one.subject
        known_loss = isinstance(loss, Tensor) and bool(loss.models)
        uses = (isinstance(loss, Tensor) and event.subject in loss.models) if known_loss else True
        if one.same_turn(event, loop) and uses:
            return True
    return False


def words_around(event: Event) -> set[str]:
    """Words of the names of the functions that are being executed."""
    return {word for call in event.calls[-1:] for word in words_of(getattr(call, "name", ""))}


def is_evaluation(trace: Trace, event: Event) -> bool:
    """True if a forward measures or predicts: without gradients, on test data, or in a function named so."""
    if is_trained(trace, event):
        return False
    words = words_around(event)
    if words & TRAINING_WORDS and not words & EVALUATION_WORDS:
        return role_of(event.loader) in ("test", "validation")
    return not event.grad or role_of(event.loader) in ("test", "validation") or predicts(trace, event)


def predicts(trace: Trace, event: Event) -> bool:
    """True if the largest output of a forward is taken in the same function, outside of training."""
    in_training = any(one.calls[: len(event.calls)] == event.calls for one in trace.of("backward", "step"))
    if in_training or not (words_around(event) & EVALUATION_WORDS):
        return False
    return any(one.index > event.index and one.calls == event.calls and isinstance(one.subject, Tensor)
               and event.subject in one.subject.models for one in trace.of("predict"))


def eval_missing(trace: Trace) -> Iterator[Draft]:
    """Find evaluations of a network that is not in evaluation mode."""
    seen = set[tuple[int, int]]()
    for event in trace.of("forward"):
        key = (id(event.calls[-1]) if event.calls else 0, id(event.subject))
        if event.nested or key in seen or not isinstance(event.subject, Module) or is_loss(event.subject):
            continue
        if not is_evaluation(trace, event):
            continue
        mode = mode_before(trace, event.subject, event)
        if (mode is not None and (mode.kind == "eval" or alternatives(trace, mode))) or inherited(trace, event):
            continue
        if meant(trace, mode, event) or not is_network(event.subject):
            continue
        layer = changes(trace, event.subject)
        if not layer:
            continue
        seen.add(key)
        certain = layer != "?" and not is_own_method(event)
        model = name_of(event.subject, "the network")
        why = (f"{model} holds {layer}, which acts otherwise in training mode." if layer != "?" else
               f"If {model} holds dropout or batch normalisation, its outputs depend on chance or on the batch.")
        if mode is not None:
            why += f" `{text_of(mode.spot)}` at {mode.spot.where} set training mode."
        plain = model.strip("`")
        yield Draft("FW308", event.spot, f"{model[:1].upper()}{model[1:]} is evaluated without eval().", why,
                    f"Call {plain}.eval() before {event.spot.where}.",
                    f"{plain}.eval()" if plain != "the network" else
                    "", "error" if certain else "warning")


def meant(trace: Trace, mode: Event | None, event: Event) -> bool:
    """True if a function sets training mode itself and trains nothing: it updates batch statistics."""
    return mode is not None and bool(event.calls) and mode.calls == event.calls and not any(
        one.calls == event.calls for one in trace.of("backward", "step"))


def is_network(module: Module) -> bool:
    """True for a network, and for an unknown object that is named or used like one."""
    return bool(module.cls or module.name or module.children) or looks_like_model(module.label)


def is_own_method(event: Event) -> bool:
    """True in a method of the network itself that nothing in the file calls: its caller may set the mode."""
    call = event.calls[-1] if event.calls else None
    cls = event.subject.cls if isinstance(event.subject, Module) else None
    return event.alone and cls is not None and call in cls.definition.body


def inherited(trace: Trace, event: Event) -> bool:
    """True if a framework sets the mode: the forward runs in a hook such as validation_step."""
    return any(
        isinstance(call, ast.FunctionDef) and call.name in HOOKS and [one.arg for one in call.args.args[:1]] == ["self"]
        for call in event.calls)


def is_loss(module: Module) -> bool:
    """True for a loss that is a class of the file."""
    return module.label == "loss" or (module.cls is not None and module.cls.definition.name.endswith("Loss"))


def no_grad_missing(trace: Trace) -> Iterator[Draft]:
    """Find evaluations over a loader that keep graphs."""
    seen = set[tuple[int, int]]()
    for event in trace.of("forward"):
        key = (id(event.calls[-1]) if event.calls else 0, id(event.subject))
        if event.nested or key in seen or not event.grad or is_trained(trace, event):
            continue
        mode = mode_before(trace, event.subject, event)
        in_eval = mode is not None and mode.kind == "eval" and not alternatives(trace, mode)
        on_held_out = event.batch_loop() is not None and (in_eval or role_of(event.loader) in ("test", "validation"))
        measured = in_eval and bool(words_around(event) & EVALUATION_WORDS or event.loops) and is_measured(trace, event)
        if (on_held_out or measured) and not wants_gradient(trace, event):
            seen.add(key)
            yield Draft("FW309", event.spot, "The evaluation stores what gradients would need.",
                        f"`{text_of(event.spot)}` keeps all activations: more memory and time for the same numbers.",
                        "Put the loop into `with torch.no_grad():`.", "with torch.no_grad():")


def wants_gradient(trace: Trace, event: Event) -> bool:
    """True if the gradient of the input is asked for, as for a saliency map."""
    loop = event.loops[-1] if event.loops else None
    return any(one.calls == event.calls and one.same_turn(event, loop) for one in trace.of("requires-grad", "apply")
               if one.kind == "requires-grad" or one.text == "requires_grad_")


def is_measured(trace: Trace, event: Event) -> bool:
    """True if a loss or a prediction is made of a forward's output in the same function."""
    return any(one.index > event.index and one.calls == event.calls and isinstance(tensor, Tensor)
               and event.subject in tensor.models
               for one in trace.of("loss", "predict") for tensor in (one.value, one.subject))


def training_in_eval(trace: Trace) -> Iterator[Draft]:
    """Find optimizer steps while the trained network is in evaluation mode."""
    seen = set[int]()
    for step in trace.of("step"):
        optimizer = step.subject
        models = optimizer.models if isinstance(optimizer, Optimizer) else ()
        models = models or trained_before(trace, step)
        for model in models:
            mode = mode_before(trace, model, step)
            if mode is None or mode.kind != "eval" or mode.subject is not model or alternatives(trace, mode):
                continue
            if id(step.spot.node) in seen or not changes(trace, model) or evaluated_on_purpose(trace, mode, step):
                continue
            seen.add(id(step.spot.node))
            name = name_of(model, "the network").strip("`")
            yield Draft("FW310", step.spot, f"`{name}` is trained in evaluation mode.",
                        f"`{line_of(mode.spot)}` at {mode.spot.where} switched dropout off and froze the batch "
                        "statistics; no train() follows.", f"Call {name}.train() before the batches of each epoch.",
                        f"{name}.train()")


def evaluated_on_purpose(trace: Trace, mode: Event, step: Event) -> bool:
    """True if the step is in an arm that the mode's arm excludes, or if a frozen network is kept so for a new head."""
    frozen = "requires_grad = False" in mode.spot.source.text or "requires_grad_(False)" in mode.spot.source.text
    return mode.excludes(step) or (frozen and mode.calls == step.calls and not mode.loops)


def trained_before(trace: Trace, step: Event) -> tuple[Value, ...]:
    """Return the networks of the last loss before a step in the same function."""
    for one in reversed(trace.of("backward")):
        if one.index < step.index and one.calls == step.calls and isinstance(one.subject, Tensor):
            return one.subject.models
    return ()


RULES = (eval_missing, no_grad_missing, training_in_eval)
