"""Calls of library functions and classes: the values that they return and the events that they cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from featherweight.doctor.flow.building import (
    copied,
    criterion,
    dataset,
    dictionary,
    joined_datasets,
    layer,
    loader,
    optimizer,
    pretrained,
    scheduler,
    sklearn_split,
    split,
    subset,
    tensor_dataset,
    transform,
)
from featherweight.doctor.flow.copies import copies_in, copies_made
from featherweight.doctor.flow.layers import is_operation
from featherweight.doctor.flow.losses import (
    is_criterion,
    is_loss_function,
    united,
)
from featherweight.doctor.flow.operations import (
    added_up,
    array,
    as_array,
    as_number,
    equality,
    escape,
    exponential,
    fresh,
    greatest,
    joined,
    labels_like,
    length,
    loss_function,
    operation,
    reduced,
    sklearn_data,
    table,
)
from featherweight.doctor.flow.roles import sources_of
from featherweight.doctor.flow.signatures import Call
from featherweight.doctor.flow.values import (
    Tensor,
    Unknown,
    Value,
    constant,
    known,
)

WRAPPERS = frozenset((
    "DataParallel", "DistributedDataParallel", "FullyShardedDataParallel", "compile", "tqdm", "trange", "script",
    "iter", "next_", "list", "tuple", "reversed", "DDP", "FSDP", "progress_bar", "track", "prefetch", "deepcopy_",
))


def call_library(call: Call) -> Value:
    """Return the value of a library call, and record its events."""
    for applies, effect in EFFECTS:
        if applies(call.name):
            return effect(call)
    return passed(call)


def passed(call: Call) -> Value:
    """Return the result of a function whose effect is not known. It may change its arguments."""
    escape(call)
    return Unknown(spot=call.spot, origin=united(*(sources_of(value) for value in call.everything())),
                   copies=copies_in(call.everything()) or copies_made(call))


def wrapped(call: Call) -> Value:
    """Return the first argument itself: the wrapper changes nothing that rules look at."""
    return call.first() or Unknown(spot=call.spot)


def clipped(call: Call) -> Value:
    """Record that gradients are clipped."""
    call.trace.add("clip", call.spot, call.first())
    return passed(call)


def exported(call: Call) -> Value:
    """Record that a network is traced or exported."""
    call.trace.add("export", call.spot, call.first() or known(call.keywords.get("model", call.keywords.get("func"))))
    return passed(call)


def averaged(call: Call) -> Value:
    """Return a network with averaged weights."""
    made = copied(call)
    call.trace.add("averaged-model", call.spot, made)
    return made


def sampled(call: Call) -> Value:
    """Record that images are drawn by weights."""
    call.trace.add("sampler", call.spot, call.first())
    return passed(call)


def measured(call: Call) -> Value:
    """Record a metric of scikit-learn with its first two arguments."""
    call.trace.add("metric", call.spot, call.first(), known(call.arguments[1]) if len(call.arguments) > 1 else None)
    return passed(call)


def seeded(call: Call) -> Value:
    """Record that a seed is set."""
    call.trace.add("seed", call.spot)
    return Unknown(spot=call.spot)


def stored(call: Call) -> Value:
    """Record torch.save, torch.load and pickle."""
    call.trace.add("save" if "save" in call.last or call.last.startswith("dump") else "load", call.spot, call.first(),
                   known(call.keywords.get("weights_only")), text=call.name)
    return Unknown(spot=call.spot)


def gradient(call: Call) -> Value:
    """Record torch.autograd.grad or torch.autograd.backward."""
    call.trace.add("backward", call.spot, call.first(), text="autograd")
    return Tensor(spot=call.spot)


def _last(*names: str, prefixes: tuple[str, ...] = ("torch",)) -> Callable[[str], bool]:
    wanted = frozenset(names)
    return lambda name: name.rpartition(".")[2] in wanted and name.startswith(prefixes)


def is_torchvision_model(name: str) -> bool:
    """True for a constructor of a network of torchvision, timm or transformers."""
    if "_Weights" in name or name.endswith(".transforms"):
        return False
    return name.startswith(("torchvision.models.", "timm.create_model")) or name.endswith(
        (".from_pretrained", ".hub.load"))


ARRAYS = frozenset(f"numpy.{name}" for name in (
    "random.rand", "random.randn", "random.random", "random.normal", "random.uniform", "zeros", "ones", "linspace",
    "loadtxt", "genfromtxt", "eye"))
ORDERED = frozenset((       # metrics of scikit-learn that are others if labels and predictions are exchanged
    "confusion_matrix", "classification_report", "precision_score", "recall_score", "fbeta_score", "roc_auc_score",
    "precision_recall_fscore_support", "log_loss", "top_k_accuracy_score",
))
PYTHON = ("builtins.",)
ANY = ("",)
EFFECTS: tuple[tuple[Callable[[str], bool], Callable[[Call], Value]], ...] = (
    (_last("manual_seed", "seed", "seed_everything", "set_seed", "manual_seed_all", "fix_seed", "set_random_seed",
           "setup_seed", "seed_all", "default_rng", prefixes=ANY), seeded),
    (is_criterion, criterion),
    (is_loss_function, loss_function),
    (lambda name: name.startswith("torch.optim.lr_scheduler."), scheduler),
    (_last("AveragedModel"), averaged),
    (lambda name: name.startswith("torch.optim.") and name.rpartition(".")[2][:1].isupper(), optimizer),
    (_last(*WRAPPERS, prefixes=ANY), wrapped),
    (is_torchvision_model, pretrained),
    (lambda name: name.startswith("torch.nn.") and name.rpartition(".")[2][:1].isupper()
     and not name.startswith(("torch.nn.Parameter", "torch.nn.init", "torch.nn.utils", "torch.nn.functional",
                              "torch.nn.parameter")), layer),
    (_last("dict", "OrderedDict", prefixes=("builtins.", "collections.")), dictionary),
    (_last("GradScaler", prefixes=ANY), passed),
    (_last("trace", prefixes=("torch.jit",)), exported),
    (_last("export", prefixes=("torch.onnx", "torch.export")), exported),
    (_last("clip_grad_norm_", "clip_grad_value_"), clipped),
    (_last("DataLoader", "FastDataLoader", "MultiEpochsDataLoader", prefixes=ANY), loader),
    (_last("random_split", prefixes=ANY), split),
    (_last("train_test_split", prefixes=ANY), sklearn_split),
    (_last("Subset", prefixes=ANY), subset),
    (_last("TensorDataset", prefixes=ANY), tensor_dataset),
    (_last("ConcatDataset", prefixes=ANY), joined_datasets),
    (_last("WeightedRandomSampler", prefixes=ANY), sampled),
    (lambda name: name.startswith("sklearn.metrics.") and name.rpartition(".")[2] in ORDERED, measured),
    (lambda name: name.startswith("torchvision.datasets.")
     or (".datasets." in name and name.rpartition(".")[2] in ("MNIST", "CIFAR10", "CIFAR100", "FashionMNIST",
                                                              "ImageFolder", "KMNIST", "SVHN", "EMNIST", "STL10")),
     dataset),
    (lambda name: (name.startswith(("torchvision.transforms", "albumentations.")) or "transforms." in name)
     and name.rpartition(".")[2][:1].isupper(), transform),
    (_last("save", "load"), stored),
    (_last("dump", "load", prefixes=("pickle", "dill", "cloudpickle")), stored),
    (_last("grad", "backward", prefixes=("torch.autograd", "autograd")), gradient),
    (_last("sum", "mean"), reduced),
    (_last("mean", "sum", "average", prefixes=("numpy", "statistics")), added_up),
    (_last("exp", "log"), exponential),
    (_last("max", "argmax", "topk", "min", "argmin"), greatest),
    (_last("max", "min", prefixes=PYTHON), greatest),
    (_last("max", "amax", "nanmax", "min", "amin", "argmax", "argmin", prefixes=("numpy",)), greatest),
    (lambda name: name in ARRAYS, array),
    (_last("read_csv", prefixes=("pandas",)), table),
    (_last("array", "asarray", prefixes=("numpy",)), as_array),
    (lambda name: name.startswith("sklearn.datasets.") and not name.endswith("openml"), sklearn_data),
    (_last("eq"), equality),
    (_last("cat", "stack", "concat", "hstack", "vstack"), joined),
    (_last("one_hot"), labels_like),
    (_last("len", prefixes=PYTHON), length),
    (_last("float", "int", "round", "abs", prefixes=PYTHON), as_number),
    (_last("sum", prefixes=PYTHON), added_up),
    (_last("deepcopy", "copy", prefixes=("copy",)), copied),
    (_last("tensor", "as_tensor", "from_numpy", "Tensor", "zeros", "zeros_like", "ones", "ones_like", "randn", "rand",
           "empty", "full", "randint", "arange", "rand_like", "randn_like", "full_like", "FloatTensor", "LongTensor"),
     fresh),
    (lambda name: name.startswith("torch.") and is_operation(name), operation),
)


def argument(arguments: Mapping[str, Value], name: str, default: object = None) -> object:
    """Return the Python value of an argument that the source states, or `default`."""
    return constant(arguments.get(name), default)
