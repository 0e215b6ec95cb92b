"""Pictures in folders: every format and mode, the cache, and a line for every fault."""

from __future__ import annotations

import os
import shutil
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from featherweight.data import load_dataset
from featherweight.data.folders import Listing, list_folder, load_pictures
from featherweight.data.foreign import Wanted
from featherweight.data.pictures import decode_picture, decode_pictures
from featherweight.errors import DataError
from featherweight.inference.picture import prepare
from featherweight.inference.reading import read_picture
from featherweight.picture_files import SUFFIXES, formats
from featherweight.specification import PictureSpecification

HEIC = Path(__file__).with_name("red.heic")     # 24 x 12 pixels: a red box on white


def save(path, pixels, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(pixels, np.uint8)).save(path, **options)
    return path


def classes_in(folder, **counts):
    """Folders of grey pictures: classes_in(x, cat=3, dog=2)."""
    for name, count in counts.items():
        for index in range(count):
            save(folder / name / f"{index:03}.png", np.full((4, 4), 10 * index))
    return folder


def fault_of(action, *arguments):
    with pytest.raises(DataError) as fault:
        action(*arguments)
    assert "\n" not in str(fault.value)
    return str(fault.value)


def load_images(files, root, channels, size, cache):
    """The images of these files."""
    return load_pictures(Listing(tuple(files), np.zeros(len(files), np.int64)), root, Wanted(channels, size), cache)[0]


# the layout


def test_classes_are_in_order_and_a_fifth_of_each_is_test(tmp_path):
    classes, train, test, *_ = list_folder(classes_in(tmp_path, dog=10, cat=20, bee=2))
    assert classes == ("bee", "cat", "dog")
    assert np.bincount(train.labels).tolist() == [1, 16, 8]
    assert np.bincount(test.labels).tolist() == [1, 4, 2]
    assert set(train.files).isdisjoint(test.files)
    assert len(set(train.files) | set(test.files)) == 32
    for listing in (train, test):
        assert [file.parent.name for file in listing.files] == [classes[label] for label in listing.labels]
    again = list_folder(tmp_path)
    assert again[1].files == train.files


def test_train_and_test_folders_are_taken_as_they_are(tmp_path):
    classes_in(tmp_path / "train", cat=3, dog=2)
    classes_in(tmp_path / "test", dog=1, cat=1)
    classes, train, test, *_ = list_folder(tmp_path)
    assert classes == ("cat", "dog")
    assert train.labels.tolist() == [0, 0, 0, 1, 1]
    assert [file.relative_to(tmp_path).as_posix() for file in test.files] == [
        "test/cat/000.png",
        "test/dog/000.png",
    ]


def test_hidden_files_and_a_systems_litter_are_passed_over(tmp_path):
    classes_in(tmp_path, cat=2, dog=2, **{".git": 1, "__MACOSX": 1})
    (tmp_path / "cat" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "cat" / "Thumbs.db").write_bytes(b"x")
    classes, train, test, *_ = list_folder(tmp_path)
    assert classes == ("cat", "dog")
    assert len(train.files) + len(test.files) == 4


def test_the_faults_of_a_layout(tmp_path):
    none = tmp_path / "none"
    assert fault_of(list_folder, none) == (
        f"folder '{none}' does not exist. Give folder:DIR, with a folder in DIR for each class."
    )
    empty = tmp_path / "empty"
    empty.mkdir()
    assert fault_of(list_folder, empty) == (
        f"{empty} has no class folders. Put pictures into {empty}/<class>/."
    )
    one = classes_in(tmp_path / "one", cat=3)
    assert "has one class folder, 'cat'; a classifier needs at least 2." in fault_of(list_folder, one)
    bare = classes_in(tmp_path / "bare", cat=3, dog=3)
    (bare / "emu").mkdir()
    assert (
        fault_of(list_folder, bare)
        == f"{bare / 'emu'} is an empty class. Add pictures, or remove the folder."
    )
    few = classes_in(tmp_path / "few", cat=3, dog=1)
    assert f"{few / 'dog'} has one picture, and one is needed for training and one for test." in fault_of(
        list_folder, few
    )


def test_the_faults_of_train_and_test(tmp_path):
    lonely = tmp_path / "lonely"
    classes_in(lonely / "train", cat=3, dog=3)
    assert f"{lonely} has train/ but no test/. Add {lonely / 'test'}/<class>/" in fault_of(
        list_folder, lonely
    )
    classes_in(lonely / "test", cat=1)
    assert fault_of(list_folder, lonely) == (
        f"{lonely / 'test'} lacks the class 'dog' of {lonely / 'train'}. Add {lonely / 'test' / 'dog'}/."
    )
    classes_in(lonely / "test", dog=1, emu=1)
    assert fault_of(list_folder, lonely) == (
        f"{lonely / 'test' / 'emu'} is no class of {lonely / 'train'}. Allowed: cat, dog."
    )


