"""Files are there whole or not at all, and a refusal names the file that was asked for."""

from __future__ import annotations

import errno
import resource

import pytest

from featherweight.files import refusal, replacing, write_atomically


def test_a_file_is_replaced_in_one_move(tmp_path):
    file = tmp_path / "name.txt"
    write_atomically(file, b"old")
    with replacing(file) as opened:
        opened.write(b"new")
        assert file.read_bytes() == b"old"
    assert file.read_bytes() == b"new" and list(tmp_path.iterdir()) == [file]


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    file = tmp_path / "name.txt"
    write_atomically(file, b"old")
    with pytest.raises(TypeError), replacing(file) as opened:
        opened.writelines([b"half", None])
    assert file.read_bytes() == b"old" and list(tmp_path.iterdir()) == [file]


def test_a_refusal_names_the_file(tmp_path):
    with pytest.raises(FileNotFoundError) as fault:
        write_atomically(tmp_path / "nowhere" / "name.txt", b"new")
    assert fault.value.filename == str(tmp_path / "nowhere" / "name.txt")


def test_no_room_left_names_the_file_and_leaves_nothing(tmp_path):
    file = tmp_path / "name.txt"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))     # a disk with room for 1,000 bytes
    try:
        with pytest.raises(OSError, match="File too large") as fault:
            write_atomically(file, bytes(2000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert fault.value.filename == str(file) and list(tmp_path.iterdir()) == []


def test_a_refusal_of_a_long_name_is_a_line_that_can_be_read():
    said = refusal(OSError(errno.ENAMETOOLONG, "File name too long", "x" * 5000))
    assert said.startswith("cannot use 'xxx") and len(said) < 600
    assert said.endswith("...: File name too long. Give another place, or make room.")
