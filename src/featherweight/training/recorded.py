"""Record the kernels of a function on a CUDA device once, and replay them as a whole at each later call.

A step of a small network has some hundred kernels of a few microseconds each. Launching them one by one from Python
takes longer than running them. Source: CUDA graphs, page "CUDA semantics" of torch's documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from featherweight.errors import DeviceError
from featherweight.wording import option

FIRST = 2       # calls per shape before recording, in which libraries choose and prepare their kernels

Work = Callable[..., None]


def recorded(work: Work, device: torch.device, generators: Sequence[torch.Generator]) -> Work:
    """Return `work`, on a CUDA device with its kernels recorded. Call the result with tensors and floats.

    work: must change tensors in place only, and must not synchronise with the device. On CUDA it receives each float as
    a scalar tensor. generators: all generators that `work` uses, except the default one of the device.
    """
    return Recorder(work, device, generators) if device.type == "cuda" else work


class Recorder:
    """A callable with one recording of `work` per shape of the first argument, which must be a tensor."""

    def __init__(self, work: Work, device: torch.device, generators: Sequence[torch.Generator]) -> None:
        self.work, self.device, self.generators = work, device, generators
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.pool = torch.cuda.graph_pool_handle()      # never run at the same time, so they share memory
        self.inputs: dict[torch.Size, list[Tensor]] = {}
        self.calls: dict[torch.Size, int] = {}
        self.graphs: dict[torch.Size, torch.cuda.CUDAGraph] = {}

    def __call__(self, *arguments: Tensor | float) -> None:
        assert isinstance(arguments[0], Tensor)
        shape = arguments[0].shape
        inputs = self.inputs.setdefault(shape, [self.place(one) for one in arguments])
        for place, value in zip(inputs, arguments, strict=True):
            place.copy_(value) if isinstance(value, Tensor) else place.fill_(value)
        self.calls[shape] = self.calls.get(shape, 0) + 1
        if self.calls[shape] <= FIRST:
            self.stream.wait_stream(torch.cuda.current_stream(self.device))
            with torch.cuda.stream(self.stream):
                self.work(*inputs)
            torch.cuda.current_stream(self.device).wait_stream(self.stream)
            return
        if shape not in self.graphs:
            self.graphs[shape] = self.record(inputs)
        self.graphs[shape].replay()

    def place(self, argument: Tensor | float) -> Tensor:
        """Return an empty tensor at a fixed address. Each call copies the argument into it."""
        return torch.empty_like(argument) if isinstance(argument, Tensor) else torch.empty((), device=self.device)

    def record(self, inputs: Sequence[Tensor]) -> torch.cuda.CUDAGraph:
        """Return a recording of the kernels of one call, without running them.

        Raises DeviceError if `work` synchronises with the device.
        """
        graph = torch.cuda.CUDAGraph()
        for generator in self.generators:
            graph.register_generator_state(generator)
        try:
            with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
                self.work(*inputs)
        except torch.cuda.OutOfMemoryError:
            raise
        except RuntimeError as fault:
            raise DeviceError(
                f"a training step cannot be recorded on {self.device}: the network waits for what the GPU computes, as "
                f".item(), .cpu() and branches on a tensor do. Take that out, or train with {option('device', 'cpu')}"
            ) from fault
        return graph
