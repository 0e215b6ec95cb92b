"""featherweight.Run: a run folder with methods to predict, measure, draw and report."""

from __future__ import annotations

import html
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from featherweight import examination, runs
from featherweight.data import Dataset, as_test_data
from featherweight.evaluation import Score
from featherweight.examination import Examination, Mistake, examine
from featherweight.inference import Prediction, predict
from featherweight.networks import load_network
from featherweight.outside import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Run(runs.Run):
    """A run folder. Raises RunError if `path` is not a run folder.

    data_dir: folder of data sets, searched when the run's data are loaded.
    `history`, `result`, `recipe` and `environment` are read from the files of the folder.
    """

    data_dir: str | Path | None = field(default=None, compare=False)

    def __init__(self, path: str | Path | runs.Run, *, data_dir: str | Path | None = None) -> None:
        opened = path if isinstance(path, runs.Run) else runs.Run.open(path)
        object.__setattr__(self, "path", opened.path)
        object.__setattr__(self, "data_dir", data_dir)

    def model(self) -> nn.Module:
        """Return the trained network, in evaluation mode on the CPU."""
        return load_network(self)

    @property
    def accuracy(self) -> float:
        """Test accuracy at the last epoch, a fraction. With several heads, an image counts if all heads are right."""
        test = self.result["test"]
        accuracy: float = test["both" if "both" in test else next(iter(test))]["accuracy"]
        return accuracy

    @property
    def verdict(self) -> str:
        """The test accuracy with its interval. If the recipe sets a goal, also the goal and if it was met."""
        from featherweight.report.verdict import verdict_rows

        told = ("test",) if self.result["goal"]["met"] is None else ("test", "goal")
        rows = [(name, text) for name, text in verdict_rows(self.result) if name.startswith(told)]
        return "; ".join(f"{name} {text}" for name, text in rows)

    def examine(self) -> Examination:
        """Return the network's predictions for all test images. They are computed once, then cached."""
        return self._examination

    @cached_property
    def _examination(self) -> Examination:
        return examine(self, data_dir=self.data_dir)

    def evaluate(self, data: Any = None, *, device: str = "auto") -> dict[str, Score]:
        """Measure the network again on test images. Return the score of each head.

        data: a data set's name, or objects as in `featherweight.train`. Default: the run's own data set.
        Data without a train/test split are used completely.
        """
        if data is not None and not isinstance(data, str | Dataset):
            picture, result = self.result["picture"], self.result
            data = as_test_data(
                data, classes=result["classes"], mean=result["mean"], std=result["std"],
                channels=picture["channels"], size=picture["size"], span=tuple(picture.get("span", (0, 255))),
                fit=picture.get("fit", "stretch"),
            )
        return examination.evaluate(self, data=data, data_dir=self.data_dir, device=device)

    def predict(self, pictures: Any, *, number: int | None = None, top: int = 3) -> Prediction | list[Prediction]:
        """Classify pictures, as `featherweight.predict` does. One picture gives a Prediction, several give a list."""
        return predict(self, pictures, number=number, top=top)

    def mistakes(self, most: int = 12, *, head: str | None = None) -> list[Mistake]:
        """Return the wrong predictions on test with the highest loss, the highest first. At most `most`."""
        found = self.examine()
        return found.mistakes(head or found.task.heads[0], most)

    def plot(self, kind: str, *, head: str | None = None, image: int = 0, autograd: bool = False) -> Figure:
        """Draw one picture. A notebook shows the returned figure.

        kind: curves, confusion, mistakes, by-class, calibration, kernels, activations, cam, receptive-field or graph.
        head: name of a head, default the first. image: number of a test image, counted from 0.
        autograd: for graph, draw the graph of gradients.
        """
        from featherweight.report import drawing

        subject = self if kind in drawing.NEED_NO_ANSWERS else self.examine()
        return drawing.plot(kind, subject, head=head, image=image, autograd=autograd, data_dir=self.data_dir)

    def report(self, out: str | Path | None = None) -> Path:
        """Write the report page, by default RUN/report.html. Return its path."""
        from featherweight.report import write_report

        page = Path(out) if out is not None else self.path / "report.html"
        write_report([self], page, data_dir=None if self.data_dir is None else Path(self.data_dir))
        return page

    def export(
        self, to: str, out: str | Path, *, int8: bool = False, name: str = "", force: bool = False
    ) -> dict[str, Any]:
        """Export the network into the folder `out` and compare it with PyTorch. Return the content of ship.json.

        to: onnx, onnx-int8, c or bundle. int8: for c, compute with 8-bit integers. force: replace an earlier export.
        name: for c, the name of the files and the start of the names of functions and constants.
        """
        from featherweight.shipping import export

        return export(self, to, out, int8=int8, name=name, data_dir=self.data_dir, force=force)

    def _repr_html_(self) -> str:
        """Return the verdict and the curves as HTML. For an unfinished run: the epochs done instead of the verdict."""
        from featherweight import plots
        from featherweight.report.verdict import verdict_rows

        unfinished = [("run", str(self.path)), ("epochs", f"{len(self.history)} of {self.recipe.training.epochs}")]
        rows = verdict_rows(self.result) if self.finished else unfinished
        cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in rows)
        drawn = plots.inline_svg(plots.curves({"": self.history}), "Loss, accuracy and rate by epoch") \
            if self.history else ""
        return visible(f"<table>{cells}</table>", lines=True) + drawn
