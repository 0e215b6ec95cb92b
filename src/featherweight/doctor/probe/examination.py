"""Examine a network: run it once, apply all rules, and say what could not be checked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from torch import nn

from featherweight.doctor.examination import examine_source
from featherweight.doctor.finding import Finding, Report
from featherweight.doctor.probe import (
    comments,
    conduct,
    effects,
    geometry,
    groups,
    layers,
    mixing,
    outputs,
    recipe,
    tensors,
)
from featherweight.doctor.probe.places import Places
from featherweight.doctor.probe.subject import IMAGES, Subject, run_once
from featherweight.graph.record import name_of
from featherweight.graph.twin import untouched_random_state
from featherweight.models import input_shapes
from featherweight.recipe import Recipe
from featherweight.user_code import quietly

FAMILIES = (outputs, layers, tensors, mixing, groups, effects, geometry, conduct, recipe, comments)
COMMENTS = ("FW121", "FW122")   # found by reading, in the network's own class


def probe(
    module: nn.Module, shapes: Sequence[Sequence[int]] | None = None, *, name: str = "", classes: int | None = None,
    recipe: Recipe | None = None,
) -> Report:
    """Examine a built network by one training pass of a copy on random images. The module stays unchanged.

    shapes: of each input, without the batch axis; by default those that the network takes.
    classes: number of classes of the data, or None if unknown.
    Raises ModelError, one line, if the network does not run.
    """
    name = name or type(module).__name__
    shapes = tuple(map(tuple, shapes)) if shapes else input_shapes(module)
    places = Places.of_name(name, module)
    subject = run_once(name, module, shapes, places, classes, recipe)
    with untouched_random_state(module), quietly():
        found = [*findings(subject), *read_comments(places)]
    unique = {(one.code, one.place, one.what): one for one in found}.values()
    images = " + ".join("x".join(map(str, shape)) for shape in shapes)
    done = (f"{name}: {len(subject.rows)} layers and functions, {subject.total:,} parameters; one pass forward and "
            f"backward on {IMAGES} random images of {images}")
    return Report(
        tuple(one for one in unique if one.reason is None), tuple(one for one in unique if one.reason is not None),
        (done,), tuple(f"{name}: {gap}" for gap in dict.fromkeys((*subject.gaps, *gaps(subject)))), levels=("probe",),
    )


def findings(subject: Subject) -> Iterator[Finding]:
    """Yield the findings of all rules."""
    for family in FAMILIES:
        for rule in family.RULES:
            yield from rule(subject)


def read_comments(places: Places) -> Iterator[Finding]:
    """Yield the findings on comments inside the network's class."""
    definition = places.classes.get(places.attribute)
    if places.source is None or definition is None:
        return
    found, _ = examine_source(places.source)
    for one in found:
        if one.code in COMMENTS and definition.lineno <= one.place.line <= (definition.end_lineno or 0) + 1:
            yield one


def gaps(subject: Subject) -> Iterator[str]:
    """Yield one line for each property that could not be checked."""
    for path in dict.fromkeys(subject.record.branches):
        where = name_of(path) or "forward"
        yield f"{where} branches on a tensor: only the branch of the random images was checked"
    blind = next((row for row in subject.rows if row.field is None and subject.side), None)
    if blind is not None:
        yield f"receptive fields are unknown from {name_of(blind.name)} on: not checked there"
    if not subject.side:
        yield "the input is no image: receptive fields and sizes not checked"
