"""User files as lazy modules: only the statements that a requested name needs are executed.

Downloads, training or plots elsewhere in the file do not run. Imports search beside the file and in the folders above,
up to the root of the repository. A name that cannot be imported or computed becomes a StandIn, which raises on use.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import hashlib
import importlib
import sys
import types
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from featherweight.blame import in_one_line
from featherweight.errors import ModelError
from featherweight.user_code.pieces import Piece, joined, parse, read_pieces, written_files
from featherweight.user_code.stand_in import StandIn
from featherweight.user_code.statements import Statement, needed, path_texts, statements_of, unbound

ROOT_MARKS = (".git", "pyproject.toml", "setup.py", "setup.cfg", "requirements.txt")
PREFIX, MOST_MODULES = "featherweight_user_", 100     # name prefix and largest number of user modules in sys.modules
ANNOTATIONS_AS_TEXT = __future__.annotations.compiler_flag


class UserModule(types.ModuleType):
    """One user file as a module. Reading an attribute first executes the statements that the attribute needs."""

    def __init__(self, name: str, file: Path, library: Library, pieces: Sequence[Piece], text: str | None) -> None:
        super().__init__(name)
        self.__file__ = str(file)
        self.__dict__["__builtins__"] = {**vars(builtins), "__import__": library.import_module}
        self._library, self._file = library, file
        self._done: set[int] = set()
        self._asked: set[tuple[int, str]] = set()       # (index of a `from module import *`, requested name)
        self._text = joined(pieces) if text is None else text
        parsed = [(parse(piece, lenient=len(pieces) > 1), piece.place) for piece in pieces]
        try:
            self._statements = [one for nodes, place in parsed for one in statements_of(nodes, place)]
        except RecursionError:
            raise ModelError(f"model file {str(file)!r} cannot be imported: an expression in it is nested too deep. "
                             "Write it in several lines.") from None

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and not any(name in one.binds for one in self._statements):
            raise AttributeError(name)
        self.execute([name])
        if name in self.__dict__:
            return self.__dict__[name]
        submodule = self._library.submodule(self, name)
        if submodule is None:
            raise AttributeError(f"{self._file.name} has no {name!r}")
        return submodule

    @property
    def text(self) -> str:
        """The source text."""
        return self._text

    @property
    def library(self) -> Library:
        """The library that holds the module and its imports."""
        return self._library

    @property
    def classes(self) -> list[str]:
        """Names of the classes that the file defines, in order."""
        return list(dict.fromkeys(one.node.name for one in self._statements if isinstance(one.node, ast.ClassDef)))

    def search_folders(self) -> list[Path]:
        """Return the folders that the file adds to sys.path by paths relative to its own folder."""
        places = [(self._file.parent / text).resolve() for one in self._statements for text in path_texts(one.node)]
        return [place for place in places if place.is_dir()]

    def execute(self, names: Sequence[str]) -> None:
        """Execute the statements that these names need and that have not run yet."""
        indices = needed(self._statements, names)
        missing = unbound(self._statements, indices, names)
        for index in indices:
            one = self._statements[index]
            if one.star and (module := self._starred(one)):
                self._import_all(module, [name for name in missing if (index, name) not in self._asked], index)
            elif index not in self._done:
                self._done.add(index)       # before it runs: files may import each other
                self._execute(one)

    def _execute(self, one: Statement) -> None:
        try:
            code = compile(ast.Module([one.node], []), one.place, "exec", ANNOTATIONS_AS_TEXT, dont_inherit=True)
            with arguments_of(self._file):
                exec(code, self.__dict__)
        except (Exception, SystemExit) as fault:
            self._stand_in(one, reason_of(fault, one.line))

    def _stand_in(self, one: Statement, reason: str) -> None:
        """Replace the names that a failed statement binds or changes by stand-ins. Modules, such as torch, stay."""
        for name in one.binds | one.changes:
            if not isinstance(self.__dict__.get(name), types.ModuleType):
                self.__dict__[name] = StandIn(reason)

    def _starred(self, one: Statement) -> UserModule | None:
        """Return the user module that `from module import *` imports from. None for any other module."""
        assert isinstance(one.node, ast.ImportFrom)
        try:
            module = self._library.modules_of(one.node.module or "", self.__dict__, one.node.level)[-1]
        except Exception:       # reported when the import is executed
            return None
        return module if isinstance(module, UserModule) else None

    def _import_all(self, module: UserModule, names: Sequence[str], index: int) -> None:
        """Import names from a user module through statement `index`, and record that they were requested."""
        self._asked |= {(index, name) for name in names}        # before it runs: files may import each other
        if names:
            module.execute(names)
        self.__dict__.update({name: vars(module)[name] for name in names if name in vars(module)})


@contextmanager
def arguments_of(file: Path) -> Iterator[None]:
    """Set sys.argv to the file's name alone inside the block, so that argparse in the file uses its defaults."""
    before, sys.argv = sys.argv, [str(file)]
    try:
        yield
    finally:
        sys.argv = before


