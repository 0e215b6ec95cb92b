"""Reading of torch function calls: plain names, arguments by name, tensors inside, and groups of functions."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from torch import Tensor

Kind = TypeVar("Kind")
Shape = tuple[int, ...]
PLAIN = frozenset({int, float, bool, str, type(None)})      # found quickly, because most arguments are of these types
UNSEEN = "unseen"       # the operation of values that no visible torch function made


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split(" "))


CONVOLUTIONS = frozenset({"conv1d", "conv2d", "conv3d"})
TRANSPOSED = frozenset({"conv_transpose1d", "conv_transpose2d", "conv_transpose3d"})
POOLS = frozenset(f"{kind}_pool{n}d" for kind in ("max", "avg", "lp") for n in (1, 2, 3))
ADAPTIVE_POOLS = frozenset(f"adaptive_{kind}_pool{n}d" for kind in ("max", "avg") for n in (1, 2, 3))
DROPOUTS = _names("dropout dropout1d dropout2d dropout3d alpha_dropout feature_dropout feature_alpha_dropout")
REDUCTIONS = _names("mean sum nanmean nansum amax amin max min prod std var logsumexp median")

# Element-wise functions: a unit depends on the arguments' units at the same position.
ARITHMETIC = _names(
    "add radd iadd sub rsub isub subtract mul rmul imul multiply div rdiv idiv truediv rtruediv itruediv "
    "divide true_divide where maximum minimum pow rpow lerp addcmul addcdiv atan2 hypot fmax fmin masked_fill"
)
# Element-wise functions with boolean or integer results: no gradient flows, but the result depends on the pixels.
WITHOUT_GRADIENT = _names(
    "eq ne lt le gt ge logical_and logical_or logical_xor logical_not and or xor invert bitwise_and bitwise_or "
    "bitwise_xor bitwise_not isnan isinf isfinite signbit bool byte short int long"
)
# Functions of one tensor: a unit depends on the unit at the same position. Normalisation is one of them: by
# convention, the pixels that only affect its statistics are not counted.
POINTWISE = _names(
    "relu relu6 leaky_relu prelu rrelu elu selu celu gelu silu mish hardswish hardsigmoid hardtanh threshold "
    "sigmoid tanh softplus softsign softshrink hardshrink tanhshrink logsigmoid log_sigmoid "
    "softmax log_softmax softmin gumbel_softmax dropout dropout1d dropout2d dropout3d alpha_dropout "
    "feature_alpha_dropout feature_dropout batch_norm layer_norm group_norm instance_norm rms_norm "
    "local_response_norm normalize abs neg positive negative exp expm1 log log1p log2 log10 sqrt rsqrt "
    "square reciprocal sin cos erf sign clamp clamp_min clamp_max clip floor ceil round nan_to_num "
    "clone contiguous detach to float double half bfloat16 type type_as cpu cuda requires_grad data"
)
# Functions that move values without mixing them.
MOVES = _names(
    "view view_as reshape reshape_as flatten unflatten ravel squeeze unsqueeze permute transpose swapaxes "
    "swapdims movedim moveaxis t T mT H getitem chunk split tensor_split narrow select unbind expand expand_as "
    "broadcast_to channel_shuffle repeat tile repeat_interleave flip fliplr flipud rot90 roll index_select"
)
# The functions in MOVES that merge or split axes. The field of a merged axis is the union of its units' fields.
RESHAPES = _names("view view_as reshape reshape_as flatten unflatten ravel")
# The result has the shape, the type or the device of an argument, but does not depend on its values.
LIKE = _names(
    "zeros_like ones_like full_like empty_like rand_like randn_like randint_like "
    "new_zeros new_ones new_full new_empty new_tensor"
)
# Only the first argument's values matter. The others give a shape, a type or a device.
FIRST_ONLY = _names("to type_as view_as reshape_as expand_as")
# Functions without a row in the layer table: moves, reads, conversions, and softmax (as in the documents' tables).
HIDDEN = MOVES | _names(
    "pixel_unshuffle softmax log_softmax clone contiguous detach to float double half bfloat16 type type_as cpu cuda "
    "requires_grad data real setitem"
) | {UNSEEN}
# Reads of a value as a Python number: forward may branch on it.
READS = _names("bool int float index item tolist numpy array equal allclose is_nonzero")

_PARAMETERS: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(CONVOLUTIONS, ("input", "weight", "bias", "stride", "padding", "dilation", "groups")),
    **dict.fromkeys(
        TRANSPOSED, ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation")
    ),
    **dict.fromkeys(POOLS, ("input", "kernel_size", "stride", "padding", "ceil_mode")),
    **dict.fromkeys(
        ("max_pool1d", "max_pool2d", "max_pool3d"),
        ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode"),
    ),
    **dict.fromkeys(
        ("lp_pool1d", "lp_pool2d", "lp_pool3d"), ("input", "norm_type", "kernel_size", "stride", "ceil_mode")
    ),
    **dict.fromkeys(REDUCTIONS, ("input", "dim", "keepdim")),
    **dict.fromkeys(("std", "var"), ("input", "dim", "unbiased", "keepdim")),
    **dict.fromkeys(("cat", "concat", "concatenate", "stack"), ("tensors", "dim")),
    "pad": ("input", "pad", "mode", "value"),
    "interpolate": (
        "input", "size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias",
    ),
    "pixel_shuffle": ("input", "upscale_factor"),
    "pixel_unshuffle": ("input", "downscale_factor"),
    "linear": ("input", "weight", "bias"),
    **dict.fromkeys(
        ("avg_pool1d", "avg_pool2d", "avg_pool3d"),
        ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
    ),
    **dict.fromkeys(ADAPTIVE_POOLS, ("input", "output_size")),
    "batch_norm": ("input", "running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
    "instance_norm": ("input", "running_mean", "running_var", "weight", "bias", "use_input_stats", "momentum", "eps"),
    "group_norm": ("input", "num_groups", "weight", "bias", "eps"),
    "layer_norm": ("input", "normalized_shape", "weight", "bias", "eps"),
    "prelu": ("input", "weight"),
    "leaky_relu": ("input", "negative_slope", "inplace"),
    "elu": ("input", "alpha", "inplace"),
    "gelu": ("input", "approximate"),
    "hardtanh": ("input", "min_val", "max_val", "inplace"),
    **dict.fromkeys(("clamp", "clip"), ("input", "min", "max")),
    "clamp_min": ("input", "min"), "clamp_max": ("input", "max"),
    "pow": ("input", "exponent"),
    **dict.fromkeys(("softmax", "log_softmax"), ("input", "dim", "stacklevel", "dtype")),
    **dict.fromkeys(DROPOUTS, ("input", "p", "training", "inplace")),
    "one_hot": ("tensor", "num_classes"),
}


def is_known(name: str) -> bool:
    """Return True if `named` knows the arguments of the function."""
    return name in _PARAMETERS


def function_name(function: Callable[..., Any]) -> str:
    """Return a function's plain name: relu for F.relu, torch.relu_ and Tensor.relu; T for the property x.T."""
    name: str = getattr(function, "__name__", "unknown")
    if name == "__get__":
        return str(getattr(getattr(function, "__self__", None), "__name__", name))
    return name.strip("_").removesuffix("_with_indices")