def test_what_is_no_picture_is_never_skipped_in_silence(tmp_path):
    folder = classes_in(tmp_path, cat=3, dog=3)
    (folder / "cat" / "notes.txt").write_text("hello")
    assert f"{folder / 'cat' / 'notes.txt'} is no picture. Allowed: .png, .jpg" in fault_of(
        list_folder, folder
    )
    (folder / "dog" / "list.md").write_text("hello")
    assert "2 files in class folders are no pictures" in fault_of(list_folder, folder)
    (folder / "dog" / "list.md").unlink()
    (folder / "cat" / "notes.txt").unlink()
    (folder / "cat" / "more").mkdir()
    assert fault_of(list_folder, folder) == (
        f"{folder / 'cat' / 'more'} is a folder where pictures are expected. Is 'cat' a class?"
    )


# the pictures


@pytest.mark.parametrize("suffix", [suffix for suffix in SUFFIXES if suffix not in (".heic", ".heif")])
def test_every_format_is_read_in_grey_and_colour(tmp_path, suffix):
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[..., 0] = 200
    file = save(tmp_path / f"a{suffix.upper()}", pixels)
    colour = decode_picture(file, 3, 8)
    assert colour.shape == (3, 8, 8)
    assert np.abs(colour.reshape(3, -1).astype(int) - [[200], [0], [0]]).max() <= 3
    grey = decode_picture(file, 1, 8)
    assert grey.shape == (1, 8, 8)
    assert np.abs(grey.astype(int) - 60).max() <= 3  # 0.299 of the red


@pytest.mark.parametrize(("ink", "ground"), [(0, 255), (100, 255), (200, 0), (255, 0)])
def test_what_is_drawn_on_nothing_stays_visible(tmp_path, ink, ground):
    pixels = np.zeros((4, 4, 4), np.uint8)
    pixels[1:3, 1:3] = ink, ink, ink, 255
    found = decode_picture(save(tmp_path / "a.png", pixels), 1, 4)[0]
    assert (found[1:3, 1:3] == ink).all()
    assert found[0].tolist() == [ground] * 4


@pytest.mark.parametrize(("ink", "alpha", "seen"), [(0, 51, 204), (255, 51, 255), (0, 204, 51), (255, 204, 204)])
def test_what_is_half_transparent_is_blended_with_its_ground(tmp_path, ink, alpha, seen):
    file = save(tmp_path / "a.png", np.tile(np.array([ink, ink, ink, alpha]), (4, 4, 1)))
    assert decode_picture(file, 1, 4).tolist() == [[[seen] * 4] * 4]


def test_a_transparent_palette_lies_on_white(tmp_path):
    palette = Image.new("P", (4, 4), 1)
    palette.putpalette([0, 0, 0, 250, 250, 250])
    palette.save(tmp_path / "p.png", transparency=bytes([255, 0]))
    assert decode_picture(tmp_path / "p.png", 3, 4).min() == 255


@pytest.mark.parametrize("ink", [0, 255])
def test_a_transparent_picture_is_learned_as_it_is_asked(tmp_path, ink):
    pixels = np.zeros((28, 28, 4), np.uint8)
    pixels[8:20, 12:16] = ink, ink, ink, 255
    file = save(tmp_path / "a.png", pixels)
    asked = prepare(read_picture(file), PictureSpecification(kind="plain")).pixels
    assert (asked == decode_picture(file, 1, 28)).all()


