"""Gradients that are clipped at the wrong moment."""

from __future__ import annotations

from collections.abc import Iterator

from featherweight.doctor.draft import Draft, name_of, text_of
from featherweight.doctor.flow.trace import Event, Trace


def clipped_before_unscaled(trace: Trace) -> Iterator[Draft]:
    """Find gradients that are clipped while they still carry the factor of a GradScaler."""
    uses = [event for event in trace.of("use") if event.text in ("scale", "unscale_", "step")]
    for clip in trace.of("clip"):
        turn = in_turn_of(clip, uses)
        before = [event.text for event in turn if event.index < clip.index]
        if before[-1:] == ["scale"] and any(event.text == "step" and event.index > clip.index for event in turn):
            scaler = name_of(turn[0].subject, "scaler").strip("`")
            yield Draft("FW315", clip.spot, "Gradients are clipped before they are unscaled.",
                        f"`{text_of(clip.spot)}` sees them times the factor of `{scaler}`, often 65,536, so it shrinks "
                        "nearly every step.", "Unscale them first.", f"{scaler}.unscale_(optimizer)")


def clipped_before_backward(trace: Trace) -> Iterator[Draft]:
    """Find gradients that are clipped before backward computes them."""
    for clip in trace.of("clip"):
        turn = [event for event in in_turn_of(clip, trace.of("backward", "step")) if not event.excludes(clip)]
        later = [event for event in turn if event.index > clip.index]
        before = [event.kind for event in turn if event.index < clip.index]
        if before[-1:] == ["backward"] or [event.kind for event in later[:2]] != ["backward", "step"]:
            continue
        yield Draft("FW318", clip.spot, "Gradients are clipped before they are computed.",
                    f"`{text_of(later[0].spot)}` at {later[0].spot.where} computes them afterwards, so the step "
                    "uses gradients without a bound.",
                    f"Clip them between {later[0].spot.where} and {later[1].spot.where}.", text_of(clip.spot))


def in_turn_of(clip: Event, events: list[Event]) -> list[Event]:
    """Return the events in the same function and the same turn of the innermost loop."""
    loop = clip.loops[-1] if clip.loops else None
    return [event for event in events if event.calls == clip.calls and event.same_turn(clip, loop)]


RULES = (clipped_before_unscaled, clipped_before_backward)
