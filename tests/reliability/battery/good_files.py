"""Runs, bundles, pictures and data that are good, made once, for trials that change them."""

from __future__ import annotations

import shutil
import signal
import struct
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from battery.warm import Done, Warm

NETWORK = '''"""A small network of a user's own."""
import torch
from torch import nn

WIDTHS = {"first": 4, "second": 8}


class Net(nn.Module):
    def __init__(self, classes=10, drop=0.1):
        super().__init__()
        self.maps = nn.Sequential(
            nn.Conv2d(1, WIDTHS["first"], 3, stride=3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(drop),
            nn.Conv2d(4, WIDTHS["second"], 3, stride=3), nn.ReLU(),
        )
        self.head = nn.Linear(8 * 3 * 3, classes)

    def forward(self, x):
        return torch.log_softmax(self.head(self.maps(x).flatten(1)), dim=1)
'''


def shared(warm: Warm, name: str, make: Callable[[Path], None]) -> Path:
    """A folder that is made once for all generators of a process."""
    place = Path(warm.scratch.name) / "good" / name
    if not place.exists():
        building = place.with_name(f"{name}.part")
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        make(building)
        building.rename(place)
    return place


def run(warm: Warm, *command: Any, cwd: Path) -> Done:
    """Run a command that must do well."""
    done = warm.run(*command, cwd=cwd, timeout=300)
    assert done.code == 0, done.err
    return done


def trained(warm: Warm) -> Path:
    """A folder with a finished run, run/, and a picture, seven.png."""

    def make(folder: Path) -> None:
        train = ("train", "session7-model2", "--data", "digits", "--set", "training.epochs=1", "--no-report")
        run(warm, *train, "--out", "run", cwd=folder)
        draw_seven(folder / "seven.png")

    return shared(warm, "trained", make)


def interrupted(warm: Warm) -> Path:
    """A folder with a run of two epochs that was interrupted after the first, run/."""

    def make(folder: Path) -> None:
        recipe = ("session7-model2", "--data", "digits", "--set", "training.epochs=2", "--set", "optimizer.name=adam")
        for _ in range(20):
            started = warm.start("train", *recipe, "--no-report", "--out", "run", "--force", cwd=folder)
            until = time.monotonic() + 60
            while not (folder / "run" / "history.jsonl").exists() and time.monotonic() < until:
                time.sleep(0.001)
            started.send(signal.SIGTERM)
            if started.wait().code == 143:
                return
        raise AssertionError("a training of two epochs was never interrupted")

    return shared(warm, "interrupted", make)


def bundled(warm: Warm) -> Path:
    """A folder with a bundle, bundle/, and a picture, seven.png."""

    def make(folder: Path) -> None:
        run(warm, "export", trained(warm) / "run", "--to", "bundle", "--out", "bundle", cwd=folder)
        draw_seven(folder / "seven.png")

    return shared(warm, "bundled", make)


def of_arrays(warm: Warm) -> Path:
    """A folder with a run on arrays given in Python, run/, whose test images lie in data.safetensors."""

    def make(folder: Path) -> None:
        import numpy as np

        import featherweight

        random = np.random.default_rng(0)
        images, labels = random.integers(0, 256, (120, 28, 28), np.uint8), np.arange(120) % 3
        featherweight.train("session7-model2", folder / "run", data=(images, labels), settings=["training.epochs=1"])

    return shared(warm, "arrays", make)


def with_network(warm: Warm) -> Path:
    """A folder with a run of a network of the user's own, run/, and a picture."""

    def make(folder: Path) -> None:
        (folder / "net.py").write_text(NETWORK)
        (folder / "own.toml").write_text('name = "own"\n[data]\ndataset = "digits"\n[model]\nname = "net.py:Net"\n')
        run(warm, "train", "own.toml", "--no-report", "--out", "run", cwd=folder)
        (folder / "net.py").unlink()
        draw_seven(folder / "seven.png")

    return shared(warm, "own", make)


def draw_seven(file: Path) -> None:
    """Draw a seven, dark on light, in the format of the file's ending."""
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (90, 110), (240, 238, 230))
    ImageDraw.Draw(picture).line([(20, 20), (70, 20), (40, 92)], fill=(30, 30, 60), width=8, joint="curve")
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 1, "a seven"
    picture.save(file, **({"exif": exif} if file.suffix in (".png", ".jpg", ".webp", ".tif") else {}))


def known_mnist() -> Path | None:
    """The published files, where this machine has them."""
    from featherweight.data import locate

    place = locate("mnist")
    return place.files[0].parent if place and place.files[0].suffix == ".gz" else None


def write_idx(folder: Path, ending: str) -> tuple[str, ...]:
    """Four files in the folder, copied or made; their paths from its parent, the small ones several times."""
    import numpy as np

    names = [f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")]
    random, known = np.random.default_rng(0), known_mnist()
    for name in names:
        count = 60_000 if name.startswith("train") else 10_000
        if ending and known:
            shutil.copy(known / f"{name}.gz", folder)
            continue
        labels, pixels = np.arange(count, dtype=np.uint8) % 10, random.integers(0, 256, (500, 28, 28), np.uint8)
        content = struct.pack(">IIII", 0x803, count, 28, 28) + np.tile(pixels, (count // 500, 1, 1)).tobytes() \
            if "images" in name else struct.pack(">II", 0x801, count) + labels.tobytes()
        (folder / f"{name}{ending}").write_bytes(content)
    return tuple(f"mnist/{name}{ending}" for name in names[:1] + names[1:] * 3)
