"""Single edits of a network in words. Each gives the words of another network."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from featherweight.budgets.edits import STEPS
from featherweight.models.words import MOST_CHANNELS, PREFIX, Word, read_words

Words = list[str]
Found = tuple[str, str, str, str]       # kind, word with its place, change, name of the new network
KERNEL = {"cN": "kN", "CN": "kN", "kN": "CN", "FN": "tN", "tN": "FN"}
SEPARABLE = {"cN": "sN", "CN": "SN"}
PLAIN = {"sN": "cN", "eN": "cN", "SN": "CN"}
NORMALISED = {"sN": "eN", "eN": "sN"}
POOLED = {"g": "q", "q": "g"}


def edits_of_words(name: str) -> Iterator[Found]:
    """Yield all edits of "words:c8 s16 p g h". A network that they give may still be impossible to build."""
    words = read_words(name)
    texts = [text_of(word.form, word.n, word.times) for word in words]
    for index in range(len(words)):
        for kind, change, row in (*of_width(words, texts, index), *of_form(words, texts, index),
                                  *of_order(words, texts, index)):
            yield kind, f"word {index + 1}, {texts[index]}", change, PREFIX + " ".join(row)


def text_of(form: str, n: int, times: int = 1) -> str:
    """Return a word as text: ("xNtR", 16, 2) gives x16t2."""
    text = form.replace("N", str(n))
    return text.replace("tR", f"t{times}" if times > 1 else "") if "R" in form else text


def of_width(words: Sequence[Word], texts: Words, index: int) -> Iterator[tuple[str, str, Words]]:
    """Yield edits of a word's channels. Repeated blocks after it get the same number."""
    word = words[index]
    if has_channels(word):
        for n in dict.fromkeys((word.n // 2, *(word.n + step for step in STEPS))):
            if 1 <= n <= MOST_CHANNELS and n != word.n:
                yield "channels", f"{word.n} -> {n} channels", with_width(words, texts, index, n)


def widths_of_words(name: str) -> Iterator[tuple[str, int, Callable[[int], Found]]]:
    """Yield each word with free channels: its name, the channels, and a function that gives the edit to n channels."""
    words = read_words(name)
    texts = [text_of(word.form, word.n, word.times) for word in words]
    for index, word in enumerate(words):
        def change(n: int, index: int = index, word: Word = word) -> Found:
            row = with_width(words, texts, index, min(n, MOST_CHANNELS))
            where = f"word {index + 1}, {texts[index]}"
            return "channels", where, f"{word.n} -> {min(n, MOST_CHANNELS)} channels", PREFIX + " ".join(row)

        if has_channels(word):
            yield f"word {index + 1}", word.n, change


def has_channels(word: Word) -> bool:
    """Return True for a word whose N is a free number of channels."""
    return word.n > 0 and word.form != "zN" and "R" not in word.form


def with_width(words: Sequence[Word], texts: Words, index: int, n: int) -> Words:
    """Return the words with n channels in one word, and in the repeated blocks before the next word with channels."""
    row = list(texts)
    row[index] = text_of(words[index].form, n)
    for later in range(index + 1, len(words)):
        if "R" in words[later].form:
            row[later] = text_of(words[later].form, n, words[later].times)
        elif has_channels(words[later]):
            break
    return row


def thinner_words(name: str, factor: float) -> str:
    """Return the name of the network with all channels multiplied by a factor."""
    words = read_words(name)
    row = [text_of(word.form, word.n if word.form == "zN" else max(1, int(word.n * factor)), word.times)
           for word in words]
    return PREFIX + " ".join(row)


def of_form(words: Sequence[Word], texts: Words, index: int) -> Iterator[tuple[str, str, Words]]:
    """Yield edits of a word's letter: kernel, separable or plain, normalisation inside, kind of global pooling."""
    word = words[index]
    for kind, forms in (("kernel", KERNEL), ("separable", SEPARABLE), ("plain", PLAIN), ("norm", NORMALISED),
                        ("pool", POOLED)):
        if word.form in forms:
            new = text_of(forms[word.form], word.n)
            yield kind, f"{texts[index]} -> {new}", [*texts[:index], new, *texts[index + 1 :]]
    for times in (word.times - 1, word.times + 1):
        if "R" in word.form and times > 0:
            new = text_of(word.form, word.n, times)
            yield "repeats", f"{texts[index]} -> {new}", [*texts[:index], new, *texts[index + 1 :]]


def of_order(words: Sequence[Word], texts: Words, index: int) -> Iterator[tuple[str, str, Words]]:
    """Yield edits of the order: a word less, a word more, a pool moved by one word."""
    word = words[index]
    if word.form not in ("h", "g", "q", "zN"):
        yield "block less", "left out", [*texts[:index], *texts[index + 1 :]]
    if word.n > 0 and word.form not in ("zN", "tN", "FN"):
        yield "block more", "once more", [*texts[: index + 1], *texts[index:]]
    if word.form == "p":
        for other, where in ((index - 1, "earlier"), (index + 1, "later")):
            if 0 <= other < len(words) and words[other].n > 0:
                row = list(texts)
                row[index], row[other] = row[other], row[index]
                yield "pool", f"one word {where}", row
    if word.form == "h" and not {"g", "q"} & {one.form for one in words}:
        yield "global pooling", "mean over all places before it", [*texts[:index], "g", *texts[index:]]
