"""Measure the server: pictures per second, waiting time of each request, and growth of its memory.

- The server is the command `featherweight serve` in its own process. Its network was trained on the bundled digits for
  some seconds, so that it is sure of most pictures. An unsure network reads a picture in seven ways instead of two.
  `unsure` is the percentage of pictures that it reads in seven ways.
- The clients are sockets of one process that are kept open. Clients and server share the cores of the machine.
- The pictures are the bundled digits in the form that the page sends: PNGs of 140 x 140 pixels.
- The peer is one thread that predicts the same pictures one after the other, without a server.
- Processor time per picture shows the cost without the influence of other processes.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from PIL import Image

import report
from featherweight.data import load_dataset
from featherweight.experiment import train_recipe
from featherweight.inference.answering import read_digit
from featherweight.inference.bundle import Bundle
from featherweight.inference.reading import read_picture
from featherweight.recipe import Recipe
from featherweight.serve.answers import Answerer, PictureRequest
from featherweight.shipping import make_bundle

AIMS = {"pictures_a_second": 300, "p99_ms": 100, "lost": 0, "single_p50_ms": 5}
PACKAGES = ("fastapi", "starlette", "uvicorn", "h11", "onnxruntime", "pillow", "numpy")


def main() -> int:
    options = parse()
    settings = {name: getattr(options, name) for name in ("model", "clients", "requests", "single", "repeats")}
    content = report.begin("serve_load", settings, *PACKAGES) | {"aims": AIMS, "results": {}, "ratios": {}}
    with tempfile.TemporaryDirectory() as folder:
        bundle = make_bundle(trained(options.model, Path(folder) / "run"), Path(folder) / "bundle")
        bodies = pictures(50)
        for _ in range(options.repeats):
            add(content["results"], measure(bundle, bodies, options))
            served, alone = (content["results"][name]["all"] for name in ("pictures_a_second", "without_a_server"))
            content["ratios"]["served / without a server"] = report.spread(report.ratios(alone, served), 3)
            report.save(options.out, content)
    report.save(options.out, content | {"complete": True})
    print_results(content)
    print(f"written to {options.out}")
    return 0


def parse() -> argparse.Namespace:
    parser = report.parser(__doc__, "serve_load")
    parser.add_argument("--repeats", type=report.positive, default=3, help="servers to measure, one after the other")
    parser.add_argument("--model", default="feather-fast", help="the recipe of the network")
    parser.add_argument("--clients", type=report.positive, default=32, help="clients at the same time")
    parser.add_argument("--requests", type=report.positive, default=10_000, help="requests of all clients together")
    parser.add_argument("--single", type=report.positive, default=500, help="requests of a single client")
    return parser.parse_args()


def trained(model: str, folder: Path) -> Any:
    settings = ["data.dataset=digits", "training.epochs=20", "training.batch_size=32"]
    return train_recipe(Recipe.load(model, settings), folder, device="cpu")


def pictures(count: int) -> list[bytes]:
    """Return PNG files with dark digits on white, like the drawings of the page."""
    found = []
    for image in load_dataset("digits").test.images[:count, 0].numpy():
        page, file = Image.new("RGBA", (140, 140), "white"), io.BytesIO()
        page.paste(Image.fromarray(255 - image).resize((90, 90)), (25, 25))
        page.save(file, "PNG")
        found.append(file.getvalue())
    return found


def measure(bundle: Bundle, bodies: list[bytes], options: argparse.Namespace) -> dict[str, float]:
    """Measure one server from start to end: warm-up, one client, all clients, memory before and after."""
    command = [sys.executable, "-m", "featherweight", "serve", str(bundle.path), "--port", "0"]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        port = int(re.search(r":(\d+)/", server.stdout.readline())[1])
        requests = [request(body) for body in bodies]
        asyncio.run(load(port, requests, options.clients, 1000))
        alone, _ = asyncio.run(load(port, requests, 1, options.single))
        before, used = memory(server.pid), processor_ms(server.pid)
        started, mine = time.perf_counter(), time.process_time()
        waits, lost = asyncio.run(load(port, requests, options.clients, options.requests))
        seconds, after = time.perf_counter() - started, memory(server.pid)
        used, mine = processor_ms(server.pid) - used, 1000 * (time.process_time() - mine)
    finally:
        server.terminate()
        code = server.wait(timeout=60)
    percentiles = quantiles(waits, n=100)
    found = {
        "pictures_a_second": len(waits) / seconds, "p50_ms": percentiles[49], "p99_ms": percentiles[98],
        "single_p50_ms": median(alone), "lost": lost, "exit_code": code, "memory_before_mb": before,
        "memory_after_mb": after, "without_a_server": without_a_server(bundle, bodies),
        "server_processor_ms": used / options.requests, "client_processor_ms": mine / options.requests,
        "unsure": unsure(bundle, bodies),
    }
    report.say(", ".join(f"{name} {value:.1f}" for name, value in found.items()))
    return found


def request(body: bytes) -> bytes:
    head = f"POST /predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: {len(body)}"
    return f"{head}\r\n\r\n".encode() + body


async def load(port: int, requests: list[bytes], clients: int, count: int) -> tuple[list[float], int]:
    """Send `count` requests. Return (milliseconds of each good response, number of other requests).

    A good response has code 200 and a class.
    """
    waits: list[float] = []
    turns = iter(range(count))

    async def client() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for turn in turns:
            started = time.perf_counter()
            writer.write(requests[turn % len(requests)])
            head = await reader.readuntil(b"\r\n\r\n")
            body = await reader.readexactly(int(re.search(rb"content-length: (\d+)", head)[1]))
            if head.startswith(b"HTTP/1.1 200 ") and body.startswith(b'{"heads":{"class":[{"class":'):
                waits.append(1000 * (time.perf_counter() - started))
        writer.close()

    await asyncio.gather(*(client() for _ in range(clients)), return_exceptions=True)
    return waits, count - len(waits)


def memory(process: int) -> float:
    """Return the resident memory of a process and all its descendants, in MB."""
    status = Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1000 + sum(map(memory, children(process)))


def processor_ms(process: int) -> float:
    """Return the processor time of a process and all its descendants, in milliseconds."""
    user, system = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11:13]
    mine = 1000 * (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return mine + sum(map(processor_ms, children(process)))


def children(process: int) -> list[int]:
    """Return the process numbers of the child processes."""
    return [int(child) for child in Path(f"/proc/{process}/task/{process}/children").read_text().split()]


def without_a_server(bundle: Bundle, bodies: list[bytes]) -> float:
    """Return the pictures per second of one thread that predicts the same pictures one after the other."""
    answerer = Answerer(bundle)
    for body in bodies:
        json.loads(answerer.respond(PictureRequest(body)))
    started = time.perf_counter()
    for _ in range(4):
        for body in bodies:
            answerer.respond(PictureRequest(body))
    return 4 * len(bodies) / (time.perf_counter() - started)


def unsure(bundle: Bundle, bodies: list[bytes]) -> float:
    """Return the percentage of pictures that the network reads in more than two ways."""
    ways = [read_digit(bundle, read_picture(io.BytesIO(body)))[0].readings for body in bodies]
    return 100 * sum(count > 2 for count in ways) / len(ways)


def add(results: dict[str, Any], found: dict[str, float]) -> None:
    """Add the values of one server to the results, in place."""
    for name, value in found.items():
        values = [*results.get(name, {}).get("all", []), value]
        results[name] = report.spread(values, 2)


def print_results(content: dict[str, Any]) -> None:
    signs = {"pictures_a_second": ">=", "lost": "="}
    rows = [
        [name.replace("_", " "), report.show(found), f"{signs.get(name, '<')} {AIMS[name]:g}" if name in AIMS else "-"]
        for name, found in content["results"].items()
    ]
    settings, machine = content["settings"], content["machine"]
    title = f"{settings['model']}, {settings['clients']} clients, {settings['requests']:,} requests"
    report.print_table(f"{title} · {machine['processor']}", ["", "median (lowest .. highest)", "aim"], rows)


if __name__ == "__main__":
    sys.exit(report.run(main))
