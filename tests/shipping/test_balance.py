"""Units that a normalisation blew up do not cost int8 its accuracy; a network without them is left as it is."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from featherweight.graph.fold import fold
from featherweight.graph.plain import Conv
from featherweight.inference.runtime import open_model
from featherweight.shipping import balance as balancing
from featherweight.shipping import export
from featherweight.shipping.balance import balance, is_idle, wasted, without_idle
from featherweight.shipping.calibrate import measure_ranges
from featherweight.shipping.proof import MOST_LOST
from featherweight.shipping.verdict import is_ruined
from featherweight.shipping.write_onnx import write_graph

from .test_fold import SIZE, chains

IMAGES = np.random.default_rng(0).integers(0, 256, (5, 2, SIZE, SIZE), dtype=np.uint8)


@pytest.mark.parametrize("name", ["DeadUnits", "StillUnits", "DeadChannels"])
def test_units_that_never_vary_cost_int8_nothing(name, odd_run, tmp_path):
    verdict = export(odd_run(name), "c", tmp_path / "out", int8=True)["verdict"]
    assert verdict["holds"] and verdict["proved"] and verdict["lost"] <= MOST_LOST


@pytest.mark.parametrize("form", [["--to", "onnx-int8"], ["--to", "c", "--int8"]])
def test_int8_that_loses_much_fails_loudly(form, odd_run, run_command, tmp_path):
    code, out, fault = run_command("export", odd_run("NormalisedPixels").path, *form, "--out", tmp_path / "out")
    said = fault.splitlines()[-1]
    assert code == 1 and "points against torch on 360 test images: do not use this export" in said
    assert f"Export in float: {' '.join(form[:2]).removesuffix('-int8')}." in said and "do not use" in out


@pytest.mark.parametrize(("share", "count", "ruined"), [
    (0.01, 10_000, False), (0.0101, 10_000, True), (0.02, 50, False), (0.04, 50, True), (-0.5, 10_000, False),
])
def test_ruined_is_over_a_point_and_over_one_answer(share, count, ruined):
    assert is_ruined(share, count) is ruined


@settings(max_examples=40)
@given(chains())
def test_balancing_changes_no_answer_on_the_images_it_saw(graph):
    folded = fold(graph)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(balancing, "MOST_WASTED", 0.0)     # balance every convolution
        balanced, ranges = balance(folded, measure_ranges(folded, IMAGES, None))
    answers = [open_model(write_graph(one).SerializeToString()).run(None, {"images": IMAGES})[0]
               for one in (folded, balanced)]
    assert np.abs(answers[1] - answers[0]).max() < 0.02     # a channel may be idle: constant to a step of its grid
    for name, sides in measure_ranges(balanced, IMAGES, None).items():
        for side, found in zip(ranges[name], sides, strict=True):
            size = max(np.abs(sides[0]).max(), np.abs(sides[1]).max())
            assert np.abs(side - found).max() <= 0.02 * size + 1e-6


def test_a_healthy_network_is_left_as_it_is(digits_run):
    from featherweight.data import load_dataset
    from featherweight.inference.trained import TrainedNetwork
    from featherweight.shipping.pixels import plain_network

    network = TrainedNetwork.open(digits_run)
    graph = fold(plain_network(network.module, network.card))
    ranges = measure_ranges(graph, load_dataset("digits").train.images[:200].numpy(), None)
    assert balance(graph, ranges) == (graph, ranges)


def test_an_idle_channel_becomes_part_of_the_bias():
    conv = Conv(np.array([[1.0, 300.0, 2.0], [3.0, -300.0, 4.0]])[:, :, None, None], np.array([0.5, 0.25]))
    lowest, highest = np.array([0.0, 2.0, 0.0]), np.array([1.0, 2.0, 1.0])
    assert is_idle(conv, lowest, highest).tolist() == [False, True, False]
    assert wasted(conv, lowest, highest) == pytest.approx(150)       # 300 against 2, in the first row
    made = without_idle(conv, lowest, highest)
    assert made.weight[:, :, 0, 0].tolist() == [[1, 0, 2], [3, 0, 4]] and made.bias.tolist() == [600.5, -599.75]
    padded = Conv(conv.weight, conv.bias, pads=(1, 1, 1, 1))
    assert is_idle(padded, lowest, highest).tolist() == [False, False, False]      # its frame is 0, not 2
