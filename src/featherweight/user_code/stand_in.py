"""Stand-ins: placeholders for objects that could not be imported or computed. Using one raises NotHere."""

from __future__ import annotations

from typing import Any, NoReturn


class NotHere(ImportError):
    """Raised on use of a StandIn. The text says what could not be imported or computed, in which line, and why."""


class StandIn:
    """A placeholder for an object that could not be created. Any use of the placeholder raises NotHere."""

    def __init__(self, reason: str) -> None:
        object.__setattr__(self, "_reason", reason)

    def _raise(self, *_: Any, **__: Any) -> NoReturn:
        raise NotHere(self._reason)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):       # copy, inspect and others probe for these and accept AttributeError
            raise AttributeError(name)
        self._raise()

    __call__ = __getitem__ = __setitem__ = __delitem__ = __contains__ = __iter__ = __next__ = __reversed__ = _raise
    __enter__ = __exit__ = __mro_entries__ = __instancecheck__ = __subclasscheck__ = __setattr__ = __delattr__ = _raise
    __add__ = __radd__ = __sub__ = __rsub__ = __mul__ = __rmul__ = __truediv__ = __rtruediv__ = _raise
    __matmul__ = __rmatmul__ = __floordiv__ = __rfloordiv__ = __mod__ = __rmod__ = __pow__ = __rpow__ = _raise
    __and__ = __rand__ = __or__ = __ror__ = __xor__ = __rxor__ = __lshift__ = __rshift__ = _raise
    __neg__ = __pos__ = __abs__ = __invert__ = __round__ = __int__ = __float__ = __index__ = _raise
    __lt__ = __le__ = __gt__ = __ge__ = __eq__ = __ne__ = __bool__ = __len__ = __format__ = __fspath__ = _raise
    __hash__ = object.__hash__


def reason_of_stand_in(value: object) -> str | None:
    """Return the reason of a stand-in, or None for any other object."""
    return str(object.__getattribute__(value, "_reason")) if type(value) is StandIn else None
