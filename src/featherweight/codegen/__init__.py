"""Generated C: find a compiler, compile the source once for each processor, and load the library."""

from __future__ import annotations
