"""Compilation of a C export with gcc, and runs of the compiled program."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from featherweight.codegen.subprocesses import call, first_line
from featherweight.errors import ExportError
from featherweight.inference.network import Numbers, Pixels, Probabilities
from featherweight.shipping.proof import Answer, Questions

STRICT = ("-Wall", "-Wextra", "-Werror", "-std=c99")
FAST = (*STRICT, "-O2")
TIMED = 200     # number of images whose time is measured
WATCHED = (*STRICT, "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def find_compiler() -> str | None:
    """Return the path of gcc, or None if it is not installed."""
    return shutil.which("gcc")


class Program:
    """A C export compiled in a temporary folder, for use in a with block.

    Raises ExportError if gcc gives an error.
    """

    def __init__(self, files: Mapping[str, bytes], flags: Sequence[str], heads: Sequence[str]) -> None:
        self.files, self.flags, self.heads = files, flags, heads

    def __enter__(self) -> Self:
        self.folder = tempfile.TemporaryDirectory(prefix="featherweight-")
        try:
            self.compile(Path(self.folder.name))
        except BaseException:
            self.folder.cleanup()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, at: TracebackType | None) -> None:
        self.folder.cleanup()

    def compile(self, folder: Path) -> None:
        """Write the files into a folder and call gcc."""
        for name, content in self.files.items():
            (folder / name).write_bytes(content)
        sources = [name for name in self.files if name.endswith(".c")]
        command = [find_compiler() or "gcc", *self.flags, "-o", "demo", *sources, "-lm"]
        code, _, fault = call(command, cwd=folder)
        if code:
            raise ExportError(f"gcc refused the C: {first_line(fault.decode())} Flags: {' '.join(self.flags)}.")

    def probabilities(self, images: Pixels, numbers: Numbers | None = None) -> Probabilities:
        """Return the probabilities of each head, (N, classes). The program runs once for each different number."""
        if numbers is None:
            return self.ask([], images)
        answers: Probabilities = {}
        for number in sorted(set(numbers.tolist())):
            places = np.flatnonzero(numbers == number)
            for head, found in self.ask([str(number)], images[places]).items():
                answers.setdefault(head, np.empty((len(images), found.shape[1]), np.float32))[places] = found
        return answers

    def ask(self, arguments: Sequence[str], images: Pixels) -> Probabilities:
        """Run the program on the images and parse its output.

    Each line has a class and the probabilities for each head in turn, separated by tabs.
    """
        cells = [line.split("\t") for line in self.run(arguments, images).decode().splitlines()]
        return {
            head: np.array([line[2 * index + 1].split() for line in cells], np.float32)
            for index, head in enumerate(self.heads)
        }

    def run(self, arguments: Sequence[str], images: Pixels) -> bytes:
        """Return the standard output of the program. Raise ExportError if its exit code is not 0."""
        folder = Path(self.folder.name)
        code, answered, fault = call([str(folder / "demo"), *arguments], cwd=folder, given=images.tobytes())
        if code:
            raise ExportError(f"the compiled C ended with code {code}: {first_line(fault.decode())}")
        return answered

    def microseconds(self, questions: Questions) -> float:
        """Return the time per image in microseconds, the best of three measurements.

    The time includes reading and printing, but not the start of the program.
    """
        few, many = questions.some(1), questions.some(TIMED)
        once, often = (min(seconds(part, self.probabilities) for _ in range(3)) for part in (few, many))
        return max(0.0, often - once) / (len(many.images) - len(few.images)) * 1e6


def seconds(questions: Questions, answer: Answer) -> float:
    """Return the seconds that running `answer` on all images takes."""
    started = time.perf_counter()
    questions.ask(answer)
    return time.perf_counter() - started
