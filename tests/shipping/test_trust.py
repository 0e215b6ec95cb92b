"""Networks whose answer cannot be trusted are refused in one line, before a file is written."""

from __future__ import annotations

import pytest

from ..cli.conftest import refused, run_command  # noqa: F401  fixtures


@pytest.mark.parametrize(("name", "words"), [
    ("AlwaysDropped", ["F.dropout is active in evaluation (odd_networks.py:", "F.dropout(x, 0.2, self.training)"]),
    ("DroppedByAHiddenLayer", ["F.dropout is active in evaluation (odd_networks.py:", "in __init__"]),
    ("Noisy", ["randn_like draws random numbers in evaluation (odd_networks.py:"]),
])
def test_random_answers_are_refused_with_their_line(name, words, odd_run, refused, tmp_path):  # noqa: F811
    for form in ("onnx", "c"):
        refused("export", odd_run(name).path, "--to", form, "--out", tmp_path / "out",
                words=["differently each time", *words])
    assert not (tmp_path / "out").exists()
