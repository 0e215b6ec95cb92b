"""The crew on a Ray cluster: each task is a Ray task of one CPU, and this process keeps count of all of them.

Ray repeats nothing by itself. A task whose worker or node died is started again here, at most ATTEMPTS times. So each
task has one outcome, and a task that kills its workers does not run for ever.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from featherweight.crews import remote
from featherweight.crews.cluster import answers, check_nodes, joined, load_ray
from featherweight.crews.crew import Outcome, Task
from featherweight.errors import FeatherweightError
from featherweight.outside import shortened
from featherweight.workers import ATTEMPTS

LOOK = 5.0          # seconds between two looks at the cluster: its head, and its number of CPUs
GONE = 20.0         # seconds without an answer of the head after which the cluster counts as lost
FETCHING = 60.0     # seconds to fetch the value of a task from its node


@dataclass(eq=False)
class _Order:
    """A task in the crew, and how often a worker died with it."""

    task: Task
    deaths: int = 0


class RayCrew:
    """A crew on a Ray cluster.

    submit: starts a task in the cluster and returns its reference.
    most: largest number of tasks at the same time, None for all CPUs of the cluster.
    """

    def __init__(self, ray: Any, submit: Callable[[Task], Any], mailbox: Any, address: str | None, most: int | None,
                 cpus: float = 1.0) -> None:
        self._ray, self._submit, self._mailbox, self._address, self._most = ray, submit, mailbox, address, most
        self._cpus = cpus       # of a task
        self._waiting: deque[_Order] = deque()
        self._running: dict[Any, _Order] = {}
        self._stopped = False
        self._letter: Any = None        # reference of the messages that are on their way
        self._answered = self._looked = time.monotonic()
        self._possible = 0
        self._possible = self._count()

    @property
    def slots(self) -> int:
        return self._possible if self._most is None else min(self._most, self._possible)

    @property
    def busy(self) -> bool:
        return bool(self._running or self._waiting)

    def start(self, task: Task) -> None:
        if not self._stopped:
            self._waiting.append(_Order(task))
            self._hand_out()

    def finished(self, seconds: float) -> list[Outcome]:
        until, outcomes = time.monotonic() + seconds, list[Outcome]()
        while self.busy and not outcomes:
            self._look_after()
            self._hand_out()
            left = max(0.0, min(until - time.monotonic(), LOOK))
            outcomes = [outcome for reference in self._ready(left) if (outcome := self._settle(reference))]
            self._hand_out()
            if time.monotonic() >= until:
                break
        return outcomes

    def messages(self) -> list[tuple[str, Any]]:
        told: list[tuple[str, Any]] = []
        if self._letter is not None:
            if not self._ray.wait([self._letter], timeout=0)[0]:
                return told
            with suppress(self._ray.exceptions.RayError):       # the mailbox died and starts again, without its content
                told = self._ray.get(self._letter)
        self._letter = self._mailbox.take.remote()
        return told

    def stop(self) -> None:
        self._stopped = True
        self._waiting.clear()
        for reference in self._running:
            self._ray.cancel(reference)     # as Ctrl-C in the worker, which ends the training after its step

    def _hand_out(self) -> None:
        """Start waiting tasks. A quarter more than the slots, so that a free worker finds its next task in the cluster.

        With a given number of slots not one more, since all of them could run.
        """
        most = self.slots + (self.slots // 4 + 1 if self._most is None else 0)
        while self._waiting and len(self._running) < most:
            order = self._waiting.popleft()
            self._running[self._submit(order.task)] = order

    def _ready(self, seconds: float) -> list[Any]:
        """Return the references of all tasks that ended. Wait at most `seconds` for the first."""
        references = list(self._running)
        if not references:
            time.sleep(min(seconds, 0.2))
            return []
        ready, _ = self._ray.wait(references, num_returns=1, timeout=seconds)
        if ready and len(references) > 1:
            ready, _ = self._ray.wait(references, num_returns=len(references), timeout=0)
        return list(ready)

    def _settle(self, reference: Any) -> Outcome | None:
        """Return the outcome of a task that ended, None if its worker died and it runs again."""
        order, faults = self._running.pop(reference), self._ray.exceptions
        key = order.task.key
        try:
            kind, value = self._ray.get(reference, timeout=FETCHING)
        except faults.TaskCancelledError:
            return Outcome(key, None, None)
        except faults.RayTaskError as fault:
            if not isinstance(fault, faults.ObjectLostError):
                raise RuntimeError(f"job {key} failed:\n{fault}") from fault
            return self._bury(order, fault)
        except faults.RayError as fault:
            return self._bury(order, fault)
        if kind == "error":
            raise RuntimeError(f"job {key} failed:\n{value}")
        return Outcome(key, value if kind == "done" else None, value if kind == "failed" else None)

    def _bury(self, order: _Order, fault: Exception) -> Outcome | None:
        """Put the task of a dead worker back in front, unless tasks were stopped or it has died ATTEMPTS times."""
        order.deaths += 1
        if self._stopped:
            return Outcome(order.task.key, None, None)
        if order.deaths < ATTEMPTS:
            self._waiting.appendleft(order)
            return None
        reason = f"its worker or node died {ATTEMPTS} times, last: {shortened(fault)}"
        return Outcome(order.task.key, None, reason)

    def _look_after(self) -> None:
        """Count the CPUs of the cluster again. Raises FeatherweightError if its head was silent for GONE seconds."""
        if time.monotonic() - self._looked < LOOK:
            return
        if self._address is None or answers(self._address):
            self._answered, self._possible = time.monotonic(), self._count()
        elif time.monotonic() - self._answered > GONE:
            raise FeatherweightError(f"the Ray cluster at {self._address} no longer answers. Start it again, then go "
                                     "on with the same command and --resume.")
        self._looked = time.monotonic()

    def _count(self) -> int:
        """Return the number of tasks that the CPUs of the cluster can run at the same time."""
        try:
            return int(self._ray.cluster_resources().get("CPU", 0) / self._cpus)
        except self._ray.exceptions.RayError:
            return self._possible


@contextmanager
def open_ray_crew(
    address: str | None, work: str, shared: Any, slots: int | None, storage: str | None, cpus: float
) -> Iterator[RayCrew]:
    """Yield a crew on a Ray cluster. Its workers have ended some seconds after the block.

    address: see `joined`. cpus: CPUs of a task; fractions are allowed.
    """
    ray = load_ray()
    with joined(ray, address, slots) as at:
        check_nodes(ray, storage)
        reference, mailbox = share(ray, shared), open_mailbox(ray)
        task = ray.remote(remote.run_task).options(num_cpus=cpus, max_retries=0)

        def submit(one: Task) -> Any:
            return task.remote(work, [reference], one.key, one.data, mailbox)

        yield RayCrew(ray, submit, mailbox, at, slots, cpus)


def share(ray: Any, shared: Any) -> Any:
    """Put the shared object into the object store and return its reference. Workers read its tensors without a copy."""
    from ray.util import deregister_serializer, register_serializer

    torch = sys.modules.get("torch")
    if torch is None:
        return ray.put(shared)
    register_serializer(torch.Tensor, serializer=remote.as_array, deserializer=remote.as_tensor)
    try:
        return ray.put(shared)
    finally:
        deregister_serializer(torch.Tensor)


def open_mailbox(ray: Any) -> Any:
    """Start the actor for messages on this node. If it dies, Ray starts it again."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    return ray.remote(remote.Mailbox).options(num_cpus=0, max_restarts=-1, scheduling_strategy=here).remote()
