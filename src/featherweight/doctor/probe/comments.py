"""Rule on comments beside layers that state sizes, such as `# 26x26, receptive field 3`."""

from __future__ import annotations

from collections.abc import Iterator

from featherweight.doctor.finding import Finding
from featherweight.doctor.probe.subject import Subject
from featherweight.doctor.stated import sizes_in
from featherweight.graph import LayerCall, calls


def sizes(subject: Subject) -> Iterator[Finding]:
    """Compare sizes in comments with the layers' outputs.

    Comments are compared only if at least half of them are right, because others may state another value.
    """
    stated = list(stated_sizes(subject))
    wrong = [one for one in stated if one[1] != one[2]]
    if not wrong or len(wrong) > len(stated) / 2:
        return
    for name, said, true in wrong:
        yield subject.finding("FW713", name, f"The comment states {said[0]}x{said[1]}; the output of {name} is "
                              f"{true[0]}x{true[1]}.",
                              f"{len(stated) - len(wrong)} of {len(stated)} comments of this network are right.",
                              "Correct the comment; `featherweight summary` prints the true values.")


def stated_sizes(subject: Subject) -> Iterator[tuple[str, tuple[int, ...], tuple[int, ...]]]:
    """Yield (layer, size in the comment, true size) of each layer that is called once and has one size beside it."""
    source, lines = subject.places.source, subject.places.lines()
    if source is None:
        return
    events = [event for event in subject.record.events if isinstance(event, LayerCall)]
    for event in events:
        line = lines.get(event.path, 0)
        found = sizes_in(source.comments.get(line, ""))
        alone = sum(one.path == event.path for one in events) == 1
        if len(found) != 1 or not alone or not event.outputs or event.outputs[0].dim() != 4:
            continue
        if found[0] not in kernels(event):
            yield event.path, found[0], event.outputs[0].shape[2:]


def kernels(event: LayerCall) -> set[tuple[int, ...]]:
    """Return the sizes of the layer's kernels, which a comment may state instead of the output."""
    kernel = getattr(event.module, "kernel_size", None)
    return set() if kernel is None else {calls.per_axis(kernel, 2)}


RULES = (sizes,)
