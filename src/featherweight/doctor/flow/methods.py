"""Calls of methods on values: model.eval(), loss.backward(), optimizer.step(), output.argmax(1)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from featherweight.doctor.flow.arithmetic import length_of, number_from
from featherweight.doctor.flow.copies import copies_in
from featherweight.doctor.flow.labels import shift_in
from featherweight.doctor.flow.layers import applied, is_operation
from featherweight.doctor.flow.losses import united
from featherweight.doctor.flow.objects import OTHER_LIBRARIES
from featherweight.doctor.flow.operations import escape, exponential, largest, reduction
from featherweight.doctor.flow.roles import sources_of, words_of
from featherweight.doctor.flow.signatures import Call
from featherweight.doctor.flow.values import (
    HITS,
    INPUT,
    LABEL,
    LOSS,
    PREDICTION,
    Constant,
    Dataset,
    Items,
    Library,
    Loader,
    Module,
    Number,
    Optimizer,
    Parameters,
    Scheduler,
    Table,
    Tensor,
    Transform,
    Unknown,
    Value,
    Weights,
    constant,
    known,
    modules_in,
)

MOVES = ("to", "cuda", "cpu", "half", "double", "float", "bfloat16", "type", "share_memory", "requires_grad_", "apply",
         "compile", "xpu", "mps")
OPTIMIZER_WORDS = frozenset(("optimizer", "optim", "opt", "optimiser", "optimizers", "optimizerd", "optimizerg",
                             "sgd", "adam", "solver"))
SCHEDULER_WORDS = frozenset(("scheduler", "sched", "schedule", "schedular", "lrscheduler"))


def call_method(owner: Value, call: Call) -> Value:
    """Return the value of owner.method(...), and record its events. call.name is the method."""
    if isinstance(owner, Unknown):
        owner = revealed(owner, call)
    for kind, effect in METHODS:
        if isinstance(owner, kind):
            return effect(owner, call)
    return of_others(owner, call)


def revealed(owner: Unknown, call: Call) -> Value:
    """Return what an unknown value must be, judged by the method that is called on it."""
    name, words = call.name, set(words_of(owner.label))
    made: Value | None = None
    if name in ("eval", "parameters", "named_parameters", "load_state_dict") or (name == "train" and is_mode(call)):
        if name != "load_state_dict" or not words & (OPTIMIZER_WORDS | SCHEDULER_WORDS):
            made = Module(label=owner.label, spot=owner.spot)
    elif name in ("to", "cuda", "state_dict") and looks_like_model(owner.label):
        made = Module(label=owner.label, spot=owner.spot)
    elif name == "zero_grad":
        optimizer = words & OPTIMIZER_WORDS or not looks_like_model(owner.label)
        made = Optimizer(label=owner.label) if optimizer else Module(label=owner.label)
    elif name == "step" and words & SCHEDULER_WORDS:
        made = Scheduler(label=owner.label, escaped=True)
    elif name == "step" and words & OPTIMIZER_WORDS:
        made = Optimizer(label=owner.label)
    elif name == "backward":
        made = Tensor(label=owner.label, spot=owner.spot, attached=True, meaning=LOSS)
    if made is not None:
        owner.becomes = made
    return known(owner)


def is_mode(call: Call) -> bool:
    """True for the arguments of Module.train: none, or one truth value."""
    values = call.everything()
    return not values or (len(values) == 1 and isinstance(constant(values[0]), bool))


def looks_like_model(label: str) -> bool:
    """True for a name such as model, net or generator."""
    words = [word for word in words_of(label) if not word.isdigit() and len(word) > 1] or words_of(label)
    return bool(words) and (words[-1] in MODEL_WORDS or words[-1].endswith(("net", "model")) or (
        len(words) == 2 and words[0] in ("model", "net")))


MODEL_WORDS = frozenset((
    "model", "net", "network", "generator", "discriminator", "classifier", "student", "teacher", "backbone", "encoder",
    "decoder", "critic", "actor", "policy", "detector", "netg", "netd", "cnn", "mlp", "resnet", "unet", "vgg", "gan",
    "autoencoder", "vae", "transformer", "lstm", "rnn", "ddp", "module", "learner",
))


# ---- modules ----

def of_module(owner: Value, call: Call) -> Value:
    """Handle methods of networks."""
    assert isinstance(owner, Module)
    name = call.name
    if name in ("eval", "train"):
        training = name == "train" and constant(call.first(), True) is not False
        call.trace.add("train" if training else "eval", call.spot, owner)
        return owner
    if name in MOVES:
        call.trace.add("move", call.spot, owner, text=name)
        return owner
    if name in ("parameters", "named_parameters", "trainable_parameters"):
        return Parameters(spot=call.spot, models=(owner,))
    if name == "zero_grad":
        call.trace.add("zero_grad", call.spot, owner)
    if name == "state_dict":
        made = Weights(spot=call.spot, model=owner)
        call.trace.add("weights", call.spot, made)
        return made
    if name == "load_state_dict":
        call.trace.add("load-weights", call.spot, owner, call.first())
    if name == "append" and owner.children is not None:
        owner.children += [value for value in call.everything() if isinstance(value, Module)]
    if name == "add_module" and len(call.arguments) > 1:
        owner.children.append(known(call.arguments[1]))
        owner.attributes[str(constant(call.arguments[0]))] = known(call.arguments[1])
    if name in ("children", "modules"):
        return Items(items=list(owner.children) or [owner], open=True, is_list=True)
    return Unknown(spot=call.spot)


# ---- tensors ----

def of_tensor(owner: Value, call: Call) -> Value:
    """Handle methods of tensors."""
    assert isinstance(owner, Tensor)
    name = call.name
    if name == "backward":
        call.trace.add("backward", call.spot, owner)
        return Unknown(spot=call.spot)
    if name in TENSOR_METHODS:
        return TENSOR_METHODS[name](owner, call)
    call.trace.add("apply", call.spot, owner, other=call.arguments[-1] if call.arguments else None, text=name)
    if is_operation(name):
        arguments = dict(call.keywords)
        if call.arguments:
            arguments.setdefault("dim", call.arguments[0])
        return applied(name, owner, arguments, call.spot)
    if name.endswith("_") and not name.startswith("_"):
        return owner
    kept = name in ("chunk", "split", "index_select", "masked_select")
    return owner.but(spot=call.spot, meaning="" if not kept else owner.meaning, trail=())


def detached(owner: Tensor, call: Call) -> Value:
    """Return tensor.detach() or tensor.numpy()."""
    return owner.but(spot=call.spot, attached=False, detached=owner.detached or call.spot)


def item(owner: Tensor, call: Call) -> Value:
    """Return tensor.item()."""
    return number_from(owner, call.spot)


def summed(owner: Tensor, call: Call) -> Value:
    """Return tensor.sum() or tensor.mean()."""
    return reduction(owner, call.name, call)


def greatest(owner: Tensor, call: Call) -> Value:
    """Return tensor.max(1), tensor.argmax() or tensor.topk(k)."""
    return largest(owner, call.name, call, bool(call.arguments) or "dim" in call.keywords)


def equal(owner: Tensor, call: Call) -> Value:
    """Return predictions.eq(labels)."""
    other = call.first()
    meanings = {owner.meaning, other.meaning if isinstance(other, Tensor) else ""}
    meaning = HITS if meanings & {LABEL, PREDICTION} else ""
    return Tensor(spot=call.spot, meaning=meaning, origin=united(owner.origin, sources_of(other)))


def size(owner: Tensor, call: Call) -> Value:
    """Return tensor.size(0): images of the batch; tensor.size(): the shape."""
    axis = constant(call.first(), None)
    return length_of(owner, call.spot) if axis == 0 else Unknown(spot=call.spot)


def exponent(owner: Tensor, call: Call) -> Value:
    """Return tensor.exp() or tensor.log()."""
    return exponential(Call(call.name, call.spot, [owner], {}, call.trace))


TENSOR_METHODS: dict[str, Callable[[Tensor, Call], Value]] = {
    "detach": detached, "numpy": detached, "tolist": detached, "detach_": detached, "item": item, "sum": summed,
    "mean": summed, "max": greatest, "argmax": greatest, "topk": greatest, "min": greatest, "eq": equal, "size": size,
    "exp": exponent, "log": exponent, "__len__": size,
}


# ---- optimizers, schedulers, numbers, containers ----

def of_optimizer(owner: Value, call: Call) -> Value:
    """Record optimizer.step() and optimizer.zero_grad()."""
    if call.name in ("step", "zero_grad"):
        call.trace.add(call.name, call.spot, owner)
    if call.name == "add_param_group" and isinstance(owner, Optimizer):
        owner.models = ()
    return Unknown(spot=call.spot)


def of_scheduler(owner: Value, call: Call) -> Value:
    """Record scheduler.step(value)."""
    assert isinstance(owner, Scheduler)
    if call.name == "step":
        owner.steps += 1
        value = call.first() or known(call.keywords.get("metrics"))
        has_value = bool(call.arguments or call.keywords or call.open)
        call.trace.add("scheduler-step", call.spot, owner, value if has_value else None)
    return Unknown(spot=call.spot)


def of_number(owner: Value, call: Call) -> Value:
    """Return the number itself: item(), cpu(), float() change nothing that rules look at."""
    return owner


def of_items(owner: Value, call: Call) -> Value:
    """Handle list.append and similar."""
    assert isinstance(owner, Items)
    if call.name in ("append", "extend", "insert", "appendleft"):
        value = known(call.arguments[-1]) if call.arguments else Unknown()
        call.trace.add("append", call.spot, owner, value)
        if isinstance(value, Items) and call.name == "extend":
            owner.items += value.items[:50]
        elif len(owner.items) < 200:
            owner.items.append(value)
        owner.open = owner.open or bool(call.trace.loops)
        for module in modules_in(value) if call.trace.arms else ():
            module.unsure = True
        if isinstance(value, Optimizer | Scheduler):
            value.escaped = True
    return Unknown(spot=call.spot, origin=sources_of(owner))


def of_table(owner: Value, call: Call) -> Value:
    """Return table.get(key), values() and items()."""
    assert isinstance(owner, Table)
    if call.name == "get" and call.arguments:
        return owner.items.get(constant(call.first()), Unknown())
    if call.name == "update" and not call.trace.arms:       # else it may not happen
        given = call.first()
        owner.items |= (given.items if isinstance(given, Table) else {}) | call.keywords
        owner.open = owner.open or call.open or (given is not None and not isinstance(given, Table))
    if call.name == "values":
        return Items(items=list(owner.items.values()))
    if call.name == "items":
        return Items(items=[Items(items=[Constant(value=key), value]) for key, value in owner.items.items()])
    return Unknown(spot=call.spot)


ROWS = ("drop", "to_numpy", "sample", "reset_index", "copy")       # methods of tables that keep the type of numbers


def of_others(owner: Value, call: Call) -> Value:  # noqa: PLR0911  one return for each method
    """Handle methods that are known by their name on any object, such as scaler.step(optimizer)."""
    first = call.first()
    if call.name == "step" and isinstance(first, Unknown) and set(words_of(first.label)) & OPTIMIZER_WORDS:
        first.becomes = Optimizer(label=first.label)        # GradScaler.step(optimizer)
        first = first.becomes
    call.trace.add("use", call.spot, owner, first, text=call.name)
    if call.name in OTHER_LIBRARIES and (made := OTHER_LIBRARIES[call.name](owner, call)) is not None:
        return made
    if call.name == "step" and isinstance(first, Optimizer):
        call.trace.add("step", call.spot, first)
    elif call.name == "scale" and isinstance(first, Tensor):
        return first                # GradScaler.scale(loss)
    elif call.name == "backward" and isinstance(first, Tensor):
        call.trace.add("backward", call.spot, first)
    elif call.name == "zero_grad":
        call.trace.add("zero_grad", call.spot, owner)
    elif isinstance(owner, Unknown) and call.name in MOVES:
        return owner                # moved, still unknown: a network or a tensor
    elif call.name in ("prepare", "setup") and len(call.arguments) > 1:
        return Items(items=[known(value) for value in call.arguments])      # accelerate and Fabric
    elif call.name in ("prepare", "setup", "setup_dataloaders") and first is not None:
        return first
    elif call.name in ("item", "cpu", "detach", "numpy") or (call.name == "get" and call.arguments):
        return Unknown(spot=call.spot, origin=owner.origin, label=owner.label)
    else:
        escape(call)
    if isinstance(owner, Library | Unknown) and call.name in ("unsqueeze", "view", "reshape"):
        return Tensor(spot=call.spot, origin=sources_of(owner), label=owner.label, double=owner.double)
    repeated = call.name == "fit_resample" or (call.name == "sample" and constant(call.keywords.get("replace")) is True)
    copies = call.spot if repeated else copies_in((owner, *call.everything()))
    kept = owner.double if call.name in ROWS and "dtype" not in call.keywords else None
    made = Unknown(spot=call.spot, origin=united(sources_of(owner), *(sources_of(v) for v in call.everything())),
                   copies=copies, double=kept)
    return Items(items=[made, replace(made)]) if call.name == "fit_resample" else made


def of_data(owner: Value, call: Call) -> Value:
    """Handle methods of loaders, data sets and transforms."""
    call.trace.add("use", call.spot, owner, text=call.name)
    if isinstance(owner, Transform):
        return Unknown(spot=call.spot)
    if call.name == "__len__":
        return length_of(owner, call.spot)
    if call.name in ("to", "cuda") and isinstance(owner, Dataset) and not call.keywords:      # arrays of a split
        return owner
    if call.name == "next":
        return batch_of(owner)
    return Unknown(spot=call.spot, origin=(owner,))


def batch_of(loader: Value) -> Items:
    """Return one batch of a loader: images, labels and perhaps more."""
    origin = (loader,)
    first = Tensor(meaning=INPUT, origin=origin, axes=4)
    second = Tensor(meaning=LABEL, origin=origin, axes=1, shift=shift_in(origin))
    return Items(items=[first, second], open=True, origin=origin)


METHODS: tuple[tuple[type[Value], Callable[[Value, Call], Value]], ...] = (
    (Module, of_module), (Tensor, of_tensor), (Optimizer, of_optimizer), (Scheduler, of_scheduler),
    (Number, of_number), (Items, of_items), (Table, of_table), (Loader, of_data), (Dataset, of_data),
    (Transform, of_data),
)
