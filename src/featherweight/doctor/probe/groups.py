"""Rule on grouped convolutions in a row that never mix the channels of different groups."""

from __future__ import annotations

from collections import Counter
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


def unmixed(subject: Subject) -> Iterator[Finding]:
    """Find the longest row of convolutions that never mix the channels of different groups."""
    chains: dict[Value, Chain] = {}
    users = Counter(value for call in subject.record.calls for value in call.sources)
    for call in subject.record.calls:
        if call.operation in calls.CONVOLUTIONS and len(call.sources) == 1 and groups_of(call) > 1:
            chain = chain_of(subject, call, chains, users)
            if chain is not None:
                chains[call.outputs[0]] = chain
    longest = max(chains.values(), key=lambda one: len(one.steps), default=None)
    if longest is not None and by_mistake(subject, longest):
        second = longest.steps[1]
        yield subject.finding(
            "FW716", path_of(second), f"{len(longest.steps)} convolutions in a row keep {longest.groups} groups of "
            "channels apart.",
            "No layer between them mixes the groups, so a unit sees the channels of its own group only.",
            f"Put a 1x1 convolution with groups=1 or a channel shuffle before {words_for(second)}.")


def by_mistake(subject: Subject, chain: Chain) -> bool:
    """Return True for three steps or more, and for two of one kind if no later layer mixes the channels of a map.

    Two grouped convolutions between two of 1x1 are usual, as in NFNet and XCiT.
    """
    if len(chain.steps) != 2:
        return len(chain.steps) > 2
    same = len({groups_of(step) for step in chain.steps}) == 1 or all(map(depthwise, chain.steps))
    later = subject.record.calls[subject.record.calls.index(chain.steps[1]) + 1:]
    return same and not any(mixes(call) for call in later)


def mixes(call: Call) -> bool:
    """Return True for a convolution of all channels, and for a linear layer at each position."""
    if call.operation in calls.CONVOLUTIONS:
        return groups_of(call) == 1
    return call.operation == "linear" and bool(call.sources) and call.sources[0].dim() > 2


def chain_of(subject: Subject, call: Call, chains: dict[Value, Chain], users: Counter[Value]) -> Chain | None:
    """Return the chain that ends in a grouped convolution. A filter without parameters adds no step.

    users: number of readers of each value. A value with a second reader ends a chain, because that reader may mix.
    """
    between, value = walk(subject, call.sources[0], SEPARATE)
    single = all(users[one] == 1 for one in (call.sources[0], *(step.sources[0] for step in between)))
    before = chains.get(value) if single and value.dim() == call.sources[0].dim() else None
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
