"""The connection to a Ray cluster: find it, join it, check its nodes, and leave it."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from featherweight import __version__, interruption
from featherweight.cores import free_cores
from featherweight.crews import remote
from featherweight.crews.remote import code_of_package
from featherweight.crews.storage import forget, save
from featherweight.errors import FeatherweightError, MissingExtra
from featherweight.outside import shortened

REACHING = 5.0      # seconds to wait for an answer of a cluster's address
LOOKING = 60.0      # seconds to wait for the nodes to load this package
LEAVING = 5.0       # seconds to wait for Ray's own end
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0"     # how a client of gRPC begins (RFC 9113, 3.4)
SETTINGS = 4        # type of the first frame of the answer


def load_ray() -> Any:
    """Return the module ray. Raises MissingExtra if it is not installed."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")      # no telemetry
    try:
        import ray
    except ImportError as fault:
        raise MissingExtra("Ray", "cluster") from fault
    return ray


@contextmanager
def joined(ray: Any, address: str | None, slots: int | None) -> Iterator[str | None]:
    """Join a cluster inside the block. Yield its address, None for a Ray of this process alone.

    address: "HOST:PORT" of the cluster's head. None: the address in RAY_ADDRESS, else the cluster that was started on
    this machine. Without such a cluster, Ray is started here with `slots` CPUs, and ended after the block.
    Raises FeatherweightError within some seconds if no Ray answers at the address.
    """
    address = address or known_address()
    if address is not None and not answers(address):
        raise FeatherweightError(f"no Ray cluster answers at {shortened(repr(address))}. Give HOST:PORT of its head, "
                                 "which `ray start --head` prints.")
    with interruption.undone_at_the_end(lambda: leave(ray)):
        try:
            with signals_kept():
                begin(ray, address, slots or free_cores())
            yield address
        finally:
            leave(ray)


def known_address() -> str | None:
    """Return the address in RAY_ADDRESS, or of the cluster that `ray start` began on this machine. Else None."""
    if address := os.environ.get("RAY_ADDRESS"):
        return address
    try:
        address = Path(os.environ.get("RAY_TMPDIR", "/tmp"), "ray", "ray_current_cluster").read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
    return address if answers(address) else None


def answers(address: str) -> bool:
    """Return True if a server of gRPC, as Ray's head is, answers at HOST:PORT."""
    host, _, port = address.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=REACHING) as connection:
            if os.environ.get("RAY_USE_TLS") == "1":
                return True
            connection.sendall(PREFACE)
            answer = connection.recv(9)
    except (OSError, ValueError, OverflowError):
        return False
    return len(answer) > 3 and answer[3] == SETTINGS


def begin(ray: Any, address: str | None, cpus: int) -> None:
    """Join a running cluster, or start Ray with `cpus` CPUs without an address.

    A random token keeps other users of the machine out of a Ray that is started here.
    Raises FeatherweightError with Ray's reason if it refuses.
    """
    how: dict[str, Any] = {"address": address}
    if address is None:
        os.environ.setdefault("RAY_AUTH_TOKEN", secrets.token_hex(32))      # else Ray writes one into the home folder
        how = {"address": "local", "num_cpus": cpus, "include_dashboard": False}
    ray._private.worker._worker_logs_enabled = False        # else news of the cluster go to standard output
    try:
        ray.init(**how, log_to_driver=False, logging_level="ERROR")
    except (OSError, RuntimeError, ValueError, ray.exceptions.RayError) as fault:
        who = "Ray" if address is None else f"the Ray cluster at {address}"
        raise FeatherweightError(f"{who} refused: {shortened(fault.__cause__ or fault)}") from fault


def leave(ray: Any) -> None:
    """Leave the cluster, which ends all workers of this process. Wait LEAVING seconds at most: the head may be dead."""
    thread = threading.Thread(target=ray.shutdown, daemon=True)
    thread.start()
    thread.join(LEAVING)


@contextmanager
def signals_kept() -> Iterator[None]:
    """Put the handlers of signals back after the block: Ray replaces the one of SIGTERM when it starts."""
    before = {number: signal.getsignal(number) for number in interruption.SIGNALS}
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in before.items():
                signal.signal(number, handler)


def check_nodes(ray: Any, storage: str | None) -> None:
    """Raise FeatherweightError if a node has other code of this package, or does not see the storage.

    A node that does not answer within LOOKING seconds is left out: its tasks will run elsewhere.
    """
    token, code = f"featherweight-{secrets.token_hex(8)}", code_of_package()
    if storage is not None:
        save(storage, token, b"")
    try:
        for node, found in _looks(ray, storage, token):
            if found["version"] == __version__ and found.get("code") != code:
                raise FeatherweightError(f"node {node} has other code of featherweight {__version__}. Install the same "
                                         "version on all nodes.")
            if found["version"] != __version__:
                raise FeatherweightError(f"node {node} has featherweight {found['version']}, this machine has "
                                         f"{__version__}. Install the same version on all nodes.")
            if not found["sees"]:
                raise FeatherweightError(f"node {node} does not see the storage {shortened(repr(storage))}. Give a "
                                         "folder that all nodes share, or a URL such as s3://BUCKET/FOLDER.")
    finally:
        if storage is not None:
            with suppress(OSError):
                forget(storage, token)


def _looks(ray: Any, storage: str | None, token: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (node, found) for each node of the cluster that answers."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    look = ray.remote(remote.look)
    asked = {}
    for node in ray.nodes():
        if node["Alive"]:
            there = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            task = look.options(num_cpus=0, max_retries=0, scheduling_strategy=there).remote(storage, token)
            asked[task] = node["NodeManagerAddress"]
    ready, _ = ray.wait(list(asked), num_returns=len(asked), timeout=LOOKING)
    for reference in ready:
        try:
            yield asked[reference], ray.get(reference)
        except ray.exceptions.RayTaskError as fault:
            raise FeatherweightError(f"node {asked[reference]} cannot load featherweight {__version__}: "
                                     f"{shortened(fault)}. Install the same version on all nodes.") from fault
        except ray.exceptions.RayError:     # the node died
            continue
