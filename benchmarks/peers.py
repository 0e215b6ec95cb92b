"""Measure one peer of usual_loop.py in this process: warm up, train one epoch, print the results as JSON.

usual_loop.py starts this script with a Job in JSON as its only argument. Each measurement has a fresh process, so that
the peak memory is that of one peer.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from jobs import Epoch, Job
from per_image import Compose, Normalize, PictureDataset, RandomAffine, ToTensor
from torch import nn
from torch.utils.data import DataLoader

from featherweight.augment import Augmentation
from featherweight.data import Images, load_dataset
from featherweight.devices import keep_freed_memory, layout_for, pick_precision
from featherweight.errors import FeatherweightError, ModelError
from featherweight.models import build_model, input_shapes
from featherweight.tasks import ClassificationTask
from featherweight.training.compiled.program import choose_engine
from featherweight.training.compiled_engine import make_augment, make_network
from featherweight.training.engine import Replica, prepare
from featherweight.training.loop import train
from featherweight.training.optimization import build_optimizer, build_schedule
from featherweight.training.plan import Plan
from featherweight.training.state import Position, TrainingState

ROTATION, SHIFT, SCALE = 7.0, 0.05, 0.05    # the same for every peer
LR, MOMENTUM = 0.01, 0.9
WARM_UP_STEPS = 20


class Peer(Protocol):
    """One implementation of training. Weights and optimizer are kept between epochs."""

    precision: str
    engine: str

    def epoch(self, data: Images) -> Epoch: ...


class Usual:
    """The training loop of the documents: PIL transforms per image, two workers, float32, .item() after each step."""

    precision, engine = "float32", "torch"

    def __init__(self, job: Job, model: nn.Module) -> None:
        self.job, self.model = job, model
        self.optimizer = torch.optim.SGD(model.parameters(), lr=LR, momentum=MOMENTUM)

    def epoch(self, data: Images) -> Epoch:
        moved = RandomAffine(ROTATION, SHIFT, (1 - SCALE, 1 + SCALE))
        transform = Compose([moved, ToTensor(), Normalize(data.mean.tolist(), data.std.tolist())])
        dataset = PictureDataset(data.images, data.labels, transform)
        loader = DataLoader(dataset, batch_size=self.job.batch_size, shuffle=True, num_workers=2)
        started, total, correct = time.perf_counter(), 0.0, 0
        self.model.train()
        for images, labels in loader:
            self.optimizer.zero_grad()
            outputs = self.model(images)
            loss = F.nll_loss(outputs, labels)
            loss.backward()
            self.optimizer.step()
            total += loss.item() * len(labels)
            correct += outputs.argmax(dim=1).eq(labels).sum().item()
        return Epoch(time.perf_counter() - started, total / len(dataset))


class Ours:
    """featherweight.training.loop.train, built from plain values instead of a recipe.

    engine: "torch" or "compiled". Exits with code 2 if the network cannot be compiled here.
    """

    def __init__(self, job: Job, model: nn.Module, engine: str, precision: str) -> None:
        keep_freed_memory()
        cpu = torch.device("cpu")
        self.job, self.precision = job, pick_precision(precision, cpu)
        model = model.to(memory_format=layout_for(cpu))
        blank = [torch.zeros(2, *shape) for shape in input_shapes(model)]
        chosen = choose_engine(engine, model, blank, precision=self.precision, device=cpu)
        if chosen.name != engine:
            raise ModelError(f"{job.peer}: {job.model} is not compiled: {chosen.why}")
        self.engine, self.chosen = chosen.name, chosen
        optimizer = build_optimizer(model.parameters(), "sgd", lr=LR, momentum=MOMENTUM)
        schedule = build_schedule(optimizer, "constant", total_steps=1)
        self.state = TrainingState(model, optimizer, schedule, None, torch.Generator().manual_seed(job.seed))

    def epoch(self, data: Images) -> Epoch:
        self.state.position = Position()
        plan = Plan(1, self.job.batch_size, self.job.seed, self.precision, augmentation=build_augmentation())
        replica = Replica(self.state, data, plan, engine=self.chosen)
        started = time.perf_counter()
        [[record]] = train([replica], ClassificationTask())
        seconds = time.perf_counter() - started
        return Epoch(seconds, record.train_loss, seconds_to_augment(replica) / seconds)


def seconds_to_augment(replica: Replica) -> float:
    """Augment and normalise all images of an epoch once more, without training, and return the seconds."""
    def by_torch(picked: torch.Tensor, left: float) -> torch.Tensor:
        return prepare([replica], picked[None], left)

    augment = make_augment(replica, make_network(replica)) if replica.engine.program else by_torch
    started = time.perf_counter()
    for picked in torch.randperm(len(replica.data)).split(replica.plan.batch_size):
        augment(picked, 1.0)
    return time.perf_counter() - started


def build_augmentation() -> Augmentation:
    return Augmentation(rotation=ROTATION, shift=SHIFT, scale=SCALE)


def build_lightning(job: Job, model: nn.Module) -> Peer:
    from lightning_peer import Lightning

    return Lightning(model, build_augmentation(), job.batch_size, job.seed, LR, MOMENTUM)


PEERS: dict[str, Callable[[Job, nn.Module], Peer]] = {
    "usual": Usual,
    "featherweight-compiled": lambda job, model: Ours(job, model, "compiled", "auto"),
    "featherweight-torch": lambda job, model: Ours(job, model, "torch", "auto"),
    "featherweight-float32": lambda job, model: Ours(job, model, "compiled", "float32"),
    "lightning": build_lightning,
}


def main() -> int:
    signal.signal(signal.SIGINT, signal.SIG_DFL)    # Ctrl-C ends child and workers without a traceback
    try:
        print(json.dumps(measure(Job(**json.loads(sys.argv[1])))))
    except FeatherweightError as fault:
        print(fault, file=sys.stderr)
        return 2
    return 0


def measure(job: Job) -> dict[str, Any]:
    """Load the data, warm the peer up, train one epoch, and return the results."""
    torch.manual_seed(job.seed)
    data = load_images(job)
    peer = PEERS[job.peer](job, build_model(job.model, suggested={"in_channels": 1, "classes": 10}))
    warm_up = WARM_UP_STEPS * job.batch_size
    loaded_mb = peak_mb(resource.RUSAGE_SELF)
    peer.epoch(data.first(warm_up))
    epoch = peer.epoch(data)
    return {
        "peer": job.peer, "model": job.model, "seed": job.seed, "precision": peer.precision, "engine": peer.engine,
        "threads": torch.get_num_threads(), "images": len(data),
        "seconds": epoch.seconds, "images_per_second": len(data) / epoch.seconds,
        "peak_mb": peak_mb(resource.RUSAGE_SELF), "peak_mb_before_training": loaded_mb,
        "workers_peak_mb": peak_mb(resource.RUSAGE_CHILDREN), "augmentation_share": epoch.augmentation_share,
        "train_loss": epoch.train_loss,
    }


def load_images(job: Job) -> Images:
    return load_dataset(job.data, data_dir=job.data_dir).train.first(job.images)


def peak_mb(who: int) -> float:
    """Return the peak memory in MB, including shared pages.

    who: RUSAGE_SELF for this process, RUSAGE_CHILDREN for the largest of its finished child processes.
    """
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(who).ru_maxrss * unit / 1e6, 1)


if __name__ == "__main__":
    sys.exit(main())
