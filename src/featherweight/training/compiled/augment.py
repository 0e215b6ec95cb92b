"""Augmentation and normalisation of a batch in C, in one pass over the pixels. Equals engine.prepare() of torch."""

from __future__ import annotations

import ctypes
import math

import torch
from torch import Tensor

from featherweight.augment import Augmentation, bicubic
from featherweight.codegen.library import load
from featherweight.data import Images
from featherweight.training.compiled.network import CompiledNetwork
from featherweight.training.compiled.source import c_file

ALIGNED = 64    # bytes between which the memory of threads begins: no two of them write to one line of the cache


class Settings(ctypes.Structure):
    """struct augmentation of augment.c."""

    _fields_ = (
        ("images", ctypes.c_void_p),
        *((name, ctypes.c_int64) for name in ("stored", "channels", "height", "width")),
        *((name, ctypes.c_void_p) for name in ("mean", "std", "across", "down")),
        *((name, ctypes.c_int32) for name in ("moves", "bends", "erases")),
        *((name, ctypes.c_float) for name in ("rotation", "shear", "shift", "scale", "crop", "elastic")),
        *((name, ctypes.c_double) for name in ("crop_probability", "erasing")),
    )


class Batch(ctypes.Structure):
    """struct batch of augment.c."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("picked", "numbers")),
        ("count", ctypes.c_int64),
        ("left", ctypes.c_double),
        ("out", ctypes.c_void_p),
    )


class FusedAugmentation:
    """An augmentation of the images of one data set on the CPU, computed by compiled C.

    network: its threads share the work. None: the thread that calls does it alone.
    Raises NoLibrary if nothing can be compiled here.
    """

    def __init__(self, augmentation: Augmentation, data: Images, network: CompiledNetwork | None = None) -> None:
        self.augmentation, self.data, self.network = augmentation, data, network
        self.stored = data.stored.contiguous()
        self.tables = [data.mean.float().contiguous(), data.std.float().contiguous(), *_bicubics(data)]
        self.settings = _settings(augmentation, self.stored, self.tables)
        library = load("augment", c_file("augment.c"))
        self.augment, size = library.augment, library.augmentation_scratch
        self.augment.restype = size.restype = ctypes.c_int64
        self.augment.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
        self.scratch_bytes = math.ceil(size(ctypes.byref(self.settings)) / ALIGNED) * ALIGNED

    def __call__(self, picked: Tensor, generator: torch.Generator, left: float = 1.0) -> Tensor:
        """Return the images at int64 (N,) indices, changed and normalised: float32 (N, C, H, W), contiguous.

        Draws from the generator as Augmentation does. left: strength of all changes, 0..1.
        """
        out = torch.empty(len(picked), *self.data.shape)
        numbers = self.augmentation.draw(len(picked), generator)
        self.fill(out, self.rows(picked), numbers, left)
        return out

    def rows(self, picked: Tensor) -> Tensor:
        """Return the places of picked images (N,) among the stored images, int64 (N,), contiguous."""
        rows = self.data.pick(picked).rows
        assert rows is not None
        return rows.contiguous()

    def fill(self, out: Tensor, rows: Tensor, numbers: Tensor, left: float) -> None:
        """Write N images to `out`, float32 (N, C, H, W), contiguous.

        rows: int64 (N,) from rows(). numbers: (numbers, N) from draw().
        Raises IndexError if a row is not that of a stored image, ValueError if a tensor has another shape or type.
        """
        count = len(rows)
        _expect(out, (count, *self.data.shape), torch.float32)
        _expect(rows, (count,), torch.int64)
        _expect(numbers, (self.augmentation.numbers, count), torch.float32)
        batch = Batch(rows.data_ptr(), numbers.data_ptr(), count, left, out.data_ptr())
        threads = 1 if self.network is None else self.network.threads
        scratch = torch.empty(threads, self.scratch_bytes, dtype=torch.uint8)   # torch aligns it for vectors
        if self.network is None:
            wrong = self.augment(ctypes.byref(self.settings), ctypes.byref(batch), 0, count, scratch.data_ptr())
        else:
            wrong = self.network.share(self.augment, self.settings, batch, count, scratch)
        if wrong >= 0:
            raise IndexError(f"image {int(rows[wrong])}: there are {len(self.stored)} stored images")


def _bicubics(data: Images) -> list[Tensor]:
    """Return the bicubic weights of columns (GRID, W) and of rows (H, GRID)."""
    _, height, width = data.shape
    return [bicubic(width, data.mean).T.contiguous(), bicubic(height, data.mean).contiguous()]


def _settings(augmentation: Augmentation, stored: Tensor, tables: list[Tensor]) -> Settings:
    """Return the struct of an augmentation. The tensors must outlive it."""
    if stored.dtype != torch.uint8 or stored.device.type != "cpu":
        raise ValueError(f"images: {stored.dtype} on {stored.device}, allowed is torch.uint8 on the CPU")
    a, addresses = augmentation, [table.data_ptr() for table in tables]
    return Settings(
        stored.data_ptr(), *stored.shape, *addresses,
        a.moves, a.elastic > 0, a.erasing > 0,
        math.radians(a.rotation), math.radians(a.shear), a.shift, a.scale, a.crop, a.elastic,
        a.crop_probability, a.erasing,
    )


def _expect(tensor: Tensor, shape: tuple[int, ...], kind: torch.dtype) -> None:
    if tensor.shape != shape or tensor.dtype != kind or not tensor.is_contiguous() or tensor.device.type != "cpu":
        raise ValueError(
            f"{tensor.dtype} {tuple(tensor.shape)} on {tensor.device}: needed is {kind} {shape} on the CPU, contiguous"
        )
