"""A bundle answers as the run does, with onnxruntime instead of torch."""

from __future__ import annotations

import json
import re
import shutil

import numpy as np
import onnx
import onnxruntime
import pytest

from featherweight.errors import RunError
from featherweight.inference.bundle import Bundle
from featherweight.inference.card import Card
from featherweight.inference.opening import open_network
from featherweight.inference.trained import TrainedNetwork
from featherweight.shipping import make_bundle


@pytest.fixture(scope="module", params=["digits_run", "sum_run"])
def pair(request, tmp_path_factory):
    """A run and its bundle's folder."""
    run = request.getfixturevalue(request.param)
    folder = tmp_path_factory.mktemp("bundle") / "new" / "folder"
    make_bundle(run, folder)
    return run, folder


def question(card, count=7):
    generator = np.random.default_rng(0)
    images = generator.integers(0, 256, (count, 1, 28, 28), dtype=np.uint8)
    return images, np.arange(count) % 10 if card.takes_number else None


@pytest.mark.parametrize("count", [1, 2, 7])
def test_a_bundle_answers_as_its_run_for_any_batch(pair, count):
    run, folder = pair
    ours, theirs = open_network(folder), TrainedNetwork.open(run)
    assert type(ours).__name__ == "Bundle" and ours.card == theirs.card
    asked = question(ours.card, count)
    for head, probabilities in theirs.probabilities(*asked).items():
        answered = ours.probabilities(*asked)[head]
        assert answered.dtype == np.float32 and answered.shape == (count, len(ours.card.heads[head]))
        assert np.abs(answered - probabilities).max() < 1e-5


def test_the_folder_holds_what_its_docstring_says_and_nothing_of_this_machine(pair):
    _, folder = pair
    assert sorted(file.name for file in folder.iterdir()) == ["card.json", "card.md", "layers.onnx", "model.onnx"]
    for name in ("model.onnx", "layers.onnx"):
        content = (folder / name).read_bytes()
        assert not re.search(rb"\.py\b|/home|/tmp|/work|site-packages", content)
        onnx.checker.check_model(onnx.load_from_string(content), full_check=True)


def test_the_models_metadata_is_the_card(pair):
    run, folder = pair
    found = {entry.key: entry.value for entry in onnx.load(folder / "model.onnx").metadata_props}
    card = TrainedNetwork.open(run).card
    assert found.pop("card") == card.digest()
    plain = {key: value if isinstance(card.to_dict()[key], str) else json.loads(value) for key, value in found.items()}
    assert Card.from_dict(plain) == card


def test_layers_gives_what_the_layers_compute(pair):
    run, folder = pair
    session = onnxruntime.InferenceSession(folder / "layers.onnx")
    layers = json.loads(session.get_modelmeta().custom_metadata_map["layers"])
    asked = question(open_network(folder).card)
    feed = {"images": asked[0]} | ({} if asked[1] is None else {"numbers": asked[1]})
    values = session.run([layer["output"] for layer in layers], feed)
    assert [list(value.shape[1:]) for value in values] == [layer["shape"] for layer in layers]
    assert all(value.dtype == np.float32 for value in values)
    network = TrainedNetwork.open(run).module
    kinds = [type(part).__name__ for part in network.modules()]
    assert len(layers) == kinds.count("Conv2d") + kinds.count("Linear")
    assert layers[0]["title"].startswith("conv 1 -> ") and values[0].shape[-1] == 26
    # the last layer's values are the last head's logits
    logits = values[-1].reshape(len(asked[0]), -1)
    shares = np.exp(logits - logits.max(axis=1, keepdims=True))
    head = list(open_network(folder).card.heads)[-1]
    answered = open_network(folder).probabilities(*asked)[head]
    assert np.allclose(shares / shares.sum(axis=1, keepdims=True), answered, atol=1e-5)


def test_the_cards_own_code_runs(pair, capsys, monkeypatch):
    _, folder = pair
    monkeypatch.chdir(folder)
    code = re.search(r"```python\n(.*?)```", (folder / "card.md").read_text(), re.S).group(1)
    assert len(code.splitlines()) == 6
    exec(compile(code, "card.md", "exec"), {})
    label, share = capsys.readouterr().out.split()
    assert label in "0123456789" and 0 < float(share) <= 1


def test_two_bundles_of_one_run_are_the_same_bytes(sum_run, tmp_path):
    folder, again = tmp_path / "one", tmp_path / "other"
    make_bundle(sum_run, folder)
    make_bundle(sum_run, again)
    assert all((again / file.name).read_bytes() == file.read_bytes() for file in folder.iterdir())


@pytest.mark.parametrize(("name", "words"), [
    ("model.onnx", "model.onnx is not the file that was shipped: its sha256 is not that in card.json"),
    ("layers.onnx", "layers.onnx is not the file that was shipped"),
    ("card.json", "card.json is not the card of model.onnx: it was edited"),
])
def test_a_changed_file_is_named(pair, tmp_path, name, words):
    folder = shutil.copytree(pair[1], tmp_path / "bundle")
    file = folder / name
    content = file.read_bytes()
    file.write_bytes(content.replace(b'"std"', b'"std" ') if name == "card.json" else content[:-1] + b"\0")
    if name == "card.json":
        Bundle.open(folder)     # as JSON it says the same
        file.write_bytes(content.replace(b'"3"', b'"8"', 1))
    with pytest.raises(RunError, match=words):
        Bundle.open(folder).open_model("layers.onnx")
    if name == "card.json":     # nor is it another bundle without its hashes
        card = json.loads(content)
        del card["files"]
        file.write_text(json.dumps(card))
        with pytest.raises(RunError, match=words):
            Bundle.open(folder)
