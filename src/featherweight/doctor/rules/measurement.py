"""Results, epochs and settings that test data choose."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, name_of, replaced, text_of
from featherweight.doctor.flow.roles import (
    certain_role,
    role_in,
    role_of,
    sources_of,
    words_of,
)
from featherweight.doctor.flow.trace import Event, Trace
from featherweight.doctor.flow.values import (
    Function,
    Items,
    Number,
    Optimizer,
    Scheduler,
    Spot,
    Table,
    Value,
    known,
)
from featherweight.doctor.syntax import called

RESULT_WORDS = frozenset(("acc", "accuracy", "loss", "error", "score", "f1", "losses", "accs", "accuracies", "metric"))


def on_test(value: Value | None) -> bool:
    """True if a measured number comes from test data: by its loader, or else by its name."""
    value = known(value)
    sources = sources_of(value)
    if sources:
        roles = [certain_role(one) or role_of(one) for one in sources]
        return "test" in roles and "train" not in roles and "validation" not in roles
    words = set(words_of(value.label))
    return "test" in words and bool(words & RESULT_WORDS)


def chosen_on_test(trace: Trace) -> Iterator[Draft]:
    """Find the best epoch or setting chosen by its test result."""
    for event in trace.of("choose"):
        best, _, measured = event.text.partition("|")
        if not on_test(event.subject) or not event.loops or (not set(words_of(measured)) & RESULT_WORDS and not (
                isinstance(event.subject, Number))):
            continue
        if event.calls and getattr(event.calls[-1], "name", "") == "__call__":      # see steered_by_test
            continue
        if stops_early(event):
            yield Draft("FW502", event.spot, f"Early stopping watches `{measured}`, measured on test data.",
                        "The test set then decides when the training ends, so its result is no test.",
                        "Watch the loss on validation images split from the training data.")
        elif setting(event):
            yield Draft("FW503", event.spot, f"`{measured}` on test data chooses the setting.",
                        f"`{best}` is then the luckiest of several settings, so the test result is too good.",
                        "Choose on validation images; measure the chosen setting once on test.")
        else:
            yield Draft("FW501", event.spot,
                        f"The best epoch is chosen by `{measured}`, which is measured on test data.",
                        f"`{best}` is the luckiest of all epochs, so it overstates the network.",
                        "Report the last epoch, or choose on validation images split from the training data.")
    for event in trace.of("best"):
        if holds_settings(known(event.subject)) and on_test(event.subject):
            yield Draft("FW503", event.spot, f"`{text_of(event.spot)}` chooses the setting by its test result.",
                        "It is the luckiest of several settings on the test set, so its test result is too good.",
                        "Choose on validation images; measure the chosen setting once on test.")
        elif on_test(event.subject) and is_result(event):
            yield Draft("FW501", event.spot, f"`{text_of(event.spot)}` reports the best epoch on test data.",
                        "The maximum over epochs chooses on the test set, so it overstates the network.",
                        "Report the last epoch.", replaced(event.spot, last_of(event)))


def holds_settings(value: Value) -> bool:
    """True for results by setting: a table, or a list of tuples."""
    return isinstance(value, Table) or (
        isinstance(value, Items) and bool(value.items) and isinstance(known(value.items[0]), Items))


def stops_early(event: Event) -> bool:
    """True if a choice of the best epoch keeps no network, and the loop around it ends after worse epochs."""
    loop = event.loops[-1].node
    choice = next((node for node in ast.walk(loop) if isinstance(node, ast.If) and any(
        one is event.spot.node for one in ast.walk(node.test))), None)
    if choice is None or not any(isinstance(node, ast.Break) for node in ast.walk(loop)):
        return False
    calls = {called(node) for one in choice.body for node in ast.walk(one)}
    counts = any(isinstance(node, ast.AugAssign) for one in choice.orelse for node in ast.walk(one))
    return counts and not calls & KEEPING


KEEPING = {"save", "state_dict", "deepcopy", "save_file", "save_pretrained", "save_model", "copy", "clone"}


def setting(event: Event) -> bool:
    """True if the innermost loop around a choice runs over settings, such as learning rates."""
    loop = event.loops[-1]
    if loop.kind not in ("values", "items"):
        return False
    names = ast.unparse(loop.node.target) if isinstance(loop.node, ast.For) else ""
    return not set(words_of(names)) & {"phase", "mode", "epoch", "fold", "split"}


def is_result(event: Event) -> bool:
    """True for max over results: by their names, or because they are numbers measured on a loader."""
    node, value = event.spot.node, known(event.subject)
    parts = [known(item) for item in value.items] if isinstance(value, Items) else [value]
    measured = bool(parts) and not event.alone and all(isinstance(one, Number) and sources_of(one) for one in parts)
    return isinstance(node, ast.Call) and event.text in ("max", "amax", "min") and len(node.args) >= 1 and (
        measured or bool(set(words_of(ast.unparse(node))) & RESULT_WORDS))


def last_of(event: Event) -> str:
    """Return the source of the last item of the list inside max(...)."""
    node = event.spot.node
    return f"{ast.unparse(node.args[0])}[-1]" if isinstance(node, ast.Call) and len(node.args) == 1 else ""


def steered_by_test(trace: Trace) -> Iterator[Draft]:
    """Find a plateau schedule or early stopping that watches test data."""
    for event in trace.of("scheduler-step", "call", "watch"):
        if not on_test(event.value):
            continue
        plateau = isinstance(event.subject, Scheduler) and event.subject.name == "ReduceLROnPlateau"
        words = set(words_of(event.text)) | set(words_of(event.subject.label if event.subject else ""))
        early = event.kind in ("call", "watch") and bool(words & {"early", "earlystopping", "stopper", "stopping"})
        if plateau or early:
            who = "The plateau schedule" if plateau else "Early stopping"
            yield Draft("FW502", event.spot, f"{who} watches {name_of(event.value, 'a value')}, measured on test data.",
                        f"`{text_of(event.spot)}` lets the test set steer the training, so its result is no test.",
                        "Watch the loss on validation images split from the training data.")


def objective_on_test(trace: Trace) -> Iterator[Draft]:
    """Find an objective of Optuna that returns a test result."""
    for event in trace.of("objective"):
        function = event.subject
        if not isinstance(function, Function) or not on_test(event.value):
            continue
        returns = [node for node in ast.walk(function.definition) if isinstance(node, ast.Return)]
        spot = Spot(function.scope.source, returns[-1]) if returns else event.spot
        yield Draft("FW503", spot, f"The search optimises `{text_of(spot)}`, measured on test data.",
                    "The best trial is then the luckiest on the test set, so its test result is too good.",
                    "Return the result on validation images; measure the best setting once on test.")


def called_test(trace: Trace) -> Iterator[Draft]:
    """Find a result on training data that is called a test result."""
    for event in trace.of("named"):
        words, roles = set(words_of(event.text)), {role_of(one) for one in sources_of(event.subject)}
        if role_in(event.text) == "test" and words & RESULT_WORDS and roles == {"train"}:
            yield Draft("FW509", event.spot, f"`{event.text}` is measured on training data.",
                        "The images were learnt, so the number says nothing about new ones.",
                        "Measure it on the test data.")


def folds(trace: Trace) -> Iterator[Draft]:
    """Find a cross-validation that trains one network in all folds."""
    trained: dict[tuple[int, int], int] = {}        # loop, network -> first turn in which it is trained
    seen, restored = set[int](), trace.of("load-weights")
    for step in trace.of("step"):
        fold = next((loop for loop in step.loops if over_folds(loop.node, step)), None)
        if fold is None or not isinstance(step.subject, Optimizer) or id(fold.node) in seen:
            continue
        turns = [trained.setdefault((id(fold.node), id(model)), fold.turn) for model in step.subject.models]
        if all(turn == fold.turn for turn in turns) or any(event.inside(fold) for event in restored):
            continue
        seen.add(id(fold.node))
        yield Draft("FW508", Spot(step.spot.source, fold.node), "The network goes on from fold to fold.",
                    "From the second fold on it was trained with the images that validate it, so the result of the "
                    "cross-validation is too good.", "Build network and optimizer inside the loop over the folds.")


def over_folds(node: ast.AST, event: Event) -> bool:
    """True for a loop over the splits of a KFold or one of its kin."""
    return isinstance(node, ast.For) and "Fold(" in event.spot.source.text and any(
        isinstance(one, ast.Call) and isinstance(one.func, ast.Attribute) and one.func.attr == "split" and one.args
        and not isinstance(one.args[0], ast.Constant) for one in ast.walk(node.iter))


RULES = (chosen_on_test, steered_by_test, objective_on_test, called_test, folds)
