"""Short names of networks, as people type them on the command line, made complete: FILE:Class."""

from __future__ import annotations

import sys
from importlib.machinery import PathFinder
from pathlib import Path

from torch import nn

from featherweight.errors import ModelError
from featherweight.models.catalogue import CATALOGUE
from featherweight.models.words import PREFIX
from featherweight.user_code import ENDINGS, UserModule, open_module


def full_name(name: str) -> str:
    """Return the name of a network in the form that find_blueprint takes. Other names are returned unchanged.

    - "net.py" becomes "net.py:Net" if Net is the only network in the file.
    - "package.module:Net" becomes "package/module.py:Net". The file is searched in the working folder, then on
      Python's path. Nothing is imported.

    Raises ModelError for a file with no network or with several, and for a module without a file.
    """
    if name in CATALOGUE or name.startswith(PREFIX):
        return name
    if name.endswith(ENDINGS):
        return f"{name}:{only_network(name)}"
    module, _, attribute = name.rpartition(":")
    identifiers = all(part.isidentifier() for part in [*module.split("."), attribute])
    if identifiers and not module.endswith(ENDINGS):
        return f"{module_path(module)}:{attribute}"
    return name


def only_network(file: str) -> str:
    """Return the name of the only network class in a file. Raises ModelError for none or several."""
    module = open_module(file)
    names = module.classes
    if len(names) > 1:      # a single class is not executed here, so that its faults are told as usual
        names = [name for name in names if is_network(module, name)]
    if len(names) == 1:
        return names[0]
    if not names:
        raise ModelError(f"model file {file!r} has no class that is a network. Write {file + ':NAME'!r}, where NAME is "
                         "a class, or a function that returns a network.")
    raise ModelError(f"model file {file!r} holds {len(names)} networks: {', '.join(names)}. Write one of them after "
                     f"the file, such as {file + ':' + names[-1]!r}.")


def is_network(module: UserModule, name: str) -> bool:
    """True if the class is a torch.nn.Module. Executes only the statements that the class needs."""
    try:
        found = getattr(module, name)
    except ModelError:
        return False
    return isinstance(found, type) and issubclass(found, nn.Module)


def module_path(module: str) -> Path:
    """Return the file of a dotted module name: "package.module" -> package/module.py. Raises ModelError without one."""
    parts = module.split(".")
    for folder in (Path(), *places_of(parts[0])):
        base = folder.joinpath(*parts)
        for file in (base.with_name(f"{base.name}.py"), base / "__init__.py"):
            if file.is_file():
                return file
    raise ModelError(f"module {module!r} has no file: there is no {Path(*parts)}.py in this folder or on Python's "
                     "path. Give the path of the file, such as path/to/file.py:Class.")


def places_of(top: str) -> list[Path]:
    """Return the folders of sys.path in which the top-level package lies, without importing the package."""
    spec = PathFinder.find_spec(top, [place for place in sys.path if place])
    if spec is None:
        return []
    folders = spec.submodule_search_locations or [spec.origin or ""]
    return [Path(folder).parent for folder in folders]
