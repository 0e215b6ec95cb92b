"""The graph of a network: what is in it, that looking changes nothing, that its boxes and lines stay apart."""

from __future__ import annotations

import copy
import os
import shutil
from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from featherweight.anatomy import autograd_graph, data_flow, summarize
from featherweight.anatomy.graph import Edge, Graph, Node
from featherweight.errors import ModelError
from featherweight.layout.column import GAP
from featherweight.layout.dot import by_graphviz
from featherweight.layout.layers import by_layers, spaced
from featherweight.layout.place import layers, layout, size_of
from featherweight.models import CATALOGUE, build_model, input_shapes

needs_dot = pytest.mark.skipif(
    shutil.which("dot") is None and not os.environ.get("CI"), reason="Graphviz is not installed"
)
PLACES = [by_layers, pytest.param(by_graphviz, marks=needs_dot)]


class Through(nn.Module):
    """A module from a function, with whatever layers it needs."""

    def __init__(self, function, **layers):
        super().__init__()
        self.function = function
        for name, layer in layers.items():
            self.add_module(name, layer)

    def forward(self, *inputs):
        return self.function(self, *inputs)


def flows(function, shapes=(1, 8, 8), **layers):
    """The arrows of a data flow, as pairs of titles."""
    return arrows(data_flow(Through(function, **layers), shapes))


def arrows(graph):
    titles = {node.id: node.title for node in graph.nodes}
    return [(titles[edge.start], titles[edge.end]) for edge in graph.edges]


def one(graph, title):
    (node,) = (node for node in graph.nodes if node.title == title)
    return node


def before(graph, node):
    return {other.title for other in graph.nodes if Edge(other.id, node.id) in graph.edges}


@pytest.mark.parametrize("draw", [data_flow, autograd_graph])
@pytest.mark.parametrize("name", CATALOGUE)
def test_looking_changes_nothing(draw, name):
    module = build_model(name).train()
    next(module.children()).eval()
    for parameter in module.parameters():
        parameter.grad = torch.ones_like(parameter)
    held, state = copy.deepcopy(module.state_dict()), torch.get_rng_state()
    modes, settings = [part.training for part in module.modules()], (torch.is_grad_enabled(), torch.get_num_threads())
    with torch.no_grad():
        draw(module, input_shapes(module))
    assert all(torch.equal(held[key], value) for key, value in module.state_dict().items())
    assert [part.training for part in module.modules()] == modes
    assert all(bool((parameter.grad == 1).all()) for parameter in module.parameters())
    assert torch.get_rng_state().equal(state)
    assert (torch.is_grad_enabled(), torch.get_num_threads()) == settings


@pytest.mark.parametrize("name", CATALOGUE)
def test_every_layer_and_every_parameter_of_the_table_is_drawn(name):
    module = build_model(name)
    shapes, summary = input_shapes(module), summarize(module, input_shapes(module))
    graph = data_flow(module, shapes)
    counted = [line.split()[0] for node in graph.nodes for line in node.lines if line.endswith(" parameters")]
    assert sum(int(number.replace(",", "")) for number in counted) == summary.total_parameters
    layers = [layer.kind for layer in summary.layers if layer.index]
    drawn = [node.title.split()[0] for node in graph.nodes]
    assert not Counter(layers) - Counter(drawn)
    assert Counter(node.kind for node in graph.nodes)["input"] == len(shapes)
    assert {edge.start for edge in graph.edges} == {node.id for node in graph.nodes if node.kind != "output"}

    gradient = autograd_graph(module, shapes)
    parameters = {node.title: node.lines for node in gradient.nodes if node.kind == "parameter"}
    assert parameters == {
        key: ("x".join(map(str, value.shape)),) for key, value in module.named_parameters()
    }
    assert Counter(node.kind for node in gradient.nodes)["loss"] == 1


def test_a_root_of_a_mean_square_is_one_box_that_says_what_it_does():
    (box,) = (node for node in data_flow(build_model("feather-1k")).nodes if node.title == "RootMeanSquare")
    assert (box.kind, box.lines) == ("operation", ("to, pow, mean, add, sqrt", "10x1x1"))


def test_the_two_inputs_of_digit_sum_meet_in_a_concatenation():
    module = build_model("digit-sum")
    graph = data_flow(module, input_shapes(module))
    join = one(graph, "Join")
    assert (join.kind, join.lines) == ("junction", ("cat", "20"))
    assert before(graph, join) == {"input numbers", "log_softmax"}
    assert one(graph, "input images").lines == ("1x28x28",)
    assert before(graph, one(graph, "output 1")) == before(graph, one(graph, "output 2")) == {"log_softmax"}
    assert one(graph, "Conv2d 3x3, 15").lines == ("15x22x22", "1,350 parameters")
    assert one(autograd_graph(module, input_shapes(module)), "loss").lines == ("sum of 2 heads",)


