"""featherweight.Run: a run folder that predicts, measures, draws and shows itself."""

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
    """A run folder; RunError where there is none.

    data_dir: the folder of data sets, where the run's data have to be loaded. `history`, `result`, `recipe` and
    `environment` are what the files of the folder say.
    """

    data_dir: str | Path | None = field(default=None, compare=False)

    def __init__(self, path: str | Path | runs.Run, *, data_dir: str | Path | None = None) -> None:
        opened = path if isinstance(path, runs.Run) else runs.Run.open(path)
        object.__setattr__(self, "path", opened.path)
        object.__setattr__(self, "data_dir", data_dir)

    def model(self) -> nn.Module:
        """The trained network, in evaluation mode on the CPU."""
        return load_network(self)

    @property
    def accuracy(self) -> float:
        """The share of test images answered right at the last epoch; with several heads, all of them at once."""
        test = self.result["test"]
        accuracy: float = test["both" if "both" in test else next(iter(test))]["accuracy"]
        return accuracy

    @property
    def verdict(self) -> str:
        """The accuracy on test with its interval, and the goal with what came of it, if one was set."""
        from featherweight.report.verdict import verdict_rows

        told = ("test",) if self.result["goal"]["met"] is None else ("test", "goal")
        rows = [(name, text) for name, text in verdict_rows(self.result) if name.startswith(told)]
        return "; ".join(f"{name} {text}" for name, text in rows)

    def examine(self) -> Examination:
        """The network's answers to every test image; asked once, then remembered."""
        return self._examination

    @cached_property
    def _examination(self) -> Examination:
        return examine(self, data_dir=self.data_dir)

    def evaluate(self, data: Any = None, *, device: str = "auto") -> dict[str, Score]:
        """Measure the network again, on the test images of its data or of others: the score of each head.

        data: a data set's name, or objects as `featherweight.train` takes them; of one split all images are asked.
        """
        if data is not None and not isinstance(data, str | Dataset):
            picture, result = self.result["picture"], self.result
            data = as_test_data(
                data, classes=result["classes"], mean=result["mean"], std=result["std"],
                channels=picture["channels"], size=picture["size"], span=tuple(picture.get("span", (0, 255))),
            )
        return examination.evaluate(self, data=data, data_dir=self.data_dir, device=device)

    def predict(self, pictures: Any, *, number: int | None = None, top: int = 3) -> Prediction | list[Prediction]:
        """Answer what pictures show, as `featherweight.predict` does: one gives a Prediction, several give a list."""
        return predict(self, pictures, number=number, top=top)

    def mistakes(self, most: int = 12, *, head: str | None = None) -> list[Mistake]:
        """The wrong answers on test with the highest loss, the worst first."""
        found = self.examine()
        return found.mistakes(head or found.task.heads[0], most)

    def plot(self, kind: str, *, head: str | None = None, image: int = 0, autograd: bool = False) -> Figure:
        """Draw one picture; a notebook shows it.

        kind: curves, confusion, mistakes, by-class, calibration, kernels, activations, cam, receptive-field or graph.
        head: default the first. image: a test image. autograd: graph as gradients flow.
        """
        from featherweight.report import drawing

        subject = self if kind in drawing.NEED_NO_ANSWERS else self.examine()
        return drawing.plot(kind, subject, head=head, image=image, autograd=autograd, data_dir=self.data_dir)

    def report(self, out: str | Path | None = None) -> Path:
        """Write the page that shows the run, by default into its folder; its path."""
        from featherweight.report import write_report

        page = Path(out) if out is not None else self.path / "report.html"
        write_report([self], page, data_dir=None if self.data_dir is None else Path(self.data_dir))
        return page

    def export(self, to: str, out: str | Path, *, int8: bool = False, force: bool = False) -> dict[str, Any]:
        """Export as onnx, onnx-int8, c or bundle into the folder out, with its proof; the content of ship.json."""
        from featherweight.shipping import export

        return export(self, to, out, int8=int8, data_dir=self.data_dir, force=force)

    def _repr_html_(self) -> str:
        """The verdict and the curves; of an unfinished run how far it is."""
        from featherweight import plots
        from featherweight.report.verdict import verdict_rows

        unfinished = [("run", str(self.path)), ("epochs", f"{len(self.history)} of {self.recipe.training.epochs}")]
        rows = verdict_rows(self.result) if self.finished else unfinished
        cells = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(text)}</td></tr>" for name, text in rows)
        drawn = plots.inline_svg(plots.curves({"": self.history}), "Loss, accuracy and rate by epoch") \
            if self.history else ""
        return visible(f"<table>{cells}</table>", lines=True) + drawn
