"""Calls that compute with tensors, numbers and arrays."""

from __future__ import annotations

from featherweight.doctor.flow.arithmetic import length_of
from featherweight.doctor.flow.layers import applied, events_of, key_of
from featherweight.doctor.flow.losses import (
    FUNCTIONS,
    applied_loss,
    reduction_of,
    united,
)
from featherweight.doctor.flow.roles import IMAGES_AXES, sources_of
from featherweight.doctor.flow.signatures import Call
from featherweight.doctor.flow.values import (
    HITS,
    LABEL,
    LOG_PROBABILITIES,
    LOSS,
    PREDICTION,
    PROBABILITIES,
    Constant,
    Criterion,
    Items,
    Library,
    Number,
    Spot,
    Table,
    Tensor,
    Unknown,
    Value,
    constant,
    known,
)

MOST_ARRAY_ARGUMENTS = 4        # more may name a dtype by position


def escape(call: Call) -> None:
    """Mark the arguments as passed to code that is not known."""
    for value in call.everything():
        value.escaped = True
        for inner in value.items if isinstance(value, Items) else ():
            known(inner).escaped = True
        if isinstance(value, Table):
            for inner in value.items.values():
                known(inner).escaped = True


def operation(call: Call) -> Value:
    """Return the result of a function that takes a tensor first."""
    arguments = call.bound()
    tensor = known(arguments.get("input", call.first()))
    call.trace.add("apply", call.spot, tensor, Library(name=call.name), arguments.get("dim"), text=call.last)
    if isinstance(tensor, Number):
        return tensor
    if not isinstance(tensor, Tensor):
        tensor = Tensor(spot=call.spot, origin=sources_of(tensor), attached=call.trace.grad[-1])
    functional = call.name.startswith("torch.nn.functional")
    if functional and key_of(call.last) in ("linear", "conv1d", "conv2d", "conv3d"):
        return tensor.but(spot=call.spot, meaning="", trail=(), geometry=None)
    after = applied(call.last, tensor, arguments, call.spot)
    for kind in events_of(key_of(call.last), tensor, after, arguments):
        call.trace.add(kind, call.spot, Library(name=call.name), tensor)
    return after


def loss_function(call: Call) -> Value:
    """Return the loss of a function of torch.nn.functional."""
    made = Criterion(spot=call.spot, name=FUNCTIONS[call.last], reduction=reduction_of(call))
    bound = call.bound()
    arguments = [bound[name] for name in ("input", "target") if name in bound] or list(call.arguments)
    return applied_loss(made, Call(call.name, call.spot, arguments, call.keywords, call.trace, call.open))


def reduced(call: Call) -> Value:
    """Return torch.sum(x), torch.mean(x): a count of hits, a mean accuracy, or a tensor."""
    return reduction(call.first(), call.last, call)


def reduction(value: Value | None, name: str, call: Call) -> Value:
    """Return the sum or mean of a tensor."""
    if isinstance(value, Tensor) and value.meaning == HITS:
        return Number(spot=call.spot, unit="hits" if name == "sum" else "mean-accuracy", origin=value.origin)
    if isinstance(value, Tensor) and value.reduction == "none":
        return value.but(spot=call.spot, reduction=name, scaled=False)
    if isinstance(value, Tensor):
        axes = axes_after(value, call)
        if name == "mean" and value.axes == IMAGES_AXES and axes == IMAGES_AXES - 2:
            call.trace.add("averaged", call.spot, None, value)
        return value.but(spot=call.spot, meaning="loss" if value.meaning == "loss" else "", trail=(),
                         axes=axes, geometry=None)
    if isinstance(value, Items) and value.items:
        return known(value.items[0])
    return value if isinstance(value, Number) else Unknown(spot=call.spot, origin=sources_of(value))


def axes_after(tensor: Tensor, call: Call) -> int | None:
    """Return the number of axes that x.mean(2), x.mean((2, 3)) or torch.mean(x, dim=1) leaves, if it is known."""
    asked = [value for value in map(known, call.arguments) if value is not tensor]
    named = [call.keywords[name] for name in ("dim", "axis") if name in call.keywords]
    if not asked and not named:
        return 0
    dims = constant((named or asked)[0])
    count = len(dims) if isinstance(dims, tuple) else 1
    stated = isinstance(dims, int | tuple) and len(asked) <= 1 and "keepdim" not in call.keywords
    return tensor.axes - count if tensor.axes is not None and stated else None


