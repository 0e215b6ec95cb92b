"""Open a network for prediction: that of a bundle with onnxruntime, that of a run with torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from featherweight.errors import FeatherweightError
from featherweight.inference.bundle import Bundle, is_bundle
from featherweight.inference.network import Network
from featherweight.wording import call

if TYPE_CHECKING:
    from featherweight.runs import Run


def open_network(source: Run | str | Path) -> Network:
    """Return the network of a bundle or of a finished run. Only a run needs torch.

    Raises RunError if a path is neither, and FeatherweightError if a run is given but torch is not installed.
    """
    if isinstance(source, str | Path) and is_bundle(source):
        return Bundle.open(source)
    try:
        from featherweight.inference.trained import TrainedNetwork
    except ModuleNotFoundError as fault:
        if fault.name != "torch":
            raise
        raise FeatherweightError(f"{str(source)!r} is no bundle, and a run needs torch, which is not installed. "
                                 f"Install torch, or give a bundle: {call('export', 'RUN', to='bundle')}") from fault
    return TrainedNetwork.open(source)
