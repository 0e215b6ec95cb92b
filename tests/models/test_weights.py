"""Weights of anybody's file: they are put into the network, or one line says why not."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from featherweight.errors import ModelError
from featherweight.models.weights import put_weights


def fault_of(content: Any, file: Path) -> str:
    torch.save(content, file)
    with pytest.raises(ModelError) as fault:
        put_weights(nn.Linear(3, 2), file)
    assert "\n" not in str(fault.value)
    return str(fault.value)


@pytest.mark.parametrize(
    ("weight", "word"),
    [
        (torch.eye(2, 3).to_sparse(), "sparse"),
        (torch.ones(2, 3, dtype=torch.complex64), "complex"),
        (torch.empty(2, 3, device="meta"), "without values"),
    ],
)
def test_weights_that_are_no_plain_numbers(weight: torch.Tensor, word: str, tmp_path: Path) -> None:
    fault = fault_of({"weight": weight, "bias": torch.zeros(2)}, tmp_path / "w.pth")
    assert f"are no plain numbers: weight is {word}. Save its weights alone" in fault


def test_a_checkpoint_that_holds_itself(tmp_path: Path) -> None:
    content: dict[str, Any] = {}
    content["model"] = content
    assert "holds the keys model, and no weights by name" in fault_of(content, tmp_path / "w.pth")


def test_a_compressed_archive_is_not_unpacked(tmp_path: Path) -> None:
    plain, packed = tmp_path / "plain.pth", tmp_path / "packed.pth"
    torch.save(nn.Linear(3, 2).state_dict(), plain)
    with zipfile.ZipFile(plain) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name in source.namelist():
            target.writestr(name, source.read(name))
    with pytest.raises(ModelError, match=r"packed.pth' is a compressed archive, not a file that torch\.save wrote"):
        put_weights(nn.Linear(3, 2), packed)


def test_a_name_that_would_break_the_line(tmp_path: Path) -> None:
    fault = fault_of(nn.Linear(3, 2).state_dict() | {"a\nb\x1b": torch.zeros(1)}, tmp_path / "w.pth")
    assert r"'a\nb\x1b' is no part of the network" in fault
