"""C code as text: numbers, arrays, calls, and comments and strings that are safe for any name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from textwrap import wrap
from typing import Any

from numpy.typing import NDArray

from featherweight.graph.plain import Shape
from featherweight.outside import visible

TYPES = {"float32": "float", "int8": "int8_t", "uint8": "uint8_t", "uint16": "uint16_t", "int32": "int"}


VALUES = {"float.c": "float", "int8.c": "uint8_t"}      # the type of values between layers, @value@ in moves.c


@dataclass
class Body:
    """The C code of one network: the library functions it needs, constants, memory, and calls.

    template: the file in c/ with the library functions. parts: the names of the functions that are called.
    """

    template: str
    parts: set[str] = field(default_factory=set)
    constants: list[str] = field(default_factory=list)
    memory: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    settings: str = ""  # C text before the library, e.g. an enum with a size
    flash: int = 0      # bytes of constants
    ram: int = 0        # bytes of static memory

    def title(self, text: str) -> None:
        """Add a comment between the constants."""
        self.constants.append(f"\n/* {text} */")

    def array(self, name: str, values: NDArray[Any]) -> str:
        """Add a constant array and return its name."""
        self.constants.append(constant_array(name, values))
        self.flash += values.nbytes
        return name

    def record(self, kind: str, name: str, fields: Iterable[object]) -> str:
        """Add a constant structure and return its address. A field counts as 4 bytes (32-bit processor)."""
        listed = [str(value) for value in fields]
        self.constants.append(f"static const {kind} {name} = {{{', '.join(listed)}}};")
        self.flash += 4 * sum(len(value.split(",")) for value in listed)
        return f"&{name}"

    def call(self, part: str, *arguments: object, comment: str = "") -> None:
        """Add a call of the library function `part`."""
        self.parts.add(part)
        text = f"    {part}({', '.join(map(str, arguments))});"
        self.calls.append(f"{text:<72} /* {comment} */" if comment else text)

    def library(self) -> str:
        """Return the C text of the called functions and their types, in the order of the template files."""
        shared = sections("shared.c")
        value = VALUES[self.template]
        moves = {name: text.replace("@value@", value) for name, text in sections("moves.c").items()}
        known = {"types": shared.pop("types")} | sections(self.template) | moves | shared
        return self.settings + "\n".join(text for name, text in known.items() if name in self.parts | {"types"})


def sections(template: str) -> dict[str, str]:
    """Return the functions of a file in c/ by name. A line /* ---- name ---- */ begins each function."""
    text = (files("featherweight.shipping") / "c" / template).read_text()
    pieces = re.split(r"^/\* ---- (\w+) ---- \*/\n", text, flags=re.M)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def constant_array(name: str, values: NDArray[Any]) -> str:
    """Return the C text of a constant array, with rows of at most 120 characters."""
    kind = TYPES[values.dtype.name]
    flat = values.reshape(-1)
    written = [number(value) for value in flat] if kind == "float" else [str(value) for value in flat.tolist()]
    rows = wrap(", ".join(written), 112, break_long_words=False, break_on_hyphens=False)
    return f"static const {kind} {name}[{flat.size}] = {{\n" + "\n".join(f"    {row}" for row in rows) + "\n};"


def number(value: float) -> str:
    """Return a float32 as a C literal that gives exactly the same float32 again."""
    text = f"{float(value):.9g}"
    return f"{text}f" if any(mark in text for mark in ".en") else f"{text}.0f"


def shape(of: Shape) -> str:
    """Return a shape as a C initializer, e.g. {8, 28, 28}."""
    return "{" + ", ".join(map(str, of)) + "}"


def comment(text: str) -> str:
    """Return a text made safe for a C comment: one line of ASCII without comment marks and trigraphs."""
    plain = visible(" ".join(text.split())).encode("ascii", "replace").decode()
    return re.sub(r"\?(?=\?)", "? ", plain.replace("*/", "* /").replace("/*", "/ *"))


def string(text: str) -> str:
    """Return a C string literal of any text. Bytes that are not printable ASCII become octal escapes."""
    safe = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in text.encode()
    )
    return f'"{safe}"'


def listed(values: Sequence[str]) -> str:
    """Return the values as a list in words, e.g. "a, b and c"."""
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} and {values[-1]}"
