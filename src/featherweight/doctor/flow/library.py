"""Calls of library functions and classes: the values that they return and the events that they cause."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from featherweight.doctor.flow.arithmetic import length_of
from featherweight.doctor.flow.layers import applied, is_operation, key_of
from featherweight.doctor.flow.losses import (
    FUNCTIONS,
    applied_loss,
    criterion_of,
    is_criterion,
    is_loss_function,
    reduction_of,
    united,
)
from featherweight.doctor.flow.roles import role_from_arguments, role_of, sources_of
from featherweight.doctor.flow.signatures import Call
from featherweight.doctor.flow.values import (
    HITS,
    LABEL,
    LOG_PROBABILITIES,
    PREDICTION,
    PROBABILITIES,
    Constant,
    Criterion,
    Dataset,
    Items,
    Iteration,
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
    constant,
    known,
)

WRAPPERS = frozenset((
    "DataParallel", "DistributedDataParallel", "FullyShardedDataParallel", "compile", "tqdm", "trange", "script",
    "iter", "next_", "list", "tuple", "reversed", "DDP", "FSDP", "progress_bar", "track", "prefetch", "deepcopy_",
))
CONTAINERS = ("Sequential", "ModuleList", "ModuleDict")
MOST_ARRAY_ARGUMENTS = 4        # more may name a dtype by position


def call_library(call: Call) -> Value:
    """Return the value of a library call, and record its events."""
    for applies, effect in EFFECTS:
        if applies(call.name):
            return effect(call)
    escape(call)
    return Unknown(spot=call.spot, origin=united(*(sources_of(value) for value in call.everything())))


def escape(call: Call) -> None:
    """Mark the arguments as passed to code that is not known."""
    for value in call.everything():
        value.escaped = True
        for inner in value.items if isinstance(value, Items) else ():
            known(inner).escaped = True
        if isinstance(value, Table):
            for inner in value.items.values():
                known(inner).escaped = True


# ---- building ----

def layer(call: Call) -> Value:
    """Return the layer or container that a class of torch.nn builds."""
    children: list[Value] = []
    if call.last in CONTAINERS:
        for value in call.everything():
            if isinstance(value, Items):
                children += value.items
            elif isinstance(value, Table):
                children += value.items.values()
            elif isinstance(value, Module):
                children.append(value)
    made = Module(spot=call.spot, name=call.name, arguments=call.bound(), children=children)
    call.trace.add("build", call.spot, made)
    return made


def optimizer(call: Call) -> Value:
    """Return the optimizer, with the modules whose parameters it received."""
    arguments = call.bound()
    models = models_behind(arguments.get("params"))
    made = Optimizer(spot=call.spot, name=call.last, models=models, arguments=arguments)
    call.trace.add("optimizer", call.spot, made)
    return made


def models_behind(value: Value | None) -> tuple[Value, ...]:
    """Return the modules whose parameters a value holds: parameters, lists of them, or parameter groups."""
    value = known(value)
    if isinstance(value, Parameters):
        return value.models
    if isinstance(value, Items):
        return united(*(models_behind(item) for item in value.items))
    if isinstance(value, Table):
        return united(*(models_behind(item) for item in value.items.values()))
    return ()


def scheduler(call: Call) -> Value:
    """Return the scheduler with its optimizer."""
    arguments = call.bound()
    made = Scheduler(
        spot=call.spot, name=call.last, optimizer=known(arguments.get("optimizer")), arguments=arguments
    )
    call.trace.add("scheduler", call.spot, made)
    for value in arguments.values():
        for inner in value.items if isinstance(value, Items) else ():
            known(inner).escaped = True         # parts of SequentialLR are stepped by it
    return made


def criterion(call: Call) -> Value:
    """Return the loss of torch.nn."""
    return criterion_of(call)


def dataset(call: Call) -> Value:
    """Return the data set of torchvision."""
    arguments = call.bound()
    role, certain = role_from_arguments(call.last, arguments)
    made = Dataset(
        spot=call.spot, name=call.last, role=role, certain=certain, transform=known(arguments.get("transform")),
        split=str(constant(arguments.get("split"), "")),
    )
    call.trace.add("dataset", call.spot, made)
    return made


def subset(call: Call) -> Value:
    """Return a part of a data set."""
    return Dataset(spot=call.spot, name="Subset", parent=call.first(), images=count_of(call.bound().get("indices")))


def count_of(value: Value | None) -> int | None:
    """Return the number of items of a list or of range(n), or None if it is not known."""
    if isinstance(value, Items) and not value.open:
        return len(value.items)
    if isinstance(value, Iteration) and value.kind == "range" and len(value.inner) == 1:
        found = constant(value.inner[0])
        return found if isinstance(found, int) else None
    return None


def split(call: Call) -> Value:
    """Return the parts of random_split. Their roles follow from the names they are bound to."""
    lengths = known(call.bound().get("lengths"))
    counts = [constant(one) for one in lengths.items] if isinstance(lengths, Items) and not lengths.open else [None] * 2
    parent = call.first()
    return Items(items=[Dataset(spot=call.spot, name="Subset", parent=parent,
                                images=count if isinstance(count, int) else None) for count in counts])


def sklearn_split(call: Call) -> Value:
    """Return the arrays of train_test_split, each a data set with a role."""
    made: list[Value] = []
    for _ in call.arguments:
        made += [Dataset(spot=call.spot, role="train"), Dataset(spot=call.spot)]
    return Items(items=made)


def tensor_dataset(call: Call) -> Value:
    """Return a TensorDataset; its role follows from its tensors or its name."""
    role = next((role_of(value) for value in call.everything() if role_of(value)), "")
    return Dataset(spot=call.spot, name="TensorDataset", role=role, tensors=tuple(map(known, call.arguments)))


def loader(call: Call) -> Value:
    """Return the data loader."""
    arguments = call.bound()
    made = Loader(spot=call.spot, dataset=arguments.get("dataset"), arguments=arguments)
    call.trace.add("loader", call.spot, made, text="open" if call.open else "")
    return made


def transform(call: Call) -> Value:
    """Return one transform, or the steps of Compose and RandomApply."""
    arguments = call.bound()
    steps = [(call.last, arguments, call.spot)]
    for value in call.everything():
        parts = value.items if isinstance(value, Items) else [value]
        for part in map(known, parts):
            if isinstance(part, Transform):
                steps += part.steps
    return Transform(spot=call.spot, steps=steps)


def wrapped(call: Call) -> Value:
    """Return the first argument itself: the wrapper changes nothing that rules look at."""
    return call.first() or Unknown(spot=call.spot)


# ---- operations ----

def operation(call: Call) -> Value:
    """Return the result of a function that takes a tensor first."""
    arguments = call.bound()
    tensor = known(arguments.get("input", call.first()))
    call.trace.add("apply", call.spot, tensor, text=call.last)
    if isinstance(tensor, Number):
        return tensor
    if not isinstance(tensor, Tensor):
        tensor = Tensor(spot=call.spot, origin=sources_of(tensor), attached=call.trace.grad[-1])
    functional = call.name.startswith("torch.nn.functional")
    if functional and key_of(call.last) in ("linear", "conv1d", "conv2d", "conv3d"):
        return tensor.but(spot=call.spot, meaning="", trail=(), geometry=None)
    return applied(call.last, tensor, arguments, call.spot)


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
        return value.but(spot=call.spot, meaning="loss" if value.meaning == "loss" else "", trail=())
    if isinstance(value, Items) and value.items:
        return known(value.items[0])
    return value if isinstance(value, Number) else Unknown(spot=call.spot, origin=sources_of(value))


def exponential(call: Call) -> Value:
    """Return exp(x) or log(x); log-probabilities and probabilities become each other."""
    value = call.first()
    if not isinstance(value, Tensor):
        return Unknown(spot=call.spot, origin=sources_of(value))
    pairs = {("exp", LOG_PROBABILITIES): PROBABILITIES, ("log", PROBABILITIES): LOG_PROBABILITIES}
    meaning = pairs.get((call.last, value.meaning), "")
    return value.but(spot=call.spot, meaning=meaning, trail=value.trail if meaning else ())


def greatest(call: Call) -> Value:
    """Return torch.max(x, 1), torch.topk(x, k) or torch.argmax(x)."""
    return largest(call.first(), call.last, call, len(call.arguments) > 1 or "dim" in call.keywords)


def largest(value: Value | None, name: str, call: Call, along_axis: bool) -> Value:
    """Return (values, predictions) or predictions; record the event "predict" for outputs of a network."""
    if not isinstance(value, Tensor):
        if isinstance(value, Number | Constant) or name == "max":
            call.trace.add("best", call.spot, value, text=name)
            return Number(spot=call.spot, unit="rate", origin=sources_of(value))
        return Unknown(spot=call.spot, origin=sources_of(value))
    made = Tensor(spot=call.spot, meaning=PREDICTION, origin=value.origin, models=value.models)
    call.trace.add("predict", call.spot, value)
    if name == "topk" or (name in ("max", "min") and along_axis):
        return Items(items=[value.but(spot=call.spot, meaning="", trail=()), made])
    return made if name != "max" else value.but(spot=call.spot, meaning="", trail=())


def equality(call: Call) -> Value:
    """Return torch.eq(predictions, labels)."""
    values = call.everything()
    meanings = {value.meaning for value in values if isinstance(value, Tensor)}
    meaning = HITS if meanings & {LABEL, PREDICTION} else ""
    return Tensor(spot=call.spot, meaning=meaning, origin=united(*(value.origin for value in values)))


def joined(call: Call) -> Value:
    """Return torch.cat(list) or torch.stack(list)."""
    value = call.first()
    parts = [known(item) for item in value.items] if isinstance(value, Items) else []
    tensors = [part for part in parts if isinstance(part, Tensor)]
    if not tensors:
        return Tensor(spot=call.spot, origin=sources_of(value), attached=False)
    same = tensors[0].meaning if len({tensor.meaning for tensor in tensors}) == 1 and len(tensors) == 1 else ""
    return Tensor(
        spot=call.spot, meaning=same, attached=any(tensor.attached for tensor in tensors),
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


def array(call: Call) -> Value:
    """Return a new array of NumPy. Without a dtype its numbers are float64."""
    escape(call)
    double = is_double(call) or ("dtype" not in call.keywords and len(call.arguments) < MOST_ARRAY_ARGUMENTS)
    return Unknown(spot=call.spot, double=call.spot if double else None,
                   origin=united(*(sources_of(value) for value in call.everything())))


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


def copied(call: Call) -> Value:
    """Return a deep copy: a network of its own."""
    value = call.first()
    if isinstance(value, Module):
        made = Module(spot=call.spot, name=value.name, cls=value.cls, arguments=value.arguments,
                      attributes=dict(value.attributes), children=list(value.children), label=value.label)
        call.trace.add("copy", call.spot, made, value)
        return made
    return value or Unknown(spot=call.spot)


def labels_like(call: Call) -> Value:
    """Return one_hot(x) and similar: labels stay labels."""
    value = call.first()
    meaning = LABEL if isinstance(value, Tensor) and value.meaning == LABEL else ""
    return Tensor(spot=call.spot, meaning=meaning, origin=sources_of(value))


def _last(*names: str, prefixes: tuple[str, ...] = ("torch",)) -> Callable[[str], bool]:
    wanted = frozenset(names)
    return lambda name: name.rpartition(".")[2] in wanted and name.startswith(prefixes)


def is_torchvision_model(name: str) -> bool:
    """True for a constructor of a network of torchvision, timm or transformers."""
    if "_Weights" in name or name.endswith(".transforms"):
        return False
    return name.startswith(("torchvision.models.", "timm.create_model")) or name.endswith(
        (".from_pretrained", ".hub.load"))


def pretrained(call: Call) -> Value:
    """Return a network of a library."""
    return Module(spot=call.spot, name=call.name)


ARRAYS = frozenset(f"numpy.{name}" for name in (
    "random.rand", "random.randn", "random.random", "random.normal", "random.uniform", "zeros", "ones", "linspace",
    "loadtxt", "genfromtxt", "eye"))
PYTHON = ("builtins.",)
ANY = ("",)
EFFECTS: tuple[tuple[Callable[[str], bool], Callable[[Call], Value]], ...] = (
    (_last("manual_seed", "seed", "seed_everything", "set_seed", "manual_seed_all", "fix_seed", "set_random_seed",
           "setup_seed", "seed_all", "default_rng", prefixes=ANY), seeded),
    (is_criterion, criterion),
    (is_loss_function, loss_function),
    (lambda name: name.startswith("torch.optim.lr_scheduler."), scheduler),
    (lambda name: name.startswith("torch.optim.") and name.rpartition(".")[2][:1].isupper(), optimizer),
    (_last(*WRAPPERS, prefixes=ANY), wrapped),
    (is_torchvision_model, pretrained),
    (lambda name: name.startswith("torch.nn.") and name.rpartition(".")[2][:1].isupper()
     and not name.startswith(("torch.nn.Parameter", "torch.nn.init", "torch.nn.utils", "torch.nn.functional",
                              "torch.nn.parameter")), layer),
    (_last("DataLoader", "FastDataLoader", "MultiEpochsDataLoader", prefixes=ANY), loader),
    (_last("random_split", prefixes=ANY), split),
    (_last("train_test_split", prefixes=ANY), sklearn_split),
    (_last("Subset", prefixes=ANY), subset),
    (_last("TensorDataset", prefixes=ANY), tensor_dataset),
    (lambda name: name.startswith("torchvision.datasets.")
     or (".datasets." in name and name.rpartition(".")[2] in ("MNIST", "CIFAR10", "CIFAR100", "FashionMNIST",
                                                              "ImageFolder", "KMNIST", "SVHN", "EMNIST", "STL10")),
     dataset),
    (lambda name: (name.startswith("torchvision.transforms") or "transforms." in name)
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


