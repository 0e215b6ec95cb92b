"""What programs are answered: the app itself, without a server between."""

from __future__ import annotations

import base64
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from tests.serve.conftest import as_png

from featherweight.inference import Predictor
from featherweight.inference.bundle import Bundle
from featherweight.serve.app import BROKEN
from featherweight.serve.documents import Answer, Answers, PixelsIn
from featherweight.serve.guards import HEADERS
from featherweight.serve.limits import Limits


def best(answer, head="class"):
    assert answer.status_code == 200, answer.text
    return answer.json()["heads"][head][0]["class"]


@pytest.mark.parametrize("label", range(10))
def test_a_picture_is_read(ask, drawing, label):
    assert best(ask("POST", "/predict", content=drawing(label))) == str(label)


def test_every_way_of_sending_gives_the_same_answer(ask, drawing, tmp_path, bundle):
    picture = drawing(3)
    raw = ask("POST", "/predict", content=picture, headers={"content-type": "image/png"}).json()
    named_wrongly = ask("POST", "/predict", content=picture, headers={"content-type": "text/plain"}).json()
    form = ask("POST", "/predict", files={"picture": ("three.png", picture)}).json()
    numbers = ask("POST", "/predict", json={"pixels": raw["seen"]["pixels"]}).json()
    assert raw == named_wrongly == form
    assert numbers["seen"] == raw["seen"]       # the image that is shown; the answer to the picture has several
    assert numbers["heads"]["class"][0]["class"] == raw["heads"]["class"][0]["class"] == "3"
    (tmp_path / "three.png").write_bytes(picture)
    ranked = Predictor(bundle.path).predict(tmp_path / "three.png", top=10).answers["class"]
    assert {one["class"]: one["probability"] for one in raw["heads"]["class"]} == pytest.approx(dict(ranked))


def test_many_digits_in_one_picture(ask, digit):
    page = Image.new("L", (600, 200), 255)
    for place, label in enumerate((3, 0, 4)):
        page.paste(Image.fromarray(255 - digit(label)).resize((120, 120)), (40 + 190 * place, 40))
    together = Answer.model_validate(ask("POST", "/predict", content=as_png(page)).json())
    each = Answers.model_validate(ask("POST", "/predict?many=true&explain=true", content=as_png(page)).json())
    assert together.digits == 3
    assert [answer.heads["class"][0].name for answer in each.answers] == ["3", "0", "4"]
    assert all(answer.looked and answer.layers for answer in each.answers)


def test_an_answer_is_what_the_page_says_it_is(ask, drawing):
    answer = Answer.model_validate(ask("POST", "/predict?explain=true", content=drawing(3)).json())
    ranked = answer.heads["class"]
    assert sum(one.probability for one in ranked) == pytest.approx(1, abs=1e-5)
    assert sorted(ranked, key=lambda one: -one.probability) == ranked and len(ranked) == 10
    assert (answer.seen.channels, answer.seen.height, answer.seen.width, len(answer.seen.pixels)) == (1, 28, 28, 784)


def test_where_it_looked_is_what_each_patch_takes(ask, drawing, bundle):
    answer = Answer.model_validate(ask("POST", "/predict?explain=true", content=drawing(3)).json())
    image = np.reshape(answer.seen.pixels, (28, 28)).astype(np.uint8)
    total, count = np.zeros((28, 28)), np.zeros((28, 28))
    for row in range(0, 23, 2):
        for column in range(0, 23, 2):
            covered = image.copy()
            covered[row : row + 6, column : column + 6] = 0
            fall = answer.heads["class"][0].probability - bundle.probabilities(covered[None, None])["class"][0, 3]
            total[row : row + 6, column : column + 6] += fall
            count[row : row + 6, column : column + 6] += 1
    looked = answer.looked["class"]
    assert (looked.name, looked.patch) == ("3", 6) and max(looked.falls) > 0.01
    assert np.reshape(looked.falls, (28, 28)) == pytest.approx(total / count, abs=2e-4)


def test_a_white_wall_hides_nothing(ask):
    answer = ask("POST", "/predict?explain=true", json={"pixels": [0] * 784}).json()
    assert set(answer["looked"]["class"]["falls"]) == {0}


def test_the_maps_of_every_layer(ask, drawing, bundle):
    layers = Answer.model_validate(ask("POST", "/predict?explain=true", content=drawing(3)).json()).layers
    assert (len(layers), layers[0].shape, layers[-1].shape) == (6, [16, 22, 22], [10, 1, 1])
    for layer in layers:
        assert len(base64.b64decode(layer.maps)) == np.prod(layer.shape) and layer.low <= layer.high