def exponential(call: Call) -> Value:
    """Return exp(x) or log(x); log-probabilities and probabilities become each other."""
    value = call.first()
    if not isinstance(value, Tensor):
        return Unknown(spot=call.spot, origin=sources_of(value))
    if call.last == "exp" and value.meaning == LOSS:
        call.trace.add("exp", call.spot, value)
    pairs = {("exp", LOG_PROBABILITIES): PROBABILITIES, ("log", PROBABILITIES): LOG_PROBABILITIES}
    meaning = pairs.get((call.last, value.meaning), "")
    return value.but(spot=call.spot, meaning=meaning, trail=value.trail if meaning else ())


def greatest(call: Call) -> Value:
    """Return torch.max(x, 1), torch.topk(x, k) or torch.argmax(x)."""
    return largest(call.first(), call.last, call, len(call.arguments) > 1 or "dim" in call.keywords)


def largest(value: Value | None, name: str, call: Call, along_axis: bool) -> Value:
    """Return (values, predictions) or predictions; record the event "predict" for outputs of a network."""
    if not isinstance(value, Tensor):
        if isinstance(value, Constant):         # max(best, accuracy), where best begins with a number
            value = next((one for one in call.everything() if sources_of(one)), value)
        if isinstance(value, Number | Constant) or name == "max":
            call.trace.add("best", call.spot, value, text=name)
            return Number(spot=call.spot, unit="rate", origin=sources_of(value))
        return Unknown(spot=call.spot, origin=sources_of(value))
    made = Tensor(spot=call.spot, meaning=PREDICTION, origin=value.origin, models=value.models)
    call.trace.add("predict", call.spot, value, asked_axis(value, name, call))
    if name == "topk" or (name in ("max", "min") and along_axis):
        return Items(items=[value.but(spot=call.spot, meaning="", trail=()), made])
    return made if name != "max" else value.but(spot=call.spot, meaning="", trail=())


def asked_axis(value: Tensor, name: str, call: Call) -> Value | None:
    """Return the dimension in x.max(1), torch.topk(x, k, dim=1) or numpy.argmax(x, axis=1)."""
    places = [one for one in map(known, call.arguments) if one is not value]
    named = call.keywords.get("dim", call.keywords.get("axis"))
    return named or next(iter(places[1:] if name == "topk" and "k" not in call.keywords else places), None)


def equality(call: Call) -> Value:
    """Return torch.eq(predictions, labels)."""
    values = call.everything()
    meanings = {value.meaning for value in values if isinstance(value, Tensor)}
    meaning = HITS if meanings & {LABEL, PREDICTION} else ""
    return Tensor(spot=call.spot, meaning=meaning, origin=united(*(value.origin for value in values)))


def joined(call: Call) -> Value:
    """Return torch.cat(list) or torch.stack(list). Stacked outputs of networks get a first axis."""
    value = call.first()
    parts = [known(item) for item in value.items] if isinstance(value, Items) else []
    tensors = [part for part in parts if isinstance(part, Tensor)]
    if not tensors:
        return Tensor(spot=call.spot, origin=sources_of(value), attached=False)
    first, alike = tensors[0], len({(tensor.meaning, tensor.axes) for tensor in tensors}) == 1
    stacked = alike and call.last == "stack" and len(call.arguments) == 1 and not call.keywords
    return Tensor(
        spot=call.spot, meaning=first.meaning if stacked or len(tensors) == 1 else "",
        trail=first.trail if stacked else (), axes=first.axes + 1 if stacked and first.axes is not None else None,
        attached=any(tensor.attached for tensor in tensors),
        models=united(*(tensor.models for tensor in tensors)), origin=united(*(tensor.origin for tensor in tensors)),
    )


