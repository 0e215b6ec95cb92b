"""The catalogue: the networks that come with the package, by name."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from featherweight.models.digit_sum import DigitSum
from featherweight.models.feather_1k import Feather1k
from featherweight.models.feather_2k import Feather2k
from featherweight.models.feather_3k5 import Feather3k5
from featherweight.models.feather_8k import Feather8k
from featherweight.models.feather_20k import Feather20k
from featherweight.models.feather_cifar import FeatherCifar
from featherweight.models.feather_fast import FeatherFast
from featherweight.models.session1 import Session1
from featherweight.models.session5 import Session5
from featherweight.models.session6 import Session6
from featherweight.models.session7_model1 import Session7Model1
from featherweight.models.session7_model2 import Session7Model2

CATALOGUE: dict[str, Callable[..., nn.Module]] = {
    "session1": Session1,
    "session5": Session5,
    "session6": Session6,
    "session7-model1": Session7Model1,
    "session7-model2": Session7Model2,
    "session7-model3": Session7Model2,
    "digit-sum": DigitSum,
    "feather-1k": Feather1k,
    "feather-2k": Feather2k,
    "feather-3k5": Feather3k5,
    "feather-8k": Feather8k,
    "feather-20k": Feather20k,
    "feather-fast": FeatherFast,
    "feather-cifar": FeatherCifar,
}
