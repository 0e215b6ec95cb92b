"""Requests that no honest client sends, to a server that runs: nothing is read or broken, each is answered."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from io import BytesIO
from pathlib import Path

from PIL import Image, ImageDraw

from battery.attacks import ATTACKS, Attack
from battery.served import Reply, Served, make_bundle, read, replies, request
from battery.trial import LARGE, Trial
from battery.warm import Warm

SECRET = "canary-5d1f"
OUTSIDE = (SECRET.encode(), b"root:x:", b"PATH=", b"[training]", b"import annotations")
PATIENCE = 20.0     # seconds: the server waits for 10 at most


def hostile_request_trials(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Send hostile requests of every kind in turn to one server, which is started again where it dies."""
    draw, bundle = random.Random(seed), make_bundle(folder, warm)
    (folder / "secret.txt").write_text(SECRET)
    count = 0
    while True:
        with Served(bundle, folder) as server:
            usual = server.ask(digit())
            fault = ""
            while not fault.startswith("the server"):
                kind = list(ATTACKS)[count % len(ATTACKS)]
                attack = ATTACKS[kind](draw)
                outcome, fault = attempt(server, attack)
                fault = fault or harm(server, usual)
                yield Trial(f"hostile request: {kind}", f"seed {seed}, number {count}: {attack.what}", outcome, fault)
                count += 1


def attempt(server: Served, attack: Attack) -> tuple[str, str]:
    """Send a hostile request: (how it was answered, what is wrong with the answer)."""
    try:
        with server.connect(PATIENCE) as line:
            sending = threading.Thread(target=send, args=(line, attack))
            sending.start()
            found = read(line, PATIENCE if attack.answered else 0.1, headless=attack.raw.startswith(b"HEAD "))
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            sending.join()
    except OSError as fault:
        return "no connection", f"the server takes no connection: {fault}"
    return judge(attack, found)


def send(line: socket.socket, attack: Attack) -> None:
    """Send it until the server has enough of it."""
    size = attack.cut or len(attack.raw)
    with suppress(OSError):
        for start in range(0, len(attack.raw), size):
            line.sendall(attack.raw[start : start + size])


def judge(attack: Attack, found: bytes) -> tuple[str, str]:
    """(how a hostile request was answered, what is wrong with the answer)."""
    if not found:
        return "closed", ""
    if any(text in found for text in OUTSIDE):
        return "read", "the answer holds a file that lies outside"
    try:
        answers = replies(found)
    except ValueError as fault:
        headless = attack.raw.startswith(b"HEAD ") and found.endswith(b"\r\n\r\n")
        return ("answered", "") if headless else ("half an answer", f"{fault}: {found[:200]!r}")
    faults = [fault for answer in answers if (fault := wrong_answer(answer, attack))]
    return f"answered {answers[-1].status}", faults[0] if faults else ""


def wrong_answer(answer: Reply, attack: Attack) -> str:
    """What is wrong with an answer to a hostile request; "" for one that is right."""
    if any(name.startswith("access-control") for name in answer.headers):
        return "the answer may be read by a page of any origin"
    if answer.status < 400:
        return "" if attack.success else f"status {answer.status}: {answer.body[:200]!r}"
    if answer.status == 500:
        return f"status 500: {answer.body[:200]!r}"
    try:
        said = json.loads(answer.body)
    except ValueError:
        return f"status {answer.status} without JSON: {answer.body[:200]!r}"
    if set(said) != {"error"} or "\n" in said["error"] or not said["error"].endswith(".") or len(said["error"]) > 400:
        return f"status {answer.status} without one sentence: {answer.body[:500]!r}"
    return ""


def harm(server: Served, usual: Reply) -> str:
    """What is wrong with the server after a hostile request: gone, silent, large, loud, or other in its answers."""
    if server.process.poll() is not None:
        return f"the server ended with {server.process.returncode}: {server.news()[-500:]}"
    try:
        answer = server.ask(digit())
    except (OSError, IndexError) as fault:
        return f"the server answers no picture any more: {fault!r}"
    if (answer.status, answer.body) != (usual.status, usual.body):
        return f"another answer to the same picture: {answer.status} {answer.body[:200]!r}"
    if server.peak() > LARGE:
        return f"the server's process took {server.peak() / 1e9:.1f} GB"
    # libtiff, inside Pillow, writes to the error stream by itself
    news = [line for line in server.news().splitlines() if not line.startswith("TIFF")]
    return f"the log says: {news[:3]!r}" if news else ""


