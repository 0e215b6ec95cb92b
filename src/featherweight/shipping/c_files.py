"""Texts of the files of a C export: the network, its header, a small program that runs the network, a Makefile."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.resources import files
from math import prod

from featherweight.inference.card import Card
from featherweight.shipping.c_float import parameter
from featherweight.shipping.c_text import Body, comment, listed, string
from featherweight.words import percent

NAME_IN_C = re.compile(r"[a-z][a-z0-9_]{0,30}")
RESERVED = ("main", "math", "stdint", "stddef", "stdio", "stdlib", "string",    # files of the demo and of C
            "aux", "con", "nul", "prn")                                         # no names of files on Windows
MATHS = ("expf", "logf", "sqrtf", "tanhf", "erff", "fabsf")     # functions of math.h
MAKEFILE = """CC = gcc
CFLAGS = -O2 -std=c99 -Wall -Wextra -Werror

demo: main.c {name}.c {name}.h
\t$(CC) $(CFLAGS) -o $@ main.c {name}.c -lm

clean:
\trm -f demo

.PHONY: clean
"""


@dataclass(frozen=True)
class Names:
    """Names in a C export. Two networks with different names fit into one program.

    file: of the .c and .h file. prefix: start of the names of functions, arrays and macros.
    """

    file: str = "featherweight_model"
    prefix: str = "featherweight"

    @property
    def files(self) -> tuple[str, str]:
        """Names of the two files of the network."""
        return f"{self.file}.c", f"{self.file}.h"

    @property
    def function(self) -> str:
        """Name of the function that runs the network."""
        return f"{self.prefix}_predict"

    def labels(self, card: Card, head: str) -> str:
        """Return the name of the array with the class names of a head."""
        return f"{self.prefix}_labels" if len(card.heads) == 1 else f"{self.prefix}_{parameter(head)}_labels"


DEFAULT = Names()


def c_files(card: Card, body: Body, names: Names = DEFAULT) -> dict[str, str]:
    """Return the files of a C export: file name -> text."""
    return {names.files[0]: source(card, body, names), names.files[1]: header(card, body, names),
            "main.c": main_program(card, names), "Makefile": MAKEFILE.format(name=names.file)}


def upright_bytes(size: int) -> int:
    """Return the bytes of RAM for the copy of an image that is made upright. size: side of the image in pixels."""
    return size * size


def stand_upright(card: Card, body: Body) -> None:
    """Add a first call that makes slanted ink upright, as was done with the training images."""
    size = card.picture.size
    body.parts.add("upright")
    body.memory.append(f"static uint8_t standing[{upright_bytes(size)}];")
    body.ram += upright_bytes(size)
    body.calls.insert(0, f"    image = upright(image, {size}, {size}, standing);")


def source(card: Card, body: Body, names: Names) -> str:
    """Return the text of the .c file: types, functions, constants, and the calls in their order."""
    code = "\n".join(("", *body.calls, ""))
    guard = "    if (number < 0 || number > 9)\n        return -1;\n" if card.takes_number else ""
    last = list(card.heads)[-1]
    memory = "".join(f"{line}\n" for line in body.memory)
    constants = "\n".join(body.constants)
    functions = listed([name for name in MATHS if f"{name}(" in body.library()])
    return f"""/* {names.files[0]}: {comment(about(card))}
 *
 * RAM    {body.ram:,} bytes, static, and the stack of two nested calls; no malloc
 * flash  {body.flash:,} bytes of constants, {label_bytes(card):,} for the names of the classes, and about 2 KB of code
 *        beside {functions}
 *
 * C99. Uses only {functions} of the standard library (math.h).
 * Not reentrant: the memory is static. Batch normalisation is folded into the convolutions.
 */
#include "{names.files[1]}"

#include <math.h>
#include <stddef.h>

{body.library()}
{constants}

{label_arrays(card, names)}

{memory}
{prototype(card, names)}
{{{f"{chr(10)}{guard}" if guard else ""}{code}    return most_probable({parameter(last)}, {len(card.heads[last])});
}}
"""


def header(card: Card, body: Body, names: Names) -> str:
    """Return the text of the .h file. It can be included in C and in C++."""
    pixels, size, macro = pixels_of(card), card.picture.size, names.prefix.upper()
    order = "row by row" if len(card.mean) == 1 else "channel by channel, each row by row"
    last = list(card.heads)[-1]
    added = "\n * number: 0..9, added to the digit; -1 is returned for any other." if card.takes_number else ""
    labels = "\n".join(f" *     {parameter(head)}[{len(labels)}]: {comment(', '.join(labels))}"
                       for head, labels in card.heads.items())
    arrays = "\n".join(f"extern const char *const {names.labels(card, head)}[{len(labels)}];"
                       for head, labels in card.heads.items())
    counts = "\n".join(f"#define {names.labels(card, head).upper().replace('LABELS', 'CLASSES')} {len(labels)}"
                       for head, labels in card.heads.items())
    return f"""/* {comment(about(card))}
 *
 * image: {pixels} bytes, {len(card.mean)} x {size}x{size}, {order}; {ground(card)}{shape_kept(card)}{added}
 * Writes the probabilities of {listed(list(card.heads))}; returns the most probable {last}.
{labels}
 */
