"""Libraries of generated C: compiled once, kept in the user's cache folder, and loaded through ctypes.

A file in the cache is named NAME-SOURCE-COMPILER-CONTENT.so. The last three words are hashes.
SOURCE: the C source and the instruction sets of the processor, because machines may share the folder.
COMPILER: its command, version and flags.
CONTENT: the bytes of the file, because loading a damaged library can crash the process.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import sys
import threading
import time
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from secrets import token_hex

from featherweight.codegen.compiler import (
    FLAGS,
    LIBRARIES,
    Compiler,
    NoLibrary,
    compile_library,
    find_compiler,
    processor_flags,
)
from featherweight.codegen.subprocesses import private_folder
from featherweight.errors import install_command
from featherweight.files import sha256_of, user_cache
from featherweight.interruption import undone_at_the_end
from featherweight.outside import shortened

DIGITS = 20             # hexadecimal digits of a hash in a file name
UNUSED = 90 * 86400     # seconds after which a file that no process has loaded is removed

_loading = threading.Lock()


def load(name: str, source: str, *, parts: int = 1) -> ctypes.CDLL:
    """Return the library of a C source, from the cache or compiled now. A process loads each library once.

    name: a short word for file names, of a-z, 0-9 and "-". parts: processes that compile it side by side, see
    compile_library().
    Without a compiler, a library that another compiler made from the same source is used.
    Raises NoLibrary if there is no compiler, or if the source cannot be compiled or loaded.
    """
    if sys.platform == "win32":
        raise NoLibrary("compiled training is not available on Windows yet")
    with _loading:
        return _load(name, source, parts)


@cache
def _load(name: str, source: str, parts: int) -> ctypes.CDLL:
    compiler, folder = find_compiler(), library_folder()
    beginning = f"{name}-{hash_of(source, processor_flags())}-"
    if compiler is not None:
        beginning += f"{hash_of(*compiler.command, compiler.version, *FLAGS, *LIBRARIES, str(parts))}-"
    library = from_cache(folder, beginning)
    if library is not None:
        return library
    if compiler is None:
        raise NoLibrary(f"no C compiler was found (cc, gcc, clang, or {install_command('fast')})")
    try:
        return compiled(compiler, name, source, parts, folder, beginning)
    except OSError as fault:
        raise NoLibrary(f"the compiled code cannot be stored or loaded: {shortened(fault)}") from fault


def compiled(
    compiler: Compiler, name: str, source: str, parts: int, folder: Path | None, beginning: str
) -> ctypes.CDLL:
    """Compile a source, keep the library in the cache if possible, and load it.

    Otherwise the library is loaded from a temporary folder. The system keeps a loaded file that was removed.
    """
    with private_folder() as private:
        file = compile_library(compiler, name, source, parts, private, (folder or private) / "zig")
        if folder is not None:
            remove_unused(folder)
            with suppress(OSError):     # a folder without write permission, or a full disk
                keep(folder, beginning, file.read_bytes())
        return from_cache(folder, beginning) or ctypes.CDLL(str(file))


def library_folder() -> Path | None:
    """Return the cache folder for libraries, created if necessary. Return None if it cannot be used safely."""
    try:
        folder = user_cache().absolute() / "compiled"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return folder if is_safe(folder) else None
    except (OSError, RuntimeError):     # e.g. a read-only file system, or a user without a home folder
        return None


def from_cache(folder: Path | None, beginning: str) -> ctypes.CDLL | None:
    """Load the library whose file name begins with `beginning`, or return None. Remove files that are damaged."""
    for file in sorted(folder.glob(f"{beginning}*.so")) if folder is not None else []:
        with suppress(OSError):     # e.g. a library for another version of libc: the next one is tried
            if not is_safe(file):
                continue
            if sha256_of(file)[:DIGITS] != file.stem[-DIGITS:]:
                file.unlink()
                continue
            library = ctypes.CDLL(str(file))
            with suppress(OSError):
                os.utime(file)
            return library
    return None


def keep(folder: Path, beginning: str, content: bytes) -> None:
    """Write a library into the cache, unless another process wrote the same one first.

    A file is not replaced: over a network file system, a process that runs code of the replaced file would crash.
    """
    file = folder / f"{beginning}{hashlib.sha256(content).hexdigest()[:DIGITS]}.so"
    temporary = folder / f".{file.name}.{token_hex(4)}"
    remove = partial(temporary.unlink, missing_ok=True)
    with undone_at_the_end(remove):
        try:
            temporary.write_bytes(content)
            temporary.chmod(0o600)
            os.link(temporary, file)
        except FileExistsError:
            pass
        except OSError:
            temporary.replace(file)     # a file system without hard links
        finally:
            remove()


def remove_unused(folder: Path) -> None:
    """Remove the files that no process has loaded for 90 days."""
    with suppress(OSError):
        for file in folder.iterdir():
            with suppress(OSError):
                if file.is_file() and time.time() - file.stat().st_mtime > UNUSED:
                    file.unlink()


def is_safe(place: Path) -> bool:
    """Return True if this user owns a file or folder and nobody else can write to it: its content is executed."""
    found = place.stat()
    return found.st_uid == os.getuid() and not found.st_mode & 0o022


def hash_of(*parts: str) -> str:
    """Return the first digits of the SHA-256 of texts. NUL characters separate the texts."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogateescape")).hexdigest()[:DIGITS]