def test_a_picture_is_turned_as_its_camera_says(tmp_path):
    pixels = np.zeros((8, 8), np.uint8)
    pixels[:, :4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: left is to be on top
    file = save(tmp_path / "a.png", pixels, exif=exif)
    turned = decode_picture(file, 1, 8)[0]
    assert turned[:4].min() == 255
    assert turned[4:].max() == 0


def test_sixteen_bits_are_cut_to_eight(tmp_path):
    Image.fromarray(np.array([[0, 256, 25600, 65535]] * 4, np.uint16)).save(tmp_path / "a.png")
    assert decode_picture(tmp_path / "a.png", 1, 4)[0, 0].tolist() == [0, 1, 100, 255]


def test_shrinking_skips_nothing(tmp_path):
    lines = np.zeros((64, 64), np.uint8)
    lines[:, ::8] = 255  # a picker of every eighth pixel would see only white or only black
    shrunk = decode_picture(save(tmp_path / "a.png", lines), 1, 8)[0, :, 1:-1]
    assert 20 < shrunk.min() <= shrunk.max() < 45


def test_a_wide_picture_is_stretched_where_the_recipe_says_so(tmp_path):
    wide = np.zeros((4, 40), np.uint8)
    wide[:, 20:] = 255
    found = decode_picture(save(tmp_path / "a.png", wide), 1, 4, "stretch")[0]
    assert (found[:, :1] < 30).all()
    assert (found[:, -1:] > 225).all()


def disc(width, height, paper, ink):
    """A picture of these sides with a disc in its middle, a third of the shorter side in radius."""
    rows, columns = np.mgrid[:height, :width]
    far = (rows - (height - 1) / 2) ** 2 + (columns - (width - 1) / 2) ** 2
    return np.where(far <= (min(width, height) / 3) ** 2, ink, paper).astype(np.uint8)


@pytest.mark.parametrize(("width", "height"), [(120, 40), (40, 120), (90, 60), (61, 60), (400, 8)])
def test_a_circle_stays_a_circle_on_the_ground_of_its_picture(tmp_path, width, height):
    file = save(tmp_path / "a.png", disc(width, height, 230, 20))
    found = decode_picture(file, 1, 28)[0]
    ink = found < 125
    tall, wide = ink.any(axis=1).sum(), ink.any(axis=0).sum()
    assert abs(int(tall) - int(wide)) <= 1 and (found[0] == found[0, 0]).all() and found[0, 0] in range(228, 233)
    middle = np.argwhere(ink).mean(axis=0) if ink.any() else np.array([13.5, 13.5])
    assert np.abs(middle - 13.5).max() <= 1
    assert (prepare(read_picture(file), PictureSpecification(kind="plain", fit="letterbox")).pixels[0] == found).all()
    stretched = prepare(read_picture(file), PictureSpecification(kind="plain")).pixels[0]
    assert (stretched == decode_picture(file, 1, 28, "stretch")[0]).all()
    assert min(width, height) < 30 or width == 61 or (stretched != found).any()


def test_the_ground_of_a_colour_picture_is_the_median_of_its_border(tmp_path):
    photo = np.full((10, 30, 3), (10, 200, 90))
    photo[0, :4] = 255      # a bright corner does not count
    found = decode_picture(save(tmp_path / "a.png", photo), 3, 30)
    assert found[:, 0, 0].tolist() == found[:, -1, 15].tolist() == [10, 200, 90]


# damage


def spoiled(folder, *names):
    """Make the pictures of these names unreadable."""
    for name in names:
        (folder / name).write_bytes(b"no picture")


def test_all_damaged_pictures_are_listed_at_once_and_can_be_skipped(tmp_path):
    folder = classes_in(tmp_path / "pictures", cat=10, dog=10)
    spoiled(folder, "cat/003.png", "dog/001.png", "dog/007.png")
    with pytest.raises(DataError) as fault:
        load_dataset(str(folder), size=4, cache_dir=tmp_path / "cache")
    first, *lines = str(fault.value).split("\n  ")
    assert first == ("3 of 20 pictures cannot be read. Mend or remove them, or skip them in training: "
                     "settings=['data.skip_damaged=true']")
    fault_words = " cannot be read as a picture: its content is of no known format."
    named = sorted(line.partition(fault_words)[0] for line in lines)
    assert named == [str(folder / name) for name in ("cat/003.png", "dog/001.png", "dog/007.png")]
    for _ in range(2):      # the second time from the cache
        data = load_dataset(str(folder), size=4, skip_damaged=True, cache_dir=tmp_path / "cache")
        assert len(data.train) + len(data.test) == 17 and len(data.skipped) == 3
        for images in (data.train, data.test):
            assert all(int(image.max()) % 10 == 0 for image in images.images)
        counts = (data.train.labels == 1).sum() + (data.test.labels == 1).sum()
        assert int(counts) == 8 and {line.partition(" cannot")[0] for line in data.skipped} == set(named)
    with pytest.raises(DataError):      # the cache does not hide the damage
        load_dataset(str(folder), size=4, cache_dir=tmp_path / "cache")


def test_a_long_list_of_damage_is_cut_and_one_fault_is_one_line(tmp_path):
    folder = classes_in(tmp_path / "pictures", cat=40, dog=2)
    spoiled(folder, *(f"cat/{index:03}.png" for index in range(30)))
    with pytest.raises(DataError) as fault:
        load_dataset(str(folder), size=4, cache_dir=tmp_path / "cache")
    lines = str(fault.value).split("\n")
    assert len(lines) == 22 and lines[0].startswith("30 of 42 ") and lines[-1] == "  ... and 10 more"
    one = classes_in(tmp_path / "one", cat=4, dog=4)
    spoiled(one, "dog/000.png")
    assert fault_of(lambda: load_dataset(str(one), size=4, cache_dir=tmp_path / "cache")).endswith(
        "of no known format. Mend or remove it, or skip it in training: settings=['data.skip_damaged=true']")


def test_a_class_without_a_readable_picture_is_named(tmp_path):
    folder = classes_in(tmp_path / "pictures", cat=3, dog=3)
    spoiled(folder, "dog/000.png", "dog/001.png", "dog/002.png")
    load = lambda: load_dataset(str(folder), size=4, skip_damaged=True, cache_dir=tmp_path / "cache")   # noqa: E731
    assert "no training picture of the class 'dog' can be read" in fault_of(load)


def test_a_list_of_faults_without_its_images_is_made_again(pictures, tmp_path):
    folder, files = pictures
    spoiled(folder, files[0].relative_to(folder))
    load_images(files, folder, 1, 4, tmp_path / "cache")
    kept, told = sorted((tmp_path / "cache" / "folders").iterdir(), key=lambda file: file.suffix, reverse=True)
    for file in (kept, told):
        file.write_bytes(b"rubbish")
        assert len(load_images(files, folder, 1, 4, tmp_path / "cache")) == len(files) - 1


def test_a_heic_picture_says_what_to_install(tmp_path, monkeypatch):
    folder = classes_in(tmp_path / "pictures", cat=3, dog=3)
    for name in ("cat/photo.heic", "cat/renamed.jpg"):
        shutil.copy(HEIC, folder / name)
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    formats.cache_clear()
    with pytest.raises(DataError) as fault:
        load_dataset(str(folder), size=4, cache_dir=tmp_path / "cache")
    formats.cache_clear()
    lines = str(fault.value).split("\n  ")
    assert lines[1:3] == [f"{folder / name} is a HEIC picture" for name in ("cat/photo.heic", "cat/renamed.jpg")]
    assert len(lines) == 4 and lines[3].startswith("HEIC needs pillow-heif. Install it with: ") and "[heic]" in lines[3]


def test_a_heic_picture_is_read_with_its_extra(tmp_path):
    formats.cache_clear()
    found = decode_picture(HEIC, 3, 24)
    assert found[:, 12, 8].tolist() > [150, 0, 0] and found[1, 12, 8] < 80 and found[:, 0, 0].min() > 240


def huge_png(width, height):
    """The first bytes of a picture that claims to be very large."""
    header = b"IHDR" + struct.pack(">2I5B", width, height, 8, 0, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"\0" * 100)
    parts = (
        struct.pack(">I", len(part) - 4) + part + struct.pack(">I", zlib.crc32(part))
        for part in (header, data)
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (
            b"no picture at all",
            "cannot be read as a picture: its content is of no known format. Mend or remove it.",
        ),
        (b"", "cannot be read as a picture: its content is of no known format."),
        (huge_png(10_000, 10_000), "has more pixels than can be read. Shrink or remove it."),
        (huge_png(60_000, 60_000), "has more pixels than can be read. Shrink or remove it."),
        (huge_png(30, 30), "cannot be read as a picture: "),
    ],
)
def test_the_faults_of_a_picture(tmp_path, content, text):
    good, bad = save(tmp_path / "good.png", np.zeros((4, 4))), tmp_path / "bad.png"
    bad.write_bytes(content)
    pixels, faults = decode_pictures([good, bad], 1, 4, "letterbox")
    assert pixels.shape == (1, 1, 4, 4) and list(faults) == [1] and faults[1].startswith(f"{bad} {text}")


