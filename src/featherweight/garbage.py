"""Let Python's garbage collector run less often in processes that load torch.

The import of torch creates about a million objects that live until the process ends. By default, Python searches them
for garbage several times during the import, and once more at exit. That is a third of the time to load torch and end.
"""

from __future__ import annotations

import atexit
import gc

ALLOCATIONS = 10_000    # new objects, less the deleted ones, until the youngest are searched; Python's default is 700


def collect_rarely() -> None:
    """Search for garbage after more new objects than by default, and not at exit. Call this before torch is loaded.

    Exit handlers run as usual, and objects that are no garbage in a cycle are deleted as usual.
    """
    gc.set_threshold(ALLOCATIONS, *gc.get_threshold()[1:])
    atexit.register(gc.freeze)      # frozen objects are not searched; handlers that are registered later run before it
