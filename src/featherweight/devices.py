"""Choose device, precision, memory layout and memory allocator for training and evaluation."""

from __future__ import annotations

import ctypes
import re
import sys
from contextlib import AbstractContextManager, nullcontext

import torch

from featherweight.errors import DeviceError
from featherweight.wording import option


def pick_device(name: str = "auto") -> torch.device:
    """Return the device of this name. "auto" is CUDA, else Apple's MPS, else the CPU.

    Raises DeviceError if the name is unknown or this machine lacks the device.
    """
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
    """Return "bf16" or "float32". "auto" is bf16 if the device has native bf16 arithmetic, else float32."""
    if name != "auto":
        return name
    if device.type == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "float32"
    return "bf16" if device.type == "cpu" and _cpu_has_bf16() else "float32"


def autocast(precision: str, device: torch.device) -> AbstractContextManager[object]:
    """Return the context that runs forward passes in this precision. Weights and gradients stay float32."""
    return torch.autocast(device.type, torch.bfloat16) if precision == "bf16" else nullcontext()


def layout_for(device: torch.device) -> torch.memory_format:
    """Return the memory layout of images and feature maps: channels last on a CPU, torch's default on CUDA.

    Channels last is faster on a CPU for networks with few channels. On CUDA cuDNN would first compile depthwise
    kernels, four seconds for each batch size, to save 4 % of the time of session6.
    """
    return torch.contiguous_format if device.type == "cuda" else torch.channels_last


def cuda_devices() -> list[int]:
    """Return the numbers of all CUDA devices, as torch.random.fork_rng expects them."""
    return list(range(torch.cuda.device_count()))


def keep_freed_memory() -> None:
    """Tell glibc not to return freed blocks to the system between steps. Does nothing with other C libraries.

    Without this a float32 step of session7-model2 takes about 3,000 page faults, a tenth of its time.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)     # missing in other C libraries
    if mallopt is not None:
        mallopt(-3, 32 << 20)       # M_MMAP_THRESHOLD at its maximum: smaller blocks stay in the heap
        mallopt(-1, 1 << 30)        # M_TRIM_THRESHOLD: keep up to 1 GiB at the top of the heap


def _cpu_has_bf16() -> bool:
    """Return True if the processor has bf16 arithmetic (AVX512-BF16 or AMX) and this torch uses it."""
    instructions = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    if not (instructions and torch.backends.mkldnn.is_available()):  # type: ignore[no-untyped-call]
        return False
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
