"""All pictures. Only this folder draws with matplotlib. Lessons use its functions too."""

from featherweight.plots.answers import by_class, calibration, confusion
from featherweight.plots.curves import curves, draw_accuracy, draw_loss, draw_rate, panel
from featherweight.plots.figure import BAD, ENDINGS, GOOD, PALE, SERIES, inline_svg, new_figure, plain, save
from featherweight.plots.graph import draw_graph
from featherweight.plots.images import FieldPicture, activations, class_maps, kernels, mistakes, receptive_fields
from featherweight.plots.learning_rates import learning_rates
from featherweight.plots.pareto import Point, pareto

__all__ = [
    "BAD",
    "ENDINGS",
    "GOOD",
    "PALE",
    "SERIES",
    "FieldPicture",
    "Point",
    "activations",
    "by_class",
    "calibration",
    "class_maps",
    "confusion",
    "curves",
    "draw_accuracy",
    "draw_graph",
    "draw_loss",
    "draw_rate",
    "inline_svg",
    "kernels",
    "learning_rates",
    "mistakes",
    "new_figure",
    "panel",
    "pareto",
    "plain",
    "receptive_fields",
    "save",
]
