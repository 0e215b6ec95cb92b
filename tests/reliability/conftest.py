"""The battery's own process, and runs for its faults."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from battery.warm import Warm


@pytest.fixture(scope="session")
def warm() -> Iterator[Warm]:
    """A process that runs commands in milliseconds."""
    with Warm() as started:
        yield started
