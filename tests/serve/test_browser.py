"""The page as a person uses it: in Chromium, with mouse, finger, keyboard, files and the clipboard."""

from __future__ import annotations

import base64
import math
import os
import shutil
from pathlib import Path

import pytest

AXE = Path(__file__).resolve().parents[2] / "node_modules/axe-core/axe.min.js"
CHROMIUM = shutil.which("chromium")
NEEDED = CHROMIUM is None or not AXE.exists()
pytestmark = pytest.mark.skipif(NEEDED and not os.environ.get("CI"), reason="chromium or axe-core is not installed")
DESKTOP, PHONE = (1280, 900), (380, 800)
READ = "#equation"
COPY = """async (text) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    await navigator.clipboard.write([new ClipboardItem({"image/png": new Blob([bytes], {type: "image/png"})})]);
}"""
DROP = """([text, name, type]) => {
    const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
    const carried = new DataTransfer();
    carried.items.add(new File([bytes], name, {type}));
    document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: carried, bubbles: true, cancelable: true}));
}"""


@pytest.fixture
def visit(browser):
    """Open a server's page; when the test ends, nothing was said on the console and nothing asked for elsewhere."""
    visits = []

    def go(server, size=DESKTOP, scheme="light", path="", **more):
        view = {"width": size[0], "height": size[1]}
        context = browser.new_context(viewport=view, color_scheme=scheme, **more)
        page, said, asked = context.new_page(), [], []
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda fault: said.append(str(fault)))
        page.on("request", lambda request: asked.append(request.url))
        visits.append((context, server.url, said, asked))
        page.goto(server.url + path)
        page.wait_for_selector("#heads li, #paths section")
        return page

    yield go
    for context, url, said, asked in visits:
        context.close()
        assert [text for text in said if "422 (Unprocessable" not in text] == []      # a refused picture, by Chromium
        assert [one for one in asked if not one.startswith((url, "blob:"))] == []


def three(share=1.0):
    """Points of a 3 on a sheet of side 1, as much of them as is asked for."""
    bows = [(0.48, 0.33, 0.17, 0.15, -0.75, 1.22), (0.48, 0.64, 0.20, 0.17, -0.5, 1.3)]
    points = [
        (x + width * math.cos(angle), y + height * math.sin(angle))
        for x, y, width, height, start, turn in bows
        for angle in (math.pi * (start + turn * step / 20) for step in range(21))
    ]
    return points[: int(share * len(points))]


def draw(page, points):
    box = page.locator("#sheet").bounding_box()
    places = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in points]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place)
    page.mouse.up()


def wait_for(page, selector, text):
    page.wait_for_function(
        "([selector, text]) => document.querySelector(selector).textContent.includes(text)", arg=[selector, text]
    )


def colours(page, selector):
    """The bytes of a canvas, red, green, blue and opacity in turn, from a copy of 28 x 28."""
    return page.locator(selector).first.evaluate("""(canvas) => {
        const copy = new OffscreenCanvas(28, 28);
        const context = copy.getContext("2d", {willReadFrequently: true});
        context.drawImage(canvas, 0, 0, 28, 28);
        return [...context.getImageData(0, 0, 28, 28).data];
    }""")


def is_clear(page):
    return not any(colours(page, "#sheet"))


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_a_three_is_drawn_and_read(visit, server, size):
    page = visit(server, size)
    draw(page, three())
    wait_for(page, READ, "3")
    wait_for(page, "#spoken", "class 3")
    assert page.locator(".bars .best .name").inner_text() == "3"
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    assert page.locator(".layer").count() == 6 and page.locator(".maps canvas").count() == 16 + 16 + 24 + 24 + 32 + 10
    for name in ("#seen", "#looked"):
        assert sum(red > 100 for red in colours(page, name)[::4]) > 10
    sight = page.locator("#looked-note").inner_text()
    assert "6 × 6" in sight and "its 3" in sight


def test_the_answer_follows_the_stroke(visit, server):
    page = visit(server)
    box = page.locator("#sheet").bounding_box()
    page.mouse.move(box["x"] + 200, box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + 200, box["y"] + 250, steps=5)
    page.wait_for_function("() => document.querySelector('#share').textContent !== ''")      # and the pen is still down
    page.mouse.up()


def test_a_finger_draws_and_does_not_scroll(visit, server):
    page = visit(server, PHONE, has_touch=True, is_mobile=True)
    box = page.locator("#sheet").bounding_box()
    finger = page.context.new_cdp_session(page)
    places = [{"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]} for x, y in three()]
    finger.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": places[:1]})
    for place in places[1:]:
        finger.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [place]})
    finger.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    wait_for(page, READ, "3")
    assert page.evaluate("window.scrollY") == 0 and page.locator("#photograph").is_visible()


def test_undo_and_clear(visit, server):
    page = visit(server)
    assert page.locator("#undo").is_disabled() and page.locator("#clear").is_disabled()
    draw(page, [(0.2, 0.2), (0.8, 0.2)])
    draw(page, three())
    page.locator("#undo").click()
    assert not is_clear(page)
    page.keyboard.press("Control+z")
    assert is_clear(page) and page.locator("#undo").is_disabled() and page.locator("#invite").is_visible()
    draw(page, three())
    wait_for(page, READ, "3")
    page.locator("#clear").click()
    wait_for(page, READ, "–")
    assert is_clear(page) and page.locator(".layer").count() == 0 and page.locator(".best").count() == 0
    page.locator("#undo").click()       # clearing can be taken back too
    wait_for(page, READ, "3")
    page.keyboard.press("Delete")
    wait_for(page, READ, "–")


