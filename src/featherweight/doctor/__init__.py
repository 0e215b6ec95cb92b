"""Known mistakes of training scripts, found by reading their source.

`examine` reads .py and .ipynb files and returns a Report. Nothing of the files is executed.
The module can be called: featherweight.doctor("notebook.ipynb").
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import cast

from featherweight.doctor.codes import CODES as CODES
from featherweight.doctor.examination import examine as examine
from featherweight.doctor.finding import SEVERITIES as SEVERITIES
from featherweight.doctor.finding import Finding as Finding
from featherweight.doctor.finding import Place as Place
from featherweight.doctor.finding import Report as Report


class Doctor(ModuleType):
    """Known mistakes of training scripts: call it with paths of scripts, notebooks or folders."""

    def __call__(self, *targets: str | Path, select: Sequence[str] = (), ignore: Sequence[str] = ()) -> Report:
        """Examine the targets and return the report. select, ignore: codes or prefixes such as "FW1"."""
        return examine(targets).kept(select, ignore)


sys.modules[__name__].__class__ = Doctor
doctor = cast(Doctor, sys.modules[__name__])    # importing a part of the folder binds the module to the same name
