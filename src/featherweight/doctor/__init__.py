"""Known mistakes of training scripts and networks.

`examine` reads .py and .ipynb files and returns a Report. Nothing of the files is executed.
`consult` also takes networks, recipes and run folders. Each network runs once on random images.
With a data set, each network also takes its first training steps.
The module can be called: featherweight.doctor("notebook.ipynb") or featherweight.doctor(model).
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

from featherweight.doctor.codes import CODES as CODES
from featherweight.doctor.examination import examine as examine
from featherweight.doctor.finding import SEVERITIES as SEVERITIES
from featherweight.doctor.finding import Finding as Finding
from featherweight.doctor.finding import Place as Place
from featherweight.doctor.finding import Report as Report
from featherweight.doctor.options import Options as Options
from featherweight.doctor.targets import consult as consult

if TYPE_CHECKING:
    from torch import nn


class Doctor(ModuleType):
    """Known mistakes of scripts, networks and runs: call it with paths, names of networks or recipes, or modules."""

    def __call__(
        self, *targets: str | Path | nn.Module, select: Sequence[str] = (), ignore: Sequence[str] = (),
        input_shapes: Sequence[Sequence[int]] | None = None, classes: int | None = None, data: str | None = None,
        data_dir: str | Path | None = None,
    ) -> Report:
        """Examine the targets and return the report.

        select, ignore: codes or prefixes such as "FW1".
        input_shapes: of each input of the networks, without the batch axis. classes: number of classes.
        data: data set, by name or path, on which networks take their first training steps. data_dir: its folder.
        Modules stay unchanged, because a copy runs.
        """
        folder = None if data_dir is None else str(data_dir)
        return consult(targets, Options(input_shapes, classes, data, folder)).kept(select, ignore)


sys.modules[__name__].__class__ = Doctor
doctor = cast(Doctor, sys.modules[__name__])    # importing a part of the folder binds the module to the same name
