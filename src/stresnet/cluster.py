"""The same jobs on a Ray cluster, one task per video: `stresnet prepare VIDEOS --ray HOST:PORT`.

    cluster(address, folder) -> engine                 an `Engine`, like `map_in_processes`
    driver --(Ray task)--> Ray worker --(pipe)--> its worker process: function(job)

A Ray worker keeps a worker process of its own (`workers.map_in_processes`) and hands it job after
job. So crashes, hangs, second tries and their reasons are those of one machine, and models stay
loaded. Only lost machines and lack of memory are left to handle here. Ray itself retries nothing:
it would retry a video that kills its machine forever.

Functions, jobs and outcomes are small: videos and stores are on a disk that all machines share.
"""

from __future__ import annotations

import logging
import math
import os
import pickle
import platform
import socket
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib.metadata import version
from itertools import islice
from pathlib import Path
from typing import Any

from stresnet.errors import EnvironmentProblem, JobError, StresnetError, UsageError
from stresnet.files import address_of, require_writable
from stresnet.jobs import DEADLINE, Engine, Job, Name, Result
from stresnet.progress import OnProgress, Progress, silent
from stresnet.workers import Worker, map_in_processes

PATIENCE = 5.0  # seconds for an address to answer
PROBE_SECONDS = 60.0  # for a machine to import stresnet
LOOK_SECONDS = 5.0  # between two looks at which machines there are
OWN_TRIES = 2  # of a video whose worker was killed
TRIES = 8  # of a video whose machines were lost
ALIKE = ("stresnet", "numpy", "numba", "simplejpeg", "av", "torch")


@contextmanager
def cluster(
    address: str | None, folder: Path, *, cpus: float = 1, gpus: float = 0
) -> Iterator[Engine]:
    """Connect to a Ray cluster, and give an engine that runs jobs there.

    Args:
        address: None (worker processes of this machine, without Ray), "auto" (a cluster that runs
            on this machine, or $RAY_ADDRESS), HOST:PORT of its head, or "local": a cluster of this
            machine alone, for this run.
        folder: where the jobs write. All machines must see it, unless it is an address.
        cpus, gpus: of a machine for each job; a part of a GPU is a number below 1.

    Raises:
        EnvironmentProblem: Ray is not installed, or `folder` cannot be written.
        UsageError: nobody answers at the address, or its machines have other versions than this
            one, or do not see the folder.
    """
    if address is None:
        yield map_in_processes
        return
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # no address is fetched unasked
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    try:
        import ray
    except ImportError as error:
        raise EnvironmentProblem(
            "--ray needs Ray, which is not installed", remedy="pip install 'stresnet[ray]'"
        ) from error
    _require_answer(address)
    folder = folder if address_of(folder) is None else Path.cwd()
    require_writable(folder)
    try:
        ray.init(
            address=address,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=None if address != "local" else False,
        )
    except (ConnectionError, RuntimeError, ValueError) as error:
        raise UsageError(
            f"no Ray cluster at {address} ({error})",
            remedy="start one (`ray start --head`), and give this machine the cluster's token "
            "(RAY_AUTH_TOKEN, or ~/.ray/auth_token)",
        ) from error
    try:
        machines = _Machines(folder.resolve())
        machines.require_alike()
        yield partial(_map_on_ray, machines, cpus, gpus)
    finally:
        ray.shutdown()


def _require_answer(address: str) -> None:
    """Raise `UsageError` at once where nobody listens: Ray would wait for minutes."""
    place = os.environ.get("RAY_ADDRESS", "") if address == "auto" else address
    if place in ("", "local", "auto"):
        return
    host, _, port = place.rpartition(":")
    if "://" in place or not host or not port.isdecimal():
        raise UsageError(
            f"{place!r} is not the address of a Ray cluster",
            remedy="give auto, local or HOST:PORT of its head, and run this on one of its machines",
        )
    try:
        socket.create_connection((host, int(port)), PATIENCE).close()
    except OSError as error:
        raise UsageError(
            f"no Ray cluster at {place} ({error})",
            remedy="compare with what `ray start --head` printed",
        ) from error


# --- machines -----------------------------------------------------------------------------------


