"""Load weights from a file into a network, without executing code in the file.

Messages say which weights do not fit the network.
"""

from __future__ import annotations

import difflib
import re
import warnings
import zipfile
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from featherweight.errors import ModelError
from featherweight.outside import shortened

MOST = 3        # mismatches that a message names
DEEPEST = 4     # levels of nested dictionaries in a checkpoint
PREFIXES = ("module.", "_orig_mod.")    # added by DataParallel and AveragedModel; by torch.compile
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights")    # keys in checkpoints
SAVE = "Save its weights alone: torch.save(model.state_dict(), 'weights.pth')"


def put_weights(model: nn.Module, file: Path) -> None:
    """Load the weights of a .safetensors file, or of a file from torch.save, into a model.

    Prefixes of wrappers, such as "module.", are removed. No code in the file is executed.
    Raises ModelError, one line, if the file contains no weights or the weights of another network.
    """
    weights = without_prefixes(read_weights(file), model.state_dict())
    if odd := next((f"{name} is {kind}" for name, value in weights.items() if (kind := oddity(value))), ""):
        raise ModelError(f"the weights of {str(file)!r} are no plain numbers: {odd}. {SAVE}")
    if wrong := misfits(model, weights):
        raise ModelError(f"the weights of {str(file)!r} do not fit the network: {in_words(wrong)}. "
                         "Give the network that they were saved from, with its arguments.")
    model.load_state_dict(weights, strict=False)


def read_weights(file: Path) -> dict[str, Tensor]:
    """Read the tensors of a file by name, also from inside a checkpoint. Raises ModelError without any."""
    if not file.is_file():
        raise ModelError(f"weights file {str(file)!r} does not exist. Give a .safetensors, .pth or .pt file.")
    content = read_safetensors(file) if file.suffix == ".safetensors" else read_pickled(file)
    weights = tensors_in(content)
    if not weights:
        raise ModelError(f"{str(file)!r} holds {described(content)}, and no weights by name. {SAVE}")
    return weights


def described(content: Any) -> str:
    """The content of a file in a few words, for a message."""
    if isinstance(content, Mapping):
        return f"the keys {shortened(', '.join(str(key) for key in list(content)[:5]))}" if content else "nothing"
    return f"a {type(content).__name__}"


def read_safetensors(file: Path) -> dict[str, Tensor]:
    """Read all tensors of a safetensors file. Raises ModelError if the file is not one."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (OSError, SafetensorError) as fault:
        raise ModelError(f"{str(file)!r} is no safetensors file: {shortened(fault)}.") from fault


def read_pickled(file: Path) -> Any:
    """Read tensors and plain values from a file of torch.save. Raises ModelError if the file would run code."""
    if is_compressed(file):     # torch.save does not compress; a small archive may unpack to more than the memory
        raise ModelError(f"{str(file)!r} is a compressed archive, not a file that torch.save wrote. {SAVE}")
    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as fault:      # a damaged file may raise any exception
        if found := re.search(r"GLOBAL (\S+)", str(fault)):
            kind = shortened(found[1])
            raise ModelError(f"{str(file)!r} holds objects of {kind}, not weights alone: loading them would run code. "
                             f"{SAVE}") from fault
        if "TorchScript" in str(fault):
            raise ModelError(f"{str(file)!r} is a TorchScript program, not weights alone. {SAVE}") from fault
        raise ModelError(f"{str(file)!r} is no file that torch.save wrote, or is damaged. {SAVE}") from fault


def is_compressed(file: Path) -> bool:
    """True for a zip archive that contains a compressed file."""
    try:
        with zipfile.ZipFile(file) as archive:
            return any(one.compress_type != zipfile.ZIP_STORED for one in archive.infolist())
    except Exception:       # not an archive, or a damaged archive, which torch refuses
        return False


def tensors_in(content: Any, depth: int = 1) -> dict[str, Tensor]:
    """Return the weights of a state dict, or of a checkpoint with a state dict under one of WRAPPERS. Else empty."""
    if not isinstance(content, Mapping) or depth > DEEPEST:
        return {}
    if all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()):
        return dict(content)
    return next((found for key in WRAPPERS if (found := tensors_in(content.get(key), depth + 1))), {})


def oddity(value: Tensor) -> str:
    """Return a word for a tensor that cannot be copied into a network, such as "sparse". "" for a dense tensor."""
    kinds = {"without values": value.is_meta, "sparse": value.layout != torch.strided, "complex": value.is_complex(),
             "quantised": value.is_quantized}
    return next((word for word, is_so in kinds.items() if is_so), "")


def without_prefixes(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights under the network's names: without wrappers' prefixes and AveragedModel's counter."""
    return {plain_name(name, own): value for name, value in weights.items() if name in own or name != "n_averaged"}


def plain_name(name: str, own: Collection[str]) -> str:
    """Return the name after removing prefixes until it is in `own` or has no prefix left."""
    prefix = next((one for one in PREFIXES if name.startswith(one)), "")
    return name if name in own or not prefix else plain_name(name.removeprefix(prefix), own)


def misfits(model: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """Return a phrase for each weight that is missing, unknown to the network, or of another shape.

    A missing `num_batches_tracked` is allowed: torch before 0.4.1 did not save it.
    """
    own = model.state_dict()
    extra = [name if name.isprintable() else ascii(name) for name in weights if name not in own]
    phrases = []
    for name in own:
        if name in weights and weights[name].shape != own[name].shape:
            phrases.append(f"{name} is {tuple(weights[name].shape)}, the network's is {tuple(own[name].shape)}")
        elif name not in weights and not name.endswith("num_batches_tracked"):
            near = difflib.get_close_matches(name, extra, n=1)
            phrases.append(f"{name} is missing" + (f" (perhaps {near[0]})" if near else ""))
            extra = [other for other in extra if other not in near]
    return phrases + [f"{name} is no part of the network" for name in extra]


def in_words(phrases: Sequence[str]) -> str:
    """The first MOST phrases and the number of further ones, as part of one line."""
    more = f", and {len(phrases) - MOST} more" if len(phrases) > MOST else ""
    return ", ".join(map(shortened, phrases[:MOST])) + more
