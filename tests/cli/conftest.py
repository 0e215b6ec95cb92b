"""Running a command line as a person does."""

from __future__ import annotations

import pytest


@pytest.fixture
def refused(run_command):
    """Run a command line that must be refused: exit code 2, no standard output, one line that holds the words."""

    def run(*arguments, words):
        code, out, fault = run_command(*arguments)
        assert (code, out) == (2, "") and fault.startswith("featherweight: ") and fault.count("\n") == 1, (code, fault)
        assert all(word in fault for word in words), fault

    return run
