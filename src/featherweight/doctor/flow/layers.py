"""Effect of layers and functions on a tensor: meaning, operations since the last weights, and receptive field."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from featherweight.doctor.flow.values import (
    ACTIVATION,
    DROPOUT,
    LOG_PROBABILITIES,
    LOGITS,
    NORM,
    OUTPUT,
    POOL,
    PROBABILITIES,
    SIGMOID,
    WEIGHTED,
    Geometry,
    Library,
    Op,
    Spot,
    Tensor,
    Value,
    constant,
)

KINDS = {
    **dict.fromkeys(("linear", "lazylinear", "conv1d", "conv2d", "conv3d", "convtranspose1d", "convtranspose2d",
                     "convtranspose3d", "lazyconv1d", "lazyconv2d", "bilinear"), WEIGHTED),
    **dict.fromkeys(("relu", "relu6", "leakyrelu", "prelu", "rrelu", "elu", "selu", "celu", "gelu", "silu", "mish",
                     "hardswish", "hardtanh", "tanh", "softplus", "softsign", "threshold", "swish"), ACTIVATION),
    **dict.fromkeys(("dropout", "dropout1d", "dropout2d", "dropout3d", "alphadropout", "featuredropout",
                     "featurealphadropout"), DROPOUT),
    **dict.fromkeys(("batchnorm", "batchnorm1d", "batchnorm2d", "batchnorm3d", "syncbatchnorm", "instancenorm",
                     "instancenorm1d", "instancenorm2d", "layernorm", "groupnorm", "localresponsenorm", "rmsnorm",
                     "lazybatchnorm2d", "lazybatchnorm1d"), NORM),
    **dict.fromkeys(("maxpool1d", "maxpool2d", "maxpool3d", "avgpool1d", "avgpool2d", "avgpool3d", "adaptiveavgpool1d",
                     "adaptiveavgpool2d", "adaptivemaxpool2d", "adaptiveavgpool3d", "lppool2d"), POOL),
}
SHAPES = frozenset((
    "view", "reshape", "flatten", "squeeze", "unsqueeze", "permute", "transpose", "contiguous", "to", "cuda", "cpu",
    "float", "double", "half", "bfloat16", "long", "int", "type", "clone", "identity", "view_as", "reshape_as", "t",
    "expand", "repeat", "requires_grad_", "retain_grad", "unflatten", "swapaxes", "movedim", "type_as", "index_select",
    "gather", "clamp", "clip", "nan_to_num", "cpu_", "variable", "ravel", "bool", "astype",
))
TURNED = frozenset(("t", "transpose", "permute", "swapaxes", "movedim"))
CLASSES_AXES = 2        # of the outputs of a batch: images and classes
MEANINGS = {
    "softmax": PROBABILITIES, "softmax2d": PROBABILITIES, "softmin": PROBABILITIES, "gumbelsoftmax": PROBABILITIES,
    "logsoftmax": LOG_PROBABILITIES, "sigmoid": SIGMOID, "logsigmoid": "log-sigmoid",
}
ZEROING = ("relu", "relu6", "threshold", "hardtanh")      # activations that cut off negative logits
CHANGES_IN_EVAL = frozenset((
    "batchnorm", "batchnorm1d", "batchnorm2d", "batchnorm3d", "syncbatchnorm", "lazybatchnorm1d", "lazybatchnorm2d",
    "rrelu", *(name for name, kind in KINDS.items() if kind == DROPOUT),
))


def key_of(name: str) -> str:
    """Return one spelling for a layer and its function: LeakyReLU and leaky_relu_ -> leakyrelu."""
    return name.rpartition(".")[2].replace("_", "").lower()


def is_operation(name: str) -> bool:
    """True for a layer or function that takes one tensor and returns one, with known effect."""
    key = key_of(name)
    return key in KINDS or key in MEANINGS or key in SHAPES


def applied(
    name: str, tensor: Tensor, arguments: Mapping[str, Value], spot: Spot, made: Spot | None = None
) -> Tensor:
    """Return the tensor after one operation. made: the line that builds the layer."""
    key = key_of(name)
    kind = KINDS.get(key)
    if key in MEANINGS:
        return tensor.but(meaning=MEANINGS[key], spot=spot, axes=tensor.axes)
    if kind is None:
        return shaped(key, tensor, arguments, spot)
    outputs = constant(arguments.get("out_features", arguments.get("out_channels")))
    op = Op(kind, name.rpartition(".")[2], spot, made, outputs if isinstance(outputs, int) else None)
    geometry = moved(tensor.geometry, key, kind, arguments)
    if kind == WEIGHTED:
        axes = 2 if key == "linear" and tensor.axes in (2, None) else tensor.axes
        axes = 4 if key == "conv2d" and tensor.axes != 3 else axes
        return tensor.but(meaning=LOGITS, trail=(op,), spot=spot, geometry=geometry, axes=axes, normed=None,
                          detached=None)        # gradients reach the weights of this layer
    meaning = tensor.meaning if tensor.meaning in (LOGITS, OUTPUT, "") else ""
    return tensor.but(meaning=meaning, trail=(*tensor.trail, op), spot=spot, geometry=geometry)


def shaped(key: str, tensor: Tensor, arguments: Mapping[str, Value], spot: Spot) -> Tensor:
    """Return the tensor after an operation that moves or converts its elements."""
    axes = tensor.axes
    if key == "flatten":
        axes = 2
    elif key in ("view", "reshape", "squeeze", "unsqueeze", "unflatten") or (key in TURNED and axes == CLASSES_AXES):
        axes = None
    return tensor.but(spot=spot, axes=axes, double=None if converts(key, arguments) else spot if key == "double"
                      else tensor.double)


def converts(key: str, arguments: Mapping[str, Value]) -> bool:
    """True for a conversion to another type than float64: x.float(), x.to(torch.float32), but not x.to(device)."""
    if key in ("to", "astype"):
        targets = [arguments.get("dim"), arguments.get("dtype")]
        texts = [constant(one) for one in targets] if key == "astype" else []
        names = [one.name for one in targets if isinstance(one, Library)] + [one for one in texts if type(one) is str]
        return any(not name.endswith(("float64", "double")) for name in names)
    return key in ("float", "half", "bfloat16", "long", "int", "type", "typeas", "bool")


def moved(
    geometry: Geometry | None, key: str, kind: str, arguments: Mapping[str, Value]
) -> Geometry | None:
    """Return field, jump, channels and size after a layer. Layers of unknown reach give None."""
    if geometry is None or key.startswith(("convtranspose", "adaptive", "lppool")):
        return None
    if kind not in (WEIGHTED, POOL):
        return geometry
    if key == "linear":
        return None
    kernel = side(arguments.get("kernel_size"), None)
    stride = side(arguments.get("stride"), kernel if kind == POOL else 1)
    padding, dilation = side(arguments.get("padding"), 0), side(arguments.get("dilation"), 1)
    if kernel is None or stride is None or dilation is None:
        return None
    reach = dilation * (kernel - 1)
    size = geometry.size
    size = None if size is None or padding is None else (size + 2 * padding - reach - 1) // stride + 1
    channels = constant(arguments.get("out_channels")) if kind == WEIGHTED else geometry.channels
    return Geometry(geometry.field + reach * geometry.jump, geometry.jump * stride, channels, size, geometry.image)


def events_of(key: str, before: Tensor, after: Tensor, arguments: Mapping[str, Value]) -> Iterator[str]:
    """Yield "reduced" for a pooling or stride, and "averaged" for a global pooling."""
    if before.geometry is None:
        return
    if after.geometry is not None and after.geometry.jump != before.geometry.jump:
        yield "reduced"
    if key.startswith("adaptive") and side(arguments.get("output_size"), None) == 1:
        yield "averaged"


def side(value: Value | None, default: int | None) -> int | None:
    """Return the side of a square kernel, stride or padding; None if it is not known or not square."""
    if value is None:
        return default
    found = constant(value, "unknown")
    if found is None:
        return default
    if isinstance(found, tuple) and found and len(set(found)) == 1:
        found = found[0]
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def parameters_of(name: str, arguments: Mapping[str, Value]) -> int | None:
    """Return the number of parameters of a Linear or Conv2d layer, or None if it cannot be told."""
    bias = constant(arguments.get("bias"), True)
    if name == "Linear":
        ins, outs = constant(arguments.get("in_features")), constant(arguments.get("out_features"))
        return ins * outs + bool(bias) * outs if is_count(ins) and is_count(outs) else None
    if name == "Conv2d":
        ins, outs = constant(arguments.get("in_channels")), constant(arguments.get("out_channels"))
        kernel, groups = constant(arguments.get("kernel_size")), constant(arguments.get("groups"), 1)
        pair = kernel if isinstance(kernel, tuple) else (kernel, kernel)
        if all(is_count(value) for value in (ins, outs, groups, *pair)) and len(pair) == 2:
            return int(ins // groups * pair[0] * pair[1] * outs + bool(bias) * outs)
    return None


def is_count(value: object) -> bool:
    """True for a whole number above 0."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


