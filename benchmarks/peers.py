"""One epoch of one peer, in a process of its own, as a JSON line: `python benchmarks/peers.py PEER MODEL ...`.

usual                   the documents' loop: a PIL picture at a time, DataLoader with two workers, float32, .item()
lightning               PyTorch Lightning on tensors in memory, with the same batched augmentation as ours
featherweight-auto      featherweight.training.loop in the precision that the machine computes fastest
featherweight-float32   the same in float32
"""

from __future__ import annotations

import argparse
import json
import math
import random
import resource
import time
import warnings
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from featherweight.augment import Augmentation, normalise
from featherweight.data import load_dataset
from featherweight.models import build_model
from featherweight.tasks import build_task
from featherweight.training.loop import Images, Plan, train
from featherweight.training.optimization import build_optimizer, build_schedule
from featherweight.training.state import TrainingState
from featherweight.training.step import keep_freed_memory, pick_precision

ROTATION, SHIFT, SCALE = 7.0, 0.05, 0.05
BATCH, WARM_UP = 128, 20            # images, steps
LR, MOMENTUM = 0.01, 0.9


class Pictures(Dataset[tuple[Tensor, int]]):
    """A PIL picture at a time, through the transforms that torchvision would apply."""

    def __init__(self, images: Tensor, labels: Tensor, mean: float, std: float) -> None:
        self.images, self.labels, self.mean, self.std = images.numpy(), labels.tolist(), mean, std

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = Image.fromarray(self.images[index, 0])
        picture = random_affine(picture)
        pixels = torch.from_numpy(np.array(picture, dtype=np.uint8)).unsqueeze(0)
        return pixels.float().div(255).sub_(self.mean).div_(self.std), self.labels[index]


def random_affine(picture: Image.Image) -> Image.Image:
    """RandomAffine: one draw of rotation, shift and scale, applied by Pillow."""
    angle = math.radians(random.uniform(-ROTATION, ROTATION))
    zoom = random.uniform(1 - SCALE, 1 + SCALE)
    width, height = picture.size
    dx, dy = random.uniform(-SHIFT, SHIFT) * width, random.uniform(-SHIFT, SHIFT) * height
    cos, sin = math.cos(angle) / zoom, math.sin(angle) / zoom
    cx, cy = width / 2, height / 2
    matrix = (cos, sin, cx - cos * (cx + dx) - sin * (cy + dy), -sin, cos, cy + sin * (cx + dx) - cos * (cy + dy))
    return picture.transform(picture.size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def usual(model: nn.Module, data: Images) -> dict[str, Any]:
    """The loop of the documents."""
    optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)
    pictures = Pictures(data.images, data.labels, float(data.mean), float(data.std))

    def epoch(images: Dataset[tuple[Tensor, int]]) -> None:
        model.train()
        correct = processed = 0
        for batch, target in DataLoader(images, batch_size=BATCH, shuffle=True, num_workers=2):
            optimizer.zero_grad()
            prediction = model(batch)
            loss = F.nll_loss(prediction, target)
            loss.item()
            loss.backward()
            optimizer.step()
            correct += prediction.argmax(dim=1).eq(target).sum().item()
            processed += len(batch)

    epoch(torch.utils.data.Subset(pictures, range(min(WARM_UP * BATCH, len(pictures)))))
    return {"seconds": timed(lambda: epoch(pictures))}


def featherweight(model: nn.Module, data: Images, precision: str) -> dict[str, Any]:
    """Our loop, with a clock around the augmentation."""
    keep_freed_memory()
    precision = pick_precision(precision, torch.device("cpu"))
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = build_optimizer(model.parameters(), "sgd", lr=LR, momentum=MOMENTUM)
    schedule = build_schedule(optimizer, "constant", total_steps=1)
    augmentation = Clocked(rotation=ROTATION, shift=SHIFT, scale=SCALE)

    def epoch(images: Images) -> None:
        state = TrainingState(model, optimizer, schedule, None, torch.Generator().manual_seed(1))
        list(train(state, images, build_task("classification"), Plan(1, BATCH, 1, precision, 0.0, augmentation)))

    few = slice(0, WARM_UP * BATCH)
    epoch(Images(data.images[few], data.labels[few], data.mean, data.std))
    Clocked.spent = 0.0
    seconds = timed(lambda: epoch(data))
    return {"seconds": seconds, "augmentation_share": Clocked.spent / seconds, "precision": precision}


class Clocked(Augmentation):
    """An augmentation that counts the seconds it takes."""

    spent = 0.0

    def __call__(self, images: Tensor, generator: torch.Generator) -> Tensor:
        """As the parent, timed."""
        started = time.perf_counter()
        changed = super().__call__(images, generator)
        Clocked.spent += time.perf_counter() - started
        return changed


def lightning(model: nn.Module, data: Images) -> dict[str, Any]:
    """PyTorch Lightning with everything off that is not training."""
    import lightning as L

    augmentation, generator = Augmentation(rotation=ROTATION, shift=SHIFT, scale=SCALE), torch.Generator()

    class Module(L.LightningModule):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
            images = normalise(augmentation(batch[0], generator), data.mean, data.std)
            return F.nll_loss(self.model(images), batch[1])

        def configure_optimizers(self) -> torch.optim.Optimizer:
            return torch.optim.SGD(self.parameters(), lr=LR, momentum=MOMENTUM)

    def epoch(count: int) -> None:
        tensors = TensorDataset(data.images[:count].float().div(255), data.labels[:count])
        off = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
        trainer = L.Trainer(max_epochs=1, accelerator="cpu", enable_model_summary=False, **off)
        loader = DataLoader(tensors, batch_size=BATCH, shuffle=True)
        started = time.perf_counter()
        trainer.fit(Module(), loader)
        seconds.append(time.perf_counter() - started)

    seconds: list[float] = []
    warnings.simplefilter("ignore")
    epoch(WARM_UP * BATCH)
    epoch(len(data))
    return {"seconds": seconds[-1]}


def timed(work: Any) -> float:
    """Seconds of wall time."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=("usual", "lightning", "featherweight-auto", "featherweight-float32"))
    parser.add_argument("model")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--images", type=int, default=60_000)
    given = parser.parse_args()
    torch.manual_seed(1)
    loaded = load_dataset(given.data)
    images, labels = loaded.train.images[: given.images], loaded.train.labels[: given.images]
    data = Images(images, labels, torch.tensor(loaded.mean), torch.tensor(loaded.std))
    model = build_model(given.model)
    kind, _, precision = given.peer.partition("-")
    result = featherweight(model, data, precision) if precision else {"usual": usual, "lightning": lightning}[kind](
        model, data
    )
    memory = {who: resource.getrusage(code).ru_maxrss / 1024 for who, code in (
        ("peak_mb", resource.RUSAGE_SELF), ("largest_worker_mb", resource.RUSAGE_CHILDREN))}
    print(json.dumps({**result, **memory, "images": len(data)}))


if __name__ == "__main__":
    main()