def test_a_picture_that_is_cut_off_or_in_floats_is_a_fault(tmp_path):
    file = save(tmp_path / "a.jpg", np.random.default_rng(0).integers(0, 255, (64, 64)))
    file.write_bytes(file.read_bytes()[:-500])
    assert f"{file} cannot be read as a picture: image file is truncated" in fault_of(
        decode_picture, file, 1, 8
    )
    Image.fromarray(np.zeros((4, 4), np.float32)).save(tmp_path / "f.tif")
    assert "it holds floating-point pixels" in fault_of(decode_picture, tmp_path / "f.tif", 1, 8)


# the cache


@pytest.fixture
def pictures(tmp_path):
    folder = classes_in(tmp_path / "pictures", cat=3, dog=3)
    return folder, list_folder(folder)[1].files


def test_pictures_are_decoded_once(pictures, tmp_path, monkeypatch):
    folder, files = pictures
    first = load_images(files, folder, 1, 4, tmp_path / "cache")
    monkeypatch.setattr("featherweight.data.folders.decode_pictures", None)  # a second decoding would fail
    again = load_images(files, folder, 1, 4, tmp_path / "cache")
    assert isinstance(again, np.memmap)
    assert again.shape == (4, 1, 4, 4)
    np.testing.assert_array_equal(first, again)
    assert again[:, 0, 0, 0].tolist() == [10 * int(file.stem) for file in files]
    assert [path.suffix for path in (tmp_path / "cache" / "folders").iterdir()] == [".npy"]


