"""The sample that a run folder keeps of data that cannot be loaded by name. Pure functions.

The sample holds all test images and some training images.
Tensors: train.images, train.labels, test.images, test.labels. Text: everything else of the Dataset, as JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from featherweight.data.dataset import Dataset
from featherweight.data.store import Images
from featherweight.documents import parse_json
from featherweight.errors import DataError
from featherweight.outside import shortened

KEPT, SEED = 1000, 0    # training images kept, and their seed: exactly those on which an export calibrates int8


def save_sample(dataset: Dataset) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return (tensors, text) to store: the test images and at most 1,000 training images, and the rest as JSON.

    The training images are drawn with seed 0.
    """
    places = np.random.default_rng(SEED).choice(len(dataset.train), min(KEPT, len(dataset.train)), replace=False)
    train = dataset.train.pick(torch.from_numpy(places))
    tensors = {
        f"{name}.{kind}": getattr(split, kind).cpu().contiguous()
        for name, split in (("train", train), ("test", dataset.test)) for kind in ("images", "labels")
    }
    about = {"name": dataset.name, "classes": list(dataset.classes), "mean": list(dataset.mean),
             "std": list(dataset.std), "source": dataset.source, "span": list(dataset.span),
             "train_images": len(dataset.train)}
    return tensors, {"dataset": json.dumps(about)}


def dataset_from_sample(tensors: Mapping[str, Tensor], text: Mapping[str, str]) -> Dataset:
    """Return the Dataset that save_sample stored, with the stored training images only.

    Raises DataError if the stored values are damaged.
    """
    try:
        about = parse_json(text["dataset"])
        train, test = (
            Images.of(tensors[f"{name}.images"], tensors[f"{name}.labels"], about["mean"], about["std"])
            for name in ("train", "test")
        )
        kept = f", of which the run keeps {len(train):,} of {about['train_images']:,} training images"
        return Dataset(
            name=about["name"], classes=tuple(about["classes"]), mean=tuple(about["mean"]), std=tuple(about["std"]),
            train=train, validation=None, test=test, span=tuple(about["span"]),
            source=about["source"] + (kept if len(train) < about["train_images"] else ""),
        )
    except (KeyError, TypeError, ValueError) as fault:
        reason = shortened(repr(fault))
        raise DataError(f"the data in the run are damaged: {reason}. Give others with data=.") from fault