def test_a_way_past_a_layer_is_seen():
    conv = nn.Conv2d(1, 1, 3, padding=1)
    assert flows(lambda m, x: m.conv(x) + x, conv=conv) == [
        ("input", "Conv2d 3x3, 1"), ("input", "add"), ("Conv2d 3x3, 1", "add"), ("add", "output"),
    ]
    past = [("input", "Dropout 0.5"), ("input", "add"), ("Dropout 0.5", "add"), ("add", "output")]
    assert flows(lambda m, x: m.drop(x) + x, drop=nn.Dropout()) == past
    assert flows(lambda m, x: F.relu(x, inplace=True) + x) == [("input", "relu"), ("relu", "add"), ("add", "output")]


def test_what_hands_on_its_input_is_not_drawn_and_what_changes_the_shape_is():
    assert flows(lambda m, x: m.same(x).contiguous().view(x.shape), same=nn.Identity()) == [("input", "output")]
    assert flows(lambda m, x: x.flatten(1).sigmoid()) == [
        ("input", "flatten"), ("flatten", "sigmoid"), ("sigmoid", "output"),
    ]


def test_branches_and_other_ways_of_a_tensor():
    split = data_flow(Through(lambda m, x: torch.cat([part.relu() for part in x.chunk(2, 1)], 1)), (4, 8, 8))
    assert (one(split, "chunk").kind, one(split, "chunk").lines) == ("junction", ("2x8x8, 2x8x8",))
    assert before(split, one(split, "cat")) == {"relu"}

    def written(m, x):
        y = torch.zeros_like(x).relu()
        y[:, :1] = x.sigmoid()
        return {"found": y.exp(), "best": (x * (y > 0)).argmax(1)}

    found = flows(written)
    assert ("sigmoid", "exp") in found and ("sigmoid", "mul") in found and ("input", "mul") in found
    assert ("exp", "output 1") in found and ("mul", "output 2") in found


def test_a_shared_layer_and_what_a_layer_was_told():
    conv = nn.Conv2d(2, 2, 3, stride=2, padding=1)
    graph = data_flow(Through(lambda m, x: m.pool(m.conv(m.conv(x))), conv=conv, pool=nn.MaxPool2d(3, 1)), (2, 16, 16))
    assert [node.lines for node in graph.nodes[1:4]] == [
        ("stride 2, padding 1", "2x8x8", "38 parameters"), ("stride 2, padding 1", "2x4x4", "shared parameters"),
        ("stride 1", "2x2x2"),
    ]
    calls = flows(lambda m, x: F.max_pool2d(F.conv2d(x, m.conv.weight), 2), (2, 8, 8), conv=conv)
    assert calls[0][1] == "conv2d 3x3, 2" and calls[1][1] == "max_pool2d 2x2"


def test_any_module():
    assert arrows(data_flow(nn.Linear(3, 2), (3,))) == [("input", "Linear 2"), ("Linear 2", "output")]
    single = Through(lambda m, x: m.a(x).view(1, -1), a=nn.Conv2d(1, 2, 8))
    assert arrows(data_flow(single, (1, 8, 8)))[-1] == ("view", "output")
    with torch.inference_mode():
        assert autograd_graph(nn.LazyLinear(2), (3,)).nodes[0].kind == "loss"
        assert len(data_flow(nn.LSTM(3, 2, batch_first=True), (5, 3)).nodes) == 5


def test_faults_are_one_line():
    with pytest.raises(ModelError, match=r"^Session5 does not run on input \(1, 14, 14\)"):
        data_flow(build_model("session5"), (1, 14, 14))
    with pytest.raises(ModelError, match=r"^Session5 does not run on input \(1, 14, 14\)"):
        autograd_graph(build_model("session5"), (1, 14, 14))
    with pytest.raises(ModelError, match=r"^ReLU has no output that depends on a trainable parameter"):
        autograd_graph(nn.ReLU(), (3,))


def test_a_long_name_keeps_its_end_and_a_frozen_parameter_gets_no_gradient():
    module = Through(lambda m, x: getattr(m, "x" * 40)(x), **{"x" * 40: nn.Linear(3, 2)})
    getattr(module, "x" * 40).bias.requires_grad_(False)
    (name,) = (node.title for node in autograd_graph(module, (3,)).nodes if node.kind == "parameter")
    assert name == "..." + "x" * 18 + ".weight"


@st.composite
def graphs(draw):
    """Any graph without circles, long or wide, with small and large boxes."""
    count = draw(st.integers(0, 24))
    lines = [draw(st.lists(st.sampled_from(["16", "16x24x24", "4,096 parameters"]), max_size=3)) for _ in range(count)]
    nodes = tuple(Node(k, "operation", "Conv2d"[: k % 7], tuple(own)) for k, own in enumerate(lines))
    pairs = [Edge(a, b) for b in range(count) for a in range(b)]
    chain = [Edge(k, k + 1) for k in range(count - 1)] if draw(st.booleans()) else []
    some = draw(st.lists(st.sampled_from(pairs), max_size=2 * count)) if pairs else []
    return Graph(nodes, tuple(dict.fromkeys([*chain, *some])))


