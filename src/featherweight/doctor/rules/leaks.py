"""Test images that reach the training through joined or split data sets."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from itertools import combinations

from featherweight.doctor.draft import Draft, name_of, text_of
from featherweight.doctor.flow.roles import base_dataset, certain_role, role_of
from featherweight.doctor.flow.trace import Event, Trace
from featherweight.doctor.flow.values import Dataset, Items, Loader, Spot, known
from featherweight.doctor.source import Source
from featherweight.doctor.syntax import argument, assignments, called

MIXED = ("perm", "shuffle(", "Fold(", "train_test_split", "random_split", ".sample(", "choice(")


def trained_on_test(trace: Trace) -> Iterator[Draft]:
    """Find training data that are joined with the test data."""
    loaders = [event.subject for event in trace.of("loader") if isinstance(event.subject, Loader)]
    tested = {one.name for loader in loaders if role_of(loader) == "test" and isinstance(
        one := base_dataset(loader), Dataset)}
    seen = set[int]()
    for event in trace.of("backward"):
        joined = base_dataset(event.loader)
        if not isinstance(joined, Dataset) or joined.spot is None or id(joined) in seen:
            continue
        seen.add(id(joined))
        for part in joined.parts:
            if isinstance(part, Dataset) and certain_role(part) == "test" and part.name in tested:
                yield Draft("FW407", joined.spot, f"{name_of(joined, 'The training data')} holds the test images.",
                            f"`{text_of(part.spot)}` is a part of it, so the test measures images that were learnt.",
                            "Join training data only.")
                break


def different_splits(trace: Trace) -> Iterator[Draft]:
    """Find two random splits of the same images, one for each transform, that do not draw the same parts."""
    splits, seeds = trace.of("random-split"), trace.of("seed")
    for first, second in combinations(splits, 2):
        between = any(first.index < seed.index < second.index for seed in seeds)
        if second.calls != first.calls or between or not alike(first, second) or has_own_generator(second, first):
            continue
        yield Draft("FW415", second.spot, f"The split draws other parts than that of {first.spot.where}.",
                    "Images that one split trains with are validation or test images of the other one.",
                    "Draw the indices once and take a Subset of both data sets, or give both splits a generator with "
                    "the same seed.")
        return


def copies_before_split(trace: Trace) -> Iterator[Draft]:
    """Find rows that are repeated, as they are or changed, before a split into training and test data."""
    seen = set[int]()
    for event in trace.of("split", "use"):
        data = known(event.subject if event.kind == "split" else event.value)
        if data.copies is None or id(data.copies.node) in seen or (event.kind == "use" and event.text != "split"):
            continue
        seen.add(id(data.copies.node))
        yield Draft("FW416", data.copies, "Images are repeated before the data are split.",
                    f"`{text_of(event.spot)}` at {event.spot.where} then puts copies of training images into the "
                    "validation or test data.", "Split first, then repeat the training images only.")


def sources_with_folders(trace: Trace) -> list[Source]:
    """Return each file that builds an ImageFolder."""
    built = [event.spot.source for event in trace.of("dataset") if isinstance(event.subject, Dataset)
             and event.subject.name == "ImageFolder"]
    return list({id(source): source for source in built}.values())


def in_order_of_folders(trace: Trace) -> Iterator[Draft]:
    """Find parts of an ImageFolder that are cut out of its order, in which one class follows the other."""
    for source in sources_with_folders(trace):
        if any(word in source.text for word in MIXED):
            continue
        ranges = {name for name, values in assignments(source.nodes).items() if any(map(is_range, values))}
        parts = [node for node in source.nodes if isinstance(node, ast.Call) and called(node) == "Subset"
                 and len(node.args) > 1
                 and (is_range(node.args[1]) or base_name(node.args[1]) in ranges)]
        if len(parts) > 1:          # one alone may be the first few images, for a short trial
            spot = Spot(source, parts[0])
            yield Draft("FW419", spot, "The part is cut out of the order of the folders.",
                        f"ImageFolder lists one class after the other: `{text_of(spot)}` holds some classes only.",
                        "Draw the indices with torch.randperm and a seed.")


def is_range(node: ast.expr) -> bool:
    """True for range(n) and list(range(n))."""
    return isinstance(node, ast.Call) and ast.unparse(node).startswith(("range(", "list(range("))


def base_name(node: ast.expr) -> str:
    """Return the name in `order[:100]` or `order`."""
    node = node.value if isinstance(node, ast.Subscript) else node
    return node.id if isinstance(node, ast.Name) else ""


def alike(first: Event, second: Event) -> bool:
    """True if two splits divide two data sets of the same images into parts of the same sizes."""
    one, two = known(first.subject), known(second.subject)
    return isinstance(one, Dataset) and isinstance(two, Dataset) and one is not two and bool(one.name) and (
        one.name == two.name and one.role == two.role and one.parent is None and two.parent is None
        and root_of(one) == root_of(two) and sizes_of(first) == sizes_of(second))


def root_of(dataset: Dataset) -> str:
    """Return the first argument with which a data set is built, as the source writes it."""
    given = argument(dataset.spot.node, 0, "root") if dataset.spot is not None else None
    return ast.unparse(given) if given is not None else ""


def sizes_of(split: Event) -> object:
    """Return the sizes of a split: numbers if they are known, else the value or its source."""
    sizes = known(split.value)
    if isinstance(sizes, Items) and sizes.spot is not None:
        return text_of(sizes.spot, 300)
    return id(sizes)


def has_own_generator(split: Event, other: Event) -> bool:
    """True if a split has a generator that the other one has not used."""
    return split.other is not None and known(split.other) is not known(other.other)


RULES = (trained_on_test, different_splits, copies_before_split, in_order_of_folders)
