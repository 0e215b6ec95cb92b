"""Mistakes in the preparation of a picture of one's own for a trained network."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any

from featherweight.doctor.draft import Draft, replaced, text_of
from featherweight.doctor.flow.roles import role_of
from featherweight.doctor.flow.trace import Event, Trace
from featherweight.doctor.flow.values import Dataset, Module, Spot, Tensor, known
from featherweight.doctor.rules.data import datasets, normalisation_of

INVERTED = ("MNIST", "EMNIST", "KMNIST")       # bright strokes on black
OPENERS = ("Image.open", "imread", "imageio.read", "read_image", "decode_image")
REORDERED = ("cvtColor", "::-1", "[2, 1, 0]", "flip(", "Grayscale")      # words of code that reorders channels


def prediction_prepares(trace: Trace) -> Iterator[Draft]:
    """Find a function that opens a picture and prepares it otherwise than the training data."""
    trained = [one for one in datasets(trace) if role_of(one) != "test"] or datasets(trace)
    norms = [found for one in trained if (found := normalisation_of(one.transform))]
    seen = set[int]()
    for event in trace.of("forward"):
        function = event.calls[-1] if event.calls else None
        if event.nested or function is None or id(function) in seen or not isinstance(event.subject, Module):
            continue
        text = ast.unparse(function)
        if not any(opener in text for opener in OPENERS) or event.batch_loop() is not None:
            continue
        seen.add(id(function))
        if norms and not is_normalised(function, event):
            (mean, std), spot = norms[-1]
            place = division_by_255(function, event) or event.spot
            target = assigned_name(place)
            values = f"({target} - {first_of(mean)}) / {first_of(std)}" if target and mean and std else ""
            yield Draft("FW403", place, "The picture is not normalised as the training images are.",
                        f"Training uses `{text_of(spot)}` at {spot.where}; here values stay between 0 and 1.",
                        "Apply the transform of the test data.", f"{target} = {values}" if values else "")
        if trained and not is_resized(function, sizing_names(event.spot.source.tree)):
            yield Draft("FW411", event.spot, "The picture keeps its own size.",
                        f"{trained[-1].name} has images of one size; another size stops a linear layer, and changes "
                        "the scale of strokes for a convolution.",
                        "Apply the transform of the test data, or resize the picture first.")
        if any(one.name in INVERTED for one in trained) and not is_inverted(function, of_training(trained)):
            yield not_inverted(event, trained[-1])
    yield from at_top_level(trace, trained)


def other_normalisation(trace: Trace) -> Iterator[Draft]:
    """Find a picture that a transform normalises otherwise than the training images."""
    trained = [found for one in datasets(trace) if (found := normalisation_of(one.transform)) and None not in found[0]]
    seen = set[int]()
    for event in trace.of("forward") if trained else ():
        picture = event.value
        found = normalisation_of(picture.prepared) if isinstance(picture, Tensor) and not picture.origin else None
        if found is None or event.nested or None in found[0] or id(found[1].node) in seen:
            continue
        seen.add(id(found[1].node))
        if all(alike(found[0]) != alike(one) for one, _ in trained):
            there = trained[-1][1]
            yield Draft("FW403", found[1], "The picture is not normalised as the training images are.",
                        f"Training uses `{text_of(there)}` at {there.where}.", "Normalise both alike.",
                        replaced(found[1], text_of(there)))


def alike(normalisation: tuple[Any, Any]) -> list[list[Any]]:
    """Return mean and deviation as lists: (0.5, 0.5, 0.5) is the same as 0.5 for each channel."""
    values = [list(one) if isinstance(one, tuple) else [one] for one in normalisation]
    return [one[:1] if len(set(one)) == 1 else one for one in values]


def of_training(trained: list[Dataset]) -> set[str]:
    """Return the names of the transforms of training data. They do not invert pictures, as those are inverted."""
    return {label for one in trained if (label := known(one.transform).label)}


def not_inverted(event: Event, dataset: Dataset) -> Draft:
    """Return the finding on a network that gets a picture as the camera took it."""
    return Draft("FW404", event.spot, "A dark digit on light paper is not inverted.",
                 f"{dataset.name} shows bright strokes on black, photos and scans show the opposite.",
                 "Invert light pictures: image = 255 - image.")


def at_top_level(trace: Trace, trained: list[Dataset]) -> Iterator[Draft]:
    """Find a picture that is opened and classified outside of functions, as in a notebook, and never inverted."""
    digits = [one for one in trained if one.name in INVERTED]
    for event in trace.of("forward") if digits else ():
        tree = event.spot.source.tree
        opens = any(opener in event.spot.source.text for opener in OPENERS)
        if opens and not event.calls and not event.nested and not event.loops and not is_inverted(
                tree, of_training(trained)):
            yield not_inverted(event, digits[-1])
            return


def first_of(value: Any) -> Any:
    """Return the first number of a tuple, or the number."""
    return value[0] if isinstance(value, tuple) else value


def is_normalised(function: ast.AST, event: Event) -> bool:
    """True if a function subtracts and divides, or applies a transform."""
    value = event.value
    if isinstance(value, Tensor) and value.normed is not None:
        return value.normed
    for node in ast.walk(function):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
            inner = node.left
            if isinstance(inner, ast.BinOp) and isinstance(inner.op, ast.Sub):
                return True
        if isinstance(node, ast.Call):
            name = ast.unparse(node.func).lower()
            if any(word in name for word in ("transform", "normalize", "preprocess", "prepare", "processor",
                                             "compose")):
                return True
    return False


def blue_first(trace: Trace) -> Iterator[Draft]:
    """Find a function that reads a picture with cv2.imread, in a file whose training data were read with red first."""
    trained = [dataset for dataset in datasets(trace) if dataset.spot is not None]
    source = trained[0].spot.source if trained and trained[0].spot else None
    own = {node.name for node in source.nodes if isinstance(node, ast.ClassDef)} if source else set()
    if source is None or own & {dataset.name for dataset in trained}:
        return
    for function in source.nodes:
        if not isinstance(function, ast.FunctionDef) or any(word in ast.unparse(function) for word in REORDERED):
            continue
        for node in ast.walk(function):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "cv2.imread" and len(node.args) == 1:
                spot = Spot(source, node)
                yield Draft("FW414", spot, "The picture has its colours in the order blue, green, red.",
                            f"cv2.imread gives this order, but the images of {trained[-1].name} have red first.",
                            "Convert it.", replaced(spot, f"cv2.cvtColor({text_of(spot)}, cv2.COLOR_BGR2RGB)"))


def frames_of_camera(trace: Trace) -> Iterator[Draft]:
    """Find frames of cv2.VideoCapture with blue first, in a file that normalises red first as for ImageNet."""
    for source in trace.sources("forward"):
        if "0.485" not in source.text or any(word in source.text for word in REORDERED):
            continue
        for node in source.nodes:
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "cv2.VideoCapture":
                yield Draft("FW414", Spot(source, node), "The frames have their colours in the order blue, green, red.",
                            "The means 0.485, 0.456 and 0.406 are those of red, green and blue.",
                            "Convert each frame with cv2.cvtColor(frame, cv2.COLOR_BGR2RGB).")


def sizing_names(tree: ast.AST) -> set[str]:
    """Return the names of transforms that resize or crop: tf of `self.tf = Compose([Resize(32), ...])`."""
    return {ast.unparse(node.targets[0]).rpartition(".")[2] for node in ast.walk(tree) if isinstance(node, ast.Assign)
            and any(f"{word}(" in ast.unparse(node.value) for word in ("Resize", "CenterCrop"))}


def is_resized(function: ast.AST, transforms: set[str]) -> bool:
    """True if a function resizes or crops a picture, or calls something that prepares it."""
    calls = [ast.unparse(node.func).lower() for node in ast.walk(function) if isinstance(node, ast.Call)]
    if any(call.rpartition(".")[2] in {name.lower() for name in transforms} for call in calls):
        return True
    return any(word in call for call in calls for word in ("resize", "thumbnail", "crop", "interpolate", "transform",
                                                           "preprocess", "prepare", "processor", "compose", "fit",
                                                           "ops.pad"))


def is_inverted(function: ast.AST, of_training: set[str]) -> bool:
    """True if a function inverts a picture: 255 - x, 1 - x, or invert(x), or may do so in a transform of its own."""
    for node in ast.walk(function):
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Sub) and isinstance(node.left, ast.Constant):
            return True
        if isinstance(node, ast.Call) and ast.unparse(node.func) not in of_training:
            called = node.func.attr if isinstance(node.func, ast.Attribute) else ast.unparse(node.func)
            if any(word in called.lower() for word in ("invert", "bitwise_not", "transform", "preprocess")):
                return True
    return False


def division_by_255(function: ast.AST, event: Event) -> Spot | None:
    """Return the statement that divides by 255, if there is one."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and any(
                isinstance(one, ast.BinOp) and isinstance(one.op, ast.Div) and isinstance(one.right, ast.Constant)
                and one.right.value == 255 for one in ast.walk(node.value)):
            return Spot(event.spot.source, node)
    return None


def assigned_name(spot: Spot) -> str:
    """Return the name that a statement binds."""
    return ast.unparse(spot.node.targets[0]) if isinstance(spot.node, ast.Assign) else ""


RULES = (prediction_prepares, other_normalisation, blue_first, frames_of_camera)
