"""Work on a CUDA device that is recorded once and then replayed as a whole.

A step of a small network is some hundred kernels of a few microseconds each; to start them one by one from Python
takes longer than to run them. Source: the CUDA graphs of torch, "CUDA semantics" in its documentation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from featherweight.errors import DeviceError
from featherweight.wording import option

FIRST = 2       # calls for each shape that are not recorded: libraries choose and prepare their kernels in them

Work = Callable[..., None]


def recorded(work: Work, device: torch.device, generators: Sequence[torch.Generator]) -> Work:
    """The same work; on a CUDA device with its kernels recorded. It is called with tensors and floats.

    What it changes it must change in place, in tensors that stay where they are; a float comes to it as a tensor ().
    It may ask nothing of the device. generators: those that it draws from, besides the device's own.
    """
    return Recorder(work, device, generators) if device.type == "cuda" else work


class Recorder:
    """One recording for each shape of the first argument, which has to be a tensor."""

    def __init__(self, work: Work, device: torch.device, generators: Sequence[torch.Generator]) -> None:
        self.work, self.device, self.generators = work, device, generators
        self.stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self.pool = torch.cuda.graph_pool_handle()      # the recordings take turns, so they share memory
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
        """Where the work finds an argument at every call."""
        return torch.empty_like(argument) if isinstance(argument, Tensor) else torch.empty((), device=self.device)

    def record(self, inputs: Sequence[Tensor]) -> torch.cuda.CUDAGraph:
        """The kernels of one call; nothing runs. DeviceError where the work, done before, waits for the device."""
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
