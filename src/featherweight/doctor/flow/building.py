"""Calls that build layers, optimizers, schedulers, losses, data sets, loaders and transforms."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from featherweight.doctor.flow.labels import added_to_label
from featherweight.doctor.flow.losses import (
    criterion_of,
    united,
)
from featherweight.doctor.flow.roles import role_from_arguments, role_of
from featherweight.doctor.flow.signatures import Call
from featherweight.doctor.flow.values import (
    Dataset,
    Items,
    Iteration,
    Loader,
    Module,
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
)

CONTAINERS = ("Sequential", "ModuleList", "ModuleDict")


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
    more = call.last in CONTAINERS and any(isinstance(value, Unknown) for value in call.everything())
    made = Module(spot=call.spot, name=call.name, arguments=call.bound(), children=children, open=more)
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
    if isinstance(value, Parameters) or (isinstance(value, Tensor) and value.meaning == "parameter"):
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
    for value in call.everything():
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
    shift = added_to_label(arguments["target_transform"]) if "target_transform" in arguments else 0
    made = Dataset(
        spot=call.spot, name=call.last, role=role, certain=certain, transform=known(arguments.get("transform")),
        split=str(constant(arguments.get("split"), "")), shift=shift,
    )
    call.trace.add("dataset", call.spot, made)
    return made


def subset(call: Call) -> Value:
    """Return a part of a data set."""
    return Dataset(spot=call.spot, name="Subset", parent=call.first(), images=count_of(call.bound().get("indices")))


def pair_of(value: Value) -> tuple[str, Value | None]:
    """Return name and value of ("name", value); None for another value."""
    value = known(value)
    if not isinstance(value, Items) or len(value.items) != 2:
        return "", None
    name = constant(value.items[0])
    return (name, known(value.items[1])) if isinstance(name, str) else ("", None)


def dictionary(call: Call) -> Value:
    """Return dict(train=loader, ...) or OrderedDict([("name", layer), ...])."""
    first = call.first()
    pairs = [pair_of(item) for item in first.items] if isinstance(first, Items) else []
    made = Table(spot=call.spot, items=(first.items if isinstance(first, Table) else {}) | call.keywords | {
        name: value for name, value in pairs if value is not None})
    for name, value in made.items.items():
        value.label = value.label or name
    return made


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
    call.trace.add("random-split", call.spot, parent, lengths, call.keywords.get("generator"))
    return Items(items=[Dataset(spot=call.spot, name="Subset", parent=parent,
                                images=count if isinstance(count, int) else None) for count in counts])


def sklearn_split(call: Call) -> Value:
    """Return the arrays of train_test_split, each a data set with a role."""
    made: list[Value] = []
    for value in map(known, call.arguments):
        call.trace.add("split", call.spot, value)
        made += [Dataset(spot=call.spot, role="train", double=value.double),
                 Dataset(spot=call.spot, double=value.double)]
    return Items(items=made)


def tensor_dataset(call: Call) -> Value:
    """Return a TensorDataset; its role follows from its tensors or its name."""
    role = next((role_of(value) for value in call.everything() if role_of(value)), "")
    return Dataset(spot=call.spot, name="TensorDataset", role=role, tensors=tuple(map(known, call.arguments)))


def joined_datasets(call: Call) -> Value:
    """Return a ConcatDataset. It has the role of its parts, if all have the same."""
    given = known(call.bound().get("datasets", call.first()))
    parts = tuple(map(known, given.items)) if isinstance(given, Items) else ()
    roles = {role_of(part) for part in parts}
    alike = isinstance(given, Items) and not given.open and len(roles) == 1
    return Dataset(spot=call.spot, name="ConcatDataset", role=roles.pop() if alike else "", parts=parts)


def loader(call: Call) -> Value:
    """Return the data loader."""
    arguments = call.bound()
    made = Loader(spot=call.spot, dataset=arguments.get("dataset"), arguments=arguments)
    call.trace.add("loader", call.spot, made, text="open" if call.open else "")
    return made


def transform(call: Call) -> Value:
    """Return one transform, or the steps of Compose and RandomApply."""
    arguments = call.bound()
    steps = [(kind_of_transform(call, arguments), arguments, call.spot)]
    for value in call.everything():
        parts = value.items if isinstance(value, Items) else [value]
        for part in map(known, parts):
            if isinstance(part, Transform):
                steps += part.steps
    return Transform(spot=call.spot, steps=steps)


FIXED = frozenset((     # transforms of albumentations that do the same to every image
    "Resize", "CenterCrop", "Crop", "Pad", "PadIfNeeded", "LongestMaxSize", "SmallestMaxSize", "Normalize", "ToFloat",
    "FromFloat", "ToTensorV2", "ToTensor", "ToRGB", "Compose", "Sequential", "Lambda", "NoOp",
))


def kind_of_transform(call: Call, arguments: Mapping[str, Value]) -> str:
    """Return the name of a transform. Those of albumentations begin with "Random" if they are applied at random."""
    always = call.last in FIXED or constant(arguments.get("p")) == 1 or call.last.startswith("Random")
    return call.last if always or not call.name.startswith("albumentations.") else f"Random{call.last}"


def copied(call: Call) -> Value:
    """Return a deep copy: a network of its own."""
    value = call.first()
    if isinstance(value, Module):
        made = Module(spot=call.spot, name=value.name, cls=value.cls, arguments=value.arguments,
                      attributes=dict(value.attributes), children=list(value.children), label=value.label)
        call.trace.add("copy", call.spot, made, value)
        return made
    if isinstance(value, Weights):
        return replace(value, copied=True)
    if isinstance(value, Dataset):
        return replace(value)
    return value or Unknown(spot=call.spot)


def pretrained(call: Call) -> Value:
    """Return a network of a library."""
    more = {"num_classes": Unknown()} if call.open else {}      # perhaps in **options
    made = Module(spot=call.spot, name=call.name, arguments=more | call.keywords)
    call.trace.add("pretrained", call.spot, made)
    return made
