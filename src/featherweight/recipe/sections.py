"""The sections of a recipe: small pydantic models with all defaults. This file is the reference of all keys."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from featherweight.outside import LONGEST_PATH, name_fault, shortened
from featherweight.recipe.values import can_be_written, shown
from featherweight.specification import Fit

Fraction = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
Decay = Annotated[float, Field(ge=0, lt=1)]
NotNegative = Annotated[float, Field(ge=0)]
LARGEST = 2**53     # largest count: up to here a float is exact
Count = Annotated[int, Field(gt=0, le=LARGEST)]
CountOrNone = Annotated[int, Field(ge=0, le=LARGEST)]


class Section(BaseModel):
    """Base of all sections: unknown keys, NaN and infinity are faults, and values are read-only."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, validate_default=True)


class GoalSection(Section):
    """The recipe's goal: limits that are checked after training, and three texts for the reader."""

    target: str = ""
    """Purpose of the experiment, in words. Example: `"99.4 % with fewer than 8,000 parameters"`."""
    results: str = ""
    """Result of a full run, in words. Example: `"Test 99.46 %, mean of 20 seeds."`."""
    analysis: str = ""
    """Explanation of the result, in words. Example: `"The augmentation is worth 0.1 points."`."""
    max_parameters: Count | None = None
    """Largest number of parameters that meets the goal. Not set: any number. Example: `7999`."""
    max_epochs: Count | None = None
    """Largest `training.epochs` that meets the goal. Not set: any number. Example: `15`."""
    accuracy: Fraction | None = None
    """Lowest accuracy on test images that meets the goal, as a fraction. It is measured after training, and every head
    must reach it. Not set: any accuracy. Example: `0.994`.
    """
    dataset: str = ""
    """Data set for which the accuracy was set. It is filled in when a command gives the recipe other data. `""`: that
    of `data.dataset`. Example: `"mnist"`.
    """
    macro_recall: Fraction | None = None
    """Lowest macro average of recall that meets the goal: the mean over classes of the fraction of a class's test
    images that are predicted correctly. Not set: any. Example: `0.95`.
    """
    lowest_recall: Fraction | None = None
    """Lowest recall of a class that meets the goal, as a fraction. Every class must reach it. Not set: any.
    Example: `0.9`.
    """
    max_ram: Count | None = None
    """Most bytes of static memory of the network's C code that meet the goal. Not set: any number. Example: `16384`."""
    max_flash: Count | None = None
    """Most bytes of constants of the network's C code that meet the goal. Not set: any number. Example: `65536`."""
    code: Literal["int8", "float"] = "int8"
    """C code for which `max_ram` and `max_flash` count. Example: `"float"`."""

    @property
    def names_chip(self) -> bool:
        """True if the goal limits the memory of the network's C code."""
        return (self.max_ram, self.max_flash) != (None, None)


class DataSection(Section):
    """The images: data set, validation split and shape. Validation images are taken out of the training set."""

    dataset: str = "mnist"
    """Name of a data set, see `featherweight data`, or the path of a file or folder with images of your own. Relative
    paths begin in the working folder. Example: `"digits"`.
    """
    validation: CountOrNone = 0
    """Number of training images that are held out for validation. Data with a folder `val` beside `train` and `test`
    bring their own validation images, which are used instead. Example: `5000`.
    """
    split_seed: int | None = Field(None, ge=0, lt=2**63)
    """Seed that chooses the validation images. Not set: `training.seed`, so that each seed holds out other images.
    Example: `7`.
    """
    unseen_writers: bool = False
    """Hold out all images of some writers, so that nobody wrote both validation and training images. Only for `mnist`.
    Example: `true`.
    """
    channels: Literal[1, 3] = 1
    """1 for grey images, 3 for colour images. If neither `channels` nor `size` is set, a network of your own decides
    both. Example: `1`.
    """
    size: int = Field(28, ge=4, le=512)
    """Height and width to which images are brought, in pixels. Example: `28`."""
    upright: bool = False
    """Straighten leaning handwriting by shifting the rows of each image. Only for grey `mnist`, `kmnist`, `qmnist`,
    `emnist`, `digits` and `strokes`. Example: `true`.
    """
    strokes: CountOrNone = 0
    """Number of drawn digits that are added to the training images. They show forms that `mnist` lacks. Only for
    `mnist`. Example: `20000`.
    """
    marks: CountOrNone = 0
    """Number of drawn letters, signs, scribbles and blots that are added to the training images, as a further class
    `none`. Only for `mnist`. Example: `10000`.
    """
    fit: Fit = "letterbox"
    """Way in which an image becomes square. `letterbox`: its shape stays, and the rest of the square gets the
    colour of its border. `stretch`: circles become ellipses. Example: `"stretch"`.
    """
    skip_damaged: bool = False
    """Leave out pictures that cannot be read, and say how many. `false`: list them and stop. Example: `true`."""

    @property
    def seen(self) -> dict[str, Any]:
        """Keyword arguments for load_dataset and specification_of that decide how images look."""
        return {"channels": self.channels, "size": self.size, "upright": self.upright, "fit": self.fit}

    @property
    def loading(self) -> dict[str, Any]:
        """Keyword arguments for load_dataset that decide how images look and which of them are read."""
        return self.seen | {"skip_damaged": self.skip_damaged}


