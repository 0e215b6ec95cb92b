"""Works without work, for crews.py: they wait, and do nothing else. They load no library, as crews are measured."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any


def wait(shared: Any, data: dict[str, Any], tell: Any) -> dict[str, Any]:
    """Wait data["seconds"]. With data["folder"], leave a file named by this process there, so that it can be killed."""
    if "folder" in data:
        Path(data["folder"], str(os.getpid())).touch()
    time.sleep(data["seconds"])
    return {"number": data["number"]}


def drive() -> None:
    """Be a driver that is killed: give waiting tasks to the cluster at argv[1] until the end."""
    import sys

    from featherweight.crews import Task, open_crew

    with open_crew(sys.argv[1], "crew_stubs:wait", None) as crew:
        for number in range(int(sys.argv[3])):
            crew.start(Task(str(number), {"number": number, "seconds": 600, "folder": sys.argv[2]}))
        while crew.busy:
            crew.finished(1.0)


if __name__ == "__main__":
    drive()
