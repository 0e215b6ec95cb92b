"""Open the crew that an option such as --on names."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from featherweight.crews.crew import Crew
from featherweight.errors import FeatherweightError


@contextmanager
def open_crew(
    where: str, work: str, shared: Any, *, slots: int | None = None, storage: str | None = None
) -> Iterator[Crew]:
    """Yield the workers of a place. All have ended within seconds after the block, also after Ctrl-C.

    where: "local", "ray" or "ray:ADDRESS".
    work: "package.module:function", called as work(shared, data, tell) -> dict in a worker with one torch thread.
    shared: an object that all tasks read and none changes. Its tensors are handed over once, not for each task.
    slots: number of tasks that run at the same time, by default all cores of this machine or of the cluster.
    storage: a folder or a URL that all nodes of a cluster can write. Checked before the first task.
    Raises FeatherweightError for another place, a missing extra, an address without Ray, and an unshared storage.
    """
    if where == "local":
        from featherweight.crews.local import open_local_crew

        with open_local_crew(work, shared, slots) as crew:
            yield crew
    else:
        raise FeatherweightError(f"{where!r} is not a place for workers. Allowed: local, ray, ray:ADDRESS.")
