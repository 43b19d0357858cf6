"""What Ray costs beside the worker processes of one machine.

    python benchmarks/cluster.py jobs [--count 10000]     jobs that do nothing
    python benchmarks/cluster.py clips VIDEOS             `prepare`, with both

Processor seconds are those of all processes, as seen in /proc every half second until they end:
on a machine that others use, they can be trusted and seconds by the clock cannot. Each engine runs
in a process of its own, on as many processors as there are.
"""

from __future__ import annotations

import argparse
import os
import resource
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

MARK = "STRESNET_BENCHMARK"
ENGINES = ("processes", "ray")
SECONDS = 0.5  # between two looks
NOTHING = abs  # a job without work, which all processes know
WORKER = b"multiprocessing.spawn"  # in the command of the processes that run jobs
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=("jobs", "clips"))
    parser.add_argument("videos", type=Path, nargs="?")
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--engine", choices=ENGINES, help=argparse.SUPPRESS)  # in its own process
    options = parser.parse_args()
    if options.engine:
        work(options.engine, options.what, options.videos, options.count)
        return
    print("| engine | seconds | of processor | of these, in jobs | jobs/s | of driver, ms a job |")
    print("|---|---|---|---|---|---|", flush=True)
    for _ in range(options.repeats):
        for engine in ENGINES:
            printed, busy, in_jobs = watched([*sys.argv[1:], "--engine", engine])
            seconds, jobs, driver, memory = map(float, printed.split())
            print(
                f"| {engine} ({memory:.2f} GB of memory) | {seconds:.1f} | {busy:.1f} "
                f"| {in_jobs:.1f} | {jobs / seconds:.0f} | {1e3 * driver / jobs:.2f} |",
                flush=True,
            )


def watched(arguments: list[str]) -> tuple[str, float, float]:
    """What this program prints, and the processor seconds of all that it starts, and of workers."""
    token = secrets.token_hex(8)
    environment = {**os.environ, MARK: token, "RAY_worker_niceness": "0"}
    command = [sys.executable, __file__, *arguments]
    child = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
    busy: dict[tuple[int, bool], float] = {}
    while True:
        ended = child.poll() is not None
        seen = processor_seconds(token)
        busy |= seen
        if ended and not seen:
            break
        time.sleep(SECONDS)
    if child.returncode:
        raise SystemExit(child.returncode)
    assert child.stdout is not None
    in_jobs = sum(seconds for (_, is_worker), seconds in busy.items() if is_worker)
    return child.stdout.read(), sum(busy.values()), in_jobs


def processor_seconds(token: str) -> dict[tuple[int, bool], float]:
    """By process and whether it is a worker of ours, of all with this mark in their environment."""
    found = {}
    wanted = f"{MARK}={token}".encode()
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if wanted in (folder / "environ").read_bytes():
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
                is_worker = WORKER in (folder / "cmdline").read_bytes()
                found[int(folder.name), is_worker] = (int(fields[11]) + int(fields[12])) / TICKS
        except OSError:  # it has ended, or is somebody else's
            continue
    return found


def work(name: str, what: str, videos: Path | None, count: int) -> None:
    """Run the jobs; print seconds, jobs, the driver's processor seconds, and its memory in GB."""
    from stresnet.cluster import cluster
    from stresnet.data.prepare.many import prepare

    with tempfile.TemporaryDirectory() as scratch:
        address = "local" if name == "ray" else None
        with cluster(address, Path(scratch)) as engine:
            dict(engine(NOTHING, {0: 0, 1: 1}))  # its processes have started
            began, busy = time.perf_counter(), time.process_time()
            if what == "jobs":
                jobs = sum(1 for _ in engine(NOTHING, {number: number for number in range(count)}))
            else:
                report = prepare(videos or Path(), Path(scratch, "store"), engine=engine)
                jobs = len(report.done) + len(report.failures)
            seconds, driver = time.perf_counter() - began, time.process_time() - busy
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(f"{seconds} {jobs} {driver} {memory}")


if __name__ == "__main__":
    main()