def test_a_number_is_added(ask, drawing, sum_bundle):
    picture = drawing(3)
    ways = [
        ask("POST", "/predict?number=4", of=sum_bundle, content=picture),
        ask("POST", "/predict", of=sum_bundle, files={"picture": picture}, data={"number": "4"}),
    ]
    assert ways[0].json() == ways[1].json()
    pixels = ways[0].json()["seen"]["pixels"]
    same = ask("POST", "/predict", of=sum_bundle, json={"pixels": pixels, "number": 4}).json()
    assert same["seen"] == ways[0].json()["seen"] and same["number"] == 4
    assert {head: len(ranked) for head, ranked in ways[0].json()["heads"].items()} == {"digit": 10, "sum": 19}
    assert ways[0].json()["number"] == 4
    other = ask("POST", "/predict?number=9&explain=1", of=sum_bundle, content=picture).json()
    assert other["heads"]["sum"] != ways[0].json()["heads"]["sum"] and set(other["looked"]) == {"digit", "sum"}


FAULTS = {
    "nothing": (400, {"content": b""}, "empty"),
    "a text": (422, {"content": b"This is no picture."}, "no known picture"),
    "half a picture": (422, {"content": as_png(Image.effect_noise((80, 80), 90))[:900]}, "cannot be read"),
    "blank": (422, {"content": as_png(Image.new("L", (50, 50), 255))}, "blank"),
    "too many pixels": (422, {"content": as_png(Image.new("1", (16000, 16000)))}, "pixels"),
    "no json": (400, {"content": b"{", "headers": {"content-type": "application/json"}}, "no JSON"),
    "deep json": (400, {"content": b"[" * 50_000, "headers": {"content-type": "application/json"}}, "no JSON"),
    "long json": (422, {"content": b"0 " * 90_000, "headers": {"content-type": "application/json"}},
                  "180,000 bytes, far too many for 784 numbers"),
    "a long key": (422, {"json": {"pixels": [0] * 784, "y" + "x" * 5000: 0}}, f"y{'x' * 39} 0: extra"),
    "a list": (422, {"json": [0] * 784}, "body"),
    "few pixels": (422, {"json": {"pixels": [0] * 783}}, "783 numbers, and 784"),
    "many pixels": (422, {"json": {"pixels": [0] * 785}}, "785 numbers, and 784"),
    "too bright": (422, {"json": {"pixels": [256] + [0] * 783}}, "pixels 0 256"),
    "too dark": (422, {"json": {"pixels": [0, -1] + [0] * 782}}, "pixels 1 -1"),
    "no number": (422, {"json": {"pixels": ["12"] * 784}}, "pixels 0 '12'"),
    "infinity": (422, {"content": b'{"pixels": [1e999]}', "headers": {"content-type": "application/json"}}, "pixels 0"),
    "what is not asked": (422, {"json": {"pixels": [0] * 784, "path": "/etc/passwd"}}, "path '/etc/passwd'"),
    "a number to add": (422, {"json": {"pixels": [0] * 784, "number": 3}}, "only reads pictures"),
    "form without a file": (422, {"files": {"photo": b"x"}}, "'picture'"),
    "form with two files": (400, {"files": [("picture", b"x"), ("picture", b"y")]}, "one file"),
    "form in a charset that decodes nothing": (400, {
        "content": b'--b\r\nContent-Disposition: form-data; name="number"\r\n\r\n1\r\n--b--\r\n',
        "headers": {"content-type": "multipart/form-data; boundary=b; charset=undefined"},
    }, "form"),
    "a form that is none": (400, {"content": b"x", "headers": {"content-type": "multipart/form-data"}}, "form"),
}


@pytest.mark.parametrize("name", FAULTS)
def test_what_cannot_be_answered_is_one_sentence(ask, name):
    status, given, words = FAULTS[name]
    answer = ask("POST", "/predict", **given)
    assert answer.status_code == status and set(answer.json()) == {"error"}, answer.text
    assert words in answer.json()["error"] and answer.json()["error"].endswith(".")


