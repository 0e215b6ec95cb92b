"""Examine scripts and notebooks: read, follow, apply all rules, and say what could not be checked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from featherweight.doctor.draft import Draft
from featherweight.doctor.finding import Finding, Report
from featherweight.doctor.flow.interpreter import follow
from featherweight.doctor.flow.roles import role_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Criterion, Loader, Module, known
from featherweight.doctor.rules import (
    arguments,
    averages,
    balance,
    batches,
    best,
    callbacks,
    classes,
    clipping,
    comments,
    construction,
    data,
    divisions,
    environment,
    export,
    forward,
    frozen,
    images,
    initial,
    leaks,
    logits,
    loop,
    losses,
    measurement,
    modes,
    network,
    numbers,
    optimizers,
    overwritten,
    pixels,
    plans,
    precision,
    predicted,
    prediction,
    readme,
    resuming,
    scaling,
    schedule,
    shaped_losses,
    stacking,
    sums,
    timing,
    turns,
)
from featherweight.doctor.source import Source, expand, read
from featherweight.errors import SourceError

FAMILIES = (
    logits, network, classes, construction, initial, stacking, overwritten, images, arguments, forward, comments,
    numbers, readme, losses, shaped_losses, balance, loop, clipping, optimizers, frozen, averages, modes, precision,
    export, schedule, plans, data, scaling, leaks, prediction, batches, predicted, measurement, divisions, best, turns,
    sums, environment, resuming, timing, callbacks, pixels,
)
COUNTED = (("network", "network"), ("loss", "loss"), ("optimizer", "optimizer"), ("loader", "loader"))


def examine(targets: Iterable[str | Path]) -> Report:
    """Examine the source of scripts, notebooks and folders. Nothing is executed.

    Files that cannot be read are named in `unread`; the others are still examined.
    Raises SourceError if a target does not exist, or if no file can be read.
    """
    findings: dict[tuple[str, object], Finding] = {}
    checked, unchecked, unread = [], [], []
    files = list(dict.fromkeys(expand(targets)))
    for path in files:
        try:
            source = read(path)
        except SourceError as fault:
            unread.append(str(fault))
            continue
        found, trace = examine_source(source)
        checked.append(f"{path}: {contents(trace) if trace else 'no torch in it, nothing to check'}")
        unchecked += [f"{path}: {line}" for line in (*source.dropped, *(gaps(trace) if trace else ()))]
        for finding in found:
            findings.setdefault((finding.code, finding.place), finding)
    if unread and len(unread) == len(files):
        raise SourceError(*unread)
    ordered = sorted(findings.values(), key=lambda one: (one.place.file, one.place.cell or 0, one.place.line, one.code))
    return Report(
        tuple(one for one in ordered if one.reason is None), tuple(one for one in ordered if one.reason is not None),
        tuple(checked), tuple(dict.fromkeys(unchecked)), tuple(unread),
    )


def examine_source(source: Source) -> tuple[list[Finding], Trace | None]:
    """Return the findings of one file and its trace; no trace if the file has nothing to do with torch."""
    if not concerns_training(source):
        return [], None
    trace, _ = follow(source)
    found: dict[tuple[str, int, int], Finding] = {}
    for draft in drafts(trace):
        key = (draft.code, id(draft.spot.source), draft.spot.line)
        found.setdefault(key, draft.finding())
    return list(found.values()), trace


def concerns_training(source: Source) -> bool:
    """True for a file that imports torch, or calls backward."""
    return "torch" in source.text or ".backward(" in source.text


def drafts(trace: Trace) -> Iterator[Draft]:
    """Yield the drafts of all rules."""
    for family in FAMILIES:
        for rule in family.RULES:
            yield from rule(trace)


def contents(trace: Trace) -> str:
    """Return the parts that were found: "1 network, 2 losses, 1 optimizer, 2 loaders"."""
    parts = []
    for kind, word in COUNTED:
        count = len({id(event.spot.node) for event in trace.of(kind)})
        if count:
            parts.append(f"{count} {word}{'' if count == 1 else 'es' if word.endswith('s') else 's'}")
    return ", ".join(parts) or "no network, loss, optimizer or loader"


def gaps(trace: Trace) -> Iterator[str]:
    """Yield one line for each part that rules could not see into."""
    yield from trace.missing
    named: dict[str, str] = {}
    for event in trace.of("forward", "loss", "scheduler-step"):
        value = known(event.subject)
        name = value.label or "without name"
        if isinstance(value, Module) and value.cls is None and not value.name and not value.children:
            named[f"network `{name}`"] = "its class is not in the file: layers and outputs not checked"
        if isinstance(value, Criterion) and not value.name:
            named[f"loss `{name}`"] = "its kind is not in the file: match with the outputs not checked"
        loader = event.loader
        if isinstance(loader, Loader) and not role_of(loader):
            named[f"loader `{loader.label or 'without name'}`"] = (
                "neither arguments nor name say train or test: choice on test data not checked")
    for what, why in named.items():
        yield f"{what}: {why}"

