"""One example for each command: the last lines of its help, and of its section in docs/commands.md."""

from __future__ import annotations

EXAMPLES = {
    "models": "featherweight models",
    "recipes": "featherweight recipes",
    "summary": 'featherweight summary "words:c8 s16 p s22 g h" --verify',
    "doctor": "featherweight doctor train.py notebook.ipynb --strict",
    "budget": 'featherweight budget "words:c8 s16 p s22 g h" --max-parameters 1400',
    "new": "featherweight new mine",
    "train": "featherweight train session6 --set training.epochs=2 --seeds 5",
    "demo": "featherweight demo",
    "search": "featherweight search --data digits --max-parameters 1000 --trials 20",
    "evaluate": "featherweight evaluate net.py:Net --weights net.pth --data digits",
    "predict": "featherweight predict runs/demo photo.jpg --many --show strip.png",
    "compare": "featherweight compare runs/first runs/second",
    "export": "featherweight export runs/demo --to c --int8 --out chip",
    "serve": "featherweight serve runs/demo --port 0",
    "report": "featherweight report runs/first runs/second --out both.html",
    "plot": "featherweight plot confusion runs/demo --out confusion.svg",
    "curves": "featherweight curves runs/demo",
    "byhand": "featherweight byhand --out book.xlsx --rate 0.5 --rate 2",
    "data": "featherweight data",
    "data get": "featherweight data get mnist",
    "data show": "featherweight data show digits --out digits.png",
}


def example(command: str) -> str:
    """Return the last lines of a command's help."""
    return f"Example: {EXAMPLES[command]}"
