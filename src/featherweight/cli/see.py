"""The commands that show runs: report, plot, curves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from featherweight.cli.data import DataDir
from featherweight.cli.look import parse_arguments, parse_shape
from featherweight.cli.output import check_output, console
from featherweight.cli.trusting import Trust
from featherweight.cli.use import RunPath

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from featherweight.examination import Examination

Force = Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")]
KINDS = ("curves", "confusion", "mistakes", "by-class", "calibration", "kernels", "activations", "cam",
         "receptive-field", "graph")


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="PAGE.html", help="Default: RUN/report.html, or report.html.")
    ] = None,
    image: Annotated[int | None, typer.Option("--image", help="The test image for the activation maps.")] = None,
    mixed: Annotated[bool, typer.Option("--mixed", help="Allow runs on different data sets.")] = False,
    force: Force = False,
    data_dir: DataDir = None,
    trust: Trust = False,
) -> None:
    """Write a page that shows one run, or several side by side: verdict, curves, mistakes, what the network sees."""
    from featherweight.report import write_report

    file = out or (runs[0] / "report.html" if len(runs) == 1 else Path("report.html"))
    if out or len(runs) > 1:        # a run's own report is made anew
        check_output(file, (".html",), "--out", force=force)
    with console(stderr=True).status("looking at the runs"):
        write_report(runs, file, mixed=mixed, data_dir=data_dir, image=image)
    print(f"wrote {file}")


def plot(
    kind: Annotated[str, typer.Argument(metavar="KIND", help=f"One of {', '.join(KINDS)}.")],
    subject: Annotated[str, typer.Argument(metavar="RUN|MODEL", help="A run folder; for some kinds a model will do.")],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="A picture, .png or .svg.")],
    head: Annotated[str | None, typer.Option("--head", help="Which head of a network with several.")] = None,
    image: Annotated[int, typer.Option("--image", help="Which test image is looked at, counted from 0.")] = 0,
    autograd: Annotated[bool, typer.Option("--autograd", help="graph: how gradients flow.")] = False,
    input: Annotated[
        list[str] | None,
        typer.Option("--input", metavar="C,H,W", help="graph, receptive-field: shape of one input; repeat for more."),
    ] = None,
    set: Annotated[
        list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="An argument of the MODEL; repeatable.")
    ] = None,
    force: Force = False,
    data_dir: DataDir = None,
    trust: Trust = False,
) -> None:
    """Draw one picture of a run or a network."""
    from featherweight import plots
    from featherweight.errors import UnknownName

    if kind not in KINDS:
        raise UnknownName("kind of picture", kind, KINDS)
    if autograd and kind != "graph":
        raise typer.BadParameter(f"--autograd is about graph, not {kind}.")
    if input and kind not in ("graph", "receptive-field"):
        raise typer.BadParameter(f"--input is about graph and receptive-field, not {kind}.")
    check_output(out, plots.ENDINGS, "--out", force=force)
    shapes = tuple(parse_shape(text) for text in input or ())
    wanted = Wanted(subject, head, image, autograd, data_dir, shapes, parse_arguments(set or []))
    if wanted.is_run and wanted.arguments:
        raise typer.BadParameter(f"--set is about a MODEL; {subject!r} is a run, which has its arguments.")
    figure = (DRAWN_FROM_A_MODEL.get(kind) or drawn_from_a_run(kind))(wanted)
    plots.save(figure, out)
    print(f"wrote {out}")


@dataclass(frozen=True)
class Wanted:
    """What the command line asks to be drawn."""

    subject: str
    head: str | None
    image: int
    autograd: bool
    data_dir: Path | None
    shapes: tuple[tuple[int, ...], ...]     # of --input; empty if it was not given
    arguments: dict[str, object]            # of --set

    @property
    def is_run(self) -> bool:
        """Whether the subject is a run folder; else it is a network."""
        return (Path(self.subject) / "recipe.toml").is_file()

    def network(self) -> tuple[nn.Module, tuple[tuple[int, ...], ...]]:
        """The network of the run or the model, and the shape of each of its inputs."""
        from featherweight.models import build_model, input_shapes
        from featherweight.networks import load_network, shapes_of
        from featherweight.runs import Run

        if self.is_run:
            run = Run.open(self.subject)
            return load_network(run), self.shapes or shapes_of(run.recipe)
        model = build_model(self.subject, self.arguments)
        return model, self.shapes or input_shapes(model)

    def examine(self) -> Examination:
        """The run with its answers."""
        from featherweight.examination import examine

        found = examine(self.subject, data_dir=self.data_dir)
        found.check_image(self.image)
        return found

    def head_of(self, examination: Examination) -> str:
        """The head that is asked for; the first where none is."""
        from featherweight.errors import UnknownName

        if self.head is not None and self.head not in examination.task.heads:
            raise UnknownName("head", self.head, examination.task.heads)
        return self.head or examination.task.heads[0]


def drawn_from_a_run(kind: str) -> Callable[[Wanted], Figure]:
    """How a picture that needs a run's answers is drawn."""
    from featherweight.errors import FeatherweightError
    from featherweight.report import figures

    def draw(wanted: Wanted) -> Figure:
        examination = wanted.examine()
        if kind == "curves":
            return figures.curves(examination)
        if kind == "activations":
            return figures.activations(examination, wanted.image)
        found: Figure | None = figures.OF_A_HEAD[kind](examination, wanted.head_of(examination))
        if found is None:
            raise FeatherweightError(f"there is nothing to draw as {kind} for {wanted.subject!r}. Try another kind.")
        return found

    return draw


