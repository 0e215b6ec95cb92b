"""What a summary looks like in a terminal, as JSON and in a notebook."""

import io
import json

import pytest
from rich.console import Console
from torch import nn

from featherweight.anatomy import checks_text, summarize, verify
from featherweight.anatomy.table import bar, kibibytes, short
from featherweight.models import CATALOGUE, input_shapes


def summary_of(name):
    module = CATALOGUE[name]()
    return summarize(module, input_shapes(module), name=name)


@pytest.mark.parametrize("width", [60, 80, 100, 120, 200])
@pytest.mark.parametrize("name", CATALOGUE)
def test_no_line_is_wider_than_the_terminal_and_no_number_is_cut(name, width):
    summary = summary_of(name)
    lines = summary.to_text(width).splitlines()
    assert max(map(len, lines)) <= width
    table = lines[4 : 4 + len(summary.layers)]
    for line, layer in zip(table, summary.layers, strict=True):
        words = line.split()
        assert words[0] == layer.label
        assert f"{layer.parameters:,}" in words
        assert str([-1, *layer.output_shapes[0]]) in line
        if width >= 120:
            assert f"{layer.macs:,}" in words
    assert "…" not in summary.to_text(width)


def test_the_documents_last_lines():
    text = str(summary_of("session6"))
    for line in (
        "Total params: 16,976", "Trainable params: 16,976", "Non-trainable params: 0", "Input size (MB): 0.00",
        "Forward/backward pass size (MB): 0.81", "Params size (MB): 0.06", "Estimated Total Size (MB): 0.88",
    ):
        assert line in text.splitlines()


def test_a_root_of_a_mean_square_is_one_row_and_sees_the_whole_image():
    layer = summary_of("feather-1k").layers[24]
    assert (layer.label, layer.output_shapes) == ("RootMeanSquare-25", ((10, 1, 1),))
    assert (layer.parameters, layer.macs) == (0, 0)
    assert (layer.receptive_field, layer.jump, layer.start) == (28, None, 14)
    assert summary_of("feather-1k").total_macs == 100_844


def test_columns_by_width():
    header = {width: summary_of("digit-sum").to_text(width).splitlines()[2].split() for width in (60, 80, 120)}
    everything = ["Layer", "Output", "shape", "Params", "Field", "Jump", "Start", "MACs", "KiB", "Share"]
    assert header[80] == header[120] == everything
    assert header[60] == ["Layer", "Output", "shape", "Params", "Field", "MACs", "Share"]


@pytest.mark.parametrize("name", CATALOGUE)
def test_columns_add_up_to_their_totals(name):
    summary = summary_of(name)
    found = json.loads(json.dumps(summary.to_dict()))
    assert sum(layer["parameters"] for layer in found["layers"]) == found["total_parameters"]
    assert sum(layer["macs"] for layer in found["layers"]) == found["total_macs"]
    numbered = [layer for layer in found["layers"] if layer["index"] is not None]
    assert [layer["index"] for layer in numbered] == list(range(1, len(numbered) + 1))
    sizes = found["sizes_mb"]
    activations = sum(layer["activation_bytes"] for layer in numbered)
    assert sizes["forward_backward"] == pytest.approx(2 * activations / 2**20)
    assert sizes["total"] == pytest.approx(sizes["input"] + sizes["forward_backward"] + sizes["parameters"])


def test_json_has_exactly_what_is_promised():
    found = summary_of("session6").to_dict()
    assert list(found) == [
        "model", "input_shape", "layers", "total_parameters", "trainable_parameters", "total_macs", "sizes_mb",
        "unused",
    ]
    assert found["model"] == "session6"
    assert found["input_shape"] == [1, 28, 28]
    assert found["layers"][0] == {
        "index": 1, "name": "features.0", "kind": "Conv2d", "output_shape": [16, 26, 26], "parameters": 144,
        "macs": 97344, "activation_bytes": 43264, "receptive_field": 3, "jump": 1, "start": 1.5,
    }
    assert list(found["sizes_mb"]) == ["input", "forward_backward", "parameters", "total"]
    assert summary_of("digit-sum").to_dict()["input_shape"] == [[1, 28, 28], [10]]


def test_json_is_null_after_the_join():
    joined = summary_of("digit-sum").to_dict()["layers"][29:]
    assert joined[0]["kind"] == "Join"
    assert joined[0]["output_shape"] == [20]
    assert all(layer[key] is None for layer in joined for key in ("receptive_field", "jump", "start"))


def test_html_stands_alone_and_escapes_names():
    class Odd(nn.Conv2d):
        pass

    Odd.__name__ = "<script>&"
    page = summarize(nn.Sequential(Odd(1, 2, 3)), name="<b>net</b>")._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;&amp;-1" in page
    assert "&lt;b&gt;net&lt;/b&gt;" in page
    assert "http" not in page
    assert "background:transparent" in page
    assert page.count("<tr") == 2


def test_rich_prints_a_summary_as_wide_as_its_console():
    console = Console(file=io.StringIO(), width=120, color_system=None)
    console.print(summary_of("session1"))
    lines = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert lines == summary_of("session1").to_text(120).splitlines()


CELL = """
from featherweight.anatomy import checks_text, summarize, verify
from featherweight.models import CATALOGUE
text = str(summarize(CATALOGUE["session6"]()))
print(text.splitlines()[0])
print(checks_text(verify(CATALOGUE["session6"]())).splitlines()[-1])
"""


def test_text_is_text_in_a_notebook():
    """In a kernel, rich displays what it is given, unless it is told to write it."""
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbclient.NotebookClient(notebook, timeout=120).execute()
    assert "".join(output.text for output in notebook.cells[0].outputs).splitlines() == [
        "Session6 on [1, 28, 28]", "Rule and gradient: 36 equal, 0 different, 0 not applicable",
    ]


def test_numbers():
    assert [short(n) for n in (0, 999, 1000, 99_950, 999_999, 1_557_504, 12_345_678, 4 * 10**9)] == [
        "0", "999", "1.00 k", "100 k", "1.00 M", "1.56 M", "12.3 M", "4.00 G",
    ]
    assert [kibibytes(n) for n in (40, 512, 43264, 4 * 2**20)] == ["0.04", "0.50", "42.2", "4,096.0"]
    assert [bar(share, 8) for share in (0, 1e-6, 0.5, 1)] == ["", "▏", "████", "████████"]


def test_checks_as_text():
    lines = checks_text(verify(CATALOGUE["session6"]())).splitlines()
    assert lines[1].split() == ["Conv2d-1", "3", "3", "3", "equal"]
    assert lines[36].split() == ["Linear-36", "36", "28", "28", "equal", "inside", "the", "image"]
    assert lines[-1] == "Rule and gradient: 36 equal, 0 different, 0 not applicable"
    found = verify(CATALOGUE["session6"]())[-1].to_dict()
    assert json.loads(json.dumps(found)) == found
    assert (found["rule"], found["gradient"], found["verdict"]) == ([28, 28], [28, 28], "equal")
