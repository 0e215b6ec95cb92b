"""Many pictures for predict: read and classify them with a progress bar, draw the network's input."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from featherweight.cli.output import console, fail, note, save_png

if TYPE_CHECKING:
    from featherweight.inference import Prediction, Predictor

MANY = 20               # number of pictures from which a progress bar and a summary are shown
LONGEST_STRIP = 100     # rows of the picture that --show writes
SHOWN = 300             # pixels of the longer side of a picture kept for the strip


def answer_all(
    run: Path, files: Sequence[Path], number: int | None, *, many: bool, keep: bool
) -> tuple[list[Prediction], int]:
    """Return the predictions for all readable files, and the number of files that are not readable.

    Each unreadable file is reported on standard error when it is reached.
    many: classify each digit of a picture. keep: keep the prepared pictures, for a strip.
    """
    from featherweight.inference import Predictor

    predictor = Predictor(run)
    predictor.card.check_number(number)
    begun, faults = time.perf_counter(), 0
    answered: list[Prediction] = []
    for file in with_progress(files):
        predictions = read(predictor, file, number, many=many)
        faults += not predictions
        answered += predictions if keep and len(answered) < LONGEST_STRIP else map(forget, predictions)
    if len(files) >= MANY:
        seconds = time.perf_counter() - begun
        unread = f", {faults} not readable" if faults else ""
        note(f"{len(files)} pictures{unread}: {len(files) / seconds:.0f} a second")
    return answered, faults


def read(predictor: Predictor, file: Path, number: int | None, *, many: bool) -> list[Prediction]:
    """Return the predictions for one file. A file that cannot be read gives an empty list and an error line."""
    from featherweight.errors import PictureError

    try:
        found = predictor.predict_many(file, number=number) if many else [predictor.predict(file, number=number)]
    except PictureError as fault:       # the other files are still classified
        fail(str(fault))
        return []
    seen = found[0].seen
    assert seen is not None
    if not many and seen.digits > 1:
        note(f"{file} seems to show {seen.digits} digits: --many answers each of them")
    seen.original.thumbnail((SHOWN, SHOWN))     # shared by all digits; many photos would need much memory
    return found


def forget(prediction: Prediction) -> Prediction:
    """Return the prediction without its prepared pictures, to save memory."""
    from dataclasses import replace

    return replace(prediction, seen=None)


def with_progress(files: Sequence[Path]) -> Iterator[Path]:
    """Yield the files, with a progress bar if there are at least MANY and standard error is a terminal."""
    if len(files) < MANY or not sys.stderr.isatty():
        yield from files
        return
    from rich.progress import track

    yield from track(files, "reading", console=console(stderr=True), transient=True)


def save_strip(predictions: Sequence[Prediction], file: Path) -> None:
    """Write a picture of the network's inputs for the first LONGEST_STRIP predictions."""
    from featherweight.inference.strip import draw_strip

    save_png(draw_strip(predictions[:LONGEST_STRIP]), file)
    left_out = len(predictions) - LONGEST_STRIP
    note(f"{file} shows what the network saw" + (f" of the first {LONGEST_STRIP} pictures" if left_out > 0 else ""))
