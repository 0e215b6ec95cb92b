"""Counter of multiply-accumulates inside a scripted module, in which no torch function can be seen."""

from __future__ import annotations

from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


class ScriptedMacs(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Mode that adds up the multiply-accumulates of all operators in .total, for the whole batch."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.total = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        flops = flop_registry.get(function._overloadpacket)
        self.total += flops(*args, **(kwargs or {}), out_val=result) // 2 if flops else 0
        return result
