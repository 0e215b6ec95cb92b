"""The compiled program of a network: whether there is one, and why not."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from featherweight.codegen.compiler import NoLibrary
from featherweight.codegen.library import load
from featherweight.graph.recorder import Recorder
from featherweight.graph.twin import untouched_random_state
from featherweight.outside import shortened
from featherweight.training.compiled.lowering import plan_of
from featherweight.training.compiled.reading import NotCompiled
from featherweight.training.compiled.source import PARTS, c_file, c_source
from featherweight.training.compiled.stages import Conv, Plan
from featherweight.training.compiled.structs import is_dense
from featherweight.training.rehearsal import copy_of
from featherweight.user_code import quietly

WIDEST = 128            # channels of the widest network that "auto" compiles: torch is as fast for wider ones
MOST_WEIGHTS = 300_000  # of a network that "auto" compiles
BATCHES = (2, 3)        # numbers of images for which a network is recorded


@dataclass(frozen=True)
class Program:
    """Compiled passes of one network: the loaded library and the plan it was made from."""

    library: ctypes.CDLL
    plan: Plan


@dataclass(frozen=True)
class EngineChoice:
    """The engine that executes the steps of a training. program: of the compiled engine. why: reason for torch."""

    program: Program | None = None
    why: str = ""

    @property
    def name(self) -> str:
        """Name of the engine: "compiled" or "torch"."""
        return "torch" if self.program is None else "compiled"


def choose_engine(
    wanted: str, model: nn.Module, inputs: Sequence[Tensor], *, precision: str, device: torch.device
) -> EngineChoice:
    """Return the engine for a network, compiled if possible. It never fails: torch trains what C cannot.

    wanted: "auto", "torch" or "compiled"; "auto" compiles thin networks only. inputs: blank, (N, ...) each.
    The network's weights move to torch's standard memory layout if it is compiled.
    """
    if wanted == "torch":
        return EngineChoice(why="the recipe asks for it, or torch began the training")
    if device.type != "cpu":
        return EngineChoice(why=f"compiled training is for CPUs, not for {device.type}")
    try:
        return EngineChoice(compile_network(model, inputs, half=precision == "bf16", thin=wanted == "auto"))
    except (NotCompiled, NoLibrary) as fault:
        return EngineChoice(why=str(fault))
    except Exception as fault:      # the network's code may do anything with three images, or call with odd arguments
        return EngineChoice(why=f"the network cannot be read: {shortened(fault)}")


def compile_network(
    model: nn.Module, inputs: Sequence[Tensor], *, half: bool, thin: bool = False, training: bool = True
) -> Program:
    """Return the compiled program of a network. half: feature maps in bf16. thin: only if it has few channels.

    training: record the network in training mode, else in evaluation mode. Both modes of most networks give the same
    C. A program that was recorded in one mode is only for passes in that mode.
    Raises NotCompiled if an operation has no compiled form, or with `thin` if the network is too wide.
    Raises NoLibrary if nothing can be compiled on this machine.
    """
    plan = recorded_plan(model, inputs, training=training)
    if thin:
        check_thin(plan)
    for name in ("augment", "loss", "optimize"):      # the same for all networks
        load(name, c_file(f"{name}.c"))
    library = load("network", c_source(plan, half=half), parts=PARTS)
    lay_out(model)
    return Program(library, plan)


def lay_out(model: nn.Module) -> None:
    """Move the weights of a network to torch's standard memory layout. Raise NotCompiled if one of them is a view."""
    if not all(is_dense(tensor) for tensor in chain(model.parameters(), model.buffers())):
        raise NotCompiled("a weight of the network is a view")
    model.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]


def recorded_plan(model: nn.Module, inputs: Sequence[Tensor], *, training: bool = True) -> Plan:
    """Return the plan of a network. A copy runs with each of BATCHES in training or evaluation mode.

    Raises NotCompiled if the copies do not compute the same.
    """
    if has_hooks(model):
        raise NotCompiled("a hook of the network would not be called")
    plans = []
    for count in BATCHES:
        twin = copy_of(model)
        if twin is None:
            raise NotCompiled("the network cannot be copied")
        recorder = Recorder(twin.train(training), distinct=True)
        with torch.inference_mode(False), torch.no_grad(), untouched_random_state(twin), quietly(), GradientSwitch():
            recorder.run([value[:1].repeat(count, *(1 for _ in value.shape[1:])) for value in inputs])
        plans.append(plan_of(recorder.record, model, training=training))
    if c_source(plans[0], half=False) != c_source(plans[1], half=False):
        raise NotCompiled("the network does not compute the same each time")
    return plans[0]


class GradientSwitch(TorchFunctionMode):
    """A context that raises NotCompiled if the network turns gradients off or on, as torch.no_grad() does."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func.__name__ == "_set_grad_enabled":
            raise NotCompiled("forward turns gradients off or on")
        return func(*args, **(kwargs or {}))


def has_hooks(model: nn.Module) -> bool:
    """Return True if a module or parameter has a hook of the user.

    Hooks before forward of the network itself are recorded.
    """
    if any(one._backward_hooks or one._post_accumulate_grad_hooks for one in model.parameters()):
        return True
    return any(part._forward_hooks or part._backward_hooks or part._backward_pre_hooks
               or (part._forward_pre_hooks and part is not model) for part in model.modules())


def check_thin(plan: Plan) -> None:
    """Raise NotCompiled if the network is so wide that torch is as fast."""
    widest = max(stage.shape[0] for stage in plan.stages)
    weights = sum(stage.made.weight.numel() for stage in plan.stages if isinstance(stage.made, Conv))
    if widest > WIDEST:
        raise NotCompiled(f"the network has {widest} channels, and C is faster up to {WIDEST}")
    if weights > MOST_WEIGHTS:
        raise NotCompiled(f"the network has {weights:,} weights, and C is faster up to {MOST_WEIGHTS:,}")
