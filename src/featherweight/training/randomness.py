"""Find calls that draw random numbers in evaluation mode, such as F.dropout without its training flag.

The export checks for them before it writes a file, and check_fit before a training.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from featherweight.blame import at, running_place
from featherweight.forward import evaluating
from featherweight.graph.calls import function_name
from featherweight.graph.twin import untouched_random_state


@dataclass(frozen=True)
class RandomCall:
    """One call that used a random generator: function, place ("net.py:17" or ""), dropout probability if it has one."""

    function: str
    place: str
    share: float | None = None

    def __str__(self) -> str:
        """Return the fault and the next move in one sentence."""
        where = f" ({self.place})" if self.place else ""
        if self.share is None:
            return f"{self.function} draws random numbers in evaluation{where}: call it only if self.training"
        return (f"F.{self.function} is active in evaluation{where}: write F.{self.function}(x, {self.share:g}, "
                "self.training), or create the layer in __init__")


def active_dropout(module: nn.Module, inputs: Sequence[Tensor]) -> list[str]:
    """Return the places, such as "net.py:17", where a dropout is active in evaluation mode."""
    return [call.place for call in random_calls(module, inputs) if call.share is not None]


@torch.no_grad()
def random_calls(module: nn.Module, inputs: Sequence[Tensor]) -> list[RandomCall]:
    """Run a network once in evaluation mode; return the calls that drew random numbers, each place once.

    inputs: (N, ...) each. The modes of the modules and the random state stay unchanged.
    """
    with untouched_random_state(module), evaluating(module), RandomCallRecorder(inputs[0].device) as watcher:
        module(*inputs)
    return list(dict.fromkeys(watcher.found))


class RandomCallRecorder(TorchFunctionMode):
    """A context that records every torch function that changes the generator of the CPU or of `device`."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.found: list[RandomCall] = []

    def __torch_function__(
        self, function: Callable[..., Any], types: Sequence[type], args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        before = random_state(self.device)
        result = function(*args, **kwargs)
        if not before.equal(random_state(self.device)):
            name = function_name(function)
            share = kwargs.get("p", args[1] if len(args) > 1 else 0.5) if "dropout" in name else None
            place = running_place()
            self.found.append(RandomCall(name, at(place) if place else "", share))
        return result


def random_state(device: torch.device) -> Tensor:
    """Return the state of the generators that a call on this device may use, as bytes."""
    state = torch.get_rng_state()
    return torch.cat([state, torch.cuda.get_rng_state(device)]) if device.type == "cuda" else state
