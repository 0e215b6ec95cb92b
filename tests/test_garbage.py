"""The garbage collector of our own processes: rarer, silent at exit, and still there."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
import atexit, gc, weakref
from featherweight.garbage import ALLOCATIONS, collect_rarely

class Knot:
    def __init__(self):
        self.itself = self

collect_rarely()
assert gc.isenabled() and gc.get_threshold()[0] == ALLOCATIONS
atexit.register(lambda: print("handler,", gc.get_freeze_count(), "frozen"))
lost, kept = Knot(), Knot()
weakref.finalize(kept, print, "finalized")
gone = weakref.ref(lost)
del lost
made = [[] for _ in range(3 * ALLOCATIONS)]
print("collected" if gone() is None else "still there")
"""


def test_collects_in_the_program_and_runs_all_exit_handlers() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["collected", "finalized", "handler, 0 frozen"] and not done.stderr


def test_searches_nothing_at_exit() -> None:
    program = PROGRAM + "atexit._run_exitfuncs()\nprint(gc.get_freeze_count() > ALLOCATIONS)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "True"
