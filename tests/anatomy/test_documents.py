"""The layer tables as the source documents print them, row for row."""

import pytest
import torchinfo

from featherweight.anatomy import summarize
from featherweight.models import CATALOGUE, input_shapes

SESSION5 = """
Conv2d-1 [-1, 32, 26, 26] 320
Conv2d-2 [-1, 64, 24, 24] 18,496
Conv2d-3 [-1, 128, 10, 10] 73,856
Conv2d-4 [-1, 256, 8, 8] 295,168
Linear-5 [-1, 50] 204,850
Linear-6 [-1, 10] 510
"""

SESSION6 = """
Conv2d-1 [-1, 16, 26, 26] 144
BatchNorm2d-2 [-1, 16, 26, 26] 32
ReLU-3 [-1, 16, 26, 26] 0
Conv2d-4 [-1, 16, 24, 24] 2,304
BatchNorm2d-5 [-1, 16, 24, 24] 32
ReLU-6 [-1, 16, 24, 24] 0
Conv2d-7 [-1, 16, 22, 22] 2,304
BatchNorm2d-8 [-1, 16, 22, 22] 32
ReLU-9 [-1, 16, 22, 22] 0
MaxPool2d-10 [-1, 16, 11, 11] 0
Conv2d-11 [-1, 16, 11, 11] 256
BatchNorm2d-12 [-1, 16, 11, 11] 32
ReLU-13 [-1, 16, 11, 11] 0
Dropout-14 [-1, 16, 11, 11] 0
Conv2d-15 [-1, 16, 9, 9] 2,304
BatchNorm2d-16 [-1, 16, 9, 9] 32
ReLU-17 [-1, 16, 9, 9] 0
Dropout-18 [-1, 16, 9, 9] 0
Conv2d-19 [-1, 16, 7, 7] 2,304
BatchNorm2d-20 [-1, 16, 7, 7] 32
ReLU-21 [-1, 16, 7, 7] 0
Dropout-22 [-1, 16, 7, 7] 0
Conv2d-23 [-1, 16, 5, 5] 2,304
BatchNorm2d-24 [-1, 16, 5, 5] 32
ReLU-25 [-1, 16, 5, 5] 0
Dropout-26 [-1, 16, 5, 5] 0
Conv2d-27 [-1, 16, 5, 5] 2,304
BatchNorm2d-28 [-1, 16, 5, 5] 32
ReLU-29 [-1, 16, 5, 5] 0
Dropout-30 [-1, 16, 5, 5] 0
Conv2d-31 [-1, 16, 5, 5] 2,304
BatchNorm2d-32 [-1, 16, 5, 5] 32
ReLU-33 [-1, 16, 5, 5] 0
Dropout-34 [-1, 16, 5, 5] 0
AvgPool2d-35 [-1, 16, 1, 1] 0
Linear-36 [-1, 10] 160
"""

MODEL1 = """
Conv2d-1 [-1, 8, 26, 26] 72
ReLU-2 [-1, 8, 26, 26] 0
BatchNorm2d-3 [-1, 8, 26, 26] 16
Dropout-4 [-1, 8, 26, 26] 0
Conv2d-5 [-1, 16, 24, 24] 1,152
ReLU-6 [-1, 16, 24, 24] 0
BatchNorm2d-7 [-1, 16, 24, 24] 32
Dropout-8 [-1, 16, 24, 24] 0
Conv2d-9 [-1, 10, 24, 24] 160
MaxPool2d-10 [-1, 10, 12, 12] 0
Conv2d-11 [-1, 10, 10, 10] 900
ReLU-12 [-1, 10, 10, 10] 0
BatchNorm2d-13 [-1, 10, 10, 10] 20
Dropout-14 [-1, 10, 10, 10] 0
Conv2d-15 [-1, 10, 10, 10] 900
ReLU-16 [-1, 10, 10, 10] 0
BatchNorm2d-17 [-1, 10, 10, 10] 20
Dropout-18 [-1, 10, 10, 10] 0
MaxPool2d-19 [-1, 10, 5, 5] 0
Conv2d-20 [-1, 10, 5, 5] 900
ReLU-21 [-1, 10, 5, 5] 0
BatchNorm2d-22 [-1, 10, 5, 5] 20
Dropout-23 [-1, 10, 5, 5] 0
AvgPool2d-24 [-1, 10, 1, 1] 0
Conv2d-25 [-1, 10, 1, 1] 100
BatchNorm2d-26 [-1, 10, 1, 1] 20
ReLU-27 [-1, 10, 1, 1] 0
Dropout-28 [-1, 10, 1, 1] 0
"""

