"""The kind of a file, told from its first bytes. Used to recognise formats and in messages about wrong files."""

from __future__ import annotations

START = 600     # bytes from the beginning of a file that `described` needs
GZIP = b"\x1f\x8b"
IDX_TYPES = {0x08: "uint8", 0x09: "int8", 0x0B: "int16", 0x0C: "int32", 0x0D: "float32", 0x0E: "float64"}

SIGNATURES = {
    GZIP: "a gzip file",
    b"PK\x03\x04": "a zip archive",
    b"\x93NUMPY": "a NumPy array",
    b"PAR1": "a Parquet file",
    b"\x89HDF\r\n": "an HDF5 file",
    b"MATLAB 7.3": "a MATLAB 7.3 file, which is HDF5",
    b"MATLAB 5.0": "a MATLAB file",
    b"SQLite format 3": "an SQLite database",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"7z\xbc\xaf": "a 7-Zip archive",
    b"Rar!": "a RAR archive",
    b"ARROW1": "an Arrow file",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"%PDF": "a PDF document",
    b"version https://git-lfs": "a pointer of Git LFS, not the file itself",
}


def described(start: bytes) -> str:
    """Return the kind of a file as the end of "it is ...", from its first START bytes.

    Examples: "an HTML page", "a gzip file", "an IDX file of type uint8 with 3 axes", "a text that begins with 'a,b'".
    """
    if not start:
        return "empty"
    for signature, words in SIGNATURES.items():
        if start.startswith(signature):
            return words
    if start[:2] == b"\0\0" and len(start) >= 4 and start[2] in IDX_TYPES:
        return f"an IDX file of type {IDX_TYPES[start[2]]} with {start[3]} axes"
    if start[257:262] == b"ustar":
        return "a tar archive"
    if start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05":
        return "a pickle"
    return described_text(start)


def described_text(start: bytes) -> str:
    """Return the kind of a text: an HTML page, an XML file or a plain text; otherwise "of no known format"."""
    begin = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if begin.startswith((b"<!doctype html", b"<html", b"<head")):
        return "an HTML page"
    if begin.startswith(b"<"):
        return "an XML or HTML page"
    if is_text(start):
        line = start.decode("utf-8", "replace").strip().splitlines()
        return f"a text that begins with {line[0][:30]!r}" if line else "a text without words"
    return f"of no known format, its first bytes are {start[:4].hex(' ')}"


def is_text(start: bytes) -> bool:
    """Return True if the bytes are text: no control characters except tabs and line ends."""
    return bool(start) and not any(byte < 32 and byte not in b"\t\r\n\f" for byte in start)