def named(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a known function by name. Omitted arguments are missing."""
    return dict(zip(_PARAMETERS[name], args, strict=False)) | dict(kwargs)


def per_axis(value: Any, axes: int) -> tuple[int, ...]:
    """Return one number for each axis: per_axis(3, 2) -> (3, 3) and per_axis((3, 5), 2) -> (3, 5)."""
    values = tuple(value) if isinstance(value, Sequence) else (value,)
    return tuple(int(v) for v in (values * axes if len(values) == 1 else values))


def stride_of(stride: Any, kernel: Any) -> Any:
    """Return the stride of a pool: without one, it is the kernel size."""
    return kernel if stride is None or stride in ((), []) else stride


def found_in(value: Any, kind: type[Kind]) -> Iterator[Kind]:
    """Return all objects of a kind in `value`: one of them, or tuples, lists and dicts of them, to any depth."""
    found: list[Kind] = []
    collect(value, kind, found)
    return iter(found)


def collect(value: Any, kind: type[Kind], found: list[Kind]) -> None:
    """Append all objects of a kind in `value`, to any depth, to `found`."""
    if isinstance(value, kind):
        found.append(value)
    elif isinstance(value, (tuple, list)):
        for item in value:
            collect(item, kind, found)
    elif type(value) not in PLAIN and isinstance(value, Mapping):
        for item in value.values():
            collect(item, kind, found)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield all tensors in `value`, to any depth."""
    return found_in(value, Tensor)


def replaced(value: Any, kind: type[Kind], by: Callable[[Kind], Any]) -> Any:
    """Return `value` with each object x of a kind replaced by `by(x)`, in tuples, lists and dicts to any depth."""
    if isinstance(value, kind):
        return by(value)
    if type(value) in (tuple, list):
        return type(value)([replaced(item, kind, by) for item in value])
    if type(value) in PLAIN:
        return value
    return {key: replaced(item, kind, by) for key, item in value.items()} if isinstance(value, Mapping) else value


def values_of(name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Return the arguments of a call whose values affect the result."""
    if name in LIKE:
        return ()
    return args[:1] if name in FIRST_ONLY and args else (args, kwargs)


def floating_in(value: Any) -> list[Tensor]:
    """Return the real and complex tensors in `value`. Only these carry images, features and weights."""
    return [tensor for tensor in tensors_in(value) if tensor.is_floating_point() or tensor.is_complex()]
