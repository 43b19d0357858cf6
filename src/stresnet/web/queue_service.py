"""Jobs and the one worker: who waits, what is done now, what is kept and for how long."""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from stresnet.errors import StresnetError
from stresnet.web.fair_queue import FairQueue
from stresnet.web.job import FILES, Job, State
from stresnet.web.limits import Limits
from stresnet.web.worker_client import TookTooLong, Worker, WorkerDied, worker_command

CLEARING_SECONDS = 5.0  # between two looks for jobs that are over


class Busy(Exception):
    """No more jobs are taken now; a sentence for the visitor."""


class Service:
    """Works on jobs while it is entered; afterwards all of its files are gone.

    Every method may be called from any thread.

    Args:
        model, device, precision, threads, fast: as of `serve`.

    Raises (when entered):
        WeightsError: the model's folder cannot be used.
    """

    def __init__(
        self,
        model: str | Path,
        *,
        limits: Limits | None = None,
        device: str = "auto",
        precision: str = "auto",
        threads: int = 1,
        fast: bool = False,
    ) -> None:
        self.limits = limits or Limits()
        self.class_names: tuple[str, ...] = ()
        self._scratch = Path(tempfile.mkdtemp(prefix="stresnet-web-"))
        self.worker = Worker(
            worker_command(
                self._scratch,
                model=str(model),
                device=device,
                precision=precision,
                threads=threads,
                fast=fast,
            )
        )
        self._jobs: dict[str, Job] = {}
        self._queue: FairQueue[Job] = FairQueue()
        self._current: Job | None = None
        self._news = threading.Condition()  # also the lock of all above
        self._closed = threading.Event()
        self._threads = [
            threading.Thread(target=target, name=target.__name__, daemon=True)
            for target in (self._work, self._clear)
        ]

    def __enter__(self) -> Self:
        try:
            self.class_names = tuple(self._start_worker())
        except BaseException:
            self._end()
            raise
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._news:
            self._closed.set()
            self._news.notify_all()
        for thread in self._threads:
            while thread.is_alive():
                self.worker.kill()  # again if it has just been started
                thread.join(0.1)
        self._end()

    def receive(self, client: str, name: str) -> Job:
        """A job whose clip is about to be sent; `enqueue` or `remove` it.

        Raises:
            Busy: too many wait, in all or of this client.
        """
        with self._news:
            unfinished = [job for job in self._jobs.values() if not job.state.ended]
            if len(unfinished) >= self.limits.jobs_waiting:
                raise Busy("too many clips wait here already; try again in a few minutes")
            if sum(job.client == client for job in unfinished) >= self.limits.jobs_of_client:
                raise Busy("your other clips wait still; send this one when one of them is done")
            job_id = secrets.token_urlsafe(16)
            folder = self._scratch / job_id
            folder.mkdir()
            job = self._jobs[job_id] = Job(job_id, client, name, folder)
            return job

    def enqueue(self, job: Job) -> None:
        """The clip lies in the job's folder: it may have its turn."""
        with self._news:
            if not job.removed:
                job.change(state=State.WAITING)
                self._queue.put(job.client, job)
                self._news.notify_all()

    def find(self, job_id: str) -> Job | None:
        with self._news:
            return self._jobs.get(job_id)

    def remove(self, job: Job) -> None:
        """Forget a job and its files; if the worker is at it, the worker is killed."""
        with self._news:
            job.change(removed=True)
            self._jobs.pop(job.id, None)
            self._queue.remove(job)
            if self._current is job:
                self.worker.kill()  # and `_work` removes the folder, after the last writer's death
                return
        shutil.rmtree(job.folder, ignore_errors=True)

    def describe(self, job: Job) -> dict[str, Any]:
        """What its visitor may know, as values for JSON."""
        with self._news:
            waits = job.state is State.WAITING and not job.removed
            return {
                "id": job.id,
                "name": job.name,
                "state": job.state.value,
                "version": self._version(job),
                "ahead": self._ahead_of(job) if waits else 0,
                "stage": job.stage,
                "progress": job.progress,
                "error": job.error,
                "result": job.result,
                "files": list(FILES) if job.state is State.DONE else [],
            }

    def version(self, job: Job) -> int:
        """Another number whenever `describe` tells something else."""
        with self._news:
            return self._version(job)

    def _version(self, job: Job) -> int:
        waits = job.state is State.WAITING and not job.removed
        # A queue that moves is news too.
        return job.version * 1000 + (self._ahead_of(job) if waits else 0)

    def _ahead_of(self, job: Job) -> int:
        return self._queue.ahead_of(job) + (self._current is not None)

    def _work(self) -> None:
        while (job := self._next()) is not None:
            outcome = self._outcome(job)
            with self._news:
                job.change(**outcome)
                self._tidy(job)
                self._current = None

    def _next(self) -> Job | None:
        """Wait for the next job; None when the service closes."""
        with self._news:
            self._news.wait_for(lambda: self._closed.is_set() or len(self._queue))
            if self._closed.is_set():
                return None
            self._current = self._queue.pop()
            self._current.change(state=State.WORKING, stage="Starting")
            return self._current

    def _outcome(self, job: Job) -> dict[str, Any]:
        """Work on a job; how it ends."""
        try:
            result = self._recognised(job)
        except StresnetError as error:
            return failed(error.problem, error.remedy)
        except TookTooLong:
            limit = f"{self.limits.work_seconds:g} seconds"
            return failed(f"it took longer than {limit} and was stopped", "send a shorter clip")
        except WorkerDied as error:
            return failed(
                f"the process that worked on it ended unexpectedly ({error})",
                "try once more, or a shorter clip: the memory may not have sufficed",
            )
        except Exception:  # the worker talks nonsense, which must not be the end of this thread
            traceback.print_exc()
            self.worker.kill()
            return failed("the process that worked on it could not be understood", "try once more")
        return {"state": State.DONE, "progress": 1.0, "stage": "", "result": result}

    def _recognised(self, job: Job) -> dict[str, Any]:
        def on_news(news: dict[str, Any]) -> None:
            with self._news:
                job.change(stage=str(news["stage"]), progress=float(news["progress"]))

        if not self.worker.alive:
            self._start_worker()
        if job.removed:
            raise WorkerDied("nobody waits for it")
        order = {
            "folder": str(job.folder),
            "name": job.name,
            "max_seconds": self.limits.video_seconds,
        }
        found: dict[str, Any] = self.worker.run(
            order, seconds=self.limits.work_seconds, on_news=on_news
        )
        return found

    def _start_worker(self) -> list[str]:
        if self._closed.is_set():
            raise WorkerDied("the server is about to end")
        said: dict[str, list[str]] = self.worker.start()
        return said["classes"]

    def _tidy(self, job: Job) -> None:
        """Keep what its visitor may fetch, and nothing of a job that failed or is not wanted."""
        if job.removed or job.state is State.FAILED:
            shutil.rmtree(job.folder, ignore_errors=True)
            return
        for path in job.folder.iterdir():
            if path.name not in FILES:
                path.unlink()

    def _clear(self) -> None:
        """Remove jobs that ended long ago."""
        while not self._closed.wait(min(CLEARING_SECONDS, self.limits.keep_seconds)):
            oldest = time.monotonic() - self.limits.keep_seconds
            with self._news:
                over = [job for job in self._jobs.values() if job.state.ended]
            for job in over:
                if job.ended_at < oldest:
                    self.remove(job)

    def _end(self) -> None:
        self.worker.close()
        shutil.rmtree(self._scratch, ignore_errors=True)


def failed(problem: str, remedy: str) -> dict[str, Any]:
    """How a job ends that cannot be done: with a sentence, and what mends it."""
    return {"state": State.FAILED, "error": {"problem": problem, "remedy": remedy}}
