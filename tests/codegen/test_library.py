"""Generated C is compiled once, kept in a cache that may be damaged or unsafe, and loaded."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest

from featherweight.codegen.compiler import Compiler, NoLibrary, find_compiler, processor_flags, version_of
from featherweight.codegen.library import _load, load
from featherweight.errors import install_command

ANSWER = "int answer(void) { return 42; }\n"
SCRIPT = f"""
from featherweight.codegen.library import load
print(load("answer", {ANSWER!r}).answer())
"""
INTERRUPTED = """
from featherweight import interruption
interruption.heed("featherweight: interrupted.")
from featherweight.codegen.library import load
load("answer", "int answer(void) { return 42; }", parts=2)
"""
SLOW = """#!/bin/sh
if [ "$1" = --version ]; then echo slow 1.0; exit; fi
touch "$TMPDIR/object" {started}
sleep 300 &
sleep 300
"""

pytestmark = pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch) -> Path:
    """An empty cache folder, an empty folder for temporary files, and a process that has loaded nothing."""
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("FEATHERWEIGHT_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.delenv("CC", raising=False)
    forget()
    return tmp_path / "cache" / "compiled"


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """nowhere(): from now on no compiler can be found."""
    def empty() -> None:
        monkeypatch.setenv("PATH", str(tmp_path / "temporary"))
        monkeypatch.setitem(sys.modules, "ziglang", None)
        forget()
    return empty


def forget() -> None:
    _load.cache_clear()
    version_of.cache_clear()


def answer(source=ANSWER) -> int:
    forget()
    return load("answer", source).answer()


def libraries(cache: Path) -> list[Path]:
    return sorted(cache.glob("*.so"))


def compiler_script(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "compiler"
    file.write_text(text)
    file.chmod(0o755)
    return file


def start(script: str, tmp_path: Path, **environment: str) -> subprocess.Popen[str]:
    source = str(Path(__file__).parents[2] / "src")
    return subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"PYTHONPATH": source, "TMPDIR": str(tmp_path / "temporary"), **environment},
    )


def test_a_library_is_compiled_and_leaves_no_other_file(cache, tmp_path):
    assert answer() == 42
    (file,) = cache.iterdir()
    assert file.name.startswith("answer-") and file.suffix == ".so"
    assert list((tmp_path / "temporary").iterdir()) == []


def test_the_second_load_needs_no_compiler(cache, nowhere):
    assert answer() == 42
    nowhere()
    assert answer() == 42
    with pytest.raises(NoLibrary):
        answer("int answer(void) { return 43; }")


def test_a_process_loads_a_library_once(cache):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: load("answer", ANSWER), range(8)))
    assert {id(library) for library in found} == {id(load("answer", ANSWER))}


def test_another_source_or_another_compiler_is_another_file(cache, tmp_path, monkeypatch):
    assert (answer(), answer("int answer(void) { return 43; }")) == (42, 43)
    assert len(libraries(cache)) == 2
    monkeypatch.setenv("CC", "cc -g0")
    assert answer() == 42 and len({file.name[:-24] for file in libraries(cache)}) == 3


@pytest.mark.parametrize("damage", [
    lambda content: content[: len(content) // 3], lambda content: b"", lambda content: os.urandom(len(content)),
    lambda content: content[:-1] + bytes([content[-1] ^ 1]),
])
def test_a_damaged_file_is_compiled_again(cache, tmp_path, damage):
    assert start(SCRIPT, tmp_path).communicate() == ("42\n", "")    # not here: the damage would hit loaded code
    (file,) = libraries(cache)
    content = file.read_bytes()
    file.write_bytes(damage(content))
    assert start(SCRIPT, tmp_path).communicate() == ("42\n", "")
    assert libraries(cache) == [file] and file.read_bytes() == content


def test_a_file_that_is_no_library_is_passed_over(cache):
    assert answer() == 42
    (file,) = libraries(cache)
    file.unlink()
    other = file.with_name(f"{file.stem[:-20]}{sha256(b'no library').hexdigest()[:20]}.so")
    other.write_bytes(b"no library")
    other.chmod(0o600)
    assert answer() == 42 and libraries(cache) == sorted([file, other])


@pytest.mark.parametrize("place", ["file/below", "/proc/nowhere", "~no-such-user/x"])
def test_without_a_cache_folder_the_library_is_loaded_all_the_same(tmp_path, monkeypatch, place):
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FEATHERWEIGHT_CACHE", place)
    assert answer() == 42
    assert list((tmp_path / "temporary").iterdir()) == []


def test_without_any_folder_there_is_no_library(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("FEATHERWEIGHT_CACHE", str(tmp_path / "file"))
    assert find_compiler()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "file"))
    _load.cache_clear()
    with pytest.raises(NoLibrary, match=r"cannot be stored or loaded: .*Not a directory"):
        load("answer", ANSWER)


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_that_others_can_write_to_is_not_used(cache, mode):
    cache.mkdir(parents=True)
    cache.chmod(mode)
    assert answer() == 42 and libraries(cache) == []


def test_a_file_that_others_can_write_to_is_not_used(cache, nowhere):
    assert answer() == 42
    libraries(cache)[0].chmod(0o660)
    assert answer() == 42
    nowhere()
    with pytest.raises(NoLibrary):
        answer()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away")
def test_a_folder_of_another_user_is_not_used(cache):
    cache.mkdir(parents=True)
    os.chown(cache, 12345, -1)
    assert answer() == 42 and libraries(cache) == []


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_read(cache, nowhere):
    assert answer() == 42
    cache.chmod(0o500)
    assert answer("int answer(void) { return 43; }") == 43 and len(libraries(cache)) == 1
    nowhere()
    assert answer() == 42


@pytest.mark.parametrize("count", [2, 8])
def test_processes_at_once(cache, tmp_path, count):
    processes = [start(SCRIPT, tmp_path) for _ in range(count)]
    assert [process.communicate() for process in processes] == [("42\n", "")] * count
    assert len(list(cache.iterdir())) == 1 and list((tmp_path / "temporary").iterdir()) == []


def test_an_error_of_the_compiler_is_quoted(cache):
    with pytest.raises(NoLibrary, match=r"^the C compiler \S+cc ended with code 1: bad\.c:1:.* error: ") as seen:
        load("bad", "int answer(void) { return nothing; }")
    assert "nothing" in str(seen.value) and "\n" not in str(seen.value) and libraries(cache) == []
    with pytest.raises(NoLibrary) as seen:
        load("bad", f"int answer(void) {{ return {'x' * 3000}; }}")
    assert len(str(seen.value)) < 300


def test_a_function_that_is_missing_is_seen_when_the_library_is_loaded():
    with pytest.raises(NoLibrary, match=r"cannot be stored or loaded: .*no_such_function"):
        load("bad", "int no_such_function(void); int answer(void) { return no_such_function(); }")


def test_the_parts_of_a_source_call_each_other(cache):
    source = """
        __attribute__((visibility("hidden"))) int seven(void);
        #if PART == 0
        int answer(void) { return 6 * seven(); }
        #else
        int seven(void) { return 7; }
        #endif
    """
    assert load("answer", source, parts=2).answer() == 42 and len(libraries(cache)) == 1
    with pytest.raises(NoLibrary, match=r"ended with code 1: bad\.c:.* not for part 1"):
        load("bad", source + "\n#if PART == 1\n#error not for part 1\n#endif", parts=2)


def test_no_compiler(nowhere):
    nowhere()
    assert find_compiler() is None
    with pytest.raises(NoLibrary) as seen:
        answer()
    assert str(seen.value) == f"no C compiler was found (cc, gcc, clang, or {install_command('fast')})"


def test_the_compiler_of_the_environment_is_first(tmp_path, monkeypatch):
    log = tmp_path / "log"
    script = compiler_script(tmp_path, f'#!/bin/sh\necho "$@" >> {log}\nshift\nexec cc "$@"\n')
    monkeypatch.setenv("CC", f"'{script}' -first")
    assert find_compiler().command == (str(script), "-first")
    assert answer() == 42
    compiled, linked = log.read_text().splitlines()[-2:]
    assert compiled.startswith("-first -std=gnu11 -O2 -m") and linked.startswith("-first -shared")


@pytest.mark.parametrize("words", ["no-such-compiler", "false", "'not closed", ""])
def test_a_compiler_that_does_not_answer_is_passed_over(monkeypatch, words):
    monkeypatch.setenv("CC", words)
    found = find_compiler()
    assert isinstance(found, Compiler) and found.command == (shutil.which("cc"),) and found.version


def test_a_compiler_that_takes_too_long(tmp_path, monkeypatch):
    monkeypatch.setenv("CC", str(compiler_script(tmp_path, SLOW.format(started=""))))
    monkeypatch.setattr("featherweight.codegen.compiler.PATIENCE", 0.3)
    with pytest.raises(NoLibrary, match="needed more than 0 seconds"):
        answer()
    assert list((tmp_path / "temporary").iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_compiler_too(cache, tmp_path, number):
    started = tmp_path / "started"
    script = compiler_script(tmp_path, SLOW.format(started=started))
    process = start(INTERRUPTED, tmp_path, CC=str(script))
    until = time.monotonic() + 60
    while not started.exists() and time.monotonic() < until:
        time.sleep(0.01)
    process.send_signal(number)
    assert process.communicate() == ("", "featherweight: interrupted.\n") and process.returncode == 128 + number
    assert list((tmp_path / "temporary").iterdir()) == [] and libraries(cache) == []
    assert not [command for command in commands_of_all_processes() if str(script) in command]


def commands_of_all_processes() -> list[str]:
    done = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def test_files_that_nobody_has_loaded_for_90_days_are_removed(cache):
    assert answer() == 42
    (old,) = libraries(cache)
    os.utime(old, (time.time() - 91 * 86400,) * 2)
    assert answer() == 42 and time.time() - old.stat().st_mtime < 3600      # loading makes it young
    os.utime(old, (time.time() - 91 * 86400,) * 2)
    assert answer("int answer(void) { return 43; }") == 43
    assert old not in libraries(cache) and len(libraries(cache)) == 1


def test_the_processor_is_named_with_its_instruction_sets():
    assert len(processor_flags().split()) > 1 and processor_flags() == processor_flags()
