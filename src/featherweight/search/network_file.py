"""Text of `network.py`: a network in words, written as one readable file of plain torch.

The class in the file computes the same function as the words, and the same seed gives it the same first weights.
"""

from __future__ import annotations

import inspect
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

import torch
from torch import nn

from featherweight.anatomy import Layer, summarize
from featherweight.models.layers import GainlessNorm, RootMeanSquare
from featherweight.models.words import Neighbours, Repeated, Word, WordNetwork, depthwise, read_words
from featherweight.outside import visible
from featherweight.search.records import Costs

FILE, CLASS = "network.py", "Net"
LONGEST = 120       # characters of a line
NAMES = {       # letter of a word -> name of its attribute in the class
    "c": "conv", "C": "conv", "k": "mix", "t": "down", "F": "down", "s": "separable", "S": "separable",
    "e": "separable", "n": "shift", "x": "residual", "w": "repeat", "p": "pool", "z": "cut", "g": "mean", "q": "rms",
    "h": "head",
}
OWN = (GainlessNorm, RootMeanSquare, Neighbours, Repeated)      # layers whose source the file holds, where used
UNSAID = (nn.BatchNorm2d, nn.ReLU, nn.Dropout)                  # layers without a comment: sizes stay


class Named(int):
    """A number of channels that is printed as the name of a variable."""

    name: str

    def __new__(cls, value: int, name: str) -> Self:
        made = super().__new__(cls, value)
        made.name = name
        return made

    def __repr__(self) -> str:
        return self.name


def network_file(
    words: str, *, shape: Sequence[int] = (1, 28, 28), classes: int = 10, arguments: Mapping[str, Any] | None = None,
    costs: Costs | None = None, form: str = "int8", found: str = "",
) -> str:
    """Return the text of a Python file with the class Net, for a network such as "words:c8 s16 p s22 g h".

    shape: (C, H, W) of the images. arguments: dropout and gain of the words network. Gain is fixed in the file.
    costs, form: of the exported C code, for the docstring. found: a sentence on the origin of the network.
    Raises ModelError for a word that is not allowed.
    """
    row, arguments = read_words(words), dict(arguments or {})
    with torch.random.fork_rng(devices=[]):     # the weights drawn here are not used
        plain = WordNetwork(row, shape[0], classes, **arguments)
        named = WordNetwork(row, Named(shape[0], "in_channels"), Named(classes, "classes"), **arguments)
    lines = sized(plain, shape)
    stages = list(named.named_children())[:-1]      # the last one flattens
    names = attribute_names(row)
    body = [line for name, (child, layer) in zip(names, stages, strict=True)
            for line in stage_lines(name, child, layer, lines)]
    dropout = f", dropout: float = {float(arguments['dropout'])!r}" if arguments.get("dropout") else ""
    return "\n".join([
        f'"""{CLASS}: {parameters_of(plain):,} parameters."""', "", *imports(named), "", "", *own_sources(named),
        f"class {CLASS}(nn.Module):",
        *docstring(words, shape, arguments, costs, form, found), "",
        f"    input_shapes: ClassVar = ({tuple(shape)},)", "",
        f"    def __init__(self, in_channels: int = {shape[0]}, classes: int = {classes}{dropout}) -> None:",
        "        super().__init__()", *aligned(body), "",
        "    def forward(self, x: Tensor) -> Tensor:", *(f"        x = self.{name}(x)" for name in names),
        "        return x.flatten(1)", "",
    ])


def attribute_names(row: Sequence[Word]) -> list[str]:
    """Return a name for each word: "pool" if no other word has this name, else with the position: "separable2"."""
    names = [NAMES[word.form[0]] for word in row]
    counts = Counter(names)
    return [name if counts[name] == 1 else f"{name}{position}" for position, name in enumerate(names, start=1)]