class ModelSection(Section):
    """The network: a name of the catalogue or path/to/file.py:Class, and the arguments of its builder."""

    name: str
    """A name of the catalogue, see `featherweight models`, a class or function in a file, such as `net.py:Net`, or a
    row of words, such as `words:c8 s16 p g h`. Example: `"session6"`.
    """
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Arguments of the network's class or function. Not set: its defaults, with channels and classes of the data.
    Example: `{ dropout = 0.05 }`.
    """

    @field_validator("name")
    @classmethod
    def _name_can_be_shown(cls, name: str) -> str:
        if fault := name_fault(name, LONGEST_PATH):
            raise ValueError(f"{shortened(repr(name), 60)} {fault}")
        return name

    @model_validator(mode="after")
    def _arguments_can_be_written(self) -> Self:
        for key, value in self.arguments.items():
            if not can_be_written(value):
                raise ValueError(f"argument {key!r} is {shown(value)}, which is no value of a recipe")
        return self


class AugmentationSection(Section):
    """Largest random change of a training image. Each image gets its own random change; 0 switches a change off."""

    rotation: NotNegative = 0.0
    """Largest rotation to either side, in degrees. Example: `7`."""
    shift: Fraction = 0.0
    """Largest shift in each direction, as a fraction of the image's size. Example: `0.05`."""
    scale: float = Field(0.0, ge=0, lt=1)
    """Largest change of size, as a fraction: 0.05 is up to 5 % smaller or larger. Example: `0.05`."""
    shear: float = Field(0.0, ge=0, lt=90)
    """Largest shear angle to either side, in degrees. Example: `5`."""
    crop: CountOrNone = 0
    """Size of the centre crop, in pixels, at most `data.size`. A cropped image is resized to its full size.
    Example: `22`.
    """
    crop_probability: Fraction = 0.0
    """Probability that an image is cropped. Example: `0.1`."""
    elastic: float = Field(0.0, ge=0, le=10)
    """Largest displacement of the points of a 5x5 grid, in pixels. Between the points it is interpolated.
    Example: `1.5`.
    """
    erasing: Fraction = 0.0
    """Probability that a rectangle of an image is set to black. Example: `0.1`."""
    fade: Fraction = 0.0
    """Last fraction of the training in which all of these decrease linearly to 0. Example: `0.5`."""


class DistillationSection(Section):
    """A teacher whose soft labels are learned in addition to the labels. Source: Hinton et al. (2015)."""

    teacher: str = Field("", pattern=r"^[^\x00]*$")
    """A finished run, or a folder of seeds whose predictions are averaged. `""`: no teacher. Example: `"runs/teacher"`.
    """
    weight: Fraction = 0.7
    """Fraction of the loss that compares with the teacher. The rest compares with the labels. Example: `0.7`."""
    temperature: Positive = 2.0
    """Divisor of the logits of teacher and network. A higher temperature gives small probabilities more weight.
    Example: `2.0`.
    """

    @property
    def teaches(self) -> bool:
        """True if the recipe names a teacher and its weight is not 0."""
        return self.teacher != "" and self.weight > 0


class OptimizerSection(Section):
    """The optimizer and its settings: SGD, Adam or AdamW of torch.optim, or Muon."""

    name: Literal["sgd", "adam", "adamw", "muon"] = "sgd"
    """The optimizer. All but `muon` are those of `torch.optim`. Example: `"muon"`."""
    lr: Positive = 0.01
    """Learning rate. For `one-cycle` and `cosine`: the highest one. Example: `0.05`."""
    momentum: float = Field(0.9, ge=0, lt=1)
    """`sgd`, `muon`: momentum. Example: `0.9`."""
    nesterov: bool = False
    """`sgd`, `muon`: use Nesterov's momentum. It needs a momentum above 0. Example: `true`."""
    weight_decay: NotNegative = 0.0
    """Weight decay. `sgd` and `adam` add it to the gradient; `adamw` and `muon` shrink the weights by it.
    Example: `0.0005`.
    """
    betas: tuple[Decay, Decay] = (0.9, 0.999)
    """`adam`, `adamw`: decay rates of the averages of gradient and squared gradient. `muon` uses them for biases and
    batch normalisation. Example: `[0.9, 0.999]`.
    """

    @model_validator(mode="after")
    def _nesterov_needs_momentum(self) -> Self:
        if self.nesterov and self.momentum == 0:
            raise ValueError("nesterov needs a momentum greater than 0")
        return self


