"""Weights by name: from a file, without running anything that it holds, and beside a network that they may not fit."""

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

MOST = 3        # misfits that a message names
DEEPEST = 4     # checkpoints inside each other
PREFIXES = ("module.", "_orig_mod.")    # of DataParallel and averages, and of torch.compile
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "network", "weights")    # keys of a checkpoint
SAVE = "Save its weights alone: torch.save(model.state_dict(), 'weights.pth')"


def put_weights(model: nn.Module, file: Path) -> None:
    """Put the weights of a .safetensors file, or of one that torch.save wrote, into a model.

    Prefixes of wrappers are taken off. Nothing in the file is executed. Raises ModelError, one line, for a file that
    holds no weights or those of another network.
    """
    weights = without_prefixes(read_weights(file), model.state_dict())
    if odd := next((f"{name} is {kind}" for name, value in weights.items() if (kind := oddity(value))), ""):
        raise ModelError(f"the weights of {str(file)!r} are no plain numbers: {odd}. {SAVE}")
    if wrong := misfits(model, weights):
        raise ModelError(f"the weights of {str(file)!r} do not fit the network: {in_words(wrong)}. "
                         "Give the network that they were saved from, with its arguments.")
    model.load_state_dict(weights, strict=False)


def read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, out of a checkpoint if they lie in one."""
    if not file.is_file():
        raise ModelError(f"weights file {str(file)!r} does not exist. Give a .safetensors, .pth or .pt file.")
    content = read_safetensors(file) if file.suffix == ".safetensors" else read_pickled(file)
    weights = tensors_in(content)
    if not weights:
        raise ModelError(f"{str(file)!r} holds {described(content)}, and no weights by name. {SAVE}")
    return weights


def described(content: Any) -> str:
    """The content of a file in a few words."""
    if isinstance(content, Mapping):
        return f"the keys {shortened(', '.join(str(key) for key in list(content)[:5]))}" if content else "nothing"
    return f"a {type(content).__name__}"


def read_safetensors(file: Path) -> dict[str, Tensor]:
    """All of a safetensors file."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(file)
    except (OSError, SafetensorError) as fault:
        raise ModelError(f"{str(file)!r} is no safetensors file: {shortened(fault)}.") from fault


def read_pickled(file: Path) -> Any:
    """Return tensors and plain values that torch.save wrote. torch refuses a file that would run anything."""
    if is_compressed(file):     # torch.save compresses nothing, and little can unpack to more than the memory holds
        raise ModelError(f"{str(file)!r} is a compressed archive, not a file that torch.save wrote. {SAVE}")
    try:
        with warnings.catch_warnings(action="ignore"):
            return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as fault:      # a damaged file may raise anything
        if found := re.search(r"GLOBAL (\S+)", str(fault)):
            kind = shortened(found[1])
            raise ModelError(f"{str(file)!r} holds objects of {kind}, not weights alone: loading them would run code. "
                             f"{SAVE}") from fault
        if "TorchScript" in str(fault):
            raise ModelError(f"{str(file)!r} is a TorchScript program, not weights alone. {SAVE}") from fault
        raise ModelError(f"{str(file)!r} is no file that torch.save wrote, or is damaged. {SAVE}") from fault


def is_compressed(file: Path) -> bool:
    """True for a zip archive with a compressed file in it."""
    try:
        with zipfile.ZipFile(file) as archive:
            return any(one.compress_type != zipfile.ZIP_STORED for one in archive.infolist())
    except Exception:       # not an archive, or a damaged one, which torch refuses
        return False


def tensors_in(content: Any, depth: int = 1) -> dict[str, Tensor]:
    """The weights of a state dict, or of a checkpoint that holds one under a usual key; empty for anything else."""
    if not isinstance(content, Mapping) or depth > DEEPEST:
        return {}
    if all(isinstance(name, str) and isinstance(value, Tensor) for name, value in content.items()):
        return dict(content)
    return next((found for key in WRAPPERS if (found := tensors_in(content.get(key), depth + 1))), {})


def oddity(value: Tensor) -> str:
    """The word for a tensor that cannot be copied into a network's, "" for a plain one."""
    kinds = {"without values": value.is_meta, "sparse": value.layout != torch.strided, "complex": value.is_complex(),
             "quantised": value.is_quantized}
    return next((word for word, is_so in kinds.items() if is_so), "")


def without_prefixes(weights: Mapping[str, Tensor], own: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights under the network's own names, where a wrapper put something before them or counted averages."""
    return {plain_name(name, own): value for name, value in weights.items() if name in own or name != "n_averaged"}


def plain_name(name: str, own: Collection[str]) -> str:
    """The name without prefixes, as far as it takes to be one of these."""
    prefix = next((one for one in PREFIXES if name.startswith(one)), "")
    return name if name in own or not prefix else plain_name(name.removeprefix(prefix), own)


def misfits(model: nn.Module, weights: Mapping[str, Tensor]) -> list[str]:
    """A phrase for each name that only one of both has, or that has two shapes; empty where all fit.

    Counters of batches may be missing, as in files of torch before 0.4.1.
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
    """The first misfits and how many more there are, as a part of one line."""
    more = f", and {len(phrases) - MOST} more" if len(phrases) > MOST else ""
    return ", ".join(map(shortened, phrases[:MOST])) + more