@pytest.mark.parametrize("tallest", [100.0, 640.0])
@given(graphs())
def test_no_box_lies_on_another_or_on_a_line(tallest, graph):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("featherweight.layout.place.TALLEST", tallest)
        check(graph, by_layers)


@needs_dot
def test_graphviz_leaves_no_box_on_another():
    rare = Graph(tuple(Node(k, "operation", "box") for k in range(9)), tuple(Edge(k // 2, k) for k in range(1, 9)))
    assert check(rare, by_graphviz) != layout(rare, by_layers)      # equal where dot did not run


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("draw", [data_flow, autograd_graph])
@pytest.mark.parametrize("name", CATALOGUE)
def test_a_network_fits_a_page(name, draw, place):
    module = build_model(name)
    placed = check(draw(module, input_shapes(module)), place)
    assert placed.width <= 940 and placed.height <= 1100       # points


def check(graph, place):
    """Nothing overlaps; every line leads from its box to its box and passes none (dot ends lines 1.5 points inside)."""
    placed = layout(graph, place)
    assert placed.boxes.keys() == {node.id for node in graph.nodes}
    assert set(placed.lines) == set(graph.edges)
    boxes = {key: (b.x - b.width / 2, b.y - b.height / 2, b.x + b.width / 2, b.y + b.height / 2)
             for key, b in placed.boxes.items()}
    for key, (left, top, right, bottom) in boxes.items():
        assert (right - left, bottom - top) == pytest.approx(size_of(next(n for n in graph.nodes if n.id == key)))
        assert left >= -1e-6 and top >= -1e-6 and right <= placed.width + 1e-6 and bottom <= placed.height + 1e-6
        for other, (x, y, u, v) in boxes.items():
            assert key == other or right <= x or u <= left or bottom <= y or v <= top
    for edge, line in placed.lines.items():
        for x, y in line:
            assert -1e-6 <= x <= placed.width + 1e-6 and -1e-6 <= y <= placed.height + 1e-6
            inside = [key for key, (a, b, c, d) in boxes.items() if a + 2 < x < c - 2 and b + 2 < y < d - 2]
            assert not inside, f"{edge} passes {inside}"
        assert off(line[0], boxes[edge.start]) < 2 and off(line[-1], boxes[edge.end]) < 2
    return placed


def off(point, box):
    """How far a point is from the border of a box, along an axis."""
    (x, y), (left, top, right, bottom) = point, box
    outside = max(left - x, x - right, top - y, y - bottom)
    return abs(outside)


def test_layers_go_down_and_what_can_wait_waits():
    nodes = tuple(Node(k, "operation", str(k)) for k in range(5))
    graph = Graph(nodes, (Edge(0, 1), Edge(1, 2), Edge(3, 2), Edge(1, 4)))
    assert layers(graph) == {0: 0, 1: 1, 2: 2, 3: 1, 4: 2}


def test_a_long_chain_is_folded_and_its_line_goes_on():
    graph = Graph(tuple(Node(k, "operation", "box") for k in range(60)), tuple(Edge(k, k + 1) for k in range(59)))
    placed = check(graph, by_layers)
    assert placed.height <= 640 and len({round(box.x) for box in placed.boxes.values()}) > 2


def test_many_lines_from_one_box_share_a_trunk_and_what_is_too_wide_for_dot_is_placed_by_us():
    boxes = tuple(Node(k, "operation", "a box of some width", ("16x24x24",)) for k in range(16))
    graph = Graph(boxes, tuple(Edge(a, b) for b in range(16) for a in range(b)))
    placed = check(graph, None)
    assert placed.width <= 940 and placed == layout(graph, by_layers)
    far, near = placed.lines[Edge(0, 5)], placed.lines[Edge(0, 3)]
    assert len(set(far) & set(near)) > 10


@given(st.lists(st.tuples(st.floats(-500, 500), st.floats(0, 200), st.floats(1, 1e6)), max_size=12))
def test_spaced_keeps_order_and_gaps_and_moves_nothing_without_need(row):
    wanted, widths, weights = ([each[k] for each in row] for k in range(3))
    placed = spaced(wanted, widths, weights)
    for k in range(1, len(row)):
        assert placed[k] - placed[k - 1] >= (widths[k] + widths[k - 1]) / 2 + GAP - 1e-6
    if len(row) == 1 or placed == []:
        assert placed == wanted


@needs_dot
def test_where_dot_fails_our_own_layers_are_taken(monkeypatch):
    graph = data_flow(build_model("session5"))
    monkeypatch.setenv("PATH", "")
    assert layout(graph, by_graphviz) == layout(graph, by_layers) == layout(graph)