def test_drawing_with_the_keyboard(visit, server):
    page = visit(server)
    for _ in range(10):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "sheet":
            break
    for key in ("Space", *["Shift+ArrowDown"] * 7, "Space", *["Shift+ArrowRight"] * 3):
        page.keyboard.press(key)
    wait_for(page, READ, "1")
    page.keyboard.press("Escape")
    wait_for(page, READ, "–")


def test_everything_can_be_reached_with_the_keyboard(visit, sum_server):
    page = visit(sum_server)
    draw(page, three(0.5))
    page.locator("body").press("Tab")
    page.evaluate("document.activeElement.blur()")
    reached, where = set(), "(({id, name, tagName}) => id || name || tagName)(document.activeElement)"
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.add(page.evaluate(where))
    assert {"sheet", "undo", "clear", "choose", "number", "SUMMARY", "A"} <= reached


def test_a_picture_is_chosen_dropped_and_pasted(visit, server, drawing):
    page = visit(server, permissions=["clipboard-read", "clipboard-write"])
    page.set_input_files("#file", files=[{"name": "five.png", "mimeType": "image/png", "buffer": drawing(5)}])
    wait_for(page, READ, "5")
    assert not is_clear(page)
    page.evaluate(DROP, [base64.b64encode(drawing(0)).decode(), "zero.png", "image/png"])
    wait_for(page, READ, "0")
    page.evaluate(COPY, base64.b64encode(drawing(4)).decode())
    page.keyboard.press("Control+v")
    wait_for(page, READ, "4")
    draw(page, three())             # a stroke begins a new drawing
    wait_for(page, READ, "3")


def test_a_large_photograph_is_made_smaller_before_it_is_sent(visit, server, large):
    page = visit(server)
    page.set_input_files("#camera", files=[{"name": "photo.png", "mimeType": "image/png", "buffer": large}])
    wait_for(page, READ, "3")
    sent = page.evaluate("""async (text) => {
        const {open} = await import("/picture.js");
        const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        const {picture, file} = await open(new File([bytes], "photo.jpg", {type: "image/jpeg"}));
        return [picture.width, picture.height, file.type];
    }""", base64.b64encode(large).decode())
    assert sent == [1024, 1024, "image/jpeg"]


def test_a_text_file_is_refused_in_words(visit, server, text_file):
    page = visit(server)
    page.set_input_files("#file", str(text_file))
    wait_for(page, "#fault", "no known picture")
    assert page.locator("#fault").is_visible() and page.locator("#invite").inner_text().startswith("notes.txt")
    draw(page, three())
    wait_for(page, READ, "3")
    assert page.locator("#fault").is_hidden()


def test_a_blank_picture_is_refused_in_words(visit, server):
    from tests.serve.conftest import Image, as_png

    page = visit(server)
    blank = as_png(Image.new("RGB", (300, 200), "white"))
    page.set_input_files("#file", files=[{"name": "blank.png", "mimeType": "image/png", "buffer": blank}])
    wait_for(page, "#fault", "blank")


def test_a_server_that_is_gone_is_said(browser, serve, bundle):
    running = serve(bundle)
    context = browser.new_context()
    page = context.new_page()
    page.goto(running.url)
    page.wait_for_selector("#heads li")
    running.stop()
    draw(page, three())
    wait_for(page, "#fault", "does not answer")
    context.close()


def test_a_number_is_added(visit, sum_server):
    page = visit(sum_server)
    draw(page, three())
    wait_for(page, READ, "+4=")
    page.get_by_role("radio", name="7").check()
    wait_for(page, READ, "+7=")
    page.keyboard.press("2")
    wait_for(page, READ, "+2=")
    assert page.locator(".bars").count() == 2 and page.locator(".bars .best").count() == 2


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")])
@pytest.mark.parametrize("state", ["empty", "answered", "sum", "refused", "docs"])
def test_nothing_is_wrong_with_it(visit, server, sum_server, text_file, state, size, scheme):
    page = visit(sum_server if state == "sum" else server, size, scheme, path="docs" if state == "docs" else "")
    if state in ("answered", "sum"):
        draw(page, three())
        page.wait_for_selector(".layer")
    if state == "refused":
        page.set_input_files("#file", str(text_file))
        wait_for(page, "#fault", "no known picture")
    page.evaluate("document.querySelectorAll('details').forEach(part => part.open = true)")
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    page.evaluate(AXE.read_text())      # a script tag would be refused by the page's policy
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
    assert [(fault["id"], fault["nodes"][0]["html"][:200]) for fault in found] == []


def test_the_page_follows_the_theme_at_once(visit, server):
    page = visit(server)
    draw(page, three())
    wait_for(page, READ, "3")
    light = [colours(page, canvas) for canvas in ("#sheet", ".maps canvas")]
    page.emulate_media(color_scheme="dark")
    page.wait_for_function("() => getComputedStyle(document.body).backgroundColor === 'rgb(18, 19, 22)'")
    dark = [colours(page, canvas) for canvas in ("#sheet", ".maps canvas")]
    assert light[0] != dark[0] and light[1] != dark[1]
