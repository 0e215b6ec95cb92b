"""Known mistakes of a built network, found by one forward and one backward pass of a copy on random images.

`probe` examines a module. `doctor.targets` calls it for networks and recipes.
"""

from __future__ import annotations

from featherweight.doctor.probe.examination import probe as probe
from featherweight.doctor.probe.subject import Subject as Subject
