"""RAM and flash of the C code of a recipe's network, counted before training for a goal that names a chip."""

from __future__ import annotations

import torch
from torch import nn

from featherweight.anatomy.layers import as_shapes
from featherweight.budgets.fitting import start
from featherweight.budgets.outline import hollow
from featherweight.budgets.usage import Usage
from featherweight.errors import ModelError
from featherweight.graph.passes import prepare
from featherweight.graph.twin import one_thread, untouched_random_state
from featherweight.networks import shapes_of
from featherweight.outside import shortened
from featherweight.recipe import Recipe
from featherweight.shipping.c_files import upright_bytes


def code_size(network: nn.Module, recipe: Recipe) -> dict[str, int]:
    """Return the bytes of static memory, "ram", and of constants, "flash", of the C code that goal.code names.

    Nothing is compiled, and the network is left as it was.
    Raises ModelError, which names the layer and its type, if C cannot take the network.
    """
    form, limits = recipe.goal.code, [key for key in ("max_ram", "max_flash") if getattr(recipe.goal, key) is not None]
    used = usage(network, recipe)
    if form not in used.code:
        reason = used.refused.partition(" Change the network")[0]
        other = ", set goal.code=float" if "float" in used.code else ""
        raise ModelError(f"goal.{limits[0]} asks for C in {form}, but {reason} Change the network{other}, or leave "
                         f"goal.{' and goal.'.join(limits)} out.")
    standing = upright_bytes(recipe.data.size) if recipe.data.upright else 0
    return {"ram": used.code[form].ram + standing, "flash": used.code[form].flash}


def usage(network: nn.Module, recipe: Recipe) -> Usage:
    """Return the use of a network in evaluation mode. Raise ModelError if its shapes cannot be followed."""
    shapes = as_shapes(shapes_of(recipe))
    try:
        with torch.inference_mode(False), untouched_random_state(network), one_thread(), torch.no_grad():
            return start(hollow(prepare(network, shapes).cpu().float()), shapes)[0]
    except ModelError:
        raise
    except Exception as fault:      # the network's own code may raise anything
        raise ModelError(f"goal: RAM and flash of {recipe.model.name} cannot be counted: {shortened(fault)}. Leave "
                         "goal.max_ram and goal.max_flash out.") from fault
