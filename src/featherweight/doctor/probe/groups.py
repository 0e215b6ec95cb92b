"""Rule on grouped convolutions in a row that never mix the channels of different groups."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from featherweight.doctor.finding import Finding
from featherweight.doctor.probe.subject import Subject
from featherweight.doctor.probe.trail import BOUNDED, ZEROING, path_of, walk, words_for
from featherweight.graph import Call, Value, calls

MIXING = {"softmax", "log_softmax", "softmin", "gumbel_softmax", "layer_norm", "normalize", "local_response_norm"}
SEPARATE = (calls.POINTWISE - MIXING) | calls.POOLS | calls.ADAPTIVE_POOLS | {"pad", "interpolate"}
BENDING = ZEROING | BOUNDED | {"max_pool1d", "max_pool2d", "max_pool3d"}


@dataclass(frozen=True)
class Chain:
    """Convolutions in a row that keep the same groups of channels apart.

    groups: their number. steps: the convolutions; of a kernel in two factors, the second one.
    """

    groups: int
    steps: tuple[Call, ...]

    @property
    def reported(self) -> bool:
        """True if the groups are surely apart by mistake: three steps, or two of one kind."""
        counts = {groups_of(step) for step in self.steps}
        return len(self.steps) > 2 or (len(self.steps) == 2 and (len(counts) == 1 or all(map(depthwise, self.steps))))


def unmixed(subject: Subject) -> Iterator[Finding]:
    """Find the longest row of convolutions that never mix the channels of different groups."""
    chains: dict[Value, Chain] = {}
    for call in subject.record.calls:
        if call.operation in calls.CONVOLUTIONS and len(call.sources) == 1 and groups_of(call) > 1:
            chain = chain_of(subject, call, chains)
            if chain is not None:
                chains[call.outputs[0]] = chain
    longest = max((one for one in chains.values() if one.reported), key=lambda one: len(one.steps), default=None)
    if longest is not None:
        second = longest.steps[1]
        yield subject.finding(
            "FW716", path_of(second), f"{len(longest.steps)} convolutions in a row keep {longest.groups} groups of "
            "channels apart.",
            "No layer between them mixes the groups, so a unit sees the channels of its own group only.",
            f"Put a 1x1 convolution with groups=1 or a channel shuffle before {words_for(second)}.")


def chain_of(subject: Subject, call: Call, chains: dict[Value, Chain]) -> Chain | None:
    """Return the chain that ends in a grouped convolution. A filter without parameters adds no step."""
    between, value = walk(subject, call.sources[0], SEPARATE)
    before = chains.get(value) if value.dim() == call.sources[0].dim() else None
    if not any(one.parameters for one in call.inputs):
        return before
    if before is None or groups_of(call) % before.groups:
        return Chain(groups_of(call), (call,))
    steps = before.steps[:-1] if factors(before.steps[-1], call, between) else before.steps
    return Chain(before.groups, (*steps, call)) if steps else Chain(groups_of(call), (call,))


def factors(first: Call, second: Call, between: tuple[Call, ...]) -> bool:
    """Return True if two convolutions are factors of one kernel: (k, 1) and (1, k), or no activation between them."""
    lines = {tuple(size > 1 for size in kernel(call)) for call in (first, second)}
    return lines == {(True, False), (False, True)} or not any(call.operation in BENDING for call in between)


def kernel(call: Call) -> tuple[int, ...]:
    """Return the size of a convolution's kernel."""
    weight = call.given.get("weight")
    return weight.shape[2:] if isinstance(weight, Value) else ()


def groups_of(call: Call) -> int:
    """Return the number of groups of a convolution."""
    return int(call.given.get("groups", 1))


def depthwise(call: Call) -> bool:
    """Return True if each channel is a group."""
    return groups_of(call) == call.sources[0].shape[1]


RULES = (unmixed,)
