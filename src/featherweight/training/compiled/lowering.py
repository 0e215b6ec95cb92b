"""From the record of a pass to the plan of its C: a table from the operation to its rule."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from math import prod

from torch import Tensor, nn

from featherweight.graph import calls
from featherweight.graph.lowering.reading import plain
from featherweight.graph.record import Record, Value
from featherweight.training.compiled.reading import NotCompiled, Reading
from featherweight.training.compiled.stages import Conv, Input, Norm, Plan, Pool, Softmax, Stage

MOST_ROWS = 64      # of a kernel, which the C holds at once


def plan_of(record: Record, model: nn.Module, *, training: bool = True) -> Plan:
    """Return the plan of a network from the record of a copy of it in training or evaluation mode.

    Raises NotCompiled if an operation of the network has no compiled form.
    """
    if record.branches:
        raise NotCompiled("forward reads a value of the image as a Python number")
    reading = Reading(record, originals_of(record.module, model), training)
    for index, value in enumerate(record.inputs):
        if len(value.shape) > 4:
            raise NotCompiled("an input has more than three axes")
        reading.seen[value] = reading.add(Input(index), (), plain(value.shape[1:]))
    calls_needed = record.needed()
    if any(call.operation == "batch_norm" and call.sources and call not in calls_needed for call in record.calls):
        raise NotCompiled("no output depends on a normalisation, but its statistics are measured")
    for call in calls_needed:
        reading.open(call)
        reading.require(call.operation in RULES)
        RULES[call.operation](reading)
    plan = reading.plan
    for index, value in enumerate(record.outputs):
        plan.heads.append(head_stage(reading, value, index))
    places = [tensor.data_ptr() for stage in plan.stages for tensor in stage.tensors]
    if len(set(places)) < len(places):
        raise NotCompiled("two layers share their weights")
    return plan


def originals_of(twin: nn.Module, model: nn.Module) -> dict[int, Tensor]:
    """Return {id of a tensor of the copy: the same tensor of the network}."""
    found = dict(chain(model.named_parameters(remove_duplicate=False), model.named_buffers(remove_duplicate=False)))
    copies = chain(twin.named_parameters(remove_duplicate=False), twin.named_buffers(remove_duplicate=False))
    return {id(copy): found[name] for name, copy in copies if name in found}


def head_stage(reading: Reading, value: Value, head: int) -> int:
    """Return the stage whose z is output `head`: the value's own stage, or a copy of it."""
    if value not in reading.seen or len(value.shape) != 2:
        raise NotCompiled("an output of the network is no vector of classes")
    seen = reading.seen[value]
    stage = reading.plan.stages[seen.stage]
    if not stage.plain or stage.head is not None or isinstance(stage.made, Input):
        seen = reading.joined([(seen, 0)], reading.shape(seen))
        stage = reading.plan.stages[seen.stage]
    if stage.shape[1:] != (1, 1):
        raise NotCompiled("an output of the network is a flattened map")
    stage.head = head
    return seen.stage


# --- rules


def convolution(at: Reading) -> None:
    """Read conv2d with one stride, without dilation."""
    seen, weight = at.seen[at.source], at.original("weight")
    at.require(weight is not None and len(at.source.shape) == 4 and not seen.formula)
    assert weight is not None
    stride, dilation = (calls.per_axis(at.given.get(key, 1), 2) for key in ("stride", "dilation"))
    at.require(stride[0] == stride[1] and dilation == (1, 1))
    rows, columns = int(weight.shape[2]), int(weight.shape[3])
    at.require(rows <= MOST_ROWS)
    padding = at.given.get("padding", 0)
    if padding == "same":
        more = (rows - 1) // 2, (columns - 1) // 2
    else:
        more = (0, 0) if padding == "valid" else (calls.per_axis(padding, 2)[0], calls.per_axis(padding, 2)[1])
    if min(seen.pads) < 0:
        seen = at.flat(seen)
    _, channels, height, width = at.call.outputs[0].shape
    made = Conv(weight, at.original("bias"), (rows, columns), stride[0], seen.pads[0] + more[0],
                seen.pads[1] + more[1], at.given.get("groups", 1))
    at.finish(at.add(made, (seen.stage,), (channels, height, width)))


def linear(at: Reading) -> None:
    """Read a linear layer: a convolution whose kernel covers the whole map, of one place or of a flattened map."""
    seen, weight = at.flat(at.seen[at.source]), at.original("weight")
    at.require(weight is not None and len(at.source.shape) == 2)
    assert weight is not None
    _, height, width = at.shape(seen)
    at.require(height <= MOST_ROWS)
    made = Conv(weight, at.original("bias"), (height, width), 1, 0, 0, 1)
    at.finish(at.add(made, (seen.stage,), (len(weight), 1, 1)))


def relu(at: Reading) -> None:
    """Read a ReLU. After a max pool or dropout it is computed before them: the result is the same."""
    def fits(stage: Stage) -> bool:
        return stage.pool is None or stage.pool.kind == "MAX"

    seen, stage = at.open_stage(at.source, fits)
    if stage.plain and not isinstance(stage.made, Softmax):
        stage.rectified = True
    else:
        stage.relu = True
    at.finish(seen)


