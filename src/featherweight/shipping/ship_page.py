"""Text of ship.md: the content of ship.json for a human reader."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featherweight.inference.card import Card
from featherweight.outside import in_markdown
from featherweight.words import percent

SHOWN = {
    "onnx": "`model.onnx`: one file for onnxruntime; uint8 pixels in, probabilities out, normalisation inside.",
    "onnx-int8": "`model.onnx`: the same interface with 8-bit weights and values (QDQ, a scale for each channel).",
    "c": "`{names}.c` and `.h`: the network in C99, for C and C++. `make` builds `demo`, which classifies image files.",
    "bundle": "A bundle: `featherweight predict FOLDER picture.png` needs no torch. `card.md` describes the network.",
}


def ship_page(document: Mapping[str, Any], card: Card) -> str:
    """Return the text of ship.md. document: the content of ship.json."""
    verdict, model, dataset = document["verdict"], in_markdown(card.model), in_markdown(card.dataset)
    return f"""# {in_markdown(document["recipe"])} as {document["form"]}

**{verdict["sentence"]}**

{SHOWN[document["format"]].format(names=document.get("name", ""))}

{upright(document, card)}{model} with {card.parameters:,} parameters, trained on {dataset}.

## Files

| file | bytes |
| --- | ---: |
{rows([f"`{name}`", f"{size:,}"] for name, size in document["files"].items())}

## Proof

Test set: {document["questions"]}, {document["test_images"]:,} in all.
One thread of {in_markdown(document["machine"]["processor"])}; {versions(document)}.

| form | head | accuracy | correct | other class than torch | largest difference | µs per image |
| --- | --- | ---: | ---: | ---: | ---: | ---: |
{rows(proof_rows(document))}

{facts(document)}
## Disagreements with torch

{disagreements(document, card)}
"""


def upright(document: Mapping[str, Any], card: Card) -> str:
    """Return a paragraph on who must make slanted ink upright before the network runs.

    Returns "" unless the network was trained on upright ink.
    """
    if not card.picture.upright:
        return ""
    who = {
        "c": f"`{document.get('function', '')}` makes slanted ink upright first",
        "bundle": "`featherweight predict` makes slanted ink upright first; other callers of `model.onnx` must do it",
    }.get(document["format"], "The caller must first make slanted ink upright, with `featherweight.upright.upright`")
    return f"{who}, as was done with the training images.\n\n"


def versions(document: Mapping[str, Any]) -> str:
    """Return the names and versions of the packages used for the comparison."""
    return ", ".join(f"{name} {found}" for name, found in document["machine"]["versions"].items())


def rows(cells: Any) -> str:
    """Return the lines of a Markdown table."""
    return "\n".join(f"| {' | '.join(row)} |" for row in cells)


def proof_rows(document: Mapping[str, Any]) -> list[list[str]]:
    """Return the cells of the table of results, a row for each form and head."""
    made = []
    for form, found in document["measured"].items():
        for head, result in found["heads"].items():
            others = [str(len(result["disagreements"])), f"{result['largest_difference']:.1e}"] \
                if "disagreements" in result else ["-", "-"]
            made.append([form, head, percent(result["accuracy"]), f"{result['correct']:,}", *others,
                         f"{found['microseconds']:,.0f}"])
    return made


def facts(document: Mapping[str, Any]) -> str:
    """Return the other measurements, e.g. RAM and flash, one per line."""
    lines = []
    if document["precision"] != "float32":
        lines.append(f"- torch ran in float32 here; the run's own accuracy was measured in {document['precision']}.")
    if "ram" in document:
        lines += [f"- RAM {document['ram']:,} bytes, static; flash {document['flash']:,} bytes of constants, "
                  "and about 2 KB of code."]
        lines += [f"- Compiled with `{document['compiler']}`." if document["compiler"] else "- Not compiled."]
    if "sanitizers" in document:
        found = document["sanitizers"]
        lines.append(f"- Run once more on {found['images']:,} images with `{found['flags']}`: no findings, same "
                     "outputs.")
    if "calibration" in document:
        lines.append(f"- The 8-bit grids were measured on {in_markdown(document['calibration'])}.")
    return "".join(f"{line}\n" for line in lines)


def disagreements(document: Mapping[str, Any], card: Card) -> str:
    """Return a table of every image whose predicted class differs from torch's."""
    found = document["measured"].get(document["form"])
    if found is None:
        return "Not known: the export was not run."
    lines = [
        [head, str(each["image"]), *(in_markdown(card.heads[head][each[key]]) for key in ("label", "torch", "answer")),
         "tie" if each["tie"] else ""]
        for head, result in found["heads"].items() for each in result["disagreements"]
    ]
    if not lines:
        return "None."
    return f"| head | test image | truth | torch | {document['form']} | |\n| --- | ---: | --- | --- | --- | --- |\n" \
        + rows(lines)
