"""Single edits of a network: each changes one layer of a skeleton. The layers behind it are adapted when it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import prod
from typing import cast

from torch import nn

from featherweight.budgets.outline import NORMS, is_depthwise, set_conv, set_linear, skeleton
from featherweight.graph.record import LayerCall, Record

STEPS = (-4, -2, 2, 4)      # changes of a layer's channels
KERNELS = (1, 3, 5)
Builder = Callable[[], nn.Module]


@dataclass(frozen=True)
class Edit:
    """One edit: the layer, the change in words, and a function that returns an edited skeleton, not adapted yet.

    words: the name of the new network, for a network in words.
    """

    kind: str
    layer: str
    change: str
    build: Builder
    words: str = ""


def edits_of(base: nn.Module, record: Record) -> Iterator[Edit]:
    """Yield all edits of a network. base: its skeleton. record: of one pass of the skeleton."""
    layers = weighted(record)
    for index, layer in enumerate(layers):
        last = index == len(layers) - 1
        if not last:
            yield from width_edits(base, layer)
        yield from layer_edits(base, layer, record)
        if not (last or is_listed(base, layer.path)):
            yield from attribute_edits(base, layer, record)
    for path, part in base.named_modules():
        if isinstance(part, nn.Sequential):
            yield from list_edits(base, path, part, layers[-1].module)


def weighted(record: Record) -> list[LayerCall]:
    """Return the first call of each convolution and linear layer, in order."""
    found = {event.path: event for event in reversed(record.events)
             if isinstance(event, LayerCall) and isinstance(event.module, nn.Conv2d | nn.Linear)}
    return list(found.values())[::-1]


def edited(base: nn.Module, path: str, change: Callable[[nn.Module], nn.Module | None]) -> Builder:
    """Return a function that copies the skeleton and changes one layer: in place, or by the layer that is returned."""
    def build() -> nn.Module:
        twin = skeleton(base)
        parent, _, name = path.rpartition(".")
        holder = twin.get_submodule(parent)
        made = change(holder._modules[name])  # type: ignore[arg-type]
        if made is not None:
            holder._modules[name] = made
        return twin

    return build


def width_edits(base: nn.Module, layer: LayerCall) -> Iterator[Edit]:
    """Yield edits of a layer's channels. A depthwise convolution has those of the layer before it."""
    if not is_depthwise(layer.module):
        width = width_of(layer.module)
        for n in dict.fromkeys((width // 2, *(width + step for step in STEPS))):
            if n > 0 and n != width:
                yield width_edit(base, layer.path, n)


def width_edit(base: nn.Module, path: str, n: int) -> Edit:
    """Return the edit to n channels or features."""
    layer = base.get_submodule(path)
    unit = "channels" if isinstance(layer, nn.Conv2d) else "features"
    return Edit("channels", path, f"{width_of(layer)} -> {n} {unit}", edited(base, path, lambda one: set_width(one, n)))


def width_of(layer: nn.Module) -> int:
    """Number of output channels or features."""
    return layer.out_channels if isinstance(layer, nn.Conv2d) else cast(nn.Linear, layer).out_features


def set_width(layer: nn.Module, n: int) -> None:
    """Set the number of output channels or features, in place."""
    if isinstance(layer, nn.Conv2d):
        set_conv(layer, out_channels=n)
    else:
        set_linear(cast(nn.Linear, layer), out_features=n)


def thinner(base: nn.Module, layers: Sequence[LayerCall], factor: float) -> Edit:
    """Return the edit that multiplies the channels of these layers by a factor."""
    def build() -> nn.Module:
        twin = skeleton(base)
        for layer in layers:
            set_width(twin.get_submodule(layer.path), max(1, int(width_of(layer.module) * factor)))
        return twin

    return Edit("all channels", "all layers", f"channels x {factor:.3f}", build)


def layer_edits(base: nn.Module, layer: LayerCall, record: Record) -> Iterator[Edit]:
    """Yield edits of one layer: kernel, separable instead of plain, bias, global pooling."""
    path, module, shape = layer.path, layer.module, record.one_image(layer.inputs[0])
    if isinstance(module, nn.Conv2d) and len(set(module.kernel_size)) == 1:
        size = module.kernel_size[0]
        for k in KERNELS:
            if k != size and not (k == 1 and is_depthwise(module)):
                yield Edit("kernel", path, f"kernel {size}x{size} -> {k}x{k}",
                           edited(base, path, partial(set_kernel, k=k)))
        if size > 1 and module.groups == 1 < module.in_channels:
            yield Edit("separable", path, f"separable {size}x{size} instead of plain",
                       edited(base, path, lambda one: separable(cast(nn.Conv2d, one))))
    if getattr(module, "bias", None) is not None and normalised(layer, record):
        yield Edit("bias", path, "no bias before BatchNorm", edited(base, path, without_bias))
    if (mean := pooled(module, shape, record)) is not None:
        yield Edit("global pooling", path, "mean over all places, then 1x1", edited(base, path, lambda one: mean))


def set_kernel(conv: nn.Module, k: int) -> None:
    """Set the kernel size, in place. Padding that keeps height and width goes on keeping them."""
    assert isinstance(conv, nn.Conv2d)
    keeps = conv.padding == (conv.kernel_size[0] // 2,) * 2
    set_conv(conv, kernel_size=(k, k), **({"padding": (k // 2, k // 2)} if keeps else {}))


def separable(conv: nn.Conv2d) -> nn.Module:
    """Return a depthwise and a 1x1 convolution in place of a plain one."""
    first, second = (cast(nn.Conv2d, skeleton(conv, fresh=True)) for _ in range(2))
    first._parameters["bias"] = None
    set_conv(first, out_channels=conv.in_channels, groups=conv.in_channels)
    set_conv(second, kernel_size=(1, 1), stride=(1, 1), padding=(0, 0), dilation=(1, 1))
    return nn.Sequential(first, second)


def without_bias(layer: nn.Module) -> None:
    """Remove the bias, in place."""
    layer._parameters["bias"] = None


def normalised(layer: LayerCall, record: Record) -> bool:
    """Return True if a batch normalisation reads the layer's output and nothing else does."""
    readers = [call for call in record.calls if layer.outputs[0] in call.sources]
    return len(readers) == 1 and readers[0].layer is not None and isinstance(readers[0].layer.module, NORMS)


def pooled(module: nn.Module, shape: tuple[int, ...], record: Record) -> nn.Module | None:
    """Return global pooling and a 1x1 layer in place of one that weighs each place by itself; None if it does not."""
    if isinstance(module, nn.Linear) and len(shape) == 1:
        maps = [record.one_image(value) for call in record.calls for value in call.sources
                if value.dim() == 4 and prod(value.shape[1:]) == module.in_features]
        if maps and prod(maps[-1][1:]) > 1:
            head = cast(nn.Linear, skeleton(module, fresh=True))
            set_linear(head, in_features=maps[-1][0])
            return nn.Sequential(nn.Unflatten(1, maps[-1]), nn.AdaptiveAvgPool2d(1), nn.Flatten(), head)
    whole = isinstance(module, nn.Conv2d) and module.kernel_size == tuple(shape[1:]) != (1, 1)
    if whole and module.padding == (0, 0) and module.groups == 1:
        conv = cast(nn.Conv2d, skeleton(module, fresh=True))
        set_conv(conv, kernel_size=(1, 1), stride=(1, 1))
        return nn.Sequential(nn.AdaptiveAvgPool2d(1), conv)
    return None


def is_listed(base: nn.Module, path: str) -> bool:
    """Return True if the layer is an item of an nn.Sequential."""
    return isinstance(base.get_submodule(path.rpartition(".")[0]), nn.Sequential)


def attribute_edits(base: nn.Module, layer: LayerCall, record: Record) -> Iterator[Edit]:
    """Yield a layer less and a layer more, for a convolution that is an attribute of its module."""
    if isinstance(layer.module, nn.Conv2d):
        yield Edit("block less", layer.path, "left out", edited(base, layer.path, lambda one: nn.Identity()))
        if layer.module.groups == 1 and layer.module.kernel_size != (1, 1) and not normalised(layer, record):
            yield Edit("block more", layer.path, "a second one after it, with ReLU",
                       edited(base, layer.path, lambda one: doubled(cast(nn.Conv2d, one))))


def doubled(conv: nn.Conv2d) -> nn.Module:
    """Return the convolution, a ReLU, and another convolution that keeps height and width."""
    again = cast(nn.Conv2d, skeleton(conv, fresh=True))
    set_conv(again, in_channels=conv.out_channels, stride=(1, 1), padding=tuple(k // 2 for k in conv.kernel_size))
    return nn.Sequential(conv, nn.ReLU(), again)


# --- items of an nn.Sequential


def list_edits(base: nn.Module, path: str, items: nn.Sequential, head: nn.Module) -> Iterator[Edit]:
    """Yield edits of the order of a list: a block less, a block more, a pool moved by one block."""
    names, units = list(items._modules), units_of(items)
    for index, unit in enumerate(units):
        first, before = f"{path}.{names[unit[0]]}".strip("."), [i for other in units[:index] for i in other]
        parts = [items[i] for i in unit]
        if is_block(parts[0]) and head not in parts:
            after = [i for other in units[index + 1 :] for i in other]
            yield Edit("block less", first, "block left out", relisted(base, path, [*before, *after]))
            if len(unit) > 1:
                twice = [*before, *unit, *unit, *after]
                yield Edit("block more", first, "the block once more", relisted(base, path, twice))
        if index + 1 < len(units) and is_pool(parts[0]) != is_pool(items[units[index + 1][0]]):
            moved, other = (unit, units[index + 1]) if is_pool(parts[0]) else (units[index + 1], unit)
            if head in [items[i] for i in other] or not is_block(items[other[0]]):
                continue
            order = [*before, *units[index + 1], *unit, *(i for rest in units[index + 2 :] for i in rest)]
            where = "later" if moved is unit else "earlier"
            yield Edit("pool", f"{path}.{names[moved[0]]}".strip("."), f"pool one block {where}",
                       relisted(base, path, order))


def units_of(items: nn.Sequential) -> list[list[int]]:
    """Return the items in groups: a layer with the normalisation, activation and dropout after it is one group.

    A depthwise convolution and the 1x1 convolution after it belong together.
    """
    units: list[list[int]] = []
    for index, item in enumerate(items):
        joins = is_follower(item) or (isinstance(item, nn.Conv2d) and ends_depthwise(items, units))
        if units and joins and is_block(items[units[-1][0]]):
            units[-1].append(index)
        else:
            units.append([index])
    return units


def ends_depthwise(items: nn.Sequential, units: Sequence[Sequence[int]]) -> bool:
    """Return True if the only convolution of the last group is depthwise."""
    convs = [items[i] for i in units[-1] if isinstance(items[i], nn.Conv2d)] if units else []
    return len(convs) == 1 and is_depthwise(convs[0])


def is_block(layer: nn.Module) -> bool:
    """Return True for a layer that begins a block."""
    return isinstance(layer, nn.Conv2d | nn.Linear)


def is_follower(layer: nn.Module) -> bool:
    """Return True for normalisation, activation and dropout, which belong to the layer before them."""
    activation = type(layer).__module__ == "torch.nn.modules.activation"
    return activation or isinstance(layer, (*NORMS, nn.modules.dropout._DropoutNd))


def is_pool(layer: nn.Module) -> bool:
    """Return True for pooling of windows."""
    return isinstance(layer, nn.MaxPool2d) or (isinstance(layer, nn.AvgPool2d) and layer.kernel_size in (2, (2, 2)))


def relisted(base: nn.Module, path: str, order: Sequence[int]) -> Builder:
    """Return a function that copies the skeleton with the items of a list in this order.

    An item that comes twice becomes two layers.
    """
    def build() -> nn.Module:
        twin = skeleton(base)
        holder = twin.get_submodule(path)
        items, made = list(holder._modules.items()), dict[str, nn.Module | None]()
        for index in order:
            name, part = items[index]
            if name in made:
                name, part = f"{name}b", skeleton(cast(nn.Module, part), fresh=True)
            made[name] = part
        vars(holder)["_modules"] = made
        return twin

    return build

