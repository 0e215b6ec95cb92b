"""Parts of values: attributes of loaders and data sets, items of lists and batches, parts of tensors."""

from __future__ import annotations

from featherweight.doctor.flow.iteration import meaning_by_name
from featherweight.doctor.flow.roles import sources_of
from featherweight.doctor.flow.values import (
    HITS,
    INPUT,
    PREDICTION,
    Bound,
    Constant,
    Dataset,
    Items,
    Loader,
    Number,
    Spot,
    Tensor,
    Unknown,
    Value,
    constant,
    known,
)


def attribute_of_data(owner: Value, name: str, spot: Spot) -> Value:
    """Return loader.dataset, loader.sampler, loader.batch_size or dataset.transform."""
    if isinstance(owner, Loader) and name == "dataset":
        inner = known(owner.dataset)
        if isinstance(inner, Unknown):
            inner.becomes = Dataset(label=inner.label or owner.label, role=owner.role)
            owner.dataset = inner.becomes
        return known(owner.dataset)
    if isinstance(owner, Loader) and name == "sampler":
        return Dataset(name="sampler", parent=owner.dataset, label=owner.label, role=owner.role)
    if isinstance(owner, Loader) and name == "batch_size":
        return Number(unit="batch-size", of=owner)
    if isinstance(owner, Dataset) and name == "dataset" and owner.parent is not None:
        return known(owner.parent)
    if isinstance(owner, Dataset) and name == "transform":
        return known(owner.transform)
    return Bound(owner=owner, name=name)


def item_of(owner: Items, position: object) -> Value:
    """Return owner[position]. A batch also has items by name: batch["label"]."""
    if isinstance(position, int) and -len(owner.items) <= position < len(owner.items):
        return owner.items[position]
    if isinstance(position, str) and owner.origin:
        return Tensor(meaning=meaning_by_name(position, 0, 2), origin=owner.origin, label=position)
    first = known(owner.items[0]) if owner.items and owner.is_list else Unknown(origin=sources_of(owner))
    alike = isinstance(first, Constant) and all(constant(one) == first.value for one in owner.items)
    return Unknown(spot=first.spot) if isinstance(first, Constant) and not alike else first


def part_of(owner: Tensor, position: object, spot: Spot) -> Value:
    """Return a part of a tensor. The meaning stays, except that one element of a loss is no loss."""
    kept = owner.meaning in (INPUT, HITS, PREDICTION, "label", "logits", "output", "probabilities", "log-probabilities")
    return owner.but(spot=spot, meaning=owner.meaning if kept else "", axes=None)
