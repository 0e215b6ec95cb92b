"""The command and its process: start, limits on the wire, the end."""

from __future__ import annotations

import os
import resource
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
import torch

from featherweight.errors import install_command
from featherweight.inference.bundle import Bundle
from featherweight.inference.trained import TrainedNetwork
from featherweight.serve.app import BROKEN
from featherweight.shipping.bundle import bundle_files
from featherweight.shipping.onnx_export import to_onnx

HEAD = "POST /predict HTTP/1.1\r\nHost: localhost\r\n"


def converse(address, *parts, close=False):
    """Send the parts, and read until the server closes."""
    with socket.create_connection(address, timeout=30) as line:
        for part in parts:
            line.sendall(part if isinstance(part, bytes) else part.encode())
        if close:
            line.shutdown(socket.SHUT_WR)
        return read_all(line)


def read_all(line):
    found = b""
    while part := line.recv(65536):
        found += part
    return found.decode()


def test_the_start_is_one_line(server):
    assert httpx.get(f"{server.url}health").json() == {"status": "ok"}
    assert server.url.startswith("http://127.0.0.1:") and server.process.poll() is None


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_being_told_to_stop_is_no_fault(serve, bundle, number):
    running = serve(bundle)
    assert httpx.get(running.url).status_code == 200
    assert running.stop(number) == (0, "", "")


def test_what_is_in_flight_is_answered_before_the_end(serve, bundle, drawing):
    running, body = serve(bundle), drawing(3)
    with socket.create_connection(running.address, timeout=30) as line:
        line.sendall(f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body[:10])
        httpx.get(f"{running.url}health")       # by now the server has taken the first line too
        running.process.send_signal(signal.SIGTERM)
        refused = False
        while not refused:      # it has stopped taking new ones
            try:
                socket.create_connection(running.address, timeout=30).close()
            except ConnectionRefusedError:
                refused = True
            except ConnectionResetError:    # taken by the system, and not by the server any more
                pass
        line.sendall(body[10:])
        assert '"heads":{"class":[{"class":"3"' in read_all(line)
    assert running.process.wait(timeout=30) == 0


def test_a_large_body_is_refused_before_it_is_sent(server):
    answer = converse(server.address, f"{HEAD}Content-Length: 5000001\r\n\r\n", close=True)
    assert answer.startswith("HTTP/1.1 413 ") and '"error"' in answer and "connection: close" in answer