def lost_worker_trials(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Kill workers while they answer: those they answered are told to come again, all others are answered."""
    draw, bundle = random.Random(seed), make_bundle(folder, warm)
    with Served(bundle, folder) as server:
        usual, large = server.ask(digit()), slow_picture()
        while True:
            everyone = draw.random() < 0.5
            lines = [server.connect() for _ in range(4)]
            for line in lines:
                line.sendall(large)
            server.ask(request(method="GET", path="/health"))       # by now the questions are with the workers
            for worker in server.workers() if everyone else draw.sample(server.workers(), 1):
                with suppress(ProcessLookupError):
                    os.kill(worker, signal.SIGKILL)
            statuses = sorted(replies(read(line, PATIENCE))[0].status for line in lines)
            for line in lines:
                line.close()
            fault = "" if set(statuses) <= {200, 503} else f"answers {statuses}"
            after = [server.ask(digit()).status for _ in range(4)]
            fault = fault or ("" if after.count(503) <= 2 and after[-1] == 200 else f"then answers {after}")
            what = f"seed {seed}: {'all workers' if everyone else 'a worker'} killed"
            yield Trial("worker killed", what, "answered or told to come again", fault or harm(server, usual))


def few_descriptors_trials(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Open more connections than the server may have descriptors; when they are closed it answers as before."""
    draw, bundle = random.Random(seed), make_bundle(folder, warm)
    with Served(bundle, folder, descriptors=64) as server:
        usual = server.ask(digit())
        while True:
            count = draw.randint(100, 300)
            lines = [server.connect() for _ in range(count)]
            answers = 0
            for line in lines:
                with suppress(OSError):
                    line.sendall(request(method="GET", path="/health"))
            for line in lines:
                answers += b"200" in read(line, 2)
            for line in lines:
                line.close()
            fault = ("" if answers else "none was answered") or recovery(server, usual)
            yield Trial("descriptors at their limit", f"seed {seed}: {count} connections", "some answered", fault)


def recovery(server: Served, usual: Reply) -> str:
    """What is wrong with the server some seconds after it had too many connections."""
    until = time.monotonic() + 10
    while (fault := harm(server, usual)).startswith("the server answers no") and time.monotonic() < until:
        time.sleep(0.05)
    return fault


def unread_answers_trials(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Ask for much and read none of it: others are answered, and the server can be stopped."""
    draw, bundle = random.Random(seed), make_bundle(folder, warm)
    while True:
        with Served(bundle, folder) as server:
            usual, count = server.ask(digit()), draw.randint(1, 40)
            lines = [silent(server) for _ in range(count)]
            fault = harm(server, usual)
            code = server.stop()
            fault = fault or ("" if code in (0, 143) else f"exit code {code}") or server.news()[:300]
            for line in lines:
                line.close()
            yield Trial("answers never read", f"seed {seed}: {count} clients", "stopped", fault)


def silent(server: Served) -> socket.socket:
    """A client that asks for pages until nothing more is taken, and reads none."""
    line = socket.socket()
    line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    line.connect(server.address)
    line.settimeout(0.2)
    with suppress(OSError):
        for _ in range(200):
            line.sendall(request(method="GET", path="/page.js") * 50)
    return line


def stop_under_load_trials(seed: int, folder: Path, warm: Warm) -> Iterator[Trial]:
    """Tell the server to stop while requests are with it: each is answered."""
    draw, bundle = random.Random(seed), make_bundle(folder, warm)
    while True:
        with Served(bundle, folder) as server:
            server.ask(digit())
            count = draw.randint(8, 48)
            lines = [server.connect() for _ in range(count)]
            for line in lines:
                line.sendall(digit())
            server.ask(request(method="GET", path="/health"))       # by now the server has read the requests
            server.process.terminate()
            statuses = [answer.status for line in lines for answer in replies(read(line, PATIENCE))]
            code = server.process.wait(PATIENCE)
            for line in lines:
                line.close()
            fault = "" if statuses == [200] * count else f"{count} asked, answers {sorted(statuses)}"
            fault = fault or ("" if code in (0, 143) else f"exit code {code}") or server.news()[:300]
            yield Trial("SIGTERM under load", f"seed {seed}: {count} requests", "all answered", fault)


def digit() -> bytes:
    """The request of an honest client: a one, drawn with a pen."""
    page = Image.new("L", (140, 140), 255)
    ImageDraw.Draw(page).line((70, 20, 70, 120), 0, 14)
    return picture_request(page)


def slow_picture() -> bytes:
    """A picture that takes a while to unpack and little to send."""
    page = Image.new("L", (6000, 6000), 255)
    ImageDraw.Draw(page).line((3000, 1000, 3000, 5000), 0, 600)
    return picture_request(page)


def picture_request(page: Image.Image) -> bytes:
    file = BytesIO()
    page.save(file, "PNG")
    return request(file.getvalue(), "Content-Type: image/png")


ROWS = (
    hostile_request_trials, lost_worker_trials, few_descriptors_trials, unread_answers_trials, stop_under_load_trials,
)