def draw_kernels(wanted: Wanted) -> Figure:
    """The kernels of the first layer."""
    from featherweight.errors import FeatherweightError
    from featherweight.report import figures

    found = figures.kernels(wanted.network()[0])
    if found is None:
        raise FeatherweightError(f"{wanted.subject!r} has no convolution. Try another kind.")
    return found


def draw_fields(wanted: Wanted) -> Figure:
    """What each layer sees of a test image: of the run's data, or of the bundled digits in the size of the input."""
    from featherweight.errors import FeatherweightError
    from featherweight.report import figures

    network, shapes = wanted.network()
    found = figures.receptive_fields(network, picture_for(wanted, shapes[0]), shapes)
    if found is None:
        raise FeatherweightError(f"no layer of {wanted.subject!r} has places on the image. Try another kind.")
    return found


def picture_for(wanted: Wanted, shape: tuple[int, ...]) -> Tensor:
    """A uint8 picture of this shape: a test image, or an empty one where the bundled digits have no such size."""
    import torch

    from featherweight.data import load_dataset

    if wanted.is_run and not wanted.shapes:
        return wanted.examine().dataset.test.images[wanted.image]
    if len(shape) != 3 or shape[0] not in (1, 3) or shape[1] != shape[2]:
        return torch.zeros(shape if len(shape) == 3 else (1, 1, 1), dtype=torch.uint8)
    images = load_dataset("digits", channels=shape[0], size=shape[1]).test.images
    return images[wanted.image % len(images)]


def draw_network(wanted: Wanted) -> Figure:
    """The network as data flows through it, or as gradients do."""
    from featherweight.anatomy import autograd_graph, data_flow
    from featherweight.plots import draw_graph

    network, shapes = wanted.network()
    graph = (autograd_graph if wanted.autograd else data_flow)(network, shapes)
    return draw_graph(graph, Path(wanted.subject).name + (", how gradients flow" if wanted.autograd else ""))


DRAWN_FROM_A_MODEL: dict[str, Callable[[Wanted], Figure]] = {
    "kernels": draw_kernels, "receptive-field": draw_fields, "graph": draw_network,
}


def curves(
    run: RunPath,
    width: Annotated[int | None, typer.Option("--width", help="In characters. Default: the terminal's.")] = None,
) -> None:
    """Draw a run's loss and accuracy by epoch as text, also of a run that is still training."""
    from featherweight.cli.textplot import text_curves
    from featherweight.runs import Run

    print(text_curves(Run.open(run).history, width or console().width))


COMMANDS = (report, plot, curves)
