"""One-line error for a network that fails while it is analysed: the layer, the user's line and the next move."""

from __future__ import annotations

import traceback
from collections.abc import Sequence

from torch import nn

from featherweight.blame import in_one_line, next_move, user_line
from featherweight.errors import ModelError
from featherweight.graph.calls import Shape
from featherweight.graph.twin import kind_of
from featherweight.wording import either


def does_not_run(
    module: nn.Module, shapes: Sequence[Shape], fault: Exception, *, begun: bool, other: Shape | None
) -> ModelError:
    """Return the error for a network that raised `fault` on inputs of these shapes.

    begun: True if an earlier layer used its parameters.
    other: a usual image shape on which the network runs, or None.
    """
    layer = failed_layer(module, fault)
    where = ", ".join(part for part in (layer, user_line(fault)) if part)
    what = f"{where}: {in_one_line(fault)}" if where else in_one_line(fault)
    start = f"{type(module).__name__} does not run on input {', '.join(map(str, shapes))}"
    return ModelError(f"{start}: {what}. {_advice(fault, layer, begun, other)}")


def layer_text(module: nn.Module, name: str) -> str:
    """Return a module as text: "layer conv2 (Conv2d)", or "" for the network itself."""
    return f"layer {name} ({kind_of(module)})" if name else ""


def failed_layer(module: nn.Module, fault: Exception) -> str:
    """Return the innermost module in which the exception was raised, as text."""
    names = {id(part): name for name, part in module.named_modules()}
    selves = [frame.f_locals.get("self") for frame, _ in traceback.walk_tb(fault.__traceback__)]
    last = next((one for one in reversed(selves) if isinstance(one, nn.Module) and id(one) in names), module)
    return layer_text(last, names[id(last)])


def _advice(fault: Exception, layer: str, begun: bool, other: Shape | None) -> str:
    """Return the user's next move as a sentence."""
    if known := _known_advice(fault):
        return known
    if other is not None:
        given = either(f"--input {','.join(map(str, other))}", f"input_shapes={other}")
        return f"It runs on {other}: give that with {given}"
    if not begun and _is_about_the_image(fault):
        return "Give its shape with " + either("--input C,H,W", "input_shapes=(C, H, W)")
    line = "that line" if user_line(fault) else "its code"
    return f"Mend the layer or {line}" if layer else f"Mend {line}"


def _known_advice(fault: Exception) -> str:
    """Return the next move for a kind of exception that has its own advice; "" for any other."""
    if known := next_move(str(fault)):
        return known.removeprefix(". ")
    if isinstance(fault, ImportError):
        return "The network needs it in forward"
    if isinstance(fault, TypeError) and "forward() missing" in str(fault):
        return "Give a shape for each input: " + either("repeat --input", "input_shapes=((C, H, W), (N,))")
    return "Define or import it above that line" if isinstance(fault, NameError) else ""


def _is_about_the_image(fault: Exception) -> bool:
    """Return True if the input's shape or the number of inputs is the probable cause."""
    if isinstance(fault, TypeError):
        return not user_line(fault)
    if isinstance(fault, (NotImplementedError, RecursionError)):
        return False
    return isinstance(fault, (RuntimeError, ValueError, IndexError))
