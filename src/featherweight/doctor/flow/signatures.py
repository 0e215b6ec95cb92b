"""Names and positions of the arguments of library calls, and the canonical names of libraries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Spot, Value, known

LOSS = ("input", "target", "weight", "size_average", "ignore_index", "reduce", "reduction", "label_smoothing")
CONV = ("in_channels", "out_channels", "kernel_size", "stride", "padding", "dilation", "groups", "bias")
IMAGES = ("root", "train", "transform", "target_transform", "download")
ADAM = ("params", "lr", "betas", "eps", "weight_decay")

POSITIONS: Mapping[str, tuple[str, ...]] = {
    "softmax": ("input", "dim"), "log_softmax": ("input", "dim"), "softmin": ("input", "dim"),
    "Softmax": ("dim",), "LogSoftmax": ("dim",), "Softmin": ("dim",),
    "relu": ("input", "inplace"), "relu6": ("input", "inplace"), "elu": ("input", "alpha", "inplace"),
    "leaky_relu": ("input", "negative_slope", "inplace"), "silu": ("input", "inplace"),
    "ReLU": ("inplace",), "ReLU6": ("inplace",), "LeakyReLU": ("negative_slope", "inplace"), "SiLU": ("inplace",),
    "ELU": ("alpha", "inplace"),
    "dropout": ("input", "p", "training", "inplace"), "dropout1d": ("input", "p", "training", "inplace"),
    "dropout2d": ("input", "p", "training", "inplace"), "dropout3d": ("input", "p", "training", "inplace"),
    "alpha_dropout": ("input", "p", "training", "inplace"), "feature_dropout": ("input", "p", "training"),
    "Dropout": ("p", "inplace"), "Dropout1d": ("p", "inplace"), "Dropout2d": ("p", "inplace"),
    "Dropout3d": ("p", "inplace"), "AlphaDropout": ("p", "inplace"),
    "Linear": ("in_features", "out_features", "bias"), "LazyLinear": ("out_features", "bias"),
    "Conv1d": CONV, "Conv2d": CONV, "Conv3d": CONV, "BatchNorm1d": ("num_features",), "BatchNorm2d": ("num_features",),
    "BatchNorm3d": ("num_features",),
    "LazyConv2d": CONV[1:],
    "ConvTranspose1d": (*CONV[:5], "output_padding", "groups", "bias", "dilation"),
    "ConvTranspose2d": (*CONV[:5], "output_padding", "groups", "bias", "dilation"),
    "MaxPool2d": ("kernel_size", "stride", "padding", "dilation"), "AvgPool2d": ("kernel_size", "stride", "padding"),
    **dict.fromkeys(("RNN", "LSTM", "GRU"), ("input_size", "hidden_size", "num_layers")),
    "AdaptiveAvgPool2d": ("output_size",), "adaptive_avg_pool2d": ("input", "output_size"),
    "AdaptiveMaxPool2d": ("output_size",), "adaptive_max_pool2d": ("input", "output_size"),
    "max_pool2d": ("input", "kernel_size", "stride", "padding", "dilation"),
    "avg_pool2d": ("input", "kernel_size", "stride", "padding"),
    "cross_entropy": LOSS, "nll_loss": LOSS[:-1],
    "binary_cross_entropy": ("input", "target", "weight", "size_average", "reduce", "reduction"),
    "binary_cross_entropy_with_logits": ("input", "target", "weight", "size_average", "reduce", "reduction"),
    "mse_loss": ("input", "target", "size_average", "reduce", "reduction"),
    "CrossEntropyLoss": LOSS[2:], "NLLLoss": LOSS[2:-1],
    "SGD": ("params", "lr", "momentum", "dampening", "weight_decay", "nesterov"), "Adam": ADAM, "AdamW": ADAM,
    "NAdam": ADAM, "RAdam": ADAM, "Adamax": ADAM, "Adagrad": ("params", "lr"), "RMSprop": ("params", "lr"),
    "Adadelta": ("params", "lr"),
    "StepLR": ("optimizer", "step_size", "gamma"), "MultiStepLR": ("optimizer", "milestones", "gamma"),
    "ExponentialLR": ("optimizer", "gamma"), "CosineAnnealingLR": ("optimizer", "T_max", "eta_min"),
    "ReduceLROnPlateau": ("optimizer", "mode", "factor", "patience"), "LambdaLR": ("optimizer", "lr_lambda"),
    "OneCycleLR": ("optimizer", "max_lr", "total_steps", "epochs", "steps_per_epoch"),
    "CyclicLR": ("optimizer", "base_lr", "max_lr", "step_size_up"),
    "CosineAnnealingWarmRestarts": ("optimizer", "T_0", "T_mult"),
    "DataLoader": ("dataset", "batch_size", "shuffle", "sampler", "batch_sampler", "num_workers"),
    "Normalize": ("mean", "std"),
    **dict.fromkeys(("Resize", "CenterCrop", "RandomCrop", "RandomResizedCrop"), ("size",)),
    "Compose": ("transforms",), "RandomApply": ("transforms", "p"),
    "MNIST": IMAGES, "FashionMNIST": IMAGES, "KMNIST": IMAGES, "CIFAR10": IMAGES, "CIFAR100": IMAGES,
    "EMNIST": ("root", "split"), "SVHN": ("root", "split", "transform"), "STL10": ("root", "split"),
    "ImageFolder": ("root", "transform"), "DatasetFolder": ("root", "loader"), "Subset": ("dataset", "indices"),
    "random_split": ("dataset", "lengths"), "TensorDataset": (), "load": ("f", "map_location"), "save": ("obj", "f"),
}

TAILS = {"F": "torch.nn.functional", "functional": "torch.nn.functional", "nn": "torch.nn", "optim": "torch.optim"}


@dataclass
class Call:
    """A call of a library function or of a method of a library's object, with its arguments as values.

    open: the call passes *args or **kwargs that are not known.
    """

    name: str
    spot: Spot
    arguments: list[Value]
    keywords: dict[str, Value]
    trace: Trace
    open: bool = False

    @property
    def last(self) -> str:
        """Last part of the name."""
        return self.name.rpartition(".")[2]

    def bound(self) -> dict[str, Value]:
        """Return argument name -> value, by the signature of the function. Unknown positions are left out."""
        found = dict(zip(POSITIONS.get(self.last, ()), self.arguments, strict=False))
        return {name: known(value) for name, value in (found | self.keywords).items()}

    def first(self) -> Value | None:
        """Return the first positional argument."""
        return known(self.arguments[0]) if self.arguments else None

    def everything(self) -> list[Value]:
        """Return all arguments."""
        return [known(value) for value in (*self.arguments, *self.keywords.values())]


def canonical(name: str) -> str:
    """Return the full name of torch's parts that another module re-exports: utils.F.relu -> torch.nn.functional.relu.

    Private modules are left out: torch.optim.sgd.SGD -> torch.optim.SGD.
    """
    parts = name.split(".")
    for index in range(len(parts) - 1, 0, -1):
        if parts[index - 1] in TAILS and parts[0] not in ("torch", "jax", "tensorflow", "flax", "tf", "mxnet"):
            return canonical(".".join((TAILS[parts[index - 1]], *parts[index:])))
    for prefix in ("torch.nn.modules", "torch.optim.lr_scheduler", "torch.optim", "torch.utils.data"):
        if name.startswith(prefix + ".") and parts[-1][:1].isupper():
            return f"{prefix.removesuffix('.modules')}.{parts[-1]}"
    return name