#ifndef {names.file.upper()}_H
#define {names.file.upper()}_H

#include <stdint.h>

#define {macro}_PIXELS {pixels}
#define {macro}_RAM {body.ram}         /* bytes, static */
#define {macro}_CONSTANTS {body.flash}   /* bytes, without the names of the classes */
{counts}

#ifdef __cplusplus
extern "C" {{
#endif

/* The names of the classes, in UTF-8. */
{arrays}

{prototype(card, names)};

#ifdef __cplusplus
}}
#endif

#endif
"""


def main_program(card: Card, names: Names) -> str:
    """Return the text of main.c, a program that reads images and prints the predictions."""
    size, planes = card.picture.size, len(card.mean)
    answers = [(parameter(head), labels, names.labels(card, head)) for head, labels in card.heads.items()]
    arguments = ", ".join(["image", *(["number"] if card.takes_number else []), *(name for name, *_ in answers)])
    ask = [f"        {'' if len(answers) > 1 else 'const int found = '}{names.function}({arguments});"]
    for index, (name, labels, array) in enumerate(answers):
        best = f"best({name}, {len(labels)})" if len(answers) > 1 else "found"
        ask += ["        putchar('\\t');"] if index else []
        ask += [f"        print({array}[{best}], {name}, {len(labels)});"]
    parts = {
        "usage": f"demo {'NUMBER ' if card.takes_number else ''}[FILE]",
        "name": names.file, "width": size, "height": size, "pixels": pixels_of(card),
        "planes": "" if planes == 1 else f" ({planes} planes; a .pgm has only one)",
        "ground": ground(card).capitalize() + ".", "heads": "" if len(answers) == 1 else " of each head in turn",
        "best": BEST if len(answers) > 1 else "",
        "variables": "\n".join(f"    float {name}[{len(labels)}];" for name, labels, _ in answers),
        "most": 3 if card.takes_number else 2, "file": 2 if card.takes_number else 1,
        "number": READ_NUMBER if card.takes_number else "", "ask": "\n".join(ask),
    }
    text = (files("featherweight.shipping") / "c" / "main.c").read_text()
    return re.sub(r"@(\w+)@", lambda found: str(parts[found[1]]), text)


BEST = """static int best(const float *probabilities, int count)
{
    int found = 0;
    for (int i = 1; i < count; i++)
        found = probabilities[i] > probabilities[found] ? i : found;
    return found;
}

"""
READ_NUMBER = """    if (argc < 2 || strlen(argv[1]) != 1 || argv[1][0] < '0' || argv[1][0] > '9') {
        fprintf(stderr, "NUMBER is a digit 0..9, which is added to the image's\\n");
        return 2;
    }
    const int number = argv[1][0] - '0';"""


def label_arrays(card: Card, names: Names) -> str:
    """Return a C array for each head with the names of its classes."""
    return "\n".join(
        f"const char *const {names.labels(card, head)}[{len(labels)}] = {{{', '.join(string(one) for one in labels)}}};"
        for head, labels in card.heads.items()
    )


def label_bytes(card: Card) -> int:
    """Return the bytes of the names of the classes: text, and a pointer of 4 bytes for each."""
    return sum(len(label.encode()) + 1 + 4 for labels in card.heads.values() for label in labels)


def prototype(card: Card, names: Names) -> str:
    """Return the prototype of the function that runs the network."""
    number = "int number, " if card.takes_number else ""
    heads = ", ".join(f"float {parameter(head)}[{len(labels)}]" for head, labels in card.heads.items())
    return f"int {names.function}(const uint8_t image[{pixels_of(card)}], {number}{heads})"


def about(card: Card) -> str:
    """Return one line on the network: recipe, model, parameters, dataset, accuracy."""
    accuracy = listed([f"{percent(value)} {head}" for head, value in card.accuracy.items()])
    name = card.recipe if card.recipe == card.model else f"{card.recipe} ({card.model})"
    return f"{name}, {card.parameters:,} parameters, trained on {card.dataset}; test: {accuracy}"


def ground(card: Card) -> str:
    """Return the meaning of the pixel values in words."""
    if card.picture.kind != "ink":
        return "0..255"
    return "ink is light (255) on black (0)" + (", and may be slanted" if card.picture.upright else "")


def shape_kept(card: Card) -> str:
    """Return a line of the header about pictures that are not square, or "" for networks that take none."""
    if card.picture.kind == "ink" or card.picture.fit == "stretch":
        return ""
    return ("\n * A picture that is not square keeps its shape: its longer side is resized, and the rest of the "
            "square has\n * the median colour of its border.")


def pixels_of(card: Card) -> int:
    """Return the number of bytes of an image."""
    return prod((len(card.mean), card.picture.size, card.picture.size))
