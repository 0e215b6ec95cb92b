"""The drawn graph: every text is there and inside its box, colours say what is what, any name can be drawn."""

from __future__ import annotations

import pytest
from matplotlib.font_manager import FontProperties
from matplotlib.textpath import TextPath
from PIL import Image

from featherweight.anatomy import autograd_graph, data_flow
from featherweight.anatomy.graph import Edge, Graph, Node
from featherweight.layout.layers import by_layers
from featherweight.layout.place import LINE_SIZE, PADDING, TITLE_SIZE, size_of
from featherweight.models import CATALOGUE, build_model, input_shapes
from featherweight.plots.figure import save
from featherweight.plots.graph import COLOURS, MEANINGS, draw_graph


def drawn(name, look):
    module = build_model(name)
    graph = look(module, input_shapes(module))
    return graph, draw_graph(graph, name, place=by_layers)


@pytest.mark.parametrize("look", [data_flow, autograd_graph])
@pytest.mark.parametrize("name", CATALOGUE)
def test_every_text_is_drawn_and_fits_into_its_box(name, look):
    graph, figure = drawn(name, look)
    (axes,) = figure.axes
    said = [text.get_text() for text in axes.texts]
    for node in graph.nodes:
        assert node.title in said and set(node.lines) <= set(said)
        for text, size in ((node.title, TITLE_SIZE), *((line, LINE_SIZE) for line in node.lines)):
            bold = text is node.title and node.kind != "parameter"
            font = FontProperties(family="DejaVu Sans", weight="bold" if bold else "normal")
            measured = TextPath((0, 0), text, size=size, prop=font).get_extents().width
            assert measured <= size_of(node)[0] - PADDING, text
    assert len(axes.patches) == len(graph.edges) + len(graph.nodes) + len({node.kind for node in graph.nodes})
    assert {MEANINGS[node.kind] for node in graph.nodes} <= set(said)


@pytest.mark.parametrize(("look", "kinds"), [
    (data_flow, ("input", "layer", "operation", "junction", "output")),
    (autograd_graph, ("parameter", "operation", "loss")),
])
def test_each_kind_has_its_colour(look, kinds):
    graph, _ = drawn("digit-sum", look)
    assert {node.kind for node in graph.nodes} == set(kinds)
    assert len({COLOURS[kind] for kind in kinds}) == len(kinds)


def test_a_graph_is_written_as_png_and_the_same_svg_twice(tmp_path):
    for file in ("a.png", "a.svg", "b.svg"):
        save(drawn("session7-model2", data_flow)[1], tmp_path / file)
    with Image.open(tmp_path / "a.png") as picture:
        assert 600 < picture.width < 2000 and 600 < picture.height < 2000
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "Conv2d 3x3, 16" in (tmp_path / "a.svg").read_text()


def test_any_graph_can_be_drawn(tmp_path):
    odd = Graph((Node(0, "input", "$x_1$ & <b>"), Node(1, "output", "", ("a^$",))), (Edge(0, 1),))
    for number, graph in enumerate((odd, Graph((), ()))):
        figure = draw_graph(graph, "a title that is wider than all of the boxes", place=by_layers)
        save(figure, tmp_path / f"{number}.png")
