"""The page of a front: what it shows, that it needs nothing else, and how it works in Chromium."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from featherweight.search.best import COSTS, Mark, best_of
from featherweight.search.front_page import front_page
from featherweight.search.picture import BOTTOM, LEFT, RADIUS, RIGHT, TOP, Scale, box_of, draw, is_free
from featherweight.search.published import published_marks
from featherweight.search.records import Costs
from featherweight.search.strip import strip

AXE = Path(__file__).resolve().parents[3] / "node_modules/axe-core/axe.min.js"
CHROMIUM = shutil.which("chromium")
NEEDED = CHROMIUM is None or not AXE.exists()
browser_test = pytest.mark.skipif(NEEDED and not os.environ.get("CI"), reason="chromium or axe-core is not installed")
VIEWS = [(400, "light"), (400, "dark"), (1600, "light"), (1600, "dark")]


class Reader(HTMLParser):
    """Texts, tags, links and labels of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.links, self.fetched, self.text, self.ids = [], [], [], [], set()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        self.tags.append(tag)
        self.ids |= {given["id"]} if "id" in given else set()
        self.links += [given["href"]] if tag == "a" else []
        self.fetched += [value for key, value in attrs if key in ("src", "srcset") or (key == "href" and tag != "a")]

    def handle_data(self, data):
        self.text.append(data)

    def says(self):
        return " ".join(" ".join(self.text).split())


def mark(name, parameters, accuracy, spread=0.001):
    return Mark(name, Costs(parameters, 50 * parameters, 4 * parameters, 2 * parameters), accuracy, accuracy - spread,
                accuracy + spread, 5)


def test_it_shows_the_front_and_what_was_tried(written):
    page = Reader((written.folder / "front.html").read_text())
    said = page.says()
    for text in ("Networks found for digits", "2 networks, up to", "words:c4 p s6 q h", "9 candidates:",
                 "8 stopped earlier", "1 failed", "failed: loss is NaN", written.front.command,
                 "parameters at most 500",
                 "accuracy at least 50.00 %", "1 min 05 s", "Test images were used once", "AdaptiveAvgPool2d",
                 "featherweight train 2/recipe.toml", "c-int8", "receptive field 3",
                 "mean (lowest to highest) of 2 seeds"):
        assert text in said, text
    assert "Hand-made" not in said
    assert {"1/network.py", "2/recipe.toml", "1/c/ship.md", "front.json", "#network-1"} <= set(page.links)
    for link in page.links:
        assert link[1:] in page.ids if link.startswith("#") else (written.folder / link).exists(), link


def test_it_needs_no_script_and_no_other_file(written):
    text = (written.folder / "front.html").read_text()
    page = Reader(text)
    assert not {"script", "link", "iframe", "img"} & set(page.tags) and page.fetched == []
    assert "@import" not in text and "url(http" not in text


def test_the_catalogue_is_in_the_picture_of_mnist_alone(written):
    page = front_page(replace(written.front, data="mnist", points=[]), [], 10_000)
    said = Reader(page).says()
    assert "Hand-made networks of the catalogue" in said and "No network is chosen yet" in said
    marks = {one.name: one for one in published_marks("int8")}
    assert len(marks) == 14
    assert (marks["feather-8k"].accuracy, marks["feather-8k"].seeds) == (0.9956, 20)
    assert marks["feather-1k"].costs.parameters == 988 and marks["session5"].seeds == 1
    assert all(name in said for name in marks)
    assert marks.keys() >= {one.name for one in published_marks("float")}


def test_names_are_text(written):
    evil = "<script>alert(1)</script>"
    tried = [replace(written.front.tried[0], reason=evil, state="failed")]
    front = replace(written.front, data=evil, command=evil, machine={"cores": evil}, tried=tried, points=[])
    page = Reader(front_page(front, [], 100))
    assert "script" not in page.tags and page.says().count(evil) >= 5


def test_ticks_are_round_and_few():
    assert Scale(800, 9_000, 0, 100).ticks() == [1000, 2000, 3000, 5000, 7000]
    assert Scale(0.0029, 0.0091, 0, 100).ticks() == pytest.approx([0.003, 0.005, 0.007])
    assert Scale(3, 2e6, 0, 100).ticks() == [10, 100, 1000, 10_000, 100_000, 1_000_000]
    assert Scale(10, 1000, 0, 100)(100) == 50


def test_the_line_joins_what_nothing_cheaper_beats():
    marks = [mark("a", 100, 0.9), mark("b", 200, 0.89), mark("c", 300, 0.95), mark("d", 300, 0.94)]
    assert [one.name for one in best_of(marks, "parameters")] == ["a", "c"]


@pytest.mark.parametrize("cost", COSTS)
def test_a_label_covers_nothing(cost):
    front = [mark(str(n), 900 * n, 0.99 + 0.001 * n) for n in range(1, 6)]
    others = [mark(f"network-{n}", 1_000 + 17 * n, 0.992 + 0.0001 * n) for n in range(12)]
    picture = draw(cost, front, others, [], None, 1e-4)
    boxes = [box_of(one, one.label) for one in picture.others if one.label]
    circles = [(one.x - RADIUS, one.y - RADIUS, one.x + RADIUS, one.y + RADIUS) for one in picture.front]
    assert len(picture.others) == 12 and boxes
    for n, box in enumerate(boxes):
        assert is_free(box, circles + boxes[:n])


