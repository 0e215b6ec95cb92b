"""The optimizers of torch, without the marks that torch.compile reads.

At its first use, a marked method imports torch._dynamo and sympy. This takes 2 s of each process that trains. Nothing
here is compiled by torch.
"""

from __future__ import annotations

from inspect import unwrap
from typing import Any

import torch


class Eager:
    """The methods that all optimizers of torch share, unmarked. Stands before the optimizer among its base classes."""

    add_param_group: Any = unwrap(torch.optim.Optimizer.add_param_group)
    zero_grad: Any = unwrap(torch.optim.Optimizer.zero_grad)
    state_dict: Any = unwrap(torch.optim.Optimizer.state_dict)
    load_state_dict: Any = unwrap(torch.optim.Optimizer.load_state_dict)


class SGD(Eager, torch.optim.SGD):
    """torch.optim.SGD, unmarked."""

    step: Any = torch.no_grad()(unwrap(torch.optim.SGD.step))


class Adam(Eager, torch.optim.Adam):
    """torch.optim.Adam, unmarked."""

    step: Any = torch.no_grad()(unwrap(torch.optim.Adam.step))


class AdamW(Eager, torch.optim.AdamW):
    """torch.optim.AdamW, unmarked."""

    step: Any = torch.no_grad()(unwrap(torch.optim.AdamW.step))