@dataclass
class _Machines:
    """The cluster's machines, each compared with this one when it is first seen."""

    folder: Path
    known: set[str] = field(default_factory=set)
    looked: float = -math.inf
    slots: float = 0  # CPUs of all machines
    largest: float = 1  # CPUs of one machine

    def look(self) -> None:
        """See which machines there are, now and then."""
        if time.monotonic() - self.looked > LOOK_SECONDS:
            self.require_alike()

    def require_alike(self) -> None:
        """Raise `UsageError`, naming it, if a new machine differs from this one."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self.looked = time.monotonic()
        nodes = ray.nodes()  # type: ignore[no-untyped-call]
        cpus = {
            node["NodeID"]: node["Resources"]["CPU"]
            for node in nodes
            if node["Alive"] and node["Resources"].get("CPU", 0) > 0
        }
        self.slots, self.largest = sum(cpus.values()), max(cpus.values(), default=1)
        names = {node["NodeID"]: node["NodeManagerHostname"] for node in nodes}
        new = cpus.keys() - self.known
        if not new:
            return
        probe = ray.remote(num_cpus=0, max_retries=0)(_facts)
        with tempfile.NamedTemporaryFile(dir=self.folder, prefix=".seen-") as marker:
            asked = {
                node: probe.options(
                    scheduling_strategy=NodeAffinitySchedulingStrategy(node, soft=False)
                ).remote(marker.name, str(Path.cwd()))
                for node in new
            }
            here = _facts(marker.name, str(Path.cwd()))
            for node, answer in asked.items():
                try:
                    there = ray.get(answer, timeout=PROBE_SECONDS)
                except ray.exceptions.RayError as error:
                    reason = str(error).strip().splitlines()[-1]
                    raise UsageError(
                        f"{names[node]}: stresnet does not run there ({reason})",
                        remedy="install the same packages on all machines",
                    ) from error
                if unlike := [
                    f"{name} is {there[name]}, here {fact}"
                    for name, fact in here.items()
                    if there[name] != fact
                ]:
                    raise UsageError(
                        f"{names[node]}: {'; '.join(unlike)}",
                        remedy="install the same packages on all machines, and mount the folder "
                        "under the same path",
                    )
        self.known |= new


def _facts(marker: str, work: str) -> dict[str, str]:
    """What must be the same on all machines, or results might differ or be lost."""
    return {
        "Python": platform.python_version(),
        "the processor": platform.machine(),
        **{name: version(name) for name in ALIKE},
        f"the output folder {Path(marker).parent}": _seen(marker),
        f"the working folder {work}": _seen(work),
    }


def _seen(path: str) -> str:
    return "seen" if Path(path).exists() else "not seen"


# --- jobs ---------------------------------------------------------------------------------------


@dataclass(eq=False)
class _Task:
    name: Any
    cpus: float
    own_deaths: int = 0
    lost_machines: int = 0


def _map_on_ray(
    machines: _Machines,
    cpus: float,
    gpus: float,
    function: Callable[[Job], Result],
    jobs: Mapping[Name, Job],
    *,
    workers: int | None = None,
    deadline: float | None = DEADLINE,
    on_progress: OnProgress = silent,
) -> Generator[tuple[Name, Result | StresnetError], None, None]:
    """Like `map_in_processes`; there are as many `workers` as the cluster has room for.

    Raises:
        UsageError: a machine that joined meanwhile differs from this one.
    """
    import ray

    # Pickled here, so that a worker recognises the function and keeps what it has loaded. Ray sends
    # everything in this form; nothing of it comes from a file or from a user.
    pickled, work = pickle.dumps(function), str(Path.cwd())
    # Otherwise Ray ends a worker that has a GPU after each job, with the models it has loaded.
    attempt = ray.remote(max_retries=0, max_calls=0)(_attempt)
    waiting = (_Task(name, cpus) for name in jobs)
    running: dict[Any, _Task] = {}
    finished = 0

    def start(task: _Task) -> None:
        here = attempt.options(num_cpus=task.cpus, num_gpus=gpus)
        running[here.remote(pickled, jobs[task.name], deadline, work)] = task

    try:
        while True:
            machines.look()
            # Twice as many as can run, so that no machine waits for this one.
            room = max(2, int(2 * machines.slots / cpus)) - len(running)
            for task in islice(waiting, max(room, 0)):
                start(task)
            if not running:
                return
            ready, _ = ray.wait(list(running), timeout=LOOK_SECONDS)
            for reference in ready:
                task = running.pop(reference)
                outcome = _outcome(reference, task, machines)
                if outcome is None:
                    start(task)
                    continue
                finished += 1
                on_progress(Progress(finished, len(jobs), str(task.name)))
                yield task.name, outcome
    finally:
        for reference in running:
            ray.cancel(reference, force=True)


def _outcome(reference: Any, task: _Task, machines: _Machines) -> Any:
    """The job's result or error; None if it is to be tried again."""
    from ray import exceptions, get

    try:
        return get(reference)
    except exceptions.OutOfMemoryError:
        task.own_deaths += 1
        task.cpus = machines.largest  # alone on a machine: the guilty one may be another video
        reason = "it took too much memory"
    except exceptions.WorkerCrashedError:
        task.own_deaths += 1
        reason = "its worker was killed"
    except exceptions.RayTaskError as error:
        return JobError(f"{type(error.cause).__name__}: {error.cause}")
    except exceptions.RayError as error:  # the machine, or what it had to send
        task.lost_machines += 1
        reason = f"its machine was lost ({type(error).__name__})"
    if task.own_deaths < OWN_TRIES and task.lost_machines < TRIES:
        return None
    return JobError(f"{reason}, {max(task.own_deaths, task.lost_machines)} times")


def _attempt(pickled: bytes, job: Any, deadline: float | None, work: str) -> Any:
    """In a Ray worker: what becomes of one job."""
    os.chdir(work)  # paths may be relative to where the command was given
    function, spare = _kept(pickled)
    ((_, outcome),) = map_in_processes(
        function, {0: job}, workers=1, deadline=deadline, spare=spare
    )
    return outcome


@lru_cache(maxsize=1)  # processes of another function end when their lines are closed
def _kept(pickled: bytes) -> tuple[Callable[[Any], Any], list[Worker]]:
    """The function, and the worker processes that have loaded it."""
    return pickle.loads(pickled), []