class ScheduleSection(Section):
    """Schedule of the learning rate.

    constant, step and plateau change the rate between epochs, one-cycle and cosine after each step.
    """

    name: Literal["constant", "step", "plateau", "one-cycle", "cosine"] = "constant"
    """Course of the learning rate. `step` and `plateau` drop it after an epoch, `one-cycle` and `cosine` change it
    after each step. Example: `"one-cycle"`.
    """
    step_size: Count = 10
    """`step`: number of epochs between two drops. Example: `10`."""
    gamma: float = Field(0.1, gt=0, le=1)
    """`step`, `plateau`: factor by which a drop multiplies the learning rate. Example: `0.1`."""
    patience: CountOrNone = 10
    """`plateau`: number of epochs without a lower validation loss that do not yet cause a drop. Example: `10`."""
    threshold: NotNegative = 1e-4
    """`plateau`: smallest decrease of the validation loss that counts as lower. Example: `0.0001`."""
    warmup: float = Field(0.3, ge=0, lt=1)
    """`one-cycle`: fraction of all steps before the highest learning rate. Example: `0.3`."""
    start_factor: float = Field(0.04, gt=0, le=1)
    """`one-cycle`: first learning rate, as a fraction of the highest. Example: `0.04`."""
    end_factor: float = Field(1e-4, ge=0, le=1)
    """`one-cycle`, `cosine`: last learning rate, as a fraction of the highest. Example: `0.0001`."""


class TrainingSection(Section):
    """Settings of the training loop."""

    epochs: Count = 1
    """Number of epochs. Example: `15`."""
    batch_size: int = Field(128, gt=1, le=LARGEST)
    """Number of images in a batch. Example: `128`."""
    fraction: float = Field(1.0, gt=0, le=1)
    """Fraction of the training images in each epoch after the first. Half of them are those with the highest losses so
    far. Example: `0.5`.
    """
    seed: int = Field(1, ge=0, lt=2**63)
    """Seed of everything random: first weights, order of images, augmentation, dropout. Example: `1`."""
    balance: Literal["none", "class-weights", "balanced-sampling"] = "none"
    """Treatment of classes with unequal numbers of training images. `class-weights`: an image of a rare class counts
    more in the loss. `balanced-sampling`: every class is drawn equally often in each epoch. Example: `"class-weights"`.
    """
    precision: Literal["auto", "float32", "bf16"] = "auto"
    """Number format of forward passes. `auto`: `bf16` if the device computes it natively, else `float32`.
    Example: `"float32"`.
    """
    engine: Literal["auto", "torch", "compiled"] = "auto"
    """Program that computes the steps. `compiled`: C, made for the network. `auto`: `compiled` for thin networks on a
    CPU, else `torch`. Whatever cannot be compiled is trained by torch. Example: `"torch"`.
    """
    ema: float = Field(0.0, ge=0, lt=1)
    """Decay per step of a moving average of the weights. The average is measured and saved. 0: no average.
    Example: `0.999`.
    """
    gradient_clip: NotNegative = 0.0
    """Largest norm of all gradients together; larger gradients are scaled down to it. 0: no limit. Example: `1.0`."""
    keep: Literal["last", "best-on-validation"] = "last"
    """Epoch whose network is measured on test images and saved: the last, or that of the lowest validation loss.
    Example: `"best-on-validation"`.
    """
    start: str = Field("", pattern=r"^[^\x00]*$")
    """A finished run whose weights are the first ones. `""`: random weights. Example: `"runs/first"`."""
    patience: CountOrNone = 0
    """Number of epochs without a lower validation loss after which training ends. 0: train all epochs. Example: `5`."""


class EvaluationSection(Section):
    """The split that is measured after each epoch. Test data are used only once, at the end, unless curve is "test"."""

    curve: Literal["auto", "none", "validation", "test"] = "auto"
    """Images on which every epoch is measured. `auto`: `validation` if `data.validation` is set, else `none`.
    Example: `"validation"`.
    """