def test_a_large_body_without_a_length_is_refused_on_the_way(server):
    def send(line):
        for _ in range(51):
            line.sendall(b"186a0\r\n" + bytes(100_000) + b"\r\n")

    with socket.create_connection(server.address, timeout=30) as line:
        line.sendall(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n".encode())
        send(line)      # and not the end of it
        assert line.recv(65536).startswith(b"HTTP/1.1 413 ")


def test_a_body_that_does_not_come_is_not_waited_for(serve, bundle):
    running = serve(bundle, body_seconds=0.3, head_seconds=0.3)
    answer = converse(running.address, f"{HEAD}Content-Length: 100\r\n\r\nhalf")
    assert answer.startswith("HTTP/1.1 408 ") and "0.3 seconds" in answer
    assert converse(running.address, HEAD) == ""        # nor are headers that do not end
    with socket.create_connection(running.address, timeout=30) as line:
        for _ in range(2):
            line.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            found = b""
            while not found.endswith(b'{"status":"ok"}'):
                found += line.recv(65536)
        line.sendall(HEAD.encode())
        assert read_all(line) == ""     # nor those of a later request
    assert httpx.get(f"{running.url}health").status_code == 200


def test_what_is_no_http(server):
    answer = converse(server.address, "What do you see?\r\n\r\n")
    assert answer.startswith("HTTP/1.1 400 ") and answer.endswith('"This is no HTTP request that can be read."}')


def test_what_is_no_http_any_more_once_it_is_answered(serve, bundle):
    running = serve(bundle)
    chunked = "Transfer-Encoding: chunked\r\n\r\n"
    with socket.create_connection(running.address, timeout=30) as line:
        line.sendall(f"{HEAD}{chunked}".encode() + (b"186a0\r\n" + bytes(100_000) + b"\r\n") * 51)
        assert line.recv(65536).startswith(b"HTTP/1.1 413 ")
        line.sendall(b"no chunk\r\n")
        read_all(line)
    foreign = HEAD.replace("localhost", "evil.example")
    answer = converse(running.address, f"{foreign}{chunked}5\r\nhello\r\nno chunk\r\n")
    assert answer.startswith(("HTTP/1.1 400 ", "HTTP/1.1 403 "))
    assert httpx.get(f"{running.url}health").status_code == 200
    assert running.stop() == (0, "", "")


def test_a_body_in_very_many_pieces_is_refused(server):
    answer = converse(server.address, f"{HEAD}Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n" * 11_000)
    assert answer.startswith("HTTP/1.1 400 ")
    pieces = b"64\r\n" + bytes(100) + b"\r\n"
    whole = converse(server.address, f"{HEAD}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n",
                     pieces * 5000 + b"0\r\n\r\n")
    assert whole.startswith("HTTP/1.1 422 ")


def test_an_answer_that_nobody_takes_is_given_up(serve, bundle):
    running = serve(bundle, reading_seconds=0.3)
    httpx.get(running.url)
    before = descriptors_of(running)
    with socket.socket() as line, suppress(ConnectionError):
        line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        line.connect(running.address)
        line.settimeout(0.5)
        with suppress(TimeoutError):
            while True:
                line.sendall(b"GET /page.js HTTP/1.1\r\nHost: localhost\r\n\r\n" * 10)
        while descriptors_of(running) > before:      # and not when the client goes
            time.sleep(0.05)
    assert running.stop() == (0, "", "")


def test_more_connections_than_descriptors(serve, bundle):
    running = serve(bundle)
    resource.prlimit(running.process.pid, resource.RLIMIT_NOFILE, (64, 64))
    lines = [socket.create_connection(running.address, timeout=30) for _ in range(200)]
    for line in lines:
        with suppress(OSError):
            line.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    answered = 0
    for line in lines:
        with line, suppress(ConnectionError):
            answered += '"ok"' in read_all(line)
    assert 5 < answered < 200
    assert httpx.get(f"{running.url}health").status_code == 200
    assert running.stop() == (0, "", "")


def descriptors_of(running):
    return len(list(Path(f"/proc/{running.process.pid}/fd").iterdir()))


def test_a_full_queue_says_when_to_come_again(serve, bundle, large, drawing):
    running = serve(bundle, places=1)

    def post(_):
        return httpx.post(f"{running.url}predict", content=large, timeout=60)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(post, range(8)))
    assert {answer.status_code for answer in answers} == {200, 503}
    assert {answer.headers.get("retry-after") for answer in answers if answer.status_code == 503} == {"1"}
    assert httpx.post(f"{running.url}predict", content=drawing(3)).status_code == 200


def test_bodies_together_are_bounded(serve, bundle, large):
    running = serve(bundle, all_bodies=len(large) - 1)
    answer = httpx.post(f"{running.url}predict", content=large)
    assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
    for _ in range(3):      # what was held is given back
        assert httpx.post(f"{running.url}predict", content=b"x").status_code == 422


def test_a_worker_that_dies_is_replaced(serve, bundle, drawing):
    running = serve(bundle)
    assert httpx.post(f"{running.url}predict", content=drawing(3)).status_code == 200
    for worker in workers_of(running):
        os.kill(worker, signal.SIGKILL)
    answers = [httpx.post(f"{running.url}predict", content=drawing(3), timeout=30) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 200]
    assert running.stop()[:2] == (0, "")


def test_workers_end_with_a_server_that_is_killed(serve, bundle):
    running = serve(bundle)
    httpx.get(f"{running.url}health")
    workers = workers_of(running)
    assert workers
    running.process.kill()
    while any(is_alive(worker) for worker in workers):
        time.sleep(0.05)