def test_far_networks_and_bad_candidates_are_left_out():
    front = [mark("1", 1_000, 0.994), mark("2", 3_000, 0.996)]
    others = [mark("near", 2_000, 0.995), mark("large", 600_000, 0.997), mark("bad", 2_000, 0.38)]
    tried = [mark("x", 2_000, 0.992), mark("y", 2_000, 0.2)]
    picture = draw("parameters", front, others, tried, 4_000, 1e-4)
    assert [one.mark.name for one in picture.others] == ["near"]
    assert picture.tried.count("h0") == 1 and picture.below == 1
    assert picture.limit and picture.limit > max(one.x for one in picture.front)
    assert draw("parameters", [], [], [], None, 1e-4) is None
    assert draw("parameters", [], [], tried, None, 1e-4).tried
    perfect = draw("parameters", [mark("1", 1_000, 1.0, 0)], [], [], None, 1e-4)
    assert perfect.front[0].low == perfect.front[0].high


def test_every_network_of_the_front_is_inside():
    front = [mark("1", 200, 0.55, 0.05), mark("2", 500, 0.9), mark("3", 1_000, 0.97)]
    picture = draw("parameters", front, [], [], None, 1e-4)
    assert all(LEFT < one.x < RIGHT and TOP < one.y < BOTTOM for one in picture.front)


def test_equal_seeds_are_stacked():
    drawn = strip([0.95, 0.95, 0.96])
    assert drawn.dots[0][0] == drawn.dots[1][0] and drawn.dots[1][1] < drawn.dots[0][1] == drawn.dots[2][1]
    assert drawn.dots[0][0] < drawn.mean < drawn.dots[2][0]
    assert strip([0.5]).dots[0][0] == strip([0.5]).mean


@pytest.fixture(scope="module")
def pages(written, tmp_path_factory):
    """The page of a finished search, and that of MNIST before its end, with the catalogue."""
    early = replace(written, folder=tmp_path_factory.mktemp("early"))
    early.write(data="mnist", points=[replace(point, runs=[], test=[]) for point in written.front.points])
    return {"digits": written.folder / "front.html", "mnist": early.folder / "front.html"}


@pytest.fixture
def visit(browser, pages):
    """Open a page; when the test ends, nothing was said on the console and nothing else was fetched."""
    contexts, said, asked = [], [], []

    def go(width=1600, scheme="light", name="digits", **more):
        address = pages[name].as_uri()
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme, **more)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda fault: said.append(str(fault)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        return page

    yield go
    for context in contexts:
        context.close()
    assert said == [] and set(asked) <= {page.as_uri() for page in pages.values()}


def width_of(page):
    return page.evaluate("document.documentElement.scrollWidth")


@browser_test
@pytest.mark.parametrize(("width", "scheme"), VIEWS)
@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_nothing_is_wrong_with_it(visit, name, width, scheme):
    page = visit(width, scheme, name)
    assert width_of(page) <= width
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    for cost in COSTS:
        page.locator(f"#by-{cost}").check()
        assert width_of(page) <= width
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [(fault["id"], fault["nodes"][0]["html"][:200]) for fault in found] == []


@browser_test
def test_without_javascript_the_table_and_the_switch_work(visit):
    page = visit(400, java_script_enabled=False)
    assert page.locator("#networks ~ .scroll tbody tr").count() == 2
    for cost in COSTS:
        page.get_by_role("radio").nth(COSTS.index(cost)).check()
        assert [page.locator(f"figure.by-{one}").is_visible() for one in COSTS] == [one == cost for one in COSTS]


@browser_test
def test_the_keyboard_switches_the_cost_and_opens_a_network(visit):
    page = visit()
    page.locator("#by-parameters").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("figure.by-macs").is_visible() and not page.locator("figure.by-parameters").is_visible()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Network 1: ")
    page.keyboard.press("Enter")
    assert page.locator("#network-1").is_visible() and not page.locator("#network-2").is_visible()


@browser_test
def test_the_page_follows_the_theme(visit):
    grounds = [visit(1600, scheme).evaluate("getComputedStyle(document.body).backgroundColor")
               for scheme in ("light", "dark")]
    assert grounds == ["rgb(255, 255, 255)", "rgb(22, 22, 22)"]
    page = visit(1600, "dark")
    inks = page.evaluate("[...document.querySelectorAll('svg text')].map(one => getComputedStyle(one).fill)")
    assert "rgb(0, 0, 0)" not in inks


@browser_test
def test_text_in_pictures_is_readable_on_a_phone(visit):
    page = visit(400)
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    sizes = page.evaluate("[...document.querySelectorAll('svg text')].map(one => one.getBoundingClientRect().height)")
    assert min(size for size in sizes if size) >= 7