def reason_of(fault: BaseException, line: str) -> str:
    """Return "line: cause" for a failed statement. The text of NotHere contains the line of the first failure."""
    if isinstance(fault, ModuleNotFoundError) and fault.name:
        advice = "Put its file there" if fault.name[0] == "." else "Install it, or put the file beside the network's"
        return f"{line}: No module named {fault.name!r}. {advice}"
    return f"{line}: {in_one_line(fault)}"


class Library:
    """All user files of one network, each loaded once.

    root: the highest folder that imports search. only: files that may be loaded, by default all.
    """

    def __init__(self, file: Path, root: Path, only: Collection[Path] | None = None) -> None:
        self.root, self.only = root, only
        self.folder = file.parent
        self.modules: dict[Path, UserModule] = {}
        self.added: list[Path] = []     # folders that the files add to sys.path

    def open(self, file: Path, pieces: Sequence[Piece] | None = None, text: str | None = None) -> UserModule:
        """Return the module of a file.

        pieces: source text to use instead of the file's. text: source text to keep in the run, by default all.
        Raises ModelError if the text is not valid Python, or if the file may not be loaded.
        """
        file = file.resolve()
        if not self._may_load(file):
            raise ModelError(f"model file {str(file)!r} is no part of the network that lies in {str(self.root)!r}.")
        if file not in self.modules:
            name = f"{PREFIX}{hashlib.sha256(str(file).encode()).hexdigest()[:8]}_{file.stem}"
            module = self.modules[file] = UserModule(name, file, self, pieces or read_pieces(file), text)
            register(module)
            self.added += module.search_folders()
            for written, piece in written_files(file).items():
                self.open(file.parent / written, [piece])
        return self.modules[file]

    def import_module(
        self, name: str, namespace: Mapping[str, Any] | None = None, local: Any = None,
        names: Sequence[str] | None = (), level: int = 0,
    ) -> Any:
        """Import a module: a replacement for builtins.__import__ that also finds the user's files."""
        found = self.modules_of(name, namespace or {}, level)
        for each in names or ():
            if not isinstance(found[-1], UserModule | PlainFolder):
                _import_submodule(found[-1], each)
        return found[-1] if names else found[0]

    def modules_of(self, name: str, namespace: Mapping[str, Any], level: int) -> list[Any]:
        """Return all modules along a dotted name: "a.b" gives [a, a.b]. Raises ModuleNotFoundError."""
        here = Path(namespace.get("__file__", self.folder)).parent
        if level:
            base = here.parents[level - 2] if level > 1 else here
            found = self._walk(base, name.split("."), plain_folders=True) if name else [self._package(base)]
        else:
            found = self._beside(here, name) or self._installed(name) or self._above(name)
        if found is None:
            top = name.partition(".")[0]
            known = level or self._beside(here, top) or self._above(top)
            missing = "." * level + name if known else top
            raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)
        return found

    def _beside(self, here: Path, name: str) -> list[Any] | None:
        """Return the modules along a dotted name, found beside the network's file or the importing file, or None."""
        for folder in dict.fromkeys((self.folder.resolve(), here)):
            if found := self._walk(folder, name.split(".")):
                return found
        return None

    def _installed(self, name: str) -> list[Any] | None:
        """Return [top-level module, module] from Python's search path. None if the top level is not installed."""
        top = name.partition(".")[0]
        try:
            importlib.import_module(top)
        except ModuleNotFoundError as fault:
            if fault.name == top:
                return None
            raise
        importlib.import_module(name)
        return [sys.modules[top], sys.modules[name]]

    def _above(self, name: str) -> list[Any] | None:
        """Return the modules along a dotted name, found in the folders above or in those added to sys.path, or None.

        Folders without __init__.py count as packages too.
        """
        folders = [*folders_up_to(self.folder.resolve(), self.root), *self.added]
        for plain in (False, True):
            for folder in folders:
                if found := self._walk(folder, name.split("."), plain_folders=plain):
                    return found
        return None

    def _walk(self, folder: Path, parts: Sequence[str], *, plain_folders: bool = False) -> list[Any] | None:
        """Return the modules along a dotted name below a folder. None if one of them is missing."""
        modules: list[Any] = []
        for part in parts:
            file, inner = self._file(folder, part), folder / part
            if file is None and not (self._is_folder(inner) and (plain_folders or modules)):
                return None
            modules.append(PlainFolder(inner, self) if file is None else self.open(file))
            folder = inner
        return modules

    def _file(self, folder: Path, name: str) -> Path | None:
        """Return the file of module `name` in a folder. None if it is missing or may not be loaded."""
        written = (folder / f"{name}.py").resolve()
        file = written if written in self.modules else module_file(folder, name)
        return file if file and self._may_load(file) else None

    def _may_load(self, file: Path) -> bool:
        """True if the file may be loaded. In a run folder, only files in its manifest may be."""
        return self.only is None or file.resolve() in self.only

    def _is_folder(self, folder: Path) -> bool:
        """True for an existing folder, and for a folder that a notebook creates with %%writefile."""
        return folder.is_dir() or any(file.is_relative_to(folder.resolve()) for file in self.modules)

    def _package(self, folder: Path) -> Any:
        """Return the module of a folder: its __init__.py, or a PlainFolder without one."""
        file = folder / "__init__.py"
        return self.open(file) if file.is_file() and self._may_load(file) else PlainFolder(folder, self)

    def submodule(self, module: UserModule, name: str) -> Any:
        """Return the module of a file or folder `name` in the package `module`. None if it does not exist."""
        if Path(module.__file__ or "").name != "__init__.py":
            return None
        found = self._walk(Path(module.__file__ or "").parent, [name], plain_folders=True)
        return found[0] if found else None