MODEL2 = """
Conv2d-1 [-1, 8, 26, 26] 72
ReLU-2 [-1, 8, 26, 26] 0
BatchNorm2d-3 [-1, 8, 26, 26] 16
Conv2d-4 [-1, 16, 24, 24] 1,152
ReLU-5 [-1, 16, 24, 24] 0
BatchNorm2d-6 [-1, 16, 24, 24] 32
Conv2d-7 [-1, 10, 24, 24] 160
MaxPool2d-8 [-1, 10, 12, 12] 0
Conv2d-9 [-1, 10, 10, 10] 900
ReLU-10 [-1, 10, 10, 10] 0
BatchNorm2d-11 [-1, 10, 10, 10] 20
Conv2d-12 [-1, 16, 8, 8] 1,440
ReLU-13 [-1, 16, 8, 8] 0
BatchNorm2d-14 [-1, 16, 8, 8] 32
Conv2d-15 [-1, 10, 6, 6] 1,440
ReLU-16 [-1, 10, 6, 6] 0
BatchNorm2d-17 [-1, 10, 6, 6] 20
Conv2d-18 [-1, 10, 4, 4] 900
ReLU-19 [-1, 10, 4, 4] 0
BatchNorm2d-20 [-1, 10, 4, 4] 20
Conv2d-21 [-1, 10, 2, 2] 900
ReLU-22 [-1, 10, 2, 2] 0
BatchNorm2d-23 [-1, 10, 2, 2] 20
Conv2d-24 [-1, 10, 1, 1] 400
"""

# Row 30 is where the two inputs are joined; the document prints its two inputs there, we its output.
DIGIT_SUM = """
Conv2d-1 [-1, 10, 26, 26] 90
BatchNorm2d-2 [-1, 10, 26, 26] 20
ReLU-3 [-1, 10, 26, 26] 0
Dropout-4 [-1, 10, 26, 26] 0
Conv2d-5 [-1, 10, 24, 24] 900
BatchNorm2d-6 [-1, 10, 24, 24] 20
ReLU-7 [-1, 10, 24, 24] 0
Dropout-8 [-1, 10, 24, 24] 0
Conv2d-9 [-1, 15, 22, 22] 1,350
BatchNorm2d-10 [-1, 15, 22, 22] 30
ReLU-11 [-1, 15, 22, 22] 0
MaxPool2d-12 [-1, 15, 11, 11] 0
Conv2d-13 [-1, 10, 11, 11] 150
BatchNorm2d-14 [-1, 10, 11, 11] 20
ReLU-15 [-1, 10, 11, 11] 0
Dropout-16 [-1, 10, 11, 11] 0
Conv2d-17 [-1, 10, 9, 9] 900
BatchNorm2d-18 [-1, 10, 9, 9] 20
ReLU-19 [-1, 10, 9, 9] 0
Dropout-20 [-1, 10, 9, 9] 0
Conv2d-21 [-1, 10, 7, 7] 900
BatchNorm2d-22 [-1, 10, 7, 7] 20
ReLU-23 [-1, 10, 7, 7] 0
Dropout-24 [-1, 10, 7, 7] 0
Conv2d-25 [-1, 10, 5, 5] 900
BatchNorm2d-26 [-1, 10, 5, 5] 20
ReLU-27 [-1, 10, 5, 5] 0
Dropout-28 [-1, 10, 5, 5] 0
Conv2d-29 [-1, 10, 1, 1] 2,500
Join-30 [-1, 20] 0
Linear-31 [-1, 32] 672
BatchNorm1d-32 [-1, 32] 64
ReLU-33 [-1, 32] 0
Dropout-34 [-1, 32] 0
Linear-35 [-1, 64] 2,112
BatchNorm1d-36 [-1, 64] 128
ReLU-37 [-1, 64] 0
Dropout-38 [-1, 64] 0
Linear-39 [-1, 128] 8,320
BatchNorm1d-40 [-1, 128] 256
ReLU-41 [-1, 128] 0
Dropout-42 [-1, 128] 0
Linear-43 [-1, 19] 2,451
"""

