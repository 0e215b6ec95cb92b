"""Folding changes no answer, memory is never shared by two living values, and C's numbers and names are safe."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featherweight.graph.fold import fold
from featherweight.graph.plain import Conv, Pad, Pool, Relu, Scale, Softmax, Step, StepGraph
from featherweight.inference.runtime import open_model
from featherweight.shipping.c_text import comment, number, string
from featherweight.shipping.memory import life_of, overlap, plan_memory
from featherweight.shipping.write_onnx import write_graph

SIZE = 12


@st.composite
def chains(draw):
    """A random row of layers on a small image, ending in probabilities: a Graph."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kinds = draw(st.lists(st.sampled_from(["conv", "padded", "grouped", "relu", "scale", "max", "mean", "crop"]),
                          min_size=1, max_size=9))
    shape, steps, shapes = (2, SIZE, SIZE), [], {"images": (2, SIZE, SIZE)}

    def add(layer, to):
        nonlocal shape
        shape = to
        steps.append(Step(layer, (steps[-1].output if steps else "images",), f"v{len(steps)}"))
        shapes[steps[-1].output] = to

    add(Scale(np.full(2, 1 / 255), np.full(2, -0.4)), shape)
    for kind in kinds:
        channels, height, width = shape
        if kind in ("conv", "padded", "grouped") and min(height, width) >= 3:
            pad, groups = int(kind == "padded"), channels if kind == "grouped" else 1
            outputs = channels * 2 if kind == "grouped" else 3
            weight = rng.normal(size=(outputs, channels // groups, 3, 3)).astype(np.float32) / 3
            bias = rng.normal(size=outputs).astype(np.float32)
            add(Conv(weight, bias, pads=(pad,) * 4, groups=groups),
                (outputs, height - 2 + 2 * pad, width - 2 + 2 * pad))
        elif kind == "relu":
            add(Relu(), shape)
        elif kind == "scale":
            add(Scale(rng.normal(size=channels), rng.normal(size=channels)), shape)
        elif kind in ("max", "mean") and min(height, width) >= 2:
            add(Pool(kind, (2, 2), (2, 2)), (channels, height // 2, width // 2))
        elif kind == "crop" and min(height, width) >= 4:
            add(Pad((-1, -1, 0, -1)), (channels, height - 1, width - 2))
    add(Conv(rng.normal(size=(4, shape[0], *shape[1:])).astype(np.float32) / 9, np.zeros(4, np.float32)), (4, 1, 1))
    add(Softmax(log=True), (4, 1, 1))
    add(Softmax(log=False), (4, 1, 1))
    return StepGraph(tuple(steps), shapes, (steps[-1].output,))


def answer(graph):
    images = np.random.default_rng(0).integers(0, 256, (5, 2, SIZE, SIZE), dtype=np.uint8)
    narrow = StepGraph(graph.steps, graph.shapes, graph.heads)
    return open_model(write_graph(narrow).SerializeToString()).run(None, {"images": images})[0]


@settings(max_examples=40)
@given(chains())
def test_a_folded_chain_answers_as_before_with_fewer_steps(graph):
    folded = fold(graph)
    assert np.abs(answer(folded) - answer(graph)).max() < 1e-4
    assert len(folded.steps) < len(graph.steps)
    kinds = [type(step.layer) for step in folded.steps]
    before = [type(step.layer) for step in graph.steps]
    assert kinds.count(Conv) == before.count(Conv)
    for step in folded.steps:
        first = folded.maker(step.inputs[0])
        if first and isinstance(first.layer, Conv):
            assert not isinstance(step.layer, Scale) or first.layer.after     # a normalisation found its convolution


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(1, 30), st.lists(st.integers(0, 9), min_size=1, max_size=3)), min_size=1,
                max_size=10))
def test_no_two_values_that_live_at_once_share_memory(made):
    names = ["images", *(f"v{index}" for index in range(len(made)))]
    steps = [Step(Relu(), tuple(names[read % (index + 1)] for read in reads), f"v{index}")
             for index, (_, reads) in enumerate(made)]
    sizes = {f"v{index}": size for index, (size, _) in enumerate(made)}
    plan = plan_memory(steps, sizes)
    places = {name: (plan.offsets[name], plan.offsets[name] + sizes[name]) for name in sizes}
    assert all(0 <= start < end <= plan.size for start, end in places.values())
    for one in sizes:
        for other in sizes:
            if one < other and overlap(life_of(one, steps, ()), life_of(other, steps, ())):
                assert places[one][1] <= places[other][0] or places[other][1] <= places[one][0]
    assert plan.size <= sum(sizes.values())


def test_a_chain_takes_the_room_of_its_two_largest_neighbours():
    steps = [Step(Relu(), (before,), after) for before, after in (("images", "a"), ("a", "b"), ("b", "c"), ("c", "d"))]
    assert plan_memory(steps, {"a": 100, "b": 50, "c": 80, "d": 10}).size == 150


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_numbers_read_back_as_the_same_float(value):
    text = number(value)
    assert text.endswith("f") and ("." in text or "e" in text)
    assert np.float32(text[:-1]) == np.float32(value)


@pytest.mark.parametrize("text", ["*/ int x; /*", "two\nlines", "trigraph ??/", "ümlaut"])
def test_names_stay_inside_comments_and_strings(text):
    assert not any(bad in comment(text) for bad in ("*/", "/*", "\n", "??"))
    assert string(text).isascii() and "\n" not in string(text) and "??" not in string(text)
