"""Execute the lessons in this folder and write their notebooks.

- `python lessons/execute.py [NAME...]` writes NAME.ipynb with its outputs.
- `python lessons/execute.py --check [NAME...]` executes temporary copies, two at a time, and writes no notebook.

With FEATHERWEIGHT_LESSONS=full the lessons use MNIST and the full budgets, otherwise the bundled digits.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

os.environ.setdefault("PYDEVD_DISABLE_FILE_VALIDATION", "1")    # else the debugger prints a warning in the first output

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

HERE = Path(__file__).resolve().parent
LONGEST_CELL = 3600     # seconds


def lessons(names: list[str]) -> list[Path]:
    """Return the lessons with these names, or all lessons if `names` is empty. Exit with a message for an unknown name.

    A lesson is a file whose name begins with its number.
    """
    found = sorted(HERE.glob("[0-9]*.py"))
    unknown = [name for name in names if name not in {file.stem for file in found}]
    if unknown:
        sys.exit(f"execute.py: no lesson {unknown[0]!r}. There are: {', '.join(file.stem for file in found)}.")
    return [file for file in found if not names or file.stem in names]


def execute(lesson: Path, folder: Path) -> Any:
    """Execute a lesson and return its notebook. Raise RuntimeError, which names the cell, if a cell fails."""
    notebook = jupytext.read(lesson)
    client = NotebookClient(
        notebook, timeout=LONGEST_CELL, kernel_name="python3", resources={"metadata": {"path": str(folder)}},
        extra_arguments=["--log-level=ERROR"], coalesce_streams=True,   # else the pieces of an output depend on timing
    )
    try:
        client.execute()
    except CellExecutionError as fault:
        raise RuntimeError(f"cell {failed_cell(notebook)}: {fault.ename}: {fault.evalue}") from fault
    except (CellTimeoutError, DeadKernelError) as fault:
        raise RuntimeError(f"cell {failed_cell(notebook)}: {type(fault).__name__}") from fault
    return without_machine(notebook)


def failed_cell(notebook: Any) -> int:
    """Number of the last cell that was started, counted from 1 over all cells; 0 if none was started."""
    begun = [n for n, cell in enumerate(notebook.cells, start=1) if cell.metadata.get("execution")]
    return begun[-1] if begun else 0


def without_machine(notebook: Any) -> Any:
    """Remove everything that depends on the machine or the execution: times, versions, random ids of cells."""
    for number, cell in enumerate(notebook.cells, start=1):
        cell["id"] = f"cell-{number:02d}"
        cell.metadata.pop("execution", None)
    language = notebook.metadata.get("language_info", {})
    notebook.metadata = nbformat.from_dict({
        "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
        "language_info": {key: language[key] for key in ("name", "file_extension", "mimetype") if key in language},
    })
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    nbformat.validate(notebook)
    return notebook


def write(notebook: Any, file: Path) -> None:
    """Write a notebook atomically: a reader sees the old notebook or the new one."""
    temporary = file.with_name(f".{file.name}.tmp")
    temporary.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8")
    temporary.replace(file)


def make(lesson: Path) -> bool:
    """Execute a lesson and write its notebook. Return True unless a cell failed."""
    notebook = told(lesson, HERE)
    if notebook:
        write(notebook, lesson.with_suffix(".ipynb"))
    return notebook is not None


def check(lesson: Path) -> bool:
    """Execute a lesson in its own temporary copy of this folder. Return True unless a cell failed.

    The copy allows several lessons to be checked at the same time.
    """
    with tempfile.TemporaryDirectory() as folder:
        for file in HERE.glob("*.py"):
            shutil.copy(file, folder)
        return told(lesson, Path(folder)) is not None


def told(lesson: Path, folder: Path) -> Any:
    """Execute a lesson and print a line with its time or its fault. Return the notebook, or None if a cell failed."""
    started = time.monotonic()
    try:
        notebook = execute(lesson, folder)
    except RuntimeError as fault:
        print(f"{lesson.stem}: {fault}", file=sys.stderr, flush=True)
        return None
    print(f"{lesson.stem}: {time.monotonic() - started:.0f} s", flush=True)
    return notebook


def main() -> int:
    """Execute the lessons named on the command line. Return 1 if a lesson failed, else 0."""
    parser = argparse.ArgumentParser(description="Execute the lessons.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="such as 3-receptive-fields; all by default")
    parser.add_argument("--check", action="store_true", help="execute in temporary copies; write no notebook")
    options = parser.parse_args()
    with ThreadPoolExecutor(2 if options.check else 1) as pool:
        went_well = list(pool.map(check if options.check else make, lessons(options.names)))    # also after a failure
    return int(not all(went_well))


if __name__ == "__main__":
    sys.exit(main())
