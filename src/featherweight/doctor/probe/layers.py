"""Rules on layers: unused, shared or dead ones, gradients, biases, batch normalisation and data types."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import torch
from torch import nn

from featherweight.anatomy.unused import Unused, unused_in
from featherweight.doctor.finding import Finding
from featherweight.doctor.probe.subject import IMAGES, Subject
from featherweight.doctor.probe.trail import WEIGHTED, path_of, words_for
from featherweight.graph import Call, LayerCall
from featherweight.graph.twin import filled

DEAD = 0.9          # share of a layer's units; plain networks have up to half at the start
FEWEST = 4          # units; a smaller layer is dead by chance
SHOWN = 5           # names in a sentence
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)


def unused(subject: Subject) -> Iterator[Finding]:
    """Find layers that forward never calls, and parameters that no output depends on."""
    for one in unused_of(subject):
        share = f"{one.parameters:,} of {subject.total:,} parameters are stored and counted, but no output uses them."
        yield subject.finding("FW109", one.name, f"forward never uses {one.name} ({one.kind}).",
                              share if one.parameters else "The layer has no effect.",
                              f"Call {one.name} in forward, or remove it.",
                              severity="" if one.parameters else "note")


def unused_of(subject: Subject) -> list[Unused]:
    """Return the parts of the network that the pass never used."""
    used = frozenset[int]().union(*(row.used for row in subject.rows))
    return unused_in(subject.module, subject.record.called, used)


def gradients(subject: Subject) -> Iterator[Finding]:
    """Find trainable parameters of used layers that got no gradient."""
    skipped = tuple(one.name for one in unused_of(subject))
    silent = [(name, parameter) for name, parameter in subject.module.named_parameters()
              if parameter.requires_grad and has_none(parameter)
              and not any(name == one or name.startswith(f"{one}.") for one in skipped)]
    if silent and not any("no output carries" in gap for gap in subject.gaps):
        names, count = [name for name, _ in silent], sum(parameter.numel() for _, parameter in silent)
        layer = names[0].rpartition(".")[0]
        yield subject.finding("FW702", layer, f"No gradient reaches {listed(names)}.",
                              f"{count:,} of {subject.total:,} parameters keep their first values in training.",
                              "Look for detach(), no_grad(), dead units, or a value that is not returned.")


def has_none(parameter: nn.Parameter) -> bool:
    """Return True if a parameter has no gradient, or a weight's gradient is exactly 0 everywhere."""
    gradient = parameter.grad
    return gradient is None or (gradient.dim() > 1 and not bool(gradient.any()))


def shared(subject: Subject) -> Iterator[Finding]:
    """Find layers with parameters that forward calls more than once."""
    events = [event for event in subject.record.events if isinstance(event, LayerCall) and filled(event.module)]
    counts, seen = Counter(id(event.module) for event in events), set[int]()
    for event in events:
        times = counts[id(event.module)]
        if times < 2 or id(event.module) in seen:
            continue
        seen.add(id(event.module))
        norm = isinstance(event.module, NORMS)
        yield subject.finding(
            "FW703", event.path, f"forward calls {event.path} ({event.kind}) {times} times.",
            "Its running mean and variance mix the values of all places, so evaluation differs from training." if norm
            else f"All {times} places share {sum(map(torch.numel, filled(event.module))):,} parameters.",
            "Build one layer for each place, unless the places are meant to share their weights.",
            severity="warning" if norm else "note")


def dead(subject: Subject) -> Iterator[Finding]:
    """Find ReLU layers in which nearly all units are 0 for all random images."""
    for call, count, units in dead_units(subject):
        yield subject.finding("FW701", path_of(call), f"{count} of {units} units of {words_for(call)} are dead.",
                              f"They are 0 for each of {IMAGES} random images, so no gradient passes them.",
                              "Check the first weights and biases before this layer.")


def dead_units(subject: Subject) -> Iterator[tuple[Call, int, int]]:
    """Yield (call, dead units, all units) of each ReLU in which nearly all units are 0 for all images of the pass."""
    for call in subject.record.calls:
        if call.operation not in ("relu", "relu6") or not call.sources:
            continue
        value = next(iter(call.layer.outputs if call.layer is not None else call.outputs))
        if value.tensor is None or value.dim() < 2 or value.shape[0] != subject.record.batch or value.shape[1] < FEWEST:
            continue
        active = (value.tensor > 0).transpose(0, 1).flatten(1).any(dim=1)
        count, units = int((~active).sum()), len(active)
        if count >= DEAD * units:
            yield call, count, units


def biases(subject: Subject) -> Iterator[Finding]:
    """Find convolutions and linear layers with a bias directly before batch normalisation."""
    users = Counter(value for call in subject.record.calls for value in call.sources)
    found: dict[str, int] = {}
    for norm in subject.record.calls:
        maker = subject.makers.get(norm.sources[0]) if norm.operation == "batch_norm" and norm.sources else None
        if maker is None or maker.operation not in WEIGHTED or users[norm.sources[0]] > 1:
            continue
        bias = maker.given.get("bias")
        if bias is not None and norm.given.get("training") is not False:
            found.setdefault(path_of(maker), sum(bias.parameters.values()))
    if found:
        layers = "The layer has" if len(found) == 1 else f"{len(found)} layers have"
        yield subject.finding("FW110", next(iter(found)), f"{layers} a bias before batch normalisation: "
                              f"{listed(list(found))}.",
                              f"Batch normalisation subtracts the bias again: {sum(found.values()):,} of "
                              f"{subject.total:,} parameters have no effect.", "Build with bias=False.")


def single_values(subject: Subject) -> Iterator[Finding]:
    """Find batch normalisation that has one value per channel if a batch holds one image."""
    found = [call for call in subject.record.calls if call.operation == "batch_norm" and call.sources
             and one_value(call)]
    if found:
        alone = subject.recipe is not None and subject.recipe.training.batch_size == 1
        yield subject.finding(
            "FW704", path_of(found[0]), f"{words_for(found[0])} has one value per channel and image.",
            "Training stops with an error at a batch of one image, such as a last batch.",
            "Use batches of more than one image, and drop_last=True if one image is left over.",
            severity="error" if alone else "note")


def one_value(call: Call) -> bool:
    """Return True if each channel of one image has a single value."""
    shape = call.sources[0].shape
    return call.given.get("training") is not False and all(n == 1 for n in shape[2:])


def doubles(subject: Subject) -> Iterator[Finding]:
    """Find float64 parameters."""
    found = [(name, p) for name, p in subject.module.named_parameters() if p.dtype == torch.float64]
    if found:
        count = sum(parameter.numel() for _, parameter in found)
        yield subject.finding("FW705", found[0][0].rpartition(".")[0],
                              f"{count:,} of {subject.total:,} parameters are float64: "
                              f"{listed([name for name, _ in found])}.",
                              "They take twice the memory, are slower, and fail on float32 images.",
                              "Call model.float(), and build tensors from NumPy with dtype=torch.float32.")


def listed(names: list[str]) -> str:
    """Return the first names, with the number of the others."""
    return ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN} more" if len(names) > SHOWN else "")


RULES = (unused, gradients, shared, dead, biases, single_values, doubles)
