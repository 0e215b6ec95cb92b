"""The interface of a crew: tasks go in, outcomes come out. A crew runs on this machine or on a Ray cluster.

The caller of a crew owns all results. Workers keep nothing between two tasks.
"""

from __future__ import annotations

import pkgutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

Tell = Callable[[Any], None]


@dataclass(frozen=True)
class Task:
    """A task for a worker.

    key: unique among the tasks of a crew, for example "17.2".
    data: plain JSON data.
    """

    key: str
    data: dict[str, Any]

    def __str__(self) -> str:
        return self.key


@dataclass(frozen=True)
class Outcome:
    """The end of a task. Each task that was started has exactly one outcome, unless `stop` dropped it.

    value: plain JSON data that the work returned, None if it failed or was stopped.
    failed: the reason in one line: a FeatherweightError, an OSError, or a worker that died ATTEMPTS times. Else None.
    """

    key: str
    value: dict[str, Any] | None
    failed: str | None

    @property
    def stopped(self) -> bool:
        """True for a task that was stopped before its end."""
        return self.value is None and self.failed is None


class Crew(Protocol):
    """Workers that run tasks.

    slots: number of tasks that run at the same time. On a cluster the number follows the nodes that come and go.
    """

    @property
    def slots(self) -> int: ...

    def start(self, task: Task) -> None:
        """Start a task and return at once. The task waits for a free slot."""

    def finished(self, seconds: float) -> list[Outcome]:
        """Return the outcomes since the last call. Wait at most `seconds` for the first.

        Returns at once if no task runs or waits.
        Raises RuntimeError with the traceback if a task raised an unexpected error.
        """

    def messages(self) -> list[tuple[str, Any]]:
        """Return (key, message) for each message that tasks sent since the last call, oldest first.

        A message may be lost when its worker dies.
        """

    def stop(self) -> None:
        """Drop the waiting tasks and ask the running ones to stop, as SIGTERM does. Their outcomes still come."""


def call_work(name: str, shared: Any, data: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Import the work "package.module:function" and call it with one task's data. Used by the workers."""
    work: Callable[[Any, dict[str, Any], Tell], dict[str, Any]] = pkgutil.resolve_name(name)
    return work(shared, data, tell)