def stage_lines(name: str, child: str, layer: nn.Module, sizes: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return (code, comment) of the lines that build one stage. child: its name in the words network."""
    if not isinstance(layer, nn.Sequential):
        return [(f"        self.{name} = {code_of(layer)}", sizes[child])]
    inside = [(f"            {code_of(one)},", "" if isinstance(one, UNSAID) else sizes[f"{child}.{index}"])
              for index, one in enumerate(layer)]
    return [(f"        self.{name} = nn.Sequential(", ""), *inside, ("        )", "")]


def aligned(lines: Sequence[tuple[str, str]]) -> list[str]:
    """Return lines of code with their comments in one column, or above a line that would become too long."""
    width = max(len(code) for code, comment in lines if comment) + 2
    found = []
    for code, comment in lines:
        if width + len(f"# {comment}") <= LONGEST:
            found.append(f"{code:{width}}# {comment}" if comment else code)
        else:
            indent = code[: len(code) - len(code.lstrip())]
            found += [f"{indent}# {comment}", code]
    return found


def sized(network: nn.Module, shape: Sequence[int]) -> dict[str, str]:
    """Return layer name -> "26x26, receptive field 3", or "24x24, 5" after the first layer with a size."""
    layers, found = summarize(network, shape).layers, dict[str, str]()
    for name, _ in network.named_modules():
        own = [layer for layer in layers if f"{layer.name}.".startswith(f"{name}.")]
        if name and own:
            found[name] = size_of(own[-1], min(shape[1:]), first=own[0] is layers[0])
    return found


def size_of(layer: Layer, side: int, *, first: bool) -> str:
    """Return the size of a layer's output and its receptive field. side: of the image, in pixels."""
    size = "x".join(map(str, layer.output_shapes[0][1:]))
    field = layer.receptive_field
    if not isinstance(field, int | float):
        return size
    seen = "the whole image" if field >= side else f"{field:g}"
    return f"{size}, {'receptive field ' if first and field < side else ''}{seen}"


def docstring(
    words: str, shape: Sequence[int], arguments: Mapping[str, Any], costs: Costs | None, form: str, found: str
) -> list[str]:
    """Return the lines of the class's docstring: inputs and outputs, costs, words and origin."""
    given = ", ".join(f"{key}={value}" for key, value in arguments.items())
    paragraphs = [f"In words: {words}" + (f" with {given}" if given else ""), in_docstring(found)]
    if costs:
        paragraphs.insert(0, f"{costs.parameters:,} parameters, {costs.macs:,} multiply-accumulates per image. "
                             f"C code ({form}): RAM {costs.ram:,} bytes, flash {costs.flash:,} bytes.")
    wrapped = [line for text in paragraphs if text for line in textwrap.wrap(text, 112, break_long_words=False)]
    sizes = ", ".join(map(str, shape))
    return [f'    """(N, {sizes}) normalised images -> (N, classes) logits.', "",
            *(f"    {line}" for line in wrapped), '    """']


def in_docstring(text: str) -> str:
    """Return text that cannot end a docstring or begin an escape: visible, with \\ doubled and ' for \"."""
    return visible(text).replace("\\", "\\\\").replace('"', "'")


def imports(network: nn.Module) -> list[str]:
    """Return the import lines that the layers of a network need."""
    kinds = {type(layer) for layer in network.modules()}
    return [
        "from __future__ import annotations", "", "from typing import ClassVar", "",
        *(["import torch"] if kinds & {GainlessNorm, RootMeanSquare, Neighbours} else []),
        *(["import torch.nn.functional as F"] if Repeated in kinds else []),
        "from torch import Tensor, nn",
    ]


def own_sources(network: nn.Module) -> list[str]:
    """Return the source lines of the package's own layers in a network, each followed by two blank lines."""
    kinds = {type(layer) for layer in network.modules()}
    needed: list[Any] = [kind for kind in OWN if kind in kinds]
    if Repeated in kinds:
        needed.insert(0, depthwise)
    return [line for one in needed for line in (*inspect.getsource(one).rstrip().splitlines(), "", "")]


def parameters_of(network: nn.Module) -> int:
    """Number of parameters."""
    return sum(parameter.numel() for parameter in network.parameters())


def code_of(layer: nn.Module) -> str:
    """Return the expression that builds a layer."""
    return CODE[type(layer)](layer)


def conv_code(layer: Any) -> str:
    """Return the expression that builds a convolution. Settings with torch's default are left out."""
    said = [f"{layer.in_channels!r}", f"{layer.out_channels!r}", f"{layer.kernel_size[0]}"]
    said += [f"{name}={value[0]}" for name, value, usual in
             (("stride", layer.stride, 1), ("padding", layer.padding, 0)) if value[0] != usual]
    if isinstance(layer.groups, Named) or layer.groups != 1:
        said.append(f"groups={layer.groups!r}")
    return f"nn.Conv2d({', '.join(said)}{'' if layer.bias is not None else ', bias=False'})"


CODE: dict[type[nn.Module], Callable[[Any], str]] = {
    nn.Conv2d: conv_code,
    nn.BatchNorm2d: lambda layer: f"nn.BatchNorm2d({layer.num_features!r})",
    GainlessNorm: lambda layer: f"GainlessNorm({layer.num_features!r})",
    nn.ReLU: lambda _: "nn.ReLU()",
    nn.Dropout: lambda _: "nn.Dropout(dropout)",
    nn.MaxPool2d: lambda layer: f"nn.MaxPool2d({layer.kernel_size})",
    nn.ZeroPad2d: lambda layer: f"nn.ZeroPad2d({layer.padding[0]})",
    nn.AdaptiveAvgPool2d: lambda _: "nn.AdaptiveAvgPool2d(1)",
    RootMeanSquare: lambda _: "RootMeanSquare()",
    Neighbours: lambda _: "Neighbours()",
    Repeated: lambda layer: (
        f"Repeated({layer.depthwise.in_channels}, {len(layer.norms)}, residual={layer.residual})"
    ),
}
