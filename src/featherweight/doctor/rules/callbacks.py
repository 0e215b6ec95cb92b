"""Callbacks and counters around a training that keep or stop at the wrong epoch."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from featherweight.doctor.draft import Draft, text_of
from featherweight.doctor.flow.trace import Loop, Trace
from featherweight.doctor.flow.values import Spot
from featherweight.doctor.source import Source
from featherweight.doctor.syntax import argument, assignments, called

PLACES = {"ModelCheckpoint": (2, 6), "EarlyStopping": (0, 4)}       # positions of monitor and mode in Lightning
EFFECTS = {"ModelCheckpoint": "the worst epoch is kept", "EarlyStopping": "a training that improves is stopped"}
HIGHER = {"acc", "acc1", "top1", "accuracy", "f1", "auc", "auroc", "recall", "precision", "iou", "miou"}
LOWER = {"loss", "nll", "mse", "rmse", "mae", "perplexity"}
WAITING = re.compile(r"counter|patien|bad|wait|improv|without|stall|stagn|since|strike|worse|trigger", re.I)
STARTS = re.compile(r"^__init__$|^__setstate__$|load")       # methods that begin or resume, not go on
REVERSED = {"neg", "negative", "minus", "inverse", "inv", "gap", "drop", "diff", "error", "err"}


def worst_epoch_kept(trace: Trace) -> Iterator[Draft]:
    """Find a callback that takes the lowest accuracy, or the highest loss, for the best."""
    for source in trace.sources():
        if not any(name in source.text for name in PLACES):
            continue
        stated = assignments(source.nodes)
        for node in source.nodes:
            if not isinstance(node, ast.Call) or called(node) not in PLACES or not keeps_few(node):
                continue
            places = PLACES[called(node)]
            monitor = text_in(argument(node, places[0], "monitor"), stated)
            given = argument(node, places[1], "mode")
            mode = text_in(given, stated) if given is not None else "min" if lightning(source) else ""
            better = direction(monitor)
            if better and mode in ("min", "max") and mode != better:
                why = "" if given is not None else " by default"
                yield Draft("FW514", Spot(source, node), f"{called(node)} takes the {mode}imum of `{monitor}` for the "
                            f"best{why}.", f"`{monitor}` is better when it is {'high' if better == 'max' else 'low'}, "
                            f"so {EFFECTS[called(node)]}.", f'Set mode="{better}".')


def keeps_few(node: ast.Call) -> bool:
    """True for a callback whose options are all stated, and that does not keep every epoch."""
    top = argument(node, 99, "save_top_k")
    return all(one.arg for one in node.keywords) and (top is None or ast.unparse(top) not in ("-1", "0"))


def lightning(source: Source) -> bool:
    """True for a file that imports Lightning."""
    return bool(re.search(r"^\s*(?:import|from) (?:pytorch_)?lightning\b", source.text, re.M))


def text_in(node: ast.expr | None, stated: dict[str, list[ast.expr]]) -> str:
    """Return the text that an expression states, or a name that is assigned once; "" for any other."""
    if isinstance(node, ast.Name) and len(stated.get(node.id, ())) == 1:
        node = stated[node.id][0]
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def direction(monitor: str) -> str:
    """Return "max" for the name of an accuracy, "min" for that of a loss, "" if the name does not say it."""
    words = set(re.split(r"[^a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", monitor).lower()))
    high, low = bool(words & HIGHER), bool(words & LOWER)
    return "" if high == low or words & REVERSED else "max" if high else "min"


def same_order_in_each_epoch(trace: Trace) -> Iterator[Draft]:
    """Find a DistributedSampler that is never told the epoch."""
    texts = [source.text for source in trace.sources()]
    if any("set_epoch" in text or "accelerate" in text or "class DistributedSampler" in text for text in texts):
        return
    seen = set[int]()
    for event in trace.of("backward", "step"):
        loop, loader = event.batch_loop(), event.loader
        if loop is None or loader is None or loader.spot is None or not repeats(event.loops[: event.loops.index(loop)]):
            continue
        sampler = sampler_of(loader.spot)
        if sampler is not None and id(sampler) not in seen:
            seen.add(id(sampler))
            yield Draft("FW324", Spot(loader.spot.source, sampler),
                        "DistributedSampler gives the same order in each epoch.",
                        "It shuffles by seed and epoch, and nothing tells it the epoch.",
                        "Tell it at the start of each epoch.", "sampler.set_epoch(epoch)")


def repeats(loops: tuple[Loop, ...]) -> bool:
    """True if one of the loops may have more than one turn."""
    return any(isinstance(loop.node, ast.While) or (isinstance(loop.node, ast.For) and ast.unparse(
        loop.node.iter) not in ("range(1)", "range(0, 1)")) for loop in loops)


def sampler_of(loader: Spot) -> ast.Call | None:
    """Return the call that builds the shuffling DistributedSampler of a loader."""
    given = argument(loader.node, 3, "sampler")
    if isinstance(given, ast.Name):
        found = [one for one in assignments(loader.source.nodes).get(given.id, ()) if called(one)]
        given = found[0] if len(found) == 1 else None
    if not isinstance(given, ast.Call) or called(given) != "DistributedSampler":
        return None
    shuffle, seed = argument(given, 3, "shuffle"), argument(given, 4, "seed")
    shuffles = shuffle is None or (isinstance(shuffle, ast.Constant) and shuffle.value is True)
    fixed = seed is None or not {"epoch", "ep"} & {one.id for one in ast.walk(seed) if isinstance(one, ast.Name)}
    return given if shuffles and fixed and all(one.arg for one in given.keywords) else None


def counter_without_reset(trace: Trace) -> Iterator[Draft]:
    """Find a counter of epochs without improvement that an improvement does not set back."""
    for source in trace.sources():
        if not WAITING.search(source.text):
            continue
        for scope in (one for one in source.nodes if isinstance(one, ast.ClassDef | ast.For | ast.While)):
            for better, count in counted(scope):
                name = ast.unparse(count.target)
                own = isinstance(count.target, ast.Attribute)
                if own != isinstance(scope, ast.ClassDef) or set_in(scope, name):
                    continue
                limit = limit_of(scope, name)
                if limit is not None:
                    yield Draft("FW325", Spot(source, count), f"`{name}` is never set back to 0.",
                                f"It counts all epochs without improvement, so `{text_of(Spot(source, limit))}` stops "
                                "a training that still improves.", "Set it to 0 where the best value is replaced, at "
                                f"{Spot(source, better).where}.", f"{name} = 0")


def counted(scope: ast.AST) -> Iterator[tuple[ast.stmt, ast.AugAssign]]:
    """Yield (statement that replaces the best value, `counter += 1` in the other arm)."""
    stated = assignments(ast.walk(scope))
    for block in blocks_in(scope):
        for place, branch in enumerate(block):
            if not isinstance(branch, ast.If):
                continue
            test = branch.test
            if isinstance(test, ast.Name) and len(stated.get(test.id, ())) == 1:
                test = stated[test.id][0]
            leaves = branch.body and isinstance(branch.body[-1], ast.Return | ast.Continue)
            other = branch.orelse or (block[place + 1:] if leaves else [])
            for better, worse in ((branch.body, other), (other, branch.body)):
                replaced = next((one for one in better if replaces(one, test)), None)
                if replaced is None or any("param_groups" in ast.unparse(one) for one in worse):
                    continue        # no best value, or a counter of lower learning rates
                for one in worse:
                    if isinstance(one, ast.AugAssign) and isinstance(one.op, ast.Add) and ast.unparse(
                            one.value) == "1" and WAITING.search(ast.unparse(one.target)):
                        yield replaced, one


def blocks_in(scope: ast.AST) -> Iterator[list[ast.stmt]]:
    """Yield each list of statements inside a node."""
    for node in ast.walk(scope):
        for name in ("body", "orelse", "finalbody"):
            block = getattr(node, name, None)
            if isinstance(block, list):
                yield block


def replaces(statement: ast.stmt, test: ast.expr) -> bool:
    """True for `best = value` if the test compares the two."""
    compared = [side for one in ast.walk(test) if isinstance(one, ast.Compare) and any(
        isinstance(op, ast.Lt | ast.LtE | ast.Gt | ast.GtE) for op in one.ops) for side in ast.walk(one)]
    texts = {ast.unparse(side) for side in compared if isinstance(side, ast.Name | ast.Attribute)}
    return isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Name | ast.Attribute) and any(
        ast.unparse(target) in texts for target in statement.targets) and ast.unparse(statement.value) in texts


def set_in(scope: ast.AST, name: str) -> bool:
    """True if a node sets a name other than by `name += 1`, outside the methods that build or load an object."""
    skipped = {id(one) for method in ast.walk(scope) if isinstance(method, ast.FunctionDef) and STARTS.search(
        method.name) for one in ast.walk(method)} if "." in name else set[int]()
    counts = {id(one.target) for one in ast.walk(scope) if isinstance(one, ast.AugAssign)}
    for node in ast.walk(scope):
        if id(node) in skipped or id(node) in counts:
            continue
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Store) and ast.unparse(node) == name:
            return True
        if isinstance(node, ast.Call) and called(node) in ("__init__", "setattr", "update", "exec"):
            return True
    return False


def limit_of(scope: ast.AST, name: str) -> ast.expr | None:
    """Return the comparison of a counter with a limit that stops the training."""
    for node in ast.walk(scope):
        value: ast.expr | None = None
        if isinstance(node, ast.If) and re.search(r"\bbreak\b|\breturn\b|stop", "\n".join(map(ast.unparse, node.body))):
            value = node.test
        elif isinstance(node, ast.Return) or (isinstance(node, ast.Assign) and "stop" in ast.unparse(node.targets[0])):
            value = node.value
        for one in ast.walk(value) if value is not None else ():
            if isinstance(one, ast.Compare) and ast.unparse(one.left) == name and isinstance(
                    one.ops[0], ast.Gt | ast.GtE | ast.Eq):
                return one
    return None


RULES = (worst_epoch_kept, same_order_in_each_epoch, counter_without_reset)
