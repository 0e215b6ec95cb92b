"""The passes of one training step, and the device, precision and memory they run with."""

from __future__ import annotations

import ctypes
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

import torch
from torch import Tensor, nn

from featherweight.errors import DeviceError
from featherweight.tasks import Loss, Outputs, Question
from featherweight.training.kernels import NarrowKernels
from featherweight.wording import option


def pick_device(name: str = "auto") -> torch.device:
    """auto is CUDA, then Apple's MPS, then the CPU. DeviceError for a device that is not here."""
    here = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if here[kind]))
    kind, _, index = name.partition(":")
    if kind not in here or not re.fullmatch(r"[a-z]+(:(0|[1-9][0-9]*))?", name):
        raise DeviceError(f"unknown device {name!r}. Allowed: auto, {', '.join(here)}.")
    if not here[kind]:
        found = ", ".join(kind for kind, present in here.items() if present)
        raise DeviceError(f"device {name!r} is not on this machine. Found: {found}. Use {option('device', 'auto')}.")
    if kind == "cuda" and index and int(index) >= torch.cuda.device_count():
        raise DeviceError(f"device {name!r}: this machine has {torch.cuda.device_count()} CUDA devices, from cuda:0.")
    return torch.device(name)


def pick_precision(name: str, device: torch.device) -> str:
    """auto -> bf16 where the device computes it natively, else float32. bf16 elsewhere works, slowly."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bf16" if device.type == "cpu" and _cpu_has_bf16() else "float32"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """The context in which a forward pass has this precision; weights and gradients stay float32."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Evaluation mode inside the block; afterwards every module is in the mode it was in."""
    modes = [(module, module.training) for module in model.modules()]
    model.eval()
    try:
        yield
    finally:
        for module, training in modes:
            module.training = training


def make_passes(
    model: nn.Module, loss_of: Loss, *, precision: str, device: torch.device, gradient_clip: float = 0.0
) -> Callable[[Tensor, Question], tuple[Tensor, Outputs]]:
    """The function (images, question) -> (loss, outputs), forward and backward: the weights have gradients then."""
    narrow: Callable[[], AbstractContextManager[object]] = NarrowKernels if device.type == "cpu" else nullcontext

    def passes(images: Tensor, question: Question) -> tuple[Tensor, Outputs]:
        model.zero_grad(set_to_none=True)
        with narrow(), autocast(precision, device):
            outputs = model(images, *question.inputs)
        loss = loss_of(outputs, question.targets, question.soft)
        loss.backward()  # type: ignore[no-untyped-call]
        if gradient_clip:
            nn.utils.clip_grad_norm_(model.parameters(), gradient_clip)
        return loss.detach(), outputs

    return passes


def keep_freed_memory() -> None:
    """Ask glibc not to give freed blocks back to the system between steps; elsewhere do nothing.

    Without it a float32 step of session7-model2 takes some 3,000 page faults, a tenth of its time.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)     # absent in other C libraries
    if mallopt is not None:
        mallopt(-3, 32 << 20)       # M_MMAP_THRESHOLD, at its maximum: blocks below it stay in the heap
        mallopt(-1, 1 << 30)        # M_TRIM_THRESHOLD: keep up to 1 GiB at the top of the heap


def _cpu_has_bf16() -> bool:
    """Whether the processor multiplies bf16 itself (AVX512-BF16 or AMX) and this torch makes use of it."""
    instructions = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if not (instructions and torch.backends.mkldnn.is_available()):  # type: ignore[no-untyped-call]
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
