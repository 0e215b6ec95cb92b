"""Images whose values or axes are misread."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Sequence

from featherweight.doctor.draft import Draft, text_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Spot
from featherweight.doctor.source import Source
from featherweight.doctor.syntax import argument, assignments, called

CLAMPING = frozenset((
    "ColorJitter", "RandomAdjustSharpness", "RandomAutocontrast", "RandomEqualize", "RandomPosterize", "RandomSolarize",
    "AutoAugment", "RandAugment", "TrivialAugmentWide", "AugMix",
))
KEEPING = CLAMPING | {      # steps that leave normalised values normalised
    "Resize", "CenterCrop", "RandomCrop", "RandomResizedCrop", "RandomHorizontalFlip", "RandomVerticalFlip",
    "RandomRotation", "RandomAffine", "RandomPerspective", "RandomErasing", "Pad", "GaussianBlur", "ToTensor",
}
HOLDING = ("RandomApply", "RandomChoice", "RandomOrder", "Compose", "Sequential")
MOVING = re.compile(r"\b(?:permute|transpose|moveaxis|swapaxes|rearrange|movedim)\(")
HEIGHT_FIRST = re.compile(r"\(\s*\w+\s*,\s*(\d+)\s*,\s*(\d+)\s*,\s*3\s*\)")
CHANNELS_FIRST = re.compile(r"\(\s*\w+\s*,\s*3\s*,\s*\d+\s*,\s*\d+\s*\)")
WRAPPING = ("array", "asarray", "ascontiguousarray", "from_numpy", "tensor", "as_tensor", "FloatTensor", "Tensor",
            "float32", "cvtColor", "resize", "stack")       # functions that keep the order of the axes
OWN = ("float", "astype", "div", "copy", "to", "contiguous", "clone", "cuda", "convert", "resize", "double", "numpy",
       "mul", "sub")                                        # methods that keep it
READING = ("cv2.imread", "imageio.imread", "io.imread", "plt.imread", "iio.imread", "imageio.v2.imread")
CHANNELS = ("c", "ch", "channels", "n_channels", "num_channels")


def after_normalisation(trace: Trace) -> Iterator[Draft]:
    """Find a transform that expects values from 0 to 1 and stands after the normalisation."""
    for source in trace.sources():
        if "Normalize" not in source.text:
            continue
        stated = assignments(source.nodes)
        for node in source.nodes:
            if called(node) not in ("Compose", "Sequential"):
                continue
            before: ast.Call | None = None
            for step in steps_of(node, stated):
                if called(step) == "Normalize":
                    before = step if isinstance(step, ast.Call) and shifts(step) else None
                elif before is not None and called(step) in CLAMPING:
                    name = called(step)
                    yield Draft("FW420", Spot(source, step), f"{name} follows the normalisation.",
                                "It expects values from 0 to 1 and cuts off the others, and half of the normalised "
                                "values are negative.", f"Put {name} before {text_of(Spot(source, before))}.")
                    break
                elif called(step) not in KEEPING:
                    before = None


def steps_of(node: ast.AST, stated: dict[str, list[ast.expr]], depth: int = 0) -> Iterator[ast.expr]:
    """Yield the transforms of Compose([...]) in order, with those of its parts and of names assigned once."""
    given = argument(node, 0, "transforms")
    parts = given.elts if isinstance(given, ast.List | ast.Tuple) else node.args if isinstance(
        node, ast.Call) and called(node) == "Sequential" else []
    for part in parts:
        one = part.value if isinstance(part, ast.Starred) else part
        if isinstance(one, ast.Name) and len(stated.get(one.id, ())) == 1:
            one = stated[one.id][0]
        if isinstance(part, ast.Starred) and isinstance(one, ast.List | ast.Tuple):
            yield from one.elts
        elif called(one) in HOLDING and depth < 4:
            yield from steps_of(one, stated, depth + 1)
        else:
            yield one


def shifts(normalisation: ast.Call) -> bool:
    """True unless a normalisation subtracts 0, or goes back to values from 0 to 1 by a negative mean."""
    mean = argument(normalisation, 0, "mean")
    text = ast.unparse(mean) if mean is not None else ""
    return not re.fullmatch(r"[\[\](),\s0.]+", text) and "-" not in text


def reshaped_channels(trace: Trace) -> Iterator[Draft]:
    """Find images with the channels last that reshape or view is to give the channels first."""
    for source in trace.sources():
        functions = [one for one in source.nodes if isinstance(one, ast.FunctionDef)]
        for node in source.nodes:
            if called(node) not in ("reshape", "view") or not isinstance(node, ast.Call):
                continue
            images, sizes = shape_of(node)
            place = next((at for at in (len(sizes) - 3,) if at in (0, 1)), None)
            if images is None or place is None or not is_channels(sizes[place]):
                continue
            around = innermost(functions, node) or source.tree
            if channels_last(images, list(ast.walk(around)), source, sizes[place:]):
                axes = "2, 0, 1" if place == 0 else "0, 3, 1, 2"
                yield Draft("FW421", Spot(source, node), f"`{text_of(Spot(source, node))}` mixes channels and pixels.",
                            "The images hold the three colours of each pixel side by side, and reshape moves no "
                            "value.", f"Exchange the axes: permute({axes}) of a tensor, transpose({axes}) of an "
                            "array.")


def shape_of(node: ast.Call) -> tuple[ast.expr | None, Sequence[ast.expr]]:
    """Return (images, sizes) of x.reshape(3, h, w), x.view((3, h, w)) or np.reshape(x, (3, h, w))."""
    if node.keywords or not isinstance(node.func, ast.Attribute):
        return None, ()
    images, sizes = node.func.value, node.args
    if ast.unparse(images) in ("np", "numpy", "torch") and len(sizes) == 2:
        images, sizes = sizes[0], sizes[1:]
    if len(sizes) == 1 and isinstance(sizes[0], ast.Tuple | ast.List):
        sizes = sizes[0].elts
    return images, sizes


def is_channels(node: ast.expr) -> bool:
    """True for the number 3 and for a name of the channels."""
    return ast.unparse(node).lower() in ("3", *CHANNELS)


def innermost(functions: Sequence[ast.FunctionDef], node: ast.Call) -> ast.FunctionDef | None:
    """Return the innermost function around a node."""
    around = [one for one in functions if one.lineno <= node.lineno <= (one.end_lineno or 0)]
    return max(around, key=lambda one: one.lineno, default=None)


def channels_last(images: ast.expr, nodes: list[ast.AST], source: Source, sizes: Sequence[ast.expr]) -> bool:
    """True if the images surely have the channels last, by the call that reads them or by a comment of the file."""
    chain = list(origins(images, assignments(nodes)))
    texts = [ast.unparse(one) for one in chain]
    if any(MOVING.search(text) for text in texts) or any(MOVING.search(ast.unparse(one)) for one in nodes if isinstance(
            one, ast.Assign) and ast.unparse(one.targets[0]) in texts):
        return False
    if any(reads_image(one, source) for one in chain):
        return True
    names = {one.id for one in chain if isinstance(one, ast.Name)}
    unpacked = [ast.unparse(one) for one in nodes if isinstance(one, ast.Assign) and len(sizes) == 3]
    channels, height, width = (ast.unparse(one) for one in sizes)
    if channels != "3" and any(f"{height}, {width}, {channels} = {name}.shape" in text or
                               f"({height}, {width}, {channels}) = {name}.shape" in text
                               for text in unpacked for name in names):
        return True
    from_array = any(called(one) in ("from_numpy", "tensor", "as_tensor") for one in chain)
    return from_array and states(source, height, width)


def states(source: Source, height: str, width: str) -> bool:
    """True if a comment gives images the shape (n, height, width, 3), and the file moves no axes."""
    comments = " ".join(source.comments.values())
    shapes = HEIGHT_FIRST.findall(comments)
    moved = MOVING.search(source.text) or CHANNELS_FIRST.search(comments)
    return bool(shapes) and not moved and all(shape == (height, width) for shape in shapes)


def origins(node: ast.expr, stated: dict[str, list[ast.expr]], depth: int = 0) -> Iterator[ast.expr]:
    """Yield an expression and those that it was computed from, as long as each keeps the order of the axes."""
    yield node
    inner: ast.expr | None = None
    if isinstance(node, ast.Name) and len(stated.get(node.id, ())) == 1:
        inner = stated[node.id][0]
    elif isinstance(node, ast.BinOp) and isinstance(node.right, ast.Constant):
        inner = node.left
    elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        if node.args and called(node) in WRAPPING and isinstance(node.func.value, ast.Name | ast.Attribute) and (
                ast.unparse(node.func.value) in ("np", "numpy", "torch", "cv2")):
            inner = node.args[0]
        elif called(node) in OWN:
            inner = node.func.value
    if isinstance(inner, ast.ListComp):
        inner = inner.elt
    if inner is not None and depth < 12:
        yield from origins(inner, stated, depth + 1)


def reads_image(node: ast.expr, source: Source) -> bool:
    """True for a call that reads a colour picture, and for the table of CIFAR images of torchvision."""
    if isinstance(node, ast.Attribute) and node.attr == "data" and isinstance(node.value, ast.Name):
        built = assignments(source.nodes).get(node.value.id, [])
        return bool(built) and all(called(one) in ("CIFAR10", "CIFAR100") for one in built)
    if not isinstance(node, ast.Call) or len(node.args) != 1 or node.keywords:
        return False
    return ast.unparse(node.func) in (*READING, "Image.open", "PIL.Image.open")


RULES = (after_normalisation, reshaped_channels)
