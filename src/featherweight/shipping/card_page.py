"""Text of a bundle's card.md: accuracy, inputs, outputs, image preparation, code to run the network, and limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featherweight.inference.card import Card
from featherweight.outside import in_markdown
from featherweight.statistics import wilson_interval
from featherweight.verdict import curve_on_test
from featherweight.words import percent


def card_page(card: Card, result: Mapping[str, Any], size: int) -> str:
    """Return the text of card.md.

    result: the run's result, with "correct" and "count" of each head under "test". size: bytes of model.onnx.
    """
    measured = curve_on_test(result) or "The training did not use them."
    recipe, model, dataset = map(in_markdown, (card.recipe, card.model, card.dataset))
    return f"""# {recipe}

An image classifier with {card.parameters:,} parameters: {model}, trained on {dataset} with Featherweight.
It runs without torch: numpy, Pillow and onnxruntime are enough.

| file | content |
| --- | --- |
| `model.onnx` | the network, {size:,} bytes; normalisation is inside |
| `layers.onnx` | the same, with the activations of every layer as outputs (metadata `layers`) |
| `card.json` | the facts of this page, for programs |

## Accuracy

| head | classes | test | correct | 95 % interval |
| --- | --- | --- | --- | --- |
{accuracy_rows(card, result["test"])}

Measured after training, on the test images of {dataset}. {measured}

## Inputs and outputs

{inputs(card)}
{outputs(card)}

## Preparation of a picture

{picture(card)}

## Run it

```
featherweight predict FOLDER picture.png{" --number 4" if card.takes_number else ""}
```

```python
{code(card)}
```

## Limits

- The network knows only the classes above. A picture of anything else gets one of these classes too, often with a high
  probability.
- The accuracy holds for images like those of {dataset}. It may be lower for other pens, cameras or writers.
- The probabilities were not calibrated.
"""


def accuracy_rows(card: Card, test: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the rows of the accuracy table, one for each head."""
    rows = []
    for head, labels in card.heads.items():
        correct, count = test[head]["correct"], test[head]["count"]
        low, high = wilson_interval(correct, count)
        rows.append(f"| {in_markdown(head)} | {len(labels)} | {percent(card.accuracy[head])} "
                    f"| {correct:,} of {count:,} | {100 * low:.2f} to {100 * high:.2f} |")
    return "\n".join(rows)


def inputs(card: Card) -> str:
    """Return the inputs of model.onnx in words: name, type, shape and values."""
    size = card.picture.size
    text = f"- in: `images`, uint8 (N, {len(card.mean)}, {size}, {size}), values 0..255"
    return text + ("\n- in: `numbers`, int64 (N,), the number 0..9 to add" if card.takes_number else "")


def outputs(card: Card) -> str:
    """Return the outputs of model.onnx in words: name, type, shape and classes."""
    return "\n".join(
        f"- out: `{head}`, float32 (N, {len(labels)}), probabilities of {', '.join(map(in_markdown, labels))}"
        for head, labels in card.heads.items()
    )


def picture(card: Card) -> str:
    """Return the picture specification in words, with its values."""
    rules, size = card.picture, card.picture.size
    values = ", ".join(f"{key} {in_markdown(value)}" for key, value in rules.to_dict().items())
    if rules.kind == "ink":
        words = (f"Handwriting on any ground becomes light ink on black; the ink's longer side is fitted into "
                 f"{rules.box} pixels\nand its centre of mass into the centre of {size}x{size}.")
        words += " Its rows are shifted until the ink is upright." if rules.upright else ""
    else:
        words = plain_words(rules.fit, size)
    return f"{words}\n`featherweight predict` does this. Values: {values}."


def plain_words(fit: str, size: int) -> str:
    """Return the preparation of a picture other than handwriting, as sentences."""
    if fit == "stretch":
        return f"It is resized to {size}x{size} and nothing else. A picture that is not square is stretched."
    return (f"Its longer side is resized to {size} pixels, and its shape stays. The rest of the square gets the median "
            "colour\nof its border.")


def code(card: Card) -> str:
    """Return six lines of Python that run model.onnx."""
    shape = (1, len(card.mean), card.picture.size, card.picture.size)
    head, labels = next(iter(card.heads.items()))
    values = "light ink on black, 0..255" if card.picture.kind == "ink" else "0..255"
    feed = '{"images": images' + (', "numbers": np.array([4])}' if card.takes_number else "}")
    return "\n".join((
        "import numpy as np, onnxruntime",
        'session = onnxruntime.InferenceSession("model.onnx")',
        f"images = np.zeros({shape}, np.uint8)     # {values}",
        f'probabilities = session.run(["{head}"], {feed})[0]',
        f"labels = {list(labels)}",
        "print(labels[probabilities[0].argmax()], probabilities[0].max())",
    ))
