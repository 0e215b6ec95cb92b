"""What the package exports, and how light it is to import."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import featherweight

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize("name", featherweight.__all__)
def test_every_exported_name_is_there_and_documented(name):
    value = getattr(featherweight, name)
    assert name == "__version__" or value.__doc__
    assert name in dir(featherweight)


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'tain'"):
        _ = featherweight.tain


def test_importing_is_light():
    program = "import sys, featherweight; print([m for m in ('torch', 'numpy', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_python_dash_m_is_the_command_line():
    command = [sys.executable, "-m", "featherweight", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0 and done.stdout == f"featherweight {featherweight.__version__}\n"


def test_every_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = [requirement for names in project["optional-dependencies"].values() for requirement in names]
    pinned = {
        line.partition("==")[0].lower().replace("_", "-")
        for line in (ROOT / "constraints.txt").read_text().splitlines()
        if "==" in line
    }
    for requirement in [*project["dependencies"], *extras]:
        assert requirement.partition(">=")[0].lower() in pinned, requirement
    assert "torch==2.13.0" in (ROOT / "constraints.txt").read_text()


def test_no_source_writes_pickle_or_executes_any():
    words = ("torch.save(", "torch.load(", "import pickle", "joblib", "allow_pickle=True")
    for file in (ROOT / "src").rglob("*.py"):
        text = file.read_text()
        if file.name == "weights.py":       # reads files of torch.save, and advises how to write one
            text = text.replace("torch.save(model.state_dict(), 'weights.pth')", "")
            text = text.replace('torch.load(file, map_location="cpu", weights_only=True)', "")
        assert not [word for word in words if word in text], file
