"""The 1,797 digits that scikit-learn brings: 8x8 pixels with values 0..16.

Source: E. Alpaydin and C. Kaynak (1998), "Optical Recognition of Handwritten Digits", UCI.
"""

from __future__ import annotations

import gzip
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def bundled_digits() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return pixels (1797, 8, 8) and labels (1797,), as sklearn.datasets.load_digits does.

    The file of scikit-learn is read directly, because its import takes 2 s.
    """
    package = find_spec("sklearn")
    assert package is not None      # featherweight depends on it
    assert package.origin is not None
    file = Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz"
    with gzip.open(file, "rt") as lines:
        rows = np.loadtxt(lines, delimiter=",")
    return rows[:, :-1].reshape(-1, 8, 8), rows[:, -1].astype(np.int64)
