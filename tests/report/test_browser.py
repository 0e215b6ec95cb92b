"""Pages as a reader meets them: in Chromium, narrow and wide, light and dark, checked by axe-core."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

AXE = Path(__file__).resolve().parents[2] / "node_modules/axe-core/axe.min.js"
CHROMIUM = shutil.which("chromium")
NEEDED = CHROMIUM is None or not AXE.exists()
pytestmark = pytest.mark.skipif(NEEDED and not os.environ.get("CI"), reason="chromium or axe-core is not installed")
VIEWS = [(380, "light"), (380, "dark"), (1600, "light"), (1600, "dark")]
UNDER_THE_POINTER = """([x, y]) => document.elementFromPoint(x, y - window.scrollY)
    ?.closest('.named')?.querySelector('title')?.textContent"""
PAGES = ["one", "two-heads", "several", "many"]


@pytest.fixture
def visit(browser, pages):
    """Open a page; gives it with what it said on the console and what it asked for beside itself."""
    contexts = []

    def go(name, width=1600, scheme="light"):
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page, said, asked = context.new_page(), [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda fault: said.append(str(fault)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(pages[name].as_uri())
        asked = [url for url in asked if url != pages[name].as_uri() and not url.startswith("data:")]
        return page, said, asked

    yield go
    for context in contexts:
        context.close()


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_wrong_with_it(visit, name, width, scheme):
    page, said, asked = visit(name, width, scheme)
    assert (said, asked) == ([], [])
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.add_script_tag(path=str(AXE))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [(fault["id"], fault["nodes"][0]["html"][:200]) for fault in found] == []


def test_the_page_follows_the_theme(visit):
    grounds = {scheme: visit("one", 1600, scheme)[0].evaluate("getComputedStyle(document.body).backgroundColor")
               for scheme in ("light", "dark")}
    assert grounds == {"light": "rgb(255, 255, 255)", "dark": "rgb(22, 22, 22)"}
    page = visit("one", 1600, "dark")[0]
    inks = set(page.evaluate("[...document.querySelectorAll('svg text')].map(text => getComputedStyle(text).fill)"))
    assert "rgb(0, 0, 0)" not in inks and "rgb(232, 232, 230)" in inks


def test_the_epoch_is_under_the_pointer(visit, digits_run):
    page = visit("one")[0]
    curve = page.locator("#curves ~ .figures svg").first
    box = curve.bounding_box()
    found = set()
    for share in range(10, 100, 2):
        x, y = box["x"] + box["width"] * share / 100, box["y"] + box["height"] / 2
        page.evaluate("y => window.scrollTo(0, y - 300)", y)
        found.add(page.evaluate(UNDER_THE_POINTER, [x, y]))
    epochs = {f"epoch {line['epoch']}" for line in digits_run.history}
    assert {title.split(":")[0] for title in found if title} == epochs


def test_everything_can_be_reached_with_the_keyboard(visit):
    page = visit("one", 380)[0]
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        reached.add(page.evaluate("document.activeElement.getAttribute('href') || document.activeElement.tagName"))
    assert {"#results", "#curves", "#layers", "SUMMARY", "DIV"} <= reached
    page.get_by_text("Numbers of every epoch").focus()
    page.keyboard.press("Enter")
    assert page.locator("details[open]").count() == 1


def test_text_in_pictures_is_readable_on_a_phone(visit):
    page = visit("one", 380)[0]
    sizes = page.evaluate("""[...document.querySelectorAll('#curves ~ .figures svg text, #answers ~ .figures svg text')]
        .map(text => text.getBoundingClientRect().height)""")
    assert min(sizes) >= 7
