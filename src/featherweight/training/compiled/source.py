"""C of a network: the numbers of its stages as macros, each followed by the C file that computes it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from importlib.resources import files

from featherweight.training.compiled.stages import Conv, Input, Join, Part, Plan, Stage

PARTS = 2       # processes that compile a network side by side
INCLUDE = re.compile(r'^#include "(\w+\.c)"$', re.MULTILINE)


def c_source(plan: Plan, *, half: bool, timed: bool = False) -> str:
    """Return the C of a network's training passes, one file.

    With the macro PART, a compiler compiles a part of it: some of the stages, and in part 0 all else.
    half: store feature maps as bf16, and multiply in bf16 if the processor has dot products of it.
    timed: measure the time of each stage.
    """
    slots = gradient_slots(plan)
    settings: dict[str, object] = {"HALF": int(half), "TIMED": int(timed), "STAGES": len(plan.stages)}
    parts = [*defined(settings), c_file("vectors.c"), c_file("network.c"), stage_table(plan, slots),
             *declarations(plan), c_file("random.c")]
    for index in range(len(plan.stages)):
        parts += in_part(index % PARTS, stage_source(plan, index))
    rest = [c_file("normalise.c"), largest_room(plan), c_file("run.c"), passes(plan, slots)]
    return "\n".join([*parts, *in_part(0, rest)])


def in_part(part: int, texts: Iterable[str]) -> Iterator[str]:
    """Yield C that is compiled in one part only, or in a whole."""
    yield f"#if !defined PART || PART == {part}"
    yield from texts
    yield "#endif"


@cache
def c_file(name: str) -> str:
    """Return a C file of this package, with the files that it includes."""
    text = (files(__package__) / "c" / name).read_text(encoding="utf-8")
    return INCLUDE.sub(lambda found: c_file(found[1]), text)


def stage_table(plan: Plan, slots: list[int]) -> str:
    """Return the C table of all stages."""
    rows = []
    for stage, slot in zip(plan.stages, slots, strict=True):
        c, h, w = stage.shape
        made = stage.made
        conv = (plan.stages[stage.sources[0]].view[0], *made.kernel, made.groups) if isinstance(made, Conv) \
            else (0, 0, 0, 0)
        eps, momentum = (stage.norm.eps, stage.norm.momentum) if stage.norm else (0.0, 0.0)
        size = f"sizeof({type_of(stage)})"
        rows.append(f"    {{{c}, {h}, {w}, {size}, {', '.join(map(str, conv))}, {int(stage.dropout > 0)}, "
                    f"{slot}, {eps:.9e}f, {momentum:.9e}f, {1 - stage.dropout:.9e}f}},")
    return "\n".join(["static const Stage stages[STAGES] = {", *rows, "};\n"])


def type_of(stage: Stage) -> str:
    """Return the C type of the numbers of z: outputs of the network are always float."""
    return "stored" if stage.head is None else "float"


def stage_source(plan: Plan, index: int) -> Iterator[str]:
    """Yield the C of one stage. An input has none."""
    stage = plan.stages[index]
    made = stage.made
    if isinstance(made, Input):
        return
    own = own_numbers(stage, index)
    yield f"\n/* ==== stage {index}: {type(made).__name__}, {' x '.join(map(str, stage.shape))} */"
    yield from defined(own)
    yield c_file("stage.c")
    if isinstance(made, Join):
        yield from join_source(plan, index, made.parts)
    else:
        view = view_numbers(plan, index, 0)
        kernel = kernel_numbers(plan, stage, made) if isinstance(made, Conv) else {"LOG": int(made.log)}
        yield from defined(view | kernel)
        yield c_file("view.c")
        yield c_file("convolution.c" if isinstance(made, Conv) else "softmax.c")
        yield from undefined(view | kernel)
    yield f"PRIVATE const size_t room_{index} = sizeof(Room_{index});"
    yield from undefined(own)


def join_source(plan: Plan, index: int, parts: Sequence[Part]) -> Iterator[str]:
    """Yield the C of a join, with its parts before it."""
    for number, part in enumerate(parts):
        numbers = view_numbers(plan, index, number)
        numbers |= {"FROM": part.first, "DOWN": part.down, "RIGHT": part.right}
        yield from defined(numbers)
        yield c_file("view.c")
        yield c_file("part.c")
        yield from undefined(numbers)
    rows = [f"{c} * CHANNEL({w})" for c, _, w in (plan.stages[source].view for source in plan.stages[index].sources)]
    names = [f"do({index}_{number})" for number in range(len(parts))]
    joined: dict[str, object] = {"PART_ROW": largest(rows), "EACH_PART(do)": " ".join(names)}
    yield from defined(joined)
    yield c_file("join.c")
    yield from undefined(joined)


def own_numbers(stage: Stage, index: int) -> dict[str, object]:
    """Return the macros of a stage itself."""
    c, h, w = stage.shape
    bias = isinstance(stage.made, Conv) and stage.made.bias is not None
    return {"I": index, "C": c, "H": h, "W": w, "TYPE": type_of(stage), "NORM": int(stage.norm is not None),
            "RECTIFIED": int(stage.rectified), "DROP": int(stage.dropout > 0), "BIAS": int(bias)}


def view_numbers(plan: Plan, reader: int, number: int) -> dict[str, object]:
    """Return the macros of what a stage reads of its source `number`."""
    index = plan.stages[reader].sources[number]
    stage = plan.stages[index]
    c, h, w = stage.shape
    rows, columns = stage.pool.window if stage.pool else (1, 1)
    return {
        "READER": f"{reader}_{number}", "P": index, "P_C": c, "P_H": h, "P_W": w, "P_TYPE": type_of(stage),
        "P_NORM": int(stage.norm is not None), "P_RELU": int(stage.relu), "P_DROP": int(stage.dropout > 0),
        "P_LATE": int(stage.late), "P_POOL": f"{stage.pool.kind}_POOL" if stage.pool else "NO_POOL",
        "P_KH": rows, "P_KW": columns, "P_ADDED": f"{stage.pool.added if stage.pool else 0:.9e}f",
        "P_PLAIN": int(stage.plain), "ADD": int(not is_first_writer(plan, reader, number)),
        "BACK": int(plan.needs_gradient(index)),
    }


def kernel_numbers(plan: Plan, stage: Stage, made: Conv) -> dict[str, object]:
    """Return the macros of a convolution."""
    c, h, w = plan.stages[stage.sources[0]].view
    rows, columns = made.kernel
    return {"CIN": c, "HIN": h, "WIN": w, "KH": rows, "KW": columns, "STRIDE": made.stride, "TOP": made.top,
            "LEFT": made.left, "GROUPS": made.groups}


def declarations(plan: Plan) -> Iterator[str]:
    """Yield the C declarations of what the parts share: the passes of each stage and the size of its scratch memory."""
    for index in computed(plan):
        yield f"STAGE_PASS forward_{index}(Net *net, int t, int s);"
        yield f"STAGE_PASS backward_{index}(Net *net, int t, int s);"
        yield f"extern PRIVATE const size_t room_{index};"


def largest_room(plan: Plan) -> str:
    """Return the C function of the bytes of scratch memory that a thread needs."""
    rooms = ", ".join(f"room_{index}" for index in computed(plan))
    return "\n".join([
        "static size_t largest_room(void)", "{",
        f"    const size_t rooms[] = {{{rooms}}};",
        "    size_t most = 0;",
        "    for (size_t i = 0; i < sizeof rooms / sizeof *rooms; i++) most = MOST(most, rooms[i]);",
        "    return most;", "}\n",
    ])


def computed(plan: Plan) -> list[int]:
    """Return the numbers of the stages that are not inputs."""
    return [index for index, stage in enumerate(plan.stages) if not isinstance(stage.made, Input)]


def passes(plan: Plan, slots: list[int]) -> str:
    """Return the C functions of the whole forward and backward pass, one call for each stage."""
    ahead = ["prepare(net, t);"]
    ahead += [f"take_in(net, t, {index}, net->inputs[{stage.made.index}]);"
              for index, stage in enumerate(plan.stages) if isinstance(stage.made, Input)]
    ahead.append("meet(net);")
    back = [f"take_gradient(net, t, {index}, net->head_gradients[{head}]);"
            for head, index in enumerate(plan.heads) if slots[index] >= 0]
    back += [f"clear(net, t, {index});" for index, stage in enumerate(plan.stages) if to_clear(plan, index, slots)]
    for index, stage in enumerate(plan.stages):
        if isinstance(stage.made, Input):
            continue
        ahead.append(f"EACH(forward_{index}, {index}, FORWARD);")
        if stage.norm:
            ahead += ["meet(net);", f"normalise(net, t, {index});"]
        if stage.head is not None:
            ahead.append(f"give_out(net, t, {index}, net->heads[{stage.head}]);")
    for index in reversed(range(len(plan.stages))):
        stage = plan.stages[index]
        if isinstance(stage.made, Input) or not plan.needs_gradient(index):
            continue
        if stage.norm:
            back += ["meet(net);", f"normalise_back(net, t, {index});"]
        back.append(f"EACH(backward_{index}, {index}, BACKWARD);")
    back += ["meet(net);", "collect(net, t);"]
    return "\n".join([function("forward_all", ahead), function("backward_all", back)])


def function(name: str, lines: Iterable[str]) -> str:
    """Return a C function of a thread."""
    return "\n".join([f"static void {name}(Net *net, int t)", "{", *(f"    {line}" for line in lines), "}\n"])


def readers(plan: Plan, index: int) -> list[tuple[int, int]]:
    """Return (stage, number of its part) for everything that reads a stage, the last one first, as gradients come."""
    found = [(reader, number) for reader, stage in enumerate(plan.stages)
             for number, source in enumerate(stage.sources) if source == index]
    return sorted(found, key=lambda one: (-one[0], one[1]))


def is_first_writer(plan: Plan, reader: int, number: int) -> bool:
    """Return True if this reader stores the gradient of its source, and False if it adds to it."""
    source = plan.stages[reader].sources[number]
    if plan.stages[source].head is not None or covered_in_part(plan, source):
        return False
    return readers(plan, source)[0] == (reader, number)


def covered_in_part(plan: Plan, index: int) -> bool:
    """Return True if the first reader does not write the whole gradient before others add to it.

    Examples: it crops, pooling leaves out a row, or it reads the stage twice, with other rows above.
    """
    stage = plan.stages[index]
    _, height, width = stage.shape
    rows, columns = stage.pool.window if stage.pool else (1, 1)
    crops = not all(whole(plan, *reader) for reader in readers(plan, index))
    twice = any(made.sources.count(index) > 1 for made in plan.stages)
    return crops or twice or bool(height % rows or width % columns)


def whole(plan: Plan, reader: int, number: int) -> bool:
    """Return True unless a stage is a join that cuts off rows or columns of its source `number`."""
    stage = plan.stages[reader]
    if not isinstance(stage.made, Join):
        return True
    part, (_, height, width) = stage.made.parts[number], plan.stages[stage.sources[number]].view
    return (part.down >= 0 and part.right >= 0
            and part.down + height <= stage.shape[1] and part.right + width <= stage.shape[2])


def to_clear(plan: Plan, index: int, slots: list[int]) -> bool:
    """Return True if the gradient of a stage has to be set to 0 before its first reader adds to it."""
    return slots[index] >= 0 and plan.stages[index].head is None and covered_in_part(plan, index)


def gradient_slots(plan: Plan) -> list[int]:
    """Return for each stage the number of the buffer of its gradient, -1 for none. Buffers are used again.

    A gradient lives from the backward pass of the stage's last reader to that of the stage itself. A head and a
    gradient that has to be cleared live from the start.
    """
    slots, free, count = [-1] * len(plan.stages), list[int](), 0
    begins: dict[int, list[int]] = {}
    last = len(plan.stages)
    for index, stage in enumerate(plan.stages):
        if plan.needs_gradient(index):
            early = stage.head is not None or covered_in_part(plan, index)
            begins.setdefault(last if early else readers(plan, index)[0][0], []).append(index)
    for moment in range(last, -1, -1):
        for index in begins.get(moment, []):
            if not free:
                free.append(count)
                count += 1
            slots[index] = free.pop()
        if moment < last and slots[moment] >= 0:
            free.append(slots[moment])
    return slots


def defined(numbers: dict[str, object]) -> Iterator[str]:
    """Yield the definitions of macros."""
    yield "\n".join(f"#define {name} {value}" for name, value in numbers.items())


def undefined(numbers: dict[str, object]) -> Iterator[str]:
    """Yield the ends of the definitions of macros."""
    yield "\n".join(f"#undef {name.partition('(')[0]}" for name in numbers)


def largest(sizes: list[str]) -> str:
    """Return the C expression of the largest of several sizes."""
    text = sizes[0]
    for size in sizes[1:]:
        text = f"MOST({text}, {size})"
    return text
