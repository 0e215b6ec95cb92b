"""Pieces of C as text: numbers, arrays, names that cannot break out of a comment or a string."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from textwrap import wrap
from typing import Any

from numpy.typing import NDArray

from featherweight.outside import visible
from featherweight.shipping.graph import Shape

TYPES = {"float32": "float", "int8": "int8_t", "uint8": "uint8_t", "int32": "int32_t"}


@dataclass
class Body:
    """What the steps of one network come to: the parts of the library that they call, constants, memory, calls."""

    template: str
    parts: set[str] = field(default_factory=set)
    constants: list[str] = field(default_factory=list)
    memory: list[str] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    settings: str = ""  # what the library's functions need to know
    flash: int = 0      # bytes of constants
    ram: int = 0        # bytes of static memory

    def title(self, text: str) -> None:
        """A comment between the constants."""
        self.constants.append(f"\n/* {text} */")

    def array(self, name: str, values: NDArray[Any]) -> str:
        """Declare a constant array; gives its name."""
        self.constants.append(constant_array(name, values))
        self.flash += values.nbytes
        return name

    def record(self, kind: str, name: str, fields: Iterable[object]) -> str:
        """Declare a constant structure; gives its address. 4 bytes a field, as on a 32-bit processor."""
        listed = [str(value) for value in fields]
        self.constants.append(f"static const {kind} {name} = {{{', '.join(listed)}}};")
        self.flash += 4 * sum(len(value.split(",")) for value in listed)
        return f"&{name}"

    def call(self, part: str, *arguments: object, comment: str = "") -> None:
        """Call a function of the library."""
        self.parts.add(part)
        text = f"    {part}({', '.join(map(str, arguments))});"
        self.calls.append(f"{text:<72} /* {comment} */" if comment else text)

    def library(self) -> str:
        """The functions that are called, with their types, in the templates' order."""
        shared = sections("shared.c")
        known = {"types": shared.pop("types")} | sections(self.template) | shared
        return self.settings + "\n".join(text for name, text in known.items() if name in self.parts | {"types"})


def sections(template: str) -> dict[str, str]:
    """The parts of a file of C functions: "---- name ----" begins one."""
    text = (files("featherweight.shipping") / "c" / template).read_text()
    pieces = re.split(r"^/\* ---- (\w+) ---- \*/\n", text, flags=re.M)
    return dict(zip(pieces[1::2], pieces[2::2], strict=True))


def constant_array(name: str, values: NDArray[Any]) -> str:
    """A constant array, values in rows of at most 120 characters."""
    kind = TYPES[values.dtype.name]
    flat = values.reshape(-1)
    written = [number(value) for value in flat] if kind == "float" else [str(value) for value in flat.tolist()]
    rows = wrap(", ".join(written), 112, break_long_words=False, break_on_hyphens=False)
    return f"static const {kind} {name}[{flat.size}] = {{\n" + "\n".join(f"    {row}" for row in rows) + "\n};"


def number(value: float) -> str:
    """A float32 that reads back as the same float32."""
    text = f"{float(value):.9g}"
    return f"{text}f" if any(mark in text for mark in ".en") else f"{text}.0f"


def shape(of: Shape) -> str:
    """A Shape as C writes it."""
    return "{" + ", ".join(map(str, of)) + "}"


def comment(text: str) -> str:
    """Text that cannot end the comment that it stands in, nor begin a trigraph; ASCII, on one line."""
    plain = visible(" ".join(text.split())).encode("ascii", "replace").decode()
    return re.sub(r"\?(?=\?)", "? ", plain.replace("*/", "* /").replace("/*", "/ *"))


def string(text: str) -> str:
    """A string literal of any text; what is not printable ASCII is written as the octal of its bytes."""
    safe = "".join(
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\?' else f"\\{byte:03o}" for byte in text.encode()
    )
    return f'"{safe}"'


def listed(values: Sequence[str]) -> str:
    """ "a, b and c"."""
    return values[0] if len(values) == 1 else f"{', '.join(values[:-1])} and {values[-1]}"