def batch_norm(at: Reading) -> None:
    """Read batch normalisation with the statistics of the batch, in evaluation mode with the running ones."""
    at.require(bool(at.given.get("training", False)) == at.training and at.given.get("momentum") is not None)
    seen, stage = at.open_stage(at.source, lambda stage: stage.plain and not isinstance(stage.made, Softmax))
    at.require(len(at.source.shape) == 4 or at.shape(seen)[1:] == (1, 1))
    mean, variance = at.original("running_mean"), at.original("running_var")
    layer = at.call.layer.module if at.call.layer is not None else None
    twin = getattr(layer, "num_batches_tracked", None)
    batches = None if twin is None else at.originals.get(id(twin))
    at.require(mean is None or batches is not None)
    at.require(getattr(layer, "momentum", 0) is not None)       # a mean of all batches: another momentum each time
    stage.norm = Norm(at.original("weight"), at.original("bias"), mean, variance, batches,
                      at.given.get("eps", 1e-5), at.given.get("momentum", 0.1))
    at.finish(seen)


def dropout(at: Reading) -> None:
    """Read dropout, with a probability rounded to a multiple of 1/65536. In evaluation mode, it must do nothing."""
    part, works = round(at.given.get("p", 0.5) * 65536) / 65536, at.given.get("training", True)
    if part == 0 or (at.training and not works):
        same(at)
        return
    at.require(part < 1 and bool(works) == at.training)
    seen, stage = at.open_stage(at.source, lambda stage: not stage.dropout)
    stage.dropout, stage.late = part, stage.pool is not None
    at.finish(seen)


def pool(at: Reading) -> None:
    """Read max_pool2d and avg_pool2d with windows that do not overlap."""
    kernel = calls.per_axis(at.given["kernel_size"], 2)
    strides = calls.per_axis(calls.stride_of(at.given.get("stride"), kernel), 2)
    at.require(kernel == strides and not at.given.get("ceil_mode", False))
    at.require(not any(calls.per_axis(at.given.get("padding", 0), 2)) and at.given.get("divisor_override") is None)
    at.require(calls.per_axis(at.given.get("dilation", 1), 2) == (1, 1) and len(at.source.shape) == 4)
    pooled(at, "MAX" if "max" in at.call.operation else "MEAN", kernel)


