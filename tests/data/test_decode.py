"""IDX bytes: what goes in comes out, and every way a file can be wrong has its line."""

from __future__ import annotations

import gzip
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from featherweight.data.decode import IMAGES, LABELS, decode_idx, decode_split
from featherweight.errors import DataError

PLAIN, PACKED = Path("x/train-images-idx3-ubyte"), Path("x/train-images-idx3-ubyte.gz")
NUMBERS = Path("x/train-labels-idx1-ubyte")
NEXT = "Move it away and run: featherweight data get mnist"


def fault_of(content, magic=IMAGES, file=PLAIN):
    with pytest.raises(DataError) as fault:
        decode_idx(content, magic, file=file, name="mnist")
    text = str(fault.value)
    assert text.startswith(str(file))
    assert text.endswith(NEXT)
    assert "\n" not in text
    return text


@given(
    values=arrays.arrays(np.uint8, arrays.array_shapes(min_dims=3, max_dims=3, max_side=6)),
    packed=st.booleans(),
)
def test_images_round_trip(encode_idx, values, packed):
    content = encode_idx(values)
    file, content = (PACKED, gzip.compress(content)) if packed else (PLAIN, content)
    found = decode_idx(content, IMAGES, file=file, name="mnist")
    assert found.dtype == np.uint8
    assert found.flags.writeable
    np.testing.assert_array_equal(found, values)


@given(values=arrays.arrays(np.uint8, st.integers(1, 300)))
def test_labels_round_trip(encode_idx, values):
    np.testing.assert_array_equal(decode_idx(encode_idx(values), LABELS, file=NUMBERS, name="mnist"), values)


@given(cut=st.integers(0, 16 + 2 * 3 * 4 - 1))
def test_a_file_cut_anywhere_is_a_fault(encode_idx, cut):
    content = encode_idx(np.ones((2, 3, 4)))[:cut]
    assert "ends in its header" in fault_of(content) if cut < 16 else "is cut off" in fault_of(content)


def test_the_faults_of_an_idx_file(encode_idx):
    good = encode_idx(np.zeros((2, 3, 4)))
    assert f"{PLAIN} ends in its header: 3 bytes, expected at least 4." in fault_of(good[:3])
    assert "ends in its header: 10 bytes, expected 16." in fault_of(good[:10])
    assert "is cut off: 23 bytes after the header, expected 24." in fault_of(good[:-1])
    assert "has trailing bytes: 25 bytes after the header, expected 24." in fault_of(good + b"!")
    assert "is no IDX file of images: it is an HTML page." in fault_of(b"<html>no such page")
    assert "it is an IDX file of type float32 with 3 axes." in fault_of(b"\0\0\x0d\x03" + good[4:])
    assert "is empty: its header says 0x3x4 images." in fault_of(encode_idx(np.zeros((0, 3, 4))))


def test_a_header_that_promises_more_than_memory_is_a_fault():
    content = struct.pack(">I3I", IMAGES, *[0xFFFFFFFF] * 3)
    assert "is cut off: 0 bytes after the header" in fault_of(content)


def test_swapped_files_are_recognised(encode_idx):
    labels, images = encode_idx(np.zeros(3)), encode_idx(np.zeros((3, 2, 2)))
    swapped = "were the two files swapped?"
    assert f"holds labels where images are expected: {swapped}" in fault_of(labels)
    assert f"holds images where labels are expected: {swapped}" in fault_of(images, LABELS, NUMBERS)


def test_the_faults_of_a_gzip_file(encode_idx):
    good = gzip.compress(encode_idx(np.arange(600).reshape(2, 15, 20) % 251))
    assert "is no IDX file of images: it is an HTML page." in fault_of(b"<html>no", file=PACKED)
    assert "is no IDX file of images: it is an HTML page." in fault_of(gzip.compress(b"<html>no"), file=PACKED)
    assert "ends in its header: 0 bytes, expected at least 4." in fault_of(b"", file=PACKED)
    assert "is a damaged gzip file: " in fault_of(good[:-20], file=PACKED)
    assert "is a damaged gzip file: " in fault_of(good[:40] + b"\xff" * 20 + good[60:], file=PACKED)
    assert "is a damaged gzip file: CRC" in fault_of(good[:-8] + b"\0" * 4 + good[-4:], file=PACKED)


def test_the_content_decides_if_a_file_is_packed(encode_idx):
    values = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    for file, content in ((PACKED, encode_idx(values)), (PLAIN, gzip.compress(encode_idx(values)))):
        np.testing.assert_array_equal(decode_idx(content, IMAGES, file=file, name="mnist"), values)


def split_of(encode_idx, images=4, labels=(0, 1, 2, 2), **options):
    contents = encode_idx(np.zeros((images, 2, 2))), encode_idx(np.array(labels))
    return decode_split(*contents, files=(PLAIN, NUMBERS), name="mnist", classes=3, **options)


def test_a_split_has_matching_images_and_labels(encode_idx):
    images, labels = split_of(encode_idx, count=4)
    assert images.shape == (4, 2, 2)
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"images": 5}, f"{NUMBERS} has 4 labels for the 5 images of {PLAIN.name}. {NEXT}"),
        ({"count": 6}, f"{PLAIN} has 4 images, expected 6. {NEXT}"),
        ({"labels": (0, 1, 3, 2)}, f"{NUMBERS} has the label 3 at 2, expected 0 to 2. {NEXT}"),
    ],
)
def test_the_faults_of_a_split(encode_idx, options, text):
    with pytest.raises(DataError) as fault:
        split_of(encode_idx, **options)
    assert str(fault.value) == text


def test_a_packed_file_is_unpacked_as_far_as_its_header_promises(encode_idx):
    bomb = gzip.compress(encode_idx(np.zeros((2, 3, 4))) + bytes(300_000_000))
    tracemalloc.start()
    assert f"{PACKED} has trailing bytes: over 24 bytes after the header, expected 24." in fault_of(bomb, file=PACKED)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()
    promised = gzip.compress(struct.pack(">I3I", IMAGES, 10**6, 1000, 1000))
    assert "is too large: its header says 1000000x1000x1000 images" in fault_of(promised, file=PACKED)
