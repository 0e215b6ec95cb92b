"""The catalogue of networks, and the one door through which a network is built."""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import nn

from featherweight.errors import ModelError, UnknownName
from featherweight.models.digit_sum import DigitSum
from featherweight.models.feather_1k import Feather1k
from featherweight.models.feather_2k import Feather2k
from featherweight.models.feather_3k5 import Feather3k5
from featherweight.models.feather_8k import Feather8k
from featherweight.models.feather_20k import Feather20k
from featherweight.models.feather_fast import FeatherFast
from featherweight.models.session1 import Session1
from featherweight.models.session5 import Session5
from featherweight.models.session6 import Session6
from featherweight.models.session7_model1 import Session7Model1
from featherweight.models.session7_model2 import Session7Model2

CATALOGUE: dict[str, Callable[..., nn.Module]] = {
    "session1": Session1,
    "session5": Session5,
    "session6": Session6,
    "session7-model1": Session7Model1,
    "session7-model2": Session7Model2,
    "session7-model3": Session7Model2,
    "digit-sum": DigitSum,
    "feather-1k": Feather1k,
    "feather-2k": Feather2k,
    "feather-3k5": Feather3k5,
    "feather-8k": Feather8k,
    "feather-20k": Feather20k,
    "feather-fast": FeatherFast,
}


def build_model(
    name: str, arguments: Mapping[str, Any] | None = None, *, suggested: Mapping[str, Any] | None = None
) -> nn.Module:
    """Build a network by catalogue name or by "path/to/file.py:Class".

    arguments go to the builder as they are; of suggested (in_channels and classes of the data)
    only what the builder's signature names and arguments leave open.

    Raises UnknownName for a name that is not there, ModelError for a file, class or argument
    that does not work.
    """
    builder = find_builder(name)
    accepted = inspect.signature(builder).parameters
    wanted = {key: value for key, value in (suggested or {}).items() if key in accepted} | dict(arguments or {})
    unknown = [key for key in wanted if key not in accepted]
    if unknown and not any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
        raise UnknownName(f"argument of model {name!r}:", unknown[0], accepted)
    try:
        model = builder(**wanted)
    except Exception as fault:
        raise ModelError(f"model {name!r} cannot be built with {wanted}: {_reason(fault)}") from fault
    if not isinstance(model, nn.Module):
        raise ModelError(f"model {name!r} gave a {type(model).__name__}, not a torch.nn.Module.")
    return model


def find_builder(name: str) -> Callable[..., nn.Module]:
    """The callable that builds the network of this name."""
    if name in CATALOGUE:
        return CATALOGUE[name]
    if ".py:" in name:
        return _from_file(*name.rsplit(":", 1))
    if name.endswith(".py"):
        raise ModelError(f"model {name!r} names a file without its class. Write {name + ':Class'!r}.")
    raise UnknownName("model", name, CATALOGUE, "See: featherweight models, or give path/to/file.py:Class.")


def input_shapes(model: nn.Module) -> tuple[tuple[int, ...], ...]:
    """What one example looks like for each input, without the batch axis: the network's own word, or (1, 28, 28)."""
    return tuple(tuple(shape) for shape in getattr(model, "input_shapes", ((1, 28, 28),)))


def _from_file(path: str, attribute: str) -> Callable[..., nn.Module]:
    file = Path(path)
    if not file.is_file():
        raise ModelError(f"model file {path!r} does not exist. Give the path of a Python file, then :Class.")
    spec = importlib.util.spec_from_file_location(f"featherweight_user_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ModelError(f"model file {path!r} is no Python file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module     # dataclasses look their class's module up there
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as fault:
        del sys.modules[spec.name]
        raise ModelError(f"model file {path!r} cannot be imported: {_reason(fault)}") from fault
    builder = getattr(module, attribute, None)
    if not callable(builder):
        own = [name for name, value in vars(module).items() if inspect.isclass(value) and value.__module__ == spec.name]
        raise UnknownName(f"class in {path!r}:", attribute, own)
    return builder  # type: ignore[no-any-return]


def _reason(fault: BaseException) -> str:
    """Any exception as part of one line."""
    return " ".join(f"{type(fault).__name__}: {fault}".split())
