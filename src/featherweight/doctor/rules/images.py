"""Networks that do not suit the size of their images, as far as the source states it."""

from __future__ import annotations

from collections.abc import Iterator

from featherweight.doctor.draft import Draft
from featherweight.doctor.flow.layers import KINDS, key_of, parameters_of, side
from featherweight.doctor.flow.roles import side_of_images
from featherweight.doctor.flow.trace import Event, Trace
from featherweight.doctor.flow.values import WEIGHTED, Criterion, Geometry, Library, Module, Spot, Tensor
from featherweight.doctor.rules.network import CLASSIFYING
from featherweight.doctor.sizes import EDGES, LARGEST, MOST, OBJECT, SAVED

STEMS = ("resnet", "resnext", "wide_resnet")    # networks of torchvision that reduce images to a quarter at once
SMALL = 40              # pixels; such a stem leaves at most 10


def judged(trace: Trace, kind: str) -> Iterator[tuple[Event, Geometry, str, Spot]]:
    """Yield the events of a kind in classifiers of small images, with the tensor's geometry, the name and the place."""
    losses = [event.subject for event in trace.of("loss")]
    if not any(isinstance(one, Criterion) and one.name in CLASSIFYING for one in losses):
        return
    for event in trace.of(kind):
        found = event.value.geometry if isinstance(event.value, Tensor) else None
        if found is None or found.image is None or found.image > LARGEST:
            continue
        layer, name = event.subject, "the mean"
        if isinstance(layer, Module | Library):
            name = layer.name.rpartition(".")[2]
        yield event, found, name, (layer.spot if isinstance(layer, Module) else None) or event.spot


def followed(trace: Trace, event: Event) -> bool:
    """True if all layers of the network around an event are known: no loop of unknown length, no unknown condition."""
    before = [one for one in trace.of("forward") if not one.nested and one.index < event.index]
    start = before[-1] if before else event
    parts = list(start.subject.parts()) if isinstance(start.subject, Module) else []
    numbers = {id(part) for part in parts}
    built = [one for one in trace.of("build") if id(one.subject) in numbers]
    outside = {*start.guesses, *(arm.node for arm in start.arms)}
    unknown = [node for one in (*built, *trace.events[start.index:event.index + 1])
               for node in (*one.guesses, *(arm.node for arm in one.arms))]
    return outside.issuperset(unknown) and not any(part.open for part in parts)


def early_reduction(trace: Trace) -> Iterator[Draft]:
    """Find the first pooling or stride of a network if no unit before it sees an edge."""
    for event, before, name, spot in judged(trace, "reduced"):
        convolution = KINDS.get(key_of(name)) == WEIGHTED
        kernel = side(event.subject.arguments.get("kernel_size"), 1) if isinstance(event.subject, Module) else 1
        seen = max(before.field, kernel or 1) if convolution else before.field
        if seen < EDGES and before.jump == 1 and followed(trace, event):
            yield Draft("FW708", spot, f"{name} reduces the image where units see {seen} "
                        f"{'pixel' if seen == 1 else 'pixels'}.",
                        f"An image of {before.image} pixels loses strokes and edges before a layer has seen them.",
                        "Put two convolutions of 3x3 before the first pooling or stride.",
                        severity="warning" if before.field == 1 and not convolution else "note")


def stem_for_large_images(trace: Trace) -> Iterator[Draft]:
    """Find a ResNet of torchvision that gets images of 32 pixels with the first layers for 224."""
    seen = set[int]()
    for event in trace.of("forward"):
        network, images = event.subject, event.value
        if not isinstance(network, Module) or network.spot is None or not isinstance(images, Tensor):
            continue
        name, pixels = network.name.rpartition(".")[2], side_of_images(images)
        own = {"conv1", "maxpool"} & network.attributes.keys()
        if not name.startswith(STEMS) or pixels is None or pixels > SMALL or own or id(network) in seen:
            continue
        seen.add(id(network))
        yield Draft("FW708", network.spot, f"{name} reduces images of {pixels} pixels to {pixels // 4} at its start.",
                    "Its first convolution and pooling are made for images of 224 pixels.",
                    "Give it a first convolution of 3x3 without stride, and put nn.Identity() in place of maxpool.",
                    "model.maxpool = nn.Identity()")


def small_field(trace: Trace) -> Iterator[Draft]:
    """Find a global average over units that see less than the object."""
    for event, found, name, spot in judged(trace, "averaged"):
        needed = round(OBJECT * (found.image or 0))
        small = found.size != 1 and 1 < found.field < needed
        if small and not convolves_after(trace, event) and followed(trace, event):
            yield Draft("FW706", spot, f"The receptive field is {found.field} pixels where {name} averages.",
                        f"An object fills about {needed} of {found.image} pixels, so no unit sees a whole one.",
                        "Add convolutions or a pooling before the global pooling.",
                        severity="warning" if 2 * found.field < needed else "note")


def convolves_after(trace: Trace, event: Event) -> bool:
    """True if the network convolves after an average: then the average belongs to a gate or to a second output."""
    rest = trace.events[event.index + 1:]
    end = next((place for place, one in enumerate(rest) if one.kind == "output"), len(rest))
    layers = [one.subject for one in rest[:end] if one.kind == "layer" and isinstance(one.subject, Module)]
    return any(key_of(one.name) == "conv2d" and side(one.arguments.get("kernel_size"), 1) != 1 for one in layers)


def large_linear(trace: Trace) -> Iterator[Draft]:
    """Find a linear layer on flattened features that holds most parameters of its network."""
    networks = [event.subject for event in trace.of("forward") if isinstance(event.subject, Module)]
    for event, found, name, spot in judged(trace, "layer"):
        layer = event.subject
        if not isinstance(layer, Module) or name != "Linear" or not found.channels or not found.size or found.size == 1:
            continue
        network = next((one for one in networks if any(part is layer for part in one.parts())), layer)
        count, total = parameters_in(layer), sum(map(parameters_in, network.parts()))
        inputs = found.channels * found.size**2
        saved = count // inputs * (inputs - found.channels)
        if count > MOST * total and saved >= SAVED and followed(trace, event):
            yield Draft("FW709", spot, f"Linear holds {100 * count / total:.0f} % of all parameters.",
                        f"{count:,} of {total:,}: one weight for each of {inputs:,} inputs.",
                        f"Average over {found.size}x{found.size} first: that saves {saved:,} parameters.",
                        "x = x.mean(dim=(2, 3))")


def parameters_in(layer: Module) -> int:
    """Return the number of parameters of a convolution or linear layer, 0 for any other."""
    return parameters_of(layer.name.rpartition(".")[2], layer.arguments) or 0


RULES = (early_reduction, stem_for_large_images, small_field, large_linear)
