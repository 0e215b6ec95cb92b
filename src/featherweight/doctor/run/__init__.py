"""Known mistakes in the record of a finished training: chosen results, overfitting, underfitting, calibration.

`judge` reads the record and executes nothing of the run. `dead_in` runs the trained network.
"""

from __future__ import annotations

from featherweight.doctor.run.examination import judge as judge
from featherweight.doctor.run.trained import dead_in as dead_in