def workers_of(running):
    """The processes that answer."""
    started = Path(f"/proc/{running.process.pid}/task/{running.process.pid}/children").read_text().split()
    assert all("featherweight.serve.worker" in Path(f"/proc/{one}/cmdline").read_text() for one in started)
    return [int(one) for one in started]


def is_alive(process):
    status = Path(f"/proc/{process}/status")
    return status.exists() and "State:\tZ" not in status.read_text()


def test_an_answer_that_takes_too_long(serve, bundle, large, drawing):
    running = serve(bundle, answer_seconds=0.01)
    late = httpx.post(f"{running.url}predict", content=large)
    assert late.status_code == 504 and late.json()["error"].startswith("No answer within 0.01 seconds")
    assert running.stop()[0] == 0


def test_many_clients_lose_nothing(server, drawing):
    pictures = [drawing(label) for label in range(10)]

    def read(turn):
        with httpx.Client() as client:
            answers = [client.post(f"{server.url}predict", content=pictures[(turn + k) % 10]) for k in range(10)]
        return [answer.json()["heads"]["class"][0]["class"] for answer in answers]

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(read, range(8)))
    assert answers == [[str((turn + k) % 10) for k in range(10)] for turn in range(8)]


def test_a_bundle_is_served_without_torch(bundle):
    code = f"""
import sys
from featherweight.inference.bundle import Bundle
from featherweight.serve import answers, server, worker
answers.Answerer(Bundle.open({str(bundle.path)!r}))
print([name for name in sys.modules if name.partition(".")[0] in ("torch", "sklearn", "matplotlib")])
"""
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_run_is_served(reader, drawing):
    from tests.serve.conftest import start

    running = start(["-m", "featherweight", "serve", str(reader.path), "--port", "0"])
    answer = httpx.post(f"{running.url}predict?explain=true", content=drawing(5))
    assert answer.json()["heads"]["class"][0]["class"] == "5"
    assert running.stop() == (143, "", "featherweight: interrupted.\n")


def serve_command(*arguments):
    command = [sys.executable, "-m", "featherweight", "serve", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (2, "") and done.stderr.count("\n") == 1, done
    return done.stderr


def test_a_port_that_is_taken(server, bundle):
    port = server.address[1]
    said = serve_command(bundle.path, "--port", port)
    assert said.startswith(f"featherweight: port {port} of 127.0.0.1 is taken. Give another with --port, or --port 0 ")


def test_a_missing_package_is_one_line(bundle):
    code = "import sys; sys.modules['uvicorn'] = None; from featherweight.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "serve", str(bundle.path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    said = f"featherweight: uvicorn is not installed. Install it with: {install_command('serve')}\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_bad_input_is_one_line(bundle, tmp_path):
    assert "99999" in serve_command(bundle.path, "--port", 99999)
    assert "'no.such.host'" in serve_command(bundle.path, "--host", "no.such.host")
    assert "nowhere" in serve_command(tmp_path / "nowhere")
    (tmp_path / "card.json").write_text("{}")
    assert "no card of a bundle" in serve_command(tmp_path)


def test_an_answer_that_is_no_number_is_a_500_and_a_line_of_the_log(tmp_path, reader, serve, drawing):
    network = TrainedNetwork.open(reader)
    with torch.no_grad():
        for parameter in network.module.parameters():
            parameter.fill_(torch.nan)
    model = to_onnx(network.module, network.card).SerializeToString(deterministic=True)
    for name, content in bundle_files(network, model).items():
        (tmp_path / name).write_bytes(content)
    running = serve(Bundle.open(tmp_path))
    answer = httpx.post(f"{running.url}predict", content=drawing(3), headers={"Content-Type": "image/png"})
    assert (answer.status_code, answer.json()) == (500, {"error": BROKEN})
    _, _, log = running.stop()
    assert "with NaN or infinity" in log and "Traceback" not in log