DOCUMENTS = {
    "session5": SESSION5, "session6": SESSION6, "session7-model1": MODEL1, "session7-model2": MODEL2,
    "session7-model3": MODEL2, "digit-sum": DIGIT_SUM,
}
TOTALS = {
    "session1": 6_379_786, "session5": 593_200, "session6": 16_976, "session7-model1": 4_312,
    "session7-model2": 7_524, "session7-model3": 7_524, "digit-sum": 21_843,
}
SIZES = {       # forward/backward, parameters, total; the input is 0.00 in all
    "session5": "0.67 2.26 2.94", "session6": "0.81 0.06 0.88", "session7-model1": "0.57 0.02 0.59",
    "session7-model2": "0.45 0.03 0.48", "session7-model3": "0.45 0.03 0.48",
}
FIELDS = {      # where a convolution or a pool is; the Linear layers of session5 and session6 see the last field
    "session1": [3, 5, 6, 10, 14, 16, 24, 32, 40],
    "session5": [3, 5, 6, 10, 14, 16, 28, 28],
    "session6": [3, 5, 7, 8, 8, 12, 16, 20, 24, 28, 36, 36],
    "session7-model1": [3, 5, 5, 6, 10, 14, 16, 24, 40, 40],
    "session7-model2": [3, 5, 5, 6, 10, 14, 18, 22, 26, 28],
    "session7-model3": [3, 5, 5, 6, 10, 14, 18, 22, 26, 28],
    "digit-sum": [3, 5, 7, 8, 8, 12, 16, 20, 28, None, None, None, None],
}


def looked_at(name):
    module = CATALOGUE[name]()
    return summarize(module, input_shapes(module), name=name)


def printed(layer):
    (shape,) = layer.output_shapes
    return f"{layer.kind}-{layer.index} {[-1, *shape]} {layer.parameters:,}"


@pytest.mark.parametrize("name", DOCUMENTS)
def test_numbered_rows_are_the_documents(name):
    rows = [printed(layer) for layer in looked_at(name).layers if layer.index is not None]
    assert rows == DOCUMENTS[name].strip().splitlines()


@pytest.mark.parametrize("name", ["session6", "session7-model1", "session7-model2", "session7-model3", "digit-sum"])
def test_no_other_rows_where_the_documents_print_every_layer(name):
    assert all(layer.index is not None for layer in looked_at(name).layers)


def test_session5_shows_its_functions_between_the_layers():
    assert [layer.label for layer in looked_at("session5").layers] == [
        "Conv2d-1", "relu", "Conv2d-2", "max_pool2d", "relu", "Conv2d-3", "relu", "Conv2d-4", "max_pool2d",
        "relu", "Linear-5", "relu", "Linear-6",
    ]


@pytest.mark.parametrize("name", SIZES)
def test_sizes_are_the_documents(name):
    sizes = looked_at(name).sizes_mb
    assert f"{sizes['input']:.2f}" == "0.00"
    assert " ".join(f"{sizes[key]:.2f}" for key in ("forward_backward", "parameters", "total")) == SIZES[name]


@pytest.mark.parametrize("name", FIELDS)
def test_true_receptive_fields(name):
    counted = ("Conv2d", "MaxPool2d", "AvgPool2d", "Linear", "max_pool2d")
    assert [layer.receptive_field for layer in looked_at(name).layers if layer.kind in counted] == FIELDS[name]


def test_parameters_of_the_catalogue_equal_torchinfo():
    assert len(CATALOGUE) == 14 and len(TOTALS) == 7
    for name, build in CATALOGUE.items():
        module = build()
        peer = torchinfo.summary(build(), [(1, *shape) for shape in input_shapes(module)], verbose=0)
        ours = looked_at(name)
        assert ours.total_parameters == peer.total_params == TOTALS.get(name, peer.total_params)
        assert ours.trainable_parameters == peer.trainable_params
