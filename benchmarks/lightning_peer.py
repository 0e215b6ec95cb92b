"""The peer PyTorch Lightning: float32 tensors in memory, and our batched augmentation in the training step.

All other work of a Trainer, such as checkpoints and logging, is switched off.
"""

from __future__ import annotations

import logging
import time
import warnings

import torch
import torch.nn.functional as F
from jobs import Epoch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Callback
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from featherweight.augment import Augmentation, normalise
from featherweight.data import Images


class Module(LightningModule):
    def __init__(self, model: nn.Module, augmentation: Augmentation, seed: int, lr: float, momentum: float) -> None:
        super().__init__()
        self.model, self.augmentation = model, augmentation
        self.sgd = torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum)    # shared by warm-up and epoch
        self.draws = torch.Generator().manual_seed(seed)
        self.mean = self.std = torch.zeros(1)
        self.loss_sum = torch.zeros(())

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        images, labels = batch
        images = normalise(self.augmentation(images, self.draws), self.mean, self.std)
        loss = F.nll_loss(self.model(images), labels)
        self.loss_sum += loss.detach() * len(labels)
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return self.sgd


class Stopwatch(Callback):
    """Callback that measures the seconds of an epoch, without the start of the Trainer."""

    seconds = 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        self.seconds = time.perf_counter() - self.started


class Lightning:
    precision, engine = "float32", "torch"

    def __init__(
        self, model: nn.Module, augmentation: Augmentation, batch_size: int, seed: int, lr: float, momentum: float
    ) -> None:
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        warnings.filterwarnings("ignore")       # advice to use more workers, which tensors in memory do not need
        self.batch_size, self.module = batch_size, Module(model, augmentation, seed, lr, momentum)

    def epoch(self, data: Images) -> Epoch:
        self.module.mean, self.module.std = data.mean, data.std
        self.module.loss_sum = torch.zeros(())
        dataset = TensorDataset(data.images.float().div_(255), data.labels)
        loader = DataLoader(dataset, batch_size=self.batch_size, shuffle=True, num_workers=0)
        watch = Stopwatch()
        trainer = Trainer(
            accelerator="cpu", max_epochs=1, logger=False, enable_checkpointing=False, enable_progress_bar=False,
            enable_model_summary=False, callbacks=[watch],
        )
        trainer.fit(self.module, loader)
        return Epoch(watch.seconds, self.module.loss_sum.item() / len(data))