def register(module: types.ModuleType) -> None:
    """Add a module to sys.modules, where dataclasses look it up. Drop the oldest above MOST_MODULES.

    The limit keeps the memory of a long process small. Objects that use a dropped module still keep it alive.
    """
    sys.modules.pop(module.__name__, None)
    sys.modules[module.__name__] = module
    known = [name for name in list(sys.modules) if name.startswith(PREFIX)]
    for name in known[:-MOST_MODULES]:
        del sys.modules[name]


class PlainFolder(types.ModuleType):
    """A folder without __init__.py as a module. Its attributes are the modules in the folder."""

    def __init__(self, folder: Path, library: Library) -> None:
        super().__init__(folder.name)
        self._folder, self._library = folder, library

    def __getattr__(self, name: str) -> Any:
        found = None if name.startswith("__") else self._library._walk(self._folder, [name], plain_folders=True)
        if found is None:
            raise AttributeError(f"folder {self._folder.name} has no {name!r}")
        return found[0]


def _import_submodule(module: types.ModuleType, name: str) -> None:
    """Import module.name if `module` is a package without an attribute `name`, as `from package import name` does."""
    if not hasattr(module, name) and hasattr(module, "__path__"):
        try:
            importlib.import_module(f"{module.__name__}.{name}")
        except ModuleNotFoundError as fault:
            if fault.name != f"{module.__name__}.{name}":
                raise


def module_file(folder: Path, name: str) -> Path | None:
    """Return folder/name/__init__.py, or else folder/name.py. None if neither exists."""
    package = folder / name / "__init__.py"
    return package if package.is_file() else file if (file := folder / f"{name}.py").is_file() else None


def repository_root(file: Path) -> Path:
    """Return the nearest folder above a file that contains one of ROOT_MARKS, such as .git.

    If no folder does: the working folder if the file is in it, else the folder that contains the file's package.
    """
    folder = file.resolve().parent
    for above in (folder, *folder.parents):
        if above != above.parent and any((above / mark).exists() for mark in ROOT_MARKS):
            return above
    while (folder / "__init__.py").is_file():
        folder = folder.parent
    here = Path.cwd()
    return here if folder.is_relative_to(here) and here != here.parent else folder


def folders_up_to(folder: Path, root: Path) -> Iterator[Path]:
    """Yield a folder and its parents up to the root. Only the folder, if it is not below the root."""
    yield folder
    while folder != root and folder.is_relative_to(root):
        folder = folder.parent
        yield folder
