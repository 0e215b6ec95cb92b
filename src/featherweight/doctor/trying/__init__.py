"""Known mistakes of a network that show in its first training steps on real images.

`practise` trains a copy for 30 steps and examines it. `doctor.networks` calls it for networks and recipes.
"""

from __future__ import annotations

from featherweight.doctor.trying.examination import practise as practise