@pytest.mark.parametrize(("query", "words"), [
    ("?number=10", "number '10'"), ("?number=-1", "number '-1'"), ("?number=x", "number 'x'"),
    ("?explain=perhaps", "explain 'perhaps'"), ("", "?number=4"),
])
def test_values_in_the_address(ask, sum_bundle, drawing, query, words):
    answer = ask("POST", f"/predict{query}", of=sum_bundle, content=drawing(3))
    assert answer.status_code == 422 and words in answer.json()["error"]


def test_the_card_and_the_health(ask, bundle):
    assert ask("GET", "/model").json() == json.loads((bundle.path / "card.json").read_text())
    assert ask("GET", "/health").json() == {"status": "ok"}


@pytest.mark.parametrize(("method", "path", "status"), [
    ("GET", "/nothing", 404), ("GET", "/predict", 405), ("DELETE", "/", 405), ("POST", "/model", 405),
    ("GET", "/static/index.html", 404), ("GET", "/../pyproject.toml", 404), ("GET", "/%2e%2e/%2e%2e/etc/passwd", 404),
    ("GET", "/..%2fcard.json", 404), ("GET", "//etc/passwd", 404), ("GET", "/index.html%00.js", 404),
    ("GET", "/card.json", 404), ("GET", "/redoc", 404), ("OPTIONS", "/predict", 405), ("GET", "/health/", 404),
])
def test_what_is_not_there(ask, method, path, status):
    answer = ask(method, path)
    assert answer.status_code == status and set(answer.json()) == {"error"}


@pytest.mark.parametrize("path", ["/", "/docs", "/page.js", "/style.css", "/icon.svg", "/openapi.json", "/nothing"])
def test_every_answer_tells_browsers_what_is_allowed(ask, path):
    headers = ask("GET", path).headers
    assert {name: headers[name] for name in HEADERS} == HEADERS and "server" not in headers
    assert headers["cache-control"] in ("no-store", "no-cache")
    assert "unsafe" not in headers["content-security-policy"] and "http" not in headers["content-security-policy"]


@pytest.mark.parametrize(("host", "status"), [
    ("localhost:8000", 200), ("127.0.0.1", 200), ("[::1]:80", 200), ("LOCALHOST", 200),
    ("evil.example", 403), ("evil.example:8000", 403), ("localhost.evil.example", 403), ("", 403), ("127.0.0.1:x", 403),
])
def test_names_that_point_here_from_elsewhere(ask, host, status):
    assert ask("GET", "/health", headers={"host": host}).status_code == status
    assert ask("GET", "/health", headers={"host": host}, limits=Limits(hosts=())).status_code == 200


def test_the_first_fault_of_a_million_pixels_is_enough():
    with pytest.raises(ValidationError) as caught:
        PixelsIn.model_validate_json(b'{"pixels":[' + b'"",' * 10_000 + b'""]}')
    assert len(caught.value.errors()) == 1


@pytest.mark.parametrize(("origin", "status"), [
    ("http://localhost:8000", 200), ("http://127.0.0.1", 200), ("https://[::1]:443", 200), ("http://evil.example", 403),
    ("null", 403), ("", 403), ("http://localhost.evil.example", 403), ("http://localhost@evil.example", 403),
])
def test_pages_of_other_origins_are_refused(ask, origin, status):
    answer = ask("GET", "/model", headers={"origin": origin})
    assert answer.status_code == status and ("error" in answer.json()) == (status == 403)
    assert ask("GET", "/model", headers={"origin": origin}, limits=Limits(hosts=())).status_code == 200


def test_a_bug_is_not_shown(ask, bundle, drawing, tmp_path):
    broken = shutil.copytree(bundle.path, tmp_path / "broken")
    card = json.loads((broken / "card.json").read_text())
    (broken / "card.json").write_text(json.dumps(card))
    opened = Bundle.open(broken)
    opened.card = replace(opened.card, takes_number=True)
    answer = ask("POST", "/predict?number=3", of=opened, content=drawing(3))
    assert answer.status_code == 500 and answer.json() == {"error": BROKEN}


def test_openapi_names_what_goes_in_and_out(ask):
    api = ask("GET", "/openapi.json").json()
    assert set(api["paths"]) == {"/predict", "/health", "/model"}
    bodies = api["paths"]["/predict"]["post"]["requestBody"]["content"]
    assert set(bodies) == {"image/*", "multipart/form-data", "application/json"}
    statuses = api["paths"]["/predict"]["post"]["responses"]
    assert set(statuses) == {"200", "400", "403", "408", "413", "422", "503", "504"}
    assert {"Answer", "Answers", "Fault"} <= set(api["components"]["schemas"])
