"""How figures are written: by their ending, the same each time, as a part of a page that follows its colours."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from PIL import Image

from featherweight.plots.figure import INK, SERIES, inline_svg, named, new_figure, plain, save

SVG = "{http://www.w3.org/2000/svg}"


def a_figure(words="a line"):
    figure = new_figure()
    axes = plain(figure.subplots())
    axes.plot([1, 2, 3], [0.123456789, 2, 1], color=SERIES[0], gid=named(words), label=words)
    axes.set_xlabel("under the axis")
    axes.legend()
    return figure


def test_png_and_svg_by_ending_and_the_same_each_time(tmp_path):
    for name in ("a.png", "b.svg", "c.svg"):
        save(a_figure(), tmp_path / name)
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.format == "PNG"
    assert (tmp_path / "b.svg").read_bytes() == (tmp_path / "c.svg").read_bytes()
    root = ElementTree.fromstring((tmp_path / "b.svg").read_text())
    assert root.tag == f"{SVG}svg"
    assert any(text.text == "under the axis" for text in root.iter(f"{SVG}text"))       # text as text, not as paths


def test_an_artist_says_its_title_when_pointed_at():
    root = ElementTree.fromstring(inline_svg(a_figure("epoch 3: 5 < 6 & \"7\""), "label"))
    named_groups = [group for group in root.iter(f"{SVG}g") if group.get("class") == "named"]
    assert [group.find(f"{SVG}title").text for group in named_groups] == ['epoch 3: 5 < 6 & "7"']


def test_inline_follows_the_pages_colours_and_width():
    svg = inline_svg(a_figure(), 'a "label" <b>')
    root = ElementTree.fromstring(svg)
    assert svg.startswith("<svg ") and root.get("role") == "img" and root.get("aria-label") == 'a "label" <b>'
    assert root.get("width") is None and root.get("height") is None and root.get("viewBox")
    assert "var(--series-0, #0072b2)" in svg and f"var(--ink, {INK})" in svg
    assert not re.search(r"(?<!, )#0072b2", svg) and "#000000" not in svg


def test_names_inside_are_kept_only_where_something_refers_to_them():
    svg = inline_svg(a_figure(), "x")
    ids, used = set(re.findall(r' id="([^"]+)"', svg)), set(re.findall(r'(?:url\(#|href="#)([^")]+)', svg))
    assert used <= ids and all(re.match(r"[mp][0-9a-f]{10}$|image", name) for name in ids)


def test_a_dollar_is_a_dollar(tmp_path):
    svg = inline_svg(a_figure("$x^2$ and $"), "money")
    assert "$x^2$ and $" in svg
