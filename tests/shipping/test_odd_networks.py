"""Odd networks that train are exported with torch's answers, or refused in one line by the operation's name."""

from __future__ import annotations

import pytest

from featherweight.errors import ModelError
from featherweight.shipping import export

TO_ONNX_ALONE = {       # network -> what the refusal as C names
    "Cumulative": "cumsum cannot go into C", "Hidden": "layer hidden (Threshold): threshold cannot go into C",
}
TO_NOTHING = {
    "Branching": "depend on the other images in the batch.*an if on values of the batch",
    "HiddenState": "differently each time.*a state that is kept between batches",
    "UnevenPool": "adaptive_max_pool2d.*another layer or operation",
}


@pytest.mark.parametrize("name", ["TiedTwice", "FunctionalOnly", "Nested", "ReluAtTheEnd", "SoftmaxAtTheEnd",
                                  "Coloured", "TwoHeads", "Grouped", "Residual", "Leaky", "Rows", "TooWide",
                                  "Reshaped", "LinearOnRows"])
def test_an_odd_network_becomes_c_that_answers_as_torch(name, odd_run, tmp_path):
    document = export(odd_run(name), "c", tmp_path / "out")
    assert document["verdict"]["holds"] and set(document["measured"]) == {"torch", "c"}


def test_a_single_layer_is_c_in_integers_without_a_warning_of_gcc(odd_run, tmp_path):
    document = export(odd_run("OneLayer"), "c", tmp_path / "out", int8=True)
    assert document["verdict"]["proved"] and not document["verdict"]["ruined"]


@pytest.mark.parametrize("name", list(TO_ONNX_ALONE))
def test_what_c_cannot_say_is_named_and_onnx_takes_it(name, odd_run, tmp_path):
    with pytest.raises(ModelError) as refusal:
        export(odd_run(name), "c", tmp_path / "c")
    assert TO_ONNX_ALONE[name] in str(refusal.value) and "to='onnx'" in str(refusal.value)
    assert "\n" not in str(refusal.value) and not (tmp_path / "c").exists()
    assert export(odd_run(name), "onnx", tmp_path / "onnx")["verdict"]["holds"]


@pytest.mark.parametrize("name", list(TO_NOTHING))
def test_what_no_form_can_answer_is_refused_with_its_cause(name, odd_run, tmp_path):
    with pytest.raises(ModelError, match=TO_NOTHING[name]) as refusal:
        export(odd_run(name), "onnx", tmp_path / "out")
    assert "\n" not in str(refusal.value) and "\x1b" not in str(refusal.value) and not (tmp_path / "out").exists()
