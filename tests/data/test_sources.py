"""Where data are found, how they are fetched from a real server, and what is said when nothing works."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import io
import json
import subprocess
import sys
from pathlib import Path

import pytest

from featherweight.data import SOURCES, fetch, locate
from featherweight.data.places import IDX_FILES
from featherweight.errors import DataError, UnknownName

TRAIN_IMAGES = IDX_FILES[0]
DOWNLOAD = """
import json, sys
from pathlib import Path
from featherweight.data.download import download
name, sha256, mirrors, folder = json.loads(sys.argv[1])
download(name, sha256, mirrors, Path(folder), progress=lambda *_: None)
"""


def names_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} - {".lock"}


def test_the_catalogue_is_complete():
    assert list(SOURCES) == ["mnist", "fashion-mnist", "kmnist", "digits", "strokes", "emnist", "qmnist", "cifar-10"]
    for name, source in SOURCES.items():
        assert source.name == name
        assert len(source.classes) == len(set(source.classes)) == (47 if name == "emnist" else 10)
        assert source.about
        assert source.licence
        assert source.citation
        assert bool(source.origin) + bool(source.page) + bool(source.sha256) == 1
        assert bool(source.page) == bool(source.first)
        if not source.sha256:
            continue
        assert tuple(source.sha256) == IDX_FILES
        assert all(len(checksum) == 64 and int(checksum, 16) for checksum in source.sha256.values())
        assert all(mirror.startswith("http") and mirror.endswith("/") for mirror in source.mirrors)
    every = [checksum for source in SOURCES.values() for checksum in (source.sha256 or {}).values()]
    assert len(set(every)) == 12


def test_an_unknown_name_is_told_the_nearest():
    with pytest.raises(UnknownName, match=r"unknown data set 'mnits'\. Did you mean 'mnist'\?.*give a file or folder"):
        locate("mnits")
    with pytest.raises(UnknownName, match="See: featherweight data"):
        fetch("imagenet")


def test_digits_are_always_at_hand():
    assert locate("digits").phrase == fetch("digits").phrase == "bundled with scikit-learn"
    assert locate("strokes").phrase == fetch("strokes").phrase == "drawn by featherweight"


def test_a_folder_is_located_where_it_exists(tmp_path):
    assert locate(f"folder:{tmp_path}").phrase == f"the folder {tmp_path}"
    assert locate(f"folder:{tmp_path / 'none'}") is None


def test_nothing_is_located_and_nothing_is_made_where_nothing_is(tiny, tmp_path):
    assert locate("tiny", cache_dir=tmp_path / "cache", sources=tiny.sources) is None
    assert not (tmp_path / "cache").exists()


def test_places_are_tried_in_order(tiny, tmp_path, monkeypatch):
    given, variable, cache = (tiny.write(tmp_path / place) for place in ("given", "variable", "cache"))
    monkeypatch.setenv("FEATHERWEIGHT_DATA", str(variable))

    def place(data_dir):
        found = locate("tiny", data_dir, cache_dir=cache, sources=tiny.sources)
        assert found == fetch("tiny", data_dir, cache_dir=cache, sources=tiny.sources, mirrors=[])
        return found.phrase

    assert place(given) == f"the given folder ({given / 'tiny'})"
    assert place(None) == f"FEATHERWEIGHT_DATA ({variable / 'tiny'})"
    (variable / "tiny" / TRAIN_IMAGES).unlink()
    assert place(None) == f"the cache ({cache / 'tiny'})"


def test_the_users_cache_is_the_default(tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("FEATHERWEIGHT_CACHE", str(tmp_path / "featherweight"))
    tiny.write(tmp_path / "featherweight")
    assert locate("tiny", sources=tiny.sources).phrase == f"the cache ({tmp_path / 'featherweight' / 'tiny'})"


def test_unpacked_files_count_in_a_local_folder(tiny, tmp_path):
    folder = tiny.write(tmp_path / "plain", packed=False)
    place = fetch("tiny", folder, cache_dir=tmp_path / "cache", sources=tiny.sources, mirrors=[])
    assert [path.name for path in place.files] == [name.removesuffix(".gz") for name in IDX_FILES]


@pytest.mark.parametrize("through_variable", [False, True])
def test_a_damaged_file_in_a_given_folder_is_an_error_and_stays(
    tiny, tmp_path, monkeypatch, through_variable
):
    folder = tiny.write(tmp_path / "given")
    file = folder / "tiny" / TRAIN_IMAGES
    damaged = gzip.compress(b"something else")
    file.write_bytes(damaged)
    tiny.write(tmp_path / "cache")
    monkeypatch.setenv("FEATHERWEIGHT_DATA", str(folder if through_variable else ""))
    with pytest.raises(DataError) as fault:
        fetch(
            "tiny", None if through_variable else folder, cache_dir=tmp_path / "cache", sources=tiny.sources
        )
    assert str(fault.value) == (
        f"{file} is no IDX file of images: it is a text that begins with 'something else'. "
        "Move it away and run: featherweight data get tiny"
    )
    assert file.read_bytes() == damaged


@pytest.mark.parametrize("through_variable", [False, True])
def test_a_named_folder_that_does_not_exist_is_an_error(tiny, tmp_path, monkeypatch, through_variable):
    tiny.write(tmp_path / "cache")
    nope = tmp_path / "nope"
    if through_variable:
        monkeypatch.setenv("FEATHERWEIGHT_DATA", str(nope))
    for action in (fetch, locate):
        with pytest.raises(DataError) as fault:
            action("tiny", None if through_variable else nope, cache_dir=tmp_path / "cache", sources=tiny.sources)
        who = "FEATHERWEIGHT_DATA" if through_variable else "data_dir="
        assert str(fault.value) == f"{who}: '{nope}' is no folder. Name a folder that holds data, or leave it out."


def test_a_given_folder_without_the_data_is_an_error(tiny, tmp_path):
    cache = tiny.write(tmp_path / "cache")
    (tmp_path / "other").mkdir()
    with pytest.raises(DataError) as fault:
        fetch("tiny", tmp_path / "other", cache_dir=cache, sources=tiny.sources)
    assert str(fault.value) == (
        f"data_dir=: '{tmp_path / 'other'}' does not hold tiny. Name a folder that holds tiny/, give the data "
        "themselves with data='FILE|DIR', or leave it out."
    )


@pytest.mark.parametrize("inside", ["tiny", "TINY/raw", "raw", ""])
def test_the_four_files_are_found_where_people_have_them(tiny, tmp_path, inside):
    source = dataclasses.replace(tiny.source, folders=("TINY",))
    folder = tmp_path / "given" / inside
    folder.mkdir(parents=True)
    for name, content in tiny.files.items():
        (folder / name.replace("-idx", ".idx")).write_bytes(content)
    place = fetch("tiny", tmp_path / "given", sources={"tiny": source})
    assert [file.parent for file in place.files] == [folder] * 4


def test_files_of_another_data_set_are_not_taken(tiny, tmp_path):
    folder = tiny.write(tmp_path / "given") / "tiny"
    other = dataclasses.replace(tiny.source, name="other", sha256=dict.fromkeys(IDX_FILES, "0"), mirrors=())
    sources = {**tiny.sources, "other": other}
    assert locate("other", folder, cache_dir=tmp_path / "cache", sources=sources) is None
    assert locate("tiny", folder, cache_dir=tmp_path / "cache", sources=sources) is not None


def content_of(tiny):
    return {name: hashlib.sha256(gzip.decompress(packed)).hexdigest() for name, packed in tiny.files.items()}


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("again", [lambda content: gzip.compress(content, 1, mtime=9), lambda content: content])
def test_the_content_after_unpacking_counts(tiny, tmp_path, known, again):
    """Files that were packed anew, or not at all in spite of their name."""
    source = dataclasses.replace(tiny.source, content=content_of(tiny) if known else None)
    folder = tiny.write(tmp_path / "given")
    for name, content in tiny.files.items():
        (folder / "tiny" / name).write_bytes(again(gzip.decompress(content)))
    place = fetch("tiny", folder, sources={"tiny": source})
    note = "" if known else "; not the published bytes, but their counts and shapes are right"
    assert place.phrase == f"the given folder ({folder / 'tiny'}{note})"


@pytest.mark.parametrize(("content", "words"), [
    (b"<!DOCTYPE html>\n<title>404</title>", "an HTML page"),
    (b"", "empty"),
    (gzip.compress(b"\x80\x04pickle", mtime=0), "a pickle"),
    (gzip.compress(b"\0\0\x08\x03" + bytes(12), mtime=0), "an IDX file of type uint8 with 3 axes"),
])
def test_a_file_with_other_content_is_named_as_what_it_is(tiny, tmp_path, content, words):
    source = dataclasses.replace(tiny.source, content=content_of(tiny))
    folder = tiny.write(tmp_path / "given")
    file = folder / "tiny" / TRAIN_IMAGES
    file.write_bytes(content)
    with pytest.raises(DataError) as fault:
        fetch("tiny", folder, sources={"tiny": source})
    assert str(fault.value) == (
        f"{file} is not the published file of tiny: it is {words}, and its content differs. Give "
        f"data='{file.parent}' to train on it as data of your own, or move it away and run: featherweight data get tiny"
    )
    assert file.read_bytes() == content


def test_images_of_another_size_are_not_the_published_ones(tiny, tmp_path):
    source = dataclasses.replace(tiny.source, side=9)
    folder = tiny.write(tmp_path / "given")
    for name, content in tiny.files.items():
        (folder / "tiny" / name).write_bytes(gzip.compress(gzip.decompress(content), 1, mtime=9))
    with pytest.raises(DataError, match="its images have 8x8 pixels, expected 9x9"):
        fetch("tiny", folder, sources={"tiny": source})


def test_genuine_mnist_may_be_packed_anew(real_mnist, tmp_path):
    for name in IDX_FILES:
        (tmp_path / name).write_bytes(gzip.compress(gzip.decompress((real_mnist / "mnist" / name).read_bytes()), 1))
    assert fetch("mnist", tmp_path).phrase == f"the given folder ({tmp_path})"
    assert locate("kmnist", tmp_path, cache_dir=tmp_path / "cache") is None


def test_a_mirror_fills_the_cache_once(tiny, mirrors, tmp_path):
    seen = []
    source = dataclasses.replace(tiny.source, mirrors=(mirrors.url("a"),))

    def get():
        return fetch(
            "tiny", cache_dir=tmp_path, sources={"tiny": source}, progress=lambda *told: seen.append(told)
        )

    place = get()
    assert place == get()
    assert place.phrase == f"the cache ({tmp_path / 'tiny'})"
    assert {path.name: path.read_bytes() for path in place.files} == tiny.files
    assert mirrors.requests == {f"/a/{name}": 1 for name in IDX_FILES}
    ends = {file: (done, total) for file, done, total in seen}
    assert ends == {name: (len(content), len(content)) for name, content in tiny.files.items()}
    assert names_in(tmp_path / "tiny") == set(IDX_FILES)


@pytest.mark.parametrize("how", ["missing", "corrupt", "cut", "stall"])
def test_the_next_mirror_is_used_and_kept(tiny, mirrors, tmp_path, how):
    mirrors.behaviour["/bad"] = how
    place = fetch(
        "tiny",
        cache_dir=tmp_path,
        sources=tiny.sources,
        mirrors=[mirrors.url("bad"), mirrors.url("good")],
        progress=lambda *_: None,
        timeout=0.5,
    )
    assert {path.name: path.read_bytes() for path in place.files} == tiny.files
    assert names_in(tmp_path / "tiny") == set(IDX_FILES)
    assert sum(count for path, count in mirrors.requests.items() if path.startswith("/bad/")) == 1


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("missing", "HTTP 404"),
        ("corrupt", "its sha256 is not the published one"),
        ("cut", "the transfer broke off"),
        ("stall", "timed out"),
    ],
)
def test_a_fault_is_named_and_leaves_nothing_behind(tiny, mirrors, tmp_path, how, reason):
    mirrors.behaviour["/bad"] = how
    with pytest.raises(DataError) as fault:
        fetch(
            "tiny", cache_dir=tmp_path, sources=tiny.sources, mirrors=[mirrors.url("bad")],
            progress=lambda *_: None, timeout=0.3,
        )  # fmt: skip
    assert str(fault.value) == (
        f"data set 'tiny' is not on this machine: {TRAIN_IMAGES} could not be fetched from "
        f"{mirrors.url('bad')} ({reason}). "
        "Set FEATHERWEIGHT_DATA or data_dir= to a folder that holds tiny/*.gz, or use data='digits'."
    )
    assert names_in(tmp_path / "tiny") == set()


def test_without_a_network_every_place_and_mirror_is_named(tiny, tmp_path, monkeypatch):
    closed = ["http://127.0.0.1:1/x/", "http://127.0.0.1:1/y/"]
    (tmp_path / "given").mkdir()
    monkeypatch.setenv("FEATHERWEIGHT_DATA", str(tmp_path / "given"))
    with pytest.raises(DataError) as fault:
        fetch("tiny", cache_dir=tmp_path, sources=tiny.sources, mirrors=closed)
    text = str(fault.value)
    assert "\n" not in text
    assert f"not all its files are in FEATHERWEIGHT_DATA ({tmp_path / 'given' / 'tiny'})" in text
    assert f"{closed[0]} (no connection), {closed[1]} (no connection)" in text


def test_an_interrupted_fetch_goes_on_where_it_stopped(tiny, mirrors, tmp_path):
    mirrors.behaviour[f"/a/{IDX_FILES[2]}"] = "cut"

    def get():
        return fetch(
            "tiny",
            cache_dir=tmp_path,
            sources=tiny.sources,
            mirrors=[mirrors.url("a")],
            progress=lambda *_: None,
        )

    with pytest.raises(DataError, match=f"{IDX_FILES[2]} could not be fetched"):
        get()
    assert names_in(tmp_path / "tiny") == set(IDX_FILES[:2])
    (tmp_path / "tiny" / f".{IDX_FILES[2]}.abandoned").write_bytes(b"of a process that was killed")
    mirrors.behaviour.clear()
    get()
    assert names_in(tmp_path / "tiny") == set(IDX_FILES)
    assert mirrors.requests == dict(zip((f"/a/{name}" for name in IDX_FILES), (1, 1, 2, 1), strict=True))


def test_a_damaged_file_in_the_cache_is_fetched_again(tiny, mirrors, tmp_path):
    cache = tiny.write(tmp_path)
    (cache / "tiny" / TRAIN_IMAGES).write_bytes(b"half a fi")
    place = fetch("tiny", cache_dir=cache, sources=tiny.sources, mirrors=[mirrors.url("a")])
    assert place.files[0].read_bytes() == tiny.files[TRAIN_IMAGES]
    assert mirrors.requests == {f"/a/{TRAIN_IMAGES}": 1}


def test_two_processes_fetch_each_file_once(tiny, mirrors, tmp_path):
    mirrors.behaviour["/a"] = "slow"
    task = json.dumps(["tiny", tiny.source.sha256, [mirrors.url("a")], str(tmp_path / "tiny")])
    both = [subprocess.Popen([sys.executable, "-c", DOWNLOAD, task]) for _ in range(2)]
    assert [process.wait(60) for process in both] == [0, 0]
    assert {name: (tmp_path / "tiny" / name).read_bytes() for name in IDX_FILES} == tiny.files
    assert mirrors.requests == {f"/a/{name}": 1 for name in IDX_FILES}


def test_a_cache_that_cannot_be_written_is_an_error(tiny, mirrors, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(
        DataError, match=r"'tiny' cannot be written to .*file.tiny: .*Set FEATHERWEIGHT_DATA to"
    ):
        fetch("tiny", cache_dir=tmp_path / "file", sources=tiny.sources, mirrors=[mirrors.url("a")])
    assert not mirrors.requests


@pytest.mark.parametrize("how", ["good", "unsized"])
def test_progress_is_a_line_a_file_where_nobody_watches(tiny, mirrors, tmp_path, capsys, how):
    mirrors.behaviour["/a"] = how
    fetch("tiny", cache_dir=tmp_path, sources=tiny.sources, mirrors=[mirrors.url("a")])
    out, err = capsys.readouterr()
    sizes = [f" ({len(tiny.files[name]):,} bytes)" if how == "good" else "" for name in IDX_FILES]
    assert err.splitlines() == [f"fetching {name}{size}" for name, size in zip(IDX_FILES, sizes, strict=True)]
    assert out == ""


def test_progress_is_bars_on_a_terminal(tiny, mirrors, tmp_path, capsys, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    fetch("tiny", cache_dir=tmp_path, sources=tiny.sources, mirrors=[mirrors.url("a")])
    assert all(name[:12] in terminal.getvalue() for name in IDX_FILES)
    assert capsys.readouterr().out == ""


def test_a_file_that_cannot_be_read_is_an_error(tiny, tmp_path, monkeypatch):
    folder = tiny.write(tmp_path)

    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(self))

    monkeypatch.setattr(Path, "read_bytes", refuse)  # a test that runs as root has no other way
    with pytest.raises(
        DataError, match=rf"{TRAIN_IMAGES} cannot be read: Permission denied\. Check its rights\."
    ):
        fetch("tiny", folder, sources=tiny.sources)
