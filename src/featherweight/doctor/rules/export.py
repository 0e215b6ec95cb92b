"""Networks that are exported as they are in training."""

from __future__ import annotations

from collections.abc import Iterator

from featherweight.doctor.draft import Draft, name_of, text_of
from featherweight.doctor.flow.trace import Trace
from featherweight.doctor.flow.values import Module
from featherweight.doctor.rules.modes import alternatives, changes, mode_before


def exported_in_training(trace: Trace) -> Iterator[Draft]:
    """Find networks that are traced or exported while dropout or batch statistics are on."""
    for event in trace.of("export"):
        model = event.subject
        if not isinstance(model, Module) or not (model.cls or model.name):
            continue
        mode, layer = mode_before(trace, model, event), changes(trace, model)
        if layer in ("", "?") or (mode is not None and (mode.kind == "eval" or alternatives(trace, mode))):
            continue
        name = name_of(model, "the network").strip("`")
        since = f"`{text_of(mode.spot)}` at {mode.spot.where} set" if mode else "Nothing ended"
        yield Draft("FW319", event.spot, f"`{name}` is exported in training mode.",
                    f"{since} training mode, and `{name}` holds {layer}. The exported network then depends on chance "
                    "or on the batch.", f"Call {name}.eval() before {event.spot.where}.", f"{name}.eval()")


RULES = (exported_in_training,)