def adaptive_pool(at: Reading) -> None:
    """Read adaptive pooling whose windows all have the same size."""
    before, after = at.source.shape[2:], at.call.outputs[0].shape[2:]
    at.require(len(before) == 2 and not any(a % b for a, b in zip(before, after, strict=True)))
    pooled(at, "MAX" if "max" in at.call.operation else "MEAN", (before[0] // after[0], before[1] // after[1]))


def pooled(at: Reading, kind: str, window: tuple[int, ...], added: float = 0.0) -> None:
    """Add a pool to the stage of the source."""
    seen, stage = at.open_stage(at.source, lambda stage: stage.pool is None and not stage.late)
    if window != (1, 1) or kind == "ROOT":
        stage.pool = Pool(kind, (window[0], window[1]), added)
    at.finish(seen)


def mean(at: Reading) -> None:
    """Read a mean over height and width, perhaps of squares."""
    dim = at.given.get("dim", at.given.get("axis"))
    at.require(dim is not None and len(at.source.shape) == 4)
    at.require({d % 4 for d in calls.per_axis(dim, 1)} == {2, 3})
    seen = at.seen[at.source]
    if seen.formula:
        at.require(seen.formula == "square")
        at.finish(replace(seen, formula="mean"))
    else:
        pooled(at, "MEAN", at.source.shape[2:])


def power(at: Reading) -> None:
    """Read the square of a root mean square."""
    exponent = 2 if at.call.operation == "square" else (*at.call.args, at.given.get("exponent"))[1]
    seen = at.seen[at.source]
    at.require(exponent == 2 and not seen.formula and at.uses[at.call.outputs[0]] == 1)
    at.finish(replace(at.flat(seen), formula="square"))


def root(at: Reading) -> None:
    """Read the root of a root mean square."""
    seen = at.seen[at.source]
    at.require(seen.formula in ("mean", "plus"))
    at.seen[at.source] = replace(seen, formula="")
    pooled(at, "ROOT", at.shape(seen)[1:], seen.added)


def add(at: Reading) -> None:
    """Read the sum of two values of one shape, or the number added under the root of a root mean square."""
    arguments = [*at.call.args, *at.call.kwargs.values()]
    at.require(len(arguments) == 2)
    if len(at.call.sources) == 1:
        seen = at.seen[at.source]
        (number,) = (one for one in arguments if one is not at.source)
        at.require(seen.formula == "mean" and isinstance(number, int | float))
        at.finish(replace(seen, formula="plus", added=float(number)))
        return
    first, second = at.call.sources
    at.require(first.shape == second.shape == at.call.outputs[0].shape)
    parts = [at.seen[first], at.seen[second]]
    shape = at.shape(parts[0])
    at.require(shape == at.shape(parts[1]))
    at.finish(at.joined([(part, 0) for part in parts], shape))


def concatenation(at: Reading) -> None:
    """Read a concatenation along the channels."""
    dim = at.given.get("dim", at.given.get("axis", 0))
    parts = list(at.given["tensors"])
    at.require(all(isinstance(part, Value) and part in at.seen for part in parts))
    axes = len(at.call.outputs[0].shape)
    shapes = [at.shape(at.seen[part]) for part in parts]
    flat = axes == 2 and all(shape[1:] == (1, 1) for shape in shapes)
    at.require(dim % axes == 1 and (axes == 4 or flat))
    starts = [sum(shape[0] for shape in shapes[:index]) for index in range(len(shapes))]
    total = sum(shape[0] for shape in shapes)
    joined = [(at.seen[part], start) for part, start in zip(parts, starts, strict=True)]
    at.finish(at.joined(joined, (total, *shapes[0][1:])))


def pad(at: Reading) -> None:
    """Read padding of height and width with zeros, and cropping by negative padding."""
    amounts = tuple(at.given["pad"])
    at.require(at.given.get("mode", "constant") == "constant" and not at.given.get("value"))
    at.require(len(amounts) <= 4 and len(at.source.shape) == 4)
    left, right, top, bottom = (*amounts, 0, 0)[:4]
    cut(at, top, left, bottom, right)


def cut(at: Reading, top: int, left: int, bottom: int, right: int) -> None:
    """Add zeros around the source; negative amounts cut off."""
    seen = at.seen[at.source]
    if any(seen.pads):
        seen = at.flat(seen)
    at.require(not seen.formula)
    at.finish(replace(seen, pads=(top, left, bottom, right)))


def slices(at: Reading) -> None:
    """Read x[:, :, a:b, c:d], with steps of 1."""
    _, place = at.call.args
    place = place if isinstance(place, tuple) else (place,)
    at.require(len(at.source.shape) == 4 and all(isinstance(one, slice) for one in place))
    whole = [slice(None)] * 4
    whole[: len(place)] = place
    ranges = [one.indices(size) for one, size in zip(whole, at.source.shape, strict=True)]
    at.require(all(step == 1 for _, _, step in ranges))
    at.require(all(found[:2] == (0, size) for found, size in zip(ranges[:2], at.source.shape, strict=False)))
    (top, end), (left, stop) = (found[:2] for found in ranges[2:])
    cut(at, -top, -left, end - at.source.shape[2], stop - at.source.shape[3])


def softmax(at: Reading) -> None:
    """Read softmax and log_softmax over the channels."""
    log = at.call.operation == "log_softmax"
    dim, seen, axes = at.given.get("dim"), at.flat(at.seen[at.source]), len(at.source.shape)
    at.require(dim is not None and dim % axes == 1 and (axes == 4 or at.shape(seen)[1:] == (1, 1)))
    outcome = at.call.outputs[0]
    only_head = outcome in at.heads and at.uses[outcome] == 1 and at.uses[at.source] == 1
    if log and only_head and axes == 2:
        at.finish(seen)         # the loss takes logits as well, and gives the same gradient
        return
    at.finish(at.add(Softmax(log), (seen.stage,), at.shape(seen)))


def same(at: Reading) -> None:
    """Read a function that returns the same numbers."""
    at.require(at.call.outputs[0].floating)
    at.finish(at.seen[at.source])


def reshaped(at: Reading) -> None:
    """Read a flatten, and a reshape that takes away axes of length 1 or gives them back at the same place."""
    before, after = at.source.shape[1:], at.call.outputs[0].shape[1:]

    seen = at.seen[at.source]
    if len(after) == 3:
        at.require(after == at.shape(seen))
    elif len(after) == 1:
        at.require(after[0] == prod(before))
        seen = at.flat(seen) if any(seen.pads) else seen
    else:
        at.require(before[:1] == after[:1])
        at.require([size for size in before if size != 1] == [size for size in after if size != 1])
    at.finish(seen)


Rule = Callable[[Reading], None]
RULES: dict[str, Rule] = {
    "conv2d": convolution, "linear": linear, "relu": relu, "batch_norm": batch_norm, "dropout": dropout,
    "max_pool2d": pool, "avg_pool2d": pool, "adaptive_avg_pool2d": adaptive_pool, "adaptive_max_pool2d": adaptive_pool,
    "mean": mean, "pow": power, "square": power, "sqrt": root,
    **dict.fromkeys(("add", "radd", "iadd"), add), **dict.fromkeys(("cat", "concat", "concatenate"), concatenation),
    "pad": pad, "getitem": slices, "softmax": softmax, "log_softmax": softmax,
    **dict.fromkeys(("contiguous", "clone", "to", "float"), same),
    **dict.fromkeys(("view", "reshape", "flatten", "squeeze", "unsqueeze"), reshaped),
}
