"""Methods of objects that are not followed: of argparse, scikit-learn and datasets, and lists."""

from __future__ import annotations

from collections.abc import Callable

from featherweight.doctor.flow.roles import sources_of
from featherweight.doctor.flow.signatures import Call
from featherweight.doctor.flow.values import Constant, Dataset, Table, Unknown, Value, constant


def add_argument(parser: Value, call: Call) -> Value | None:
    """Keep the default of an option that is a number with a point, such as a learning rate."""
    default = constant(call.keywords.get("default"))
    names = [constant(one) for one in call.arguments]
    long = next((name for name in names if isinstance(name, str) and name.startswith("--")), "")
    name = constant(call.keywords.get("dest")) or long.removeprefix("--").replace("-", "_")
    if isinstance(parser, Unknown) and isinstance(default, float) and isinstance(name, str) and name:
        parser.attributes[name] = Constant(spot=call.spot, value=default)
    return None


def parse_args(parser: Value, call: Call) -> Value | None:
    """Return the options with the defaults that the parser keeps."""
    return Unknown(spot=call.spot, attributes=dict(parser.attributes)) if isinstance(parser, Unknown) else None


def transformed(scaler: Value, call: Call) -> Value | None:
    """Return the numbers that a scaler of scikit-learn gives: float64 as before."""
    first = call.first()
    if first is None or first.double is None:
        return None
    return Unknown(spot=call.spot, double=first.double, origin=sources_of(first))


def parts_of_training(dataset: Value, call: Call) -> Value:
    """Return the two parts of dataset.train_test_split(). The part "test" may serve for validation."""
    return Table(spot=call.spot, items={"train": Dataset(spot=call.spot, name="Subset", role="train"),
                                        "test": Dataset(spot=call.spot, name="Subset", label="held out")})


def append(values: Value, call: Call) -> Value | None:
    """Record what is added to a list that is not known, such as that of a defaultdict."""
    call.trace.add("append", call.spot, values, call.first())
    return None


OTHER_LIBRARIES: dict[str, Callable[[Value, Call], Value | None]] = {
    "append": append, "add_argument": add_argument, "parse_args": parse_args, "fit_transform": transformed,
    "transform": transformed, "train_test_split": parts_of_training,
}