def test_a_write_never_reaches_the_cache(pictures, tmp_path):
    folder, files = pictures
    load_images(files, folder, 1, 4, tmp_path)[:] = 99
    assert 99 not in load_images(files, folder, 1, 4, tmp_path)


def test_what_changes_a_pixel_changes_the_key(pictures, tmp_path):
    folder, files = pictures

    def caches():
        return len(list((tmp_path / "folders").iterdir()))

    load_images(files, folder, 1, 4, tmp_path)
    load_images(files, folder, 3, 4, tmp_path)
    load_images(files, folder, 1, 5, tmp_path)
    load_images(files[1:], folder, 1, 4, tmp_path)
    assert caches() == 4
    save(files[0], np.full((40, 40), 77))
    assert load_images(files, folder, 1, 4, tmp_path)[0].max() == 77
    assert caches() == 5
    status = files[0].stat()
    os.utime(files[0], ns=(status.st_atime_ns, status.st_mtime_ns + 1000))  # the same size, another time
    load_images(files, folder, 1, 4, tmp_path)
    assert caches() == 6


@pytest.mark.parametrize("damage", ["cut", "longer", "no array", "empty", "other"])
def test_a_damaged_cache_is_made_again(pictures, tmp_path, damage):
    folder, files = pictures
    expected = np.array(load_images(files, folder, 1, 4, tmp_path))
    (cache,) = (tmp_path / "folders").iterdir()
    content = cache.read_bytes()
    damaged = {"cut": content[:-1], "longer": content + b"!", "no array": b"rubbish", "empty": b""}
    if damage == "other":
        np.save(cache, np.zeros(expected.shape))
    else:
        cache.write_bytes(damaged[damage])
    np.testing.assert_array_equal(load_images(files, folder, 1, 4, tmp_path), expected)
    assert cache.read_bytes() == content


def test_a_cache_that_cannot_be_written_is_done_without(pictures, tmp_path):
    folder, files = pictures
    (tmp_path / "file").write_text("in the way")
    assert load_images(files, folder, 1, 4, tmp_path / "file").shape == (4, 1, 4, 4)


def test_a_failed_write_leaves_nothing(pictures, tmp_path, monkeypatch):
    folder, files = pictures

    def full_disk(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("numpy.save", full_disk)
    assert load_images(files, folder, 1, 4, tmp_path / "cache").shape == (4, 1, 4, 4)
    assert list((tmp_path / "cache" / "folders").iterdir()) == []


def test_a_cache_of_other_pixels_is_made_again(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), np.uint8)
    files, cache = [save(tmp_path / "a.png", pixels)], tmp_path / "cache"
    expected = np.array(load_images(files, tmp_path, 1, 8, cache))
    (kept,) = (cache / "folders").iterdir()
    whole = kept.read_bytes()
    header_open = whole.replace(b")", b" ", 1)      # numpy raises what Python's tokenizer does
    for damaged in (whole[:-40] + b"\x00" + whole[-39:], whole[:-1] + b"\x00", whole + b"more", header_open, b""):
        kept.write_bytes(damaged)
        assert (load_images(files, tmp_path, 1, 8, cache) == expected).all()
        assert kept.read_bytes() == whole


def test_a_palette_that_would_take_gigabytes_is_not_decoded(tmp_path):
    file = tmp_path / "bomb.png"
    Image.new("P", (5000, 5000)).save(file, transparency=b"\x00", compress_level=1)
    assert fault_of(decode_picture, file, 1, 8) == f"{file} has more pixels than can be read. Shrink or remove it."
    Image.new("RGB", (7000, 6000), "white").save(tmp_path / "photo.jpg")     # shrunk as it is read
    assert decode_picture(tmp_path / "photo.jpg", 1, 8).min() > 250


def test_postscript_is_not_run(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", "EPS")
    assert fault_of(decode_picture, tmp_path / "a.png", 1, 8).endswith(
        "cannot be read as a picture: its content is of no known format. Mend or remove it.")
