"""The C compiler of this machine: find one, and compile a source text to a shared library."""

from __future__ import annotations

import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from featherweight.codegen.subprocesses import call, call_all, first_line, private_folder
from featherweight.outside import shortened

NAMES = ("cc", "gcc", "clang")
PATIENCE = 60.0         # seconds that one compilation may take
ANSWER = 20.0           # seconds within which a compiler tells its version
CPUINFO = Path("/proc/cpuinfo")
FEATURES = ("model name", "flags", "features", "isa", "cpu")    # keys in CPUINFO of x86, arm, risc-v and power
IS_ARM = platform.machine().lower().startswith(("arm", "aarch"))
FLAGS = (
    "-std=gnu11", "-O2", "-mcpu=native" if IS_ARM else "-march=native",
    "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-fPIC",
)
LIBRARIES = ("-lm", "-lpthread")


class NoLibrary(Exception):
    """Generated C that cannot be compiled or loaded here. The text of the exception is one short sentence."""


@dataclass(frozen=True)
class Compiler:
    """A C compiler that has told its version.

    command: the words of the command line before the flags. version: the first line of `--version`.
    """

    command: tuple[str, ...]
    version: str


def find_compiler() -> Compiler | None:
    """Return the first of $CC, cc, gcc, clang and the ziglang wheel that tells its version, or None."""
    for command in commands():
        if version := version_of(command):
            return Compiler(command, version)
    return None


def commands() -> Iterator[tuple[str, ...]]:
    """Yield the commands of the compilers that this machine may have. The first word is an absolute path."""
    named: list[str] = []
    with suppress(ValueError):      # quotation marks in $CC that are not closed
        named = shlex.split(os.environ.get("CC", ""))
    for words in (named, *([name] for name in NAMES)):
        if words and (program := shutil.which(words[0])):
            yield (str(Path(program).absolute()), *words[1:])
    if sys.executable and importlib.util.find_spec("ziglang"):
        yield (sys.executable, "-m", "ziglang", "cc")


@cache
def version_of(command: tuple[str, ...]) -> str:
    """Return the first line that a compiler prints for `--version`, or "" if the call fails. Cached."""
    with suppress(OSError, subprocess.TimeoutExpired), private_folder() as folder:
        code, output, _ = call([*command, "--version"], cwd=folder, seconds=ANSWER, environment=zig_folders(folder))
        if code == 0 and output.strip():
            return output.decode(errors="replace").strip().splitlines()[0]
    return ""


def compile_library(compiler: Compiler, name: str, source: str, parts: int, folder: Path, zig_cache: Path) -> Path:
    """Compile C source to the file NAME.so in `folder` and return its path.

    parts: processes that compile the source side by side, each with another value of the macro PART, 0 to parts - 1.
    With one part, PART is not defined.
    folder: a private folder for all files of this call. zig_cache: a folder in which zig keeps its own libraries.
    Raises NoLibrary if the compiler gives an error or needs more than a minute, and OSError for a full disk.
    """
    (folder / f"{name}.c").write_text(source, encoding="utf-8")
    environment = zig_folders(folder, zig_cache)
    objects = [f"{name}-{part}.o" for part in range(parts)]
    macros = [[f"-DPART={part}"] if parts > 1 else [] for part in range(parts)]
    compiled = [[*compiler.command, *FLAGS, *macro, "-c", "-o", file, f"{name}.c"]
                for macro, file in zip(macros, objects, strict=True)]
    for commands in (compiled, [[*compiler.command, "-shared", "-o", f"{name}.so", *objects, *LIBRARIES]]):
        run_compiler(commands, folder, environment)
    return folder / f"{name}.so"


def run_compiler(commands: list[list[str]], folder: Path, environment: dict[str, str]) -> None:
    """Run commands of a compiler side by side. Raise NoLibrary if one of them gives an error."""
    compiler = commands[0][0]
    try:
        for code, _, fault in call_all(commands, cwd=folder, seconds=PATIENCE, environment=environment):
            if code:
                said = shortened(first_line(fault.decode(errors="replace")))
                raise NoLibrary(f"the C compiler {compiler} ended with code {code}: {said}")
    except subprocess.TimeoutExpired:
        raise NoLibrary(f"the C compiler {compiler} needed more than {PATIENCE:.0f} seconds") from None


def zig_folders(folder: Path, zig_cache: Path | None = None) -> dict[str, str]:
    """Return variables that name the cache folders of zig: zig hangs without a home folder. Others ignore them."""
    return {"ZIG_LOCAL_CACHE_DIR": str(folder), "ZIG_GLOBAL_CACHE_DIR": str(zig_cache or folder)}


@cache
def processor_flags() -> str:
    """Return text that names the architecture, the model and the instruction sets of this processor.

    A library may only be used by processors with the same text, because it uses all of these instructions.
    The model is named too, because a system can be older than its processor and not know all instruction sets.
    """
    machine = platform.machine()
    if sys.platform == "darwin":
        return f"{machine} {brand_of_a_mac()}"
    try:
        lines = CPUINFO.read_text(errors="replace").splitlines()
    except OSError:
        return f"{machine} {platform.processor()}"
    values = {key.strip().lower(): value for key, _, value in (line.partition(":") for line in reversed(lines))}
    return " ".join([machine, *(word for key in FEATURES for word in sorted(values.get(key, "").split()))])


def brand_of_a_mac() -> str:
    """Return the name of the processor of a Mac, e.g. "Apple M2", or else the name that Python knows."""
    with suppress(OSError, subprocess.TimeoutExpired), private_folder() as folder:
        return call(["sysctl", "-n", "machdep.cpu.brand_string"], cwd=folder, seconds=ANSWER)[1].decode().strip()
    return platform.processor()
