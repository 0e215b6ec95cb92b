"""A measurement for a child process (Job) and its results (Epoch). Shared by peers.py and lightning_peer.py."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Job:
    """One measurement for a child process."""

    peer: str
    model: str
    data: str
    data_dir: str | None
    images: int         # largest number of training images
    batch_size: int
    seed: int


@dataclass(frozen=True)
class Epoch:
    """Results of one epoch of a peer."""

    seconds: float
    train_loss: float                           # running mean; similar for all peers, as they train the same network
    augmentation_share: float | None = None     # of the epoch, measured by augmenting again; only for our own loop