def fresh(call: Call) -> Value:
    """Return a new tensor: torch.tensor(x), torch.zeros(...)."""
    value = call.first()
    if call.last in ("tensor", "as_tensor", "from_numpy", "Tensor", "FloatTensor", "LongTensor"):
        origin = sources_of(value)
        asked = constant(call.keywords.get("requires_grad")) is True
        cut = call.last == "tensor" and (asked or is_from_network(value))
        kept = "dtype" not in call.keywords and call.last in ("tensor", "as_tensor", "from_numpy")
        return Tensor(spot=call.spot, origin=origin, detached=call.spot if cut else None,
                      double=call.spot if is_double(call) or (kept and value is not None and value.double) else None,
                      meaning=value.meaning if isinstance(value, Tensor) else "")
    return Tensor(spot=call.spot, meaning="zeros" if call.last.startswith("zeros") else "",
                  double=call.spot if is_double(call) else None)


def is_double(call: Call) -> bool:
    """True for dtype=torch.float64 and its other names."""
    found = known(call.keywords.get("dtype"))
    return isinstance(found, Library) and found.name.rpartition(".")[2] in ("float64", "double")


def as_array(call: Call) -> Value:
    """Return numpy.array(x) or numpy.asarray(x). It keeps float64 numbers if it states no other type."""
    value = call.first()
    plain = value is not None and "dtype" not in call.keywords and len(call.arguments) == 1
    stated = constant(value)
    decimal = isinstance(stated, tuple) and any(isinstance(one, float) for one in stated)
    kept = (value.double or (call.spot if decimal else None)) if plain and value is not None else None
    return array_of(call, call.spot if is_double(call) else kept)


def sklearn_data(call: Call) -> Value:
    """Return the data of sklearn.datasets, whose features are float64: (X, y), or an object with data and target."""
    features, labels = Unknown(spot=call.spot, double=call.spot), Unknown(spot=call.spot)
    if call.last.startswith("make_") or constant(call.keywords.get("return_X_y")) is True:
        return Items(spot=call.spot, items=[features, labels])
    return Unknown(spot=call.spot, attributes={"data": features, "target": labels})


def array(call: Call) -> Value:
    """Return a new array of NumPy. Without a dtype its numbers are float64."""
    double = is_double(call) or ("dtype" not in call.keywords and len(call.arguments) < MOST_ARRAY_ARGUMENTS)
    return array_of(call, call.spot if double else None)


def table(call: Call) -> Value:
    """Return a table of pandas. Its numbers are int64 or float64, so pixels divided by 255 are float64."""
    return Unknown(spot=call.spot, double=None if "dtype" in call.keywords else call.spot)


def array_of(call: Call, double: Spot | None) -> Value:
    """Return an array of NumPy. double: the place where its numbers became float64, or None."""
    escape(call)
    return Unknown(spot=call.spot, double=double, origin=united(*(sources_of(value) for value in call.everything())))


def is_from_network(value: Value | None) -> bool:
    """True for a tensor that a network computed."""
    return isinstance(value, Tensor) and bool(value.models or value.detached)


def length(call: Call) -> Value:
    """Return len(x)."""
    value = call.first()
    return length_of(value, call.spot) if value is not None else Unknown(spot=call.spot)


def as_number(call: Call) -> Value:
    """Return float(x), int(x), round(x): the same number."""
    value = call.first()
    if isinstance(value, Tensor):
        from featherweight.doctor.flow.arithmetic import number_from
        return number_from(value, call.spot)
    return value if isinstance(value, Number | Constant) else Unknown(spot=call.spot, origin=sources_of(value))


def added_up(call: Call) -> Value:
    """Return sum(x) of Python."""
    value = call.first()
    if isinstance(value, Items) and value.items:
        first = known(value.items[0])
        if isinstance(first, Number):
            return Number(spot=call.spot, unit=first.unit, summed=True, origin=first.origin, added=first.spot)
        return first
    if isinstance(value, Tensor):
        return reduction(value, "sum", call)
    return Unknown(spot=call.spot, origin=sources_of(value))


def labels_like(call: Call) -> Value:
    """Return one_hot(x) and similar: labels stay labels."""
    value = call.first()
    meaning = LABEL if isinstance(value, Tensor) and value.meaning == LABEL else ""
    return Tensor(spot=call.spot, meaning=meaning, origin=sources_of(value))
