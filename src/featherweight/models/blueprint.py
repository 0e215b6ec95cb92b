"""A network that is not built yet: its name, its builder, and its source if the network is the user's own."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from featherweight.blame import explain
from featherweight.errors import ModelError, UnknownName
from featherweight.models.catalogue import CATALOGUE
from featherweight.models.exported import exported_source
from featherweight.models.words import PREFIX, builder_of_words
from featherweight.user_code import ENDINGS, Source, UserClass, load_class
from featherweight.wording import either

ALIASES = {     # property of the data -> names that builders use for it
    "classes": ("classes", "num_classes", "n_classes", "nclasses", "num_class", "nb_classes", "class_num",
                "num_labels", "out_classes", "output_classes"),
    "in_channels": ("in_channels", "in_chans", "in_ch", "input_channels", "num_input_channels"),
}
Suggestions = Mapping[str, Any]


@dataclass(frozen=True)
class Blueprint:
    """A network that can be built. user_class: the class loaded from the user's source text, else None."""

    name: str
    builder: Callable[..., Any]
    user_class: UserClass | None = None

    def build(self, arguments: Mapping[str, Any] | None = None, suggested: Suggestions | None = None) -> nn.Module:
        """Build the network.

        arguments: passed to the builder unchanged.
        suggested: in_channels and classes of the data. Used only if the builder's signature names them, also under
        one of ALIASES such as num_classes, and `arguments` does not set them.
        Raises UnknownName for an unknown argument, ModelError for a missing argument or a builder that fails.
        """
        accepted = self.parameters()
        wanted = fitting(suggested or {}, accepted) | dict(arguments or {})
        unknown = [key for key in wanted if key not in accepted]
        if unknown and not any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
            raise UnknownName(f"argument of model {self.name!r}:", unknown[0], accepted)
        self.check_complete(accepted, wanted)
        try:
            model = self.builder(**wanted)
        except ModelError:      # its text is the whole message
            raise
        except Exception as fault:
            raise ModelError(f"model {self.name!r} cannot be built with {wanted}: {explain(fault)}") from fault
        if not isinstance(model, nn.Module):
            raise ModelError(f"model {self.name!r} gave a {type(model).__name__}, not a torch.nn.Module.")
        return model

    def parameters(self) -> Mapping[str, inspect.Parameter]:
        """Return the builder's parameters by name. Empty if its signature cannot be read."""
        try:
            return inspect.signature(self.builder).parameters
        except (ValueError, TypeError):
            return {}

    def check_complete(self, accepted: Mapping[str, inspect.Parameter], given: Mapping[str, Any]) -> None:
        """Raise ModelError if an argument without a default is missing. The message shows a correct call."""
        missing = [
            name for name, p in accepted.items()
            if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD) and name not in given
        ]
        if missing:
            values = {name: "10" if name in ALIASES["classes"] else "VALUE" for name in missing}
            options = " ".join(f"--set {name}={value}" for name, value in values.items())
            settings = [f"model.arguments.{name}={value}" for name, value in values.items()]
            raise ModelError(
                f"model {self.name!r} needs {', '.join(map(repr, missing))}. Write: " + either(
                    f"featherweight summary {self.name} {options} (in a recipe: [model.arguments])",
                    f"build_model({self.name!r}, {values}) or train(..., settings={settings})",
                )
            )

    @property
    def is_own(self) -> bool:
        """True for a network of the user's. False for those of the catalogue and for rows of words."""
        if self.name.startswith(PREFIX):
            return self.user_class is not None
        return CATALOGUE.get(self.name) is not self.builder

    def source(self, model: nn.Module, inputs: Sequence[Tensor]) -> Source | None:
        """Return the network's source text, None for a network whose name is enough to build it again.

        model: the built network. inputs: one batch per input.
        If the network has no source text, return the graph that torch.export finds, as source text.
        """
        if not self.is_own:
            return None
        return self.user_class.source() if self.user_class else exported_source(model, inputs)


def find_blueprint(name: str) -> Blueprint:
    """Return the network of a catalogue name, of "words:c8 g h", or of "path/to/file.py:Class" (also .ipynb:Class).

    Raises UnknownName for an unknown name, ModelError for a file that cannot be loaded.
    Raises Untrusted for a file in a run folder that the user has not trusted.
    """
    if name in CATALOGUE:
        return Blueprint(name, CATALOGUE[name])
    if name.startswith(PREFIX):
        return Blueprint(name, builder_of_words(name))
    path, _, attribute = name.rpartition(":")
    if path.endswith(ENDINGS):
        found = load_class(path, attribute)
        return Blueprint(name, builder_of(found.builder), found)
    if name.endswith(ENDINGS):
        raise ModelError(f"model {name!r} names a file without its class. Write {name + ':Class'!r}.")
    raise UnknownName("model", name, CATALOGUE, "See: featherweight models, or give path/to/file.py:Class, or "
                      "e.g. 'words:c8 s16 p s22 g h'.")


def builder_of(found: Any) -> Callable[..., Any]:
    """Return a builder: `found` itself if it is a class or function. For a module, a function that copies it."""
    return (lambda: copy.deepcopy(found)) if isinstance(found, nn.Module) else found


def fitting(suggested: Suggestions, accepted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the suggestions that the signature accepts, under the names in the signature."""
    return {
        alias: value for key, value in suggested.items() for alias in ALIASES.get(key, (key,)) if alias in accepted
    }
