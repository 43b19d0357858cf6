"""Jobs and the one worker: who waits, what is done now, what is kept and for how long."""

from __future__ import annotations

import logging
import secrets
import shutil
import tempfile
import threading
import time
from collections import deque
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import Any, Generic, Self, TypeVar

from stresnet.errors import EnvironmentProblem, StresnetError
from stresnet.web.job import FILES, Job, JobView, Limits, State
from stresnet.web.worker_client import Worker, WorkerDied, worker_command

CLEARING_SECONDS = 5.0  # between two searches for jobs whose time is over

logger = logging.getLogger(__name__)

_NO_MODEL = EnvironmentProblem(
    "the model of this server has changed", remedy="ask whoever runs the server to restart it"
)


class Busy(Exception):
    """No more jobs are accepted now; a sentence for the visitor."""


class Service:
    """Works on jobs while it is entered; afterwards all of its files are gone.

    Every method may be called from any thread.

    Args:
        work: how the worker works: model, device, precision, threads, as in `serve`.

    Raises (when entered):
        WeightsError: the model cannot be used.
    """

    def __init__(self, *, limits: Limits | None = None, **work: Any) -> None:
        self.limits = limits or Limits()
        self.class_names: tuple[str, ...] = ()
        self._model: Any = None  # what the first worker said about it
        self._scratch = Path(tempfile.mkdtemp(prefix="stresnet-web-"))
        self.worker = Worker(worker_command(self._scratch, **work))
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
            self._start_worker()
        except BaseException:
            self._end()
            raise
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        with self._news:
            self._closed.set()
            self._news.notify_all()
        for thread in self._threads:
            while thread.is_alive():
                self.worker.kill()  # again if it has just been started
                thread.join(0.1)
        self._end()

    def receive(self, client: str, name: str) -> Job:
        """Return a job whose clip is about to be sent; `enqueue` or `remove` it.

        Raises:
            Busy: too many jobs wait, in all or from this client.
        """
        with self._news:
            unfinished = [job for job in self._jobs.values() if not job.state.ended]
            if len(unfinished) >= self.limits.jobs_waiting:
                raise Busy("too many clips are waiting; try again in a few minutes")
            if sum(job.client == client for job in unfinished) >= self.limits.jobs_of_client:
                raise Busy("your other clips are still waiting; send this one when one is done")
            job_id = secrets.token_urlsafe(16)
            folder = self._scratch / job_id
            folder.mkdir()
            job = self._jobs[job_id] = Job(job_id, client, name, folder)
            return job

    def enqueue(self, job: Job) -> None:
        """Queue a job, whose clip is in its folder."""
        with self._news:
            if not job.removed:
                job.change(state=State.WAITING)
                self._queue.put(job.client, job)
                self._news.notify_all()

    def find(self, job_id: str) -> Job | None:
        """Return the job of that ID, if there is one."""
        with self._news:
            return self._jobs.get(job_id)

    def remove(self, job: Job) -> None:
        """Forget a job and its files; if the worker is working on it, the worker is killed."""
        with self._news:
            job.change(removed=True)
            self._jobs.pop(job.id, None)
            self._queue.remove(job)
            if self._current is job:
                self.worker.kill()  # and `_work` removes the folder after the worker's death
                return
        shutil.rmtree(job.folder, ignore_errors=True)

    def describe(self, job: Job) -> JobView:
        """Return what its visitor may know."""
        with self._news:
            return JobView(
                id=job.id,
                name=job.name,
                state=job.state.value,
                version=job.version * 1000 + self._ahead_of(job),
                ahead=self._ahead_of(job),
                stage=job.stage,
                progress=job.progress,
                error=job.error,
                result=job.result,
                files=list(FILES) if job.state is State.DONE else [],
            )

    def _ahead_of(self, job: Job) -> int:
        """Return how many jobs come before one that waits."""
        if job.state is not State.WAITING or job.removed:
            return 0
        return list(self._queue).index(job) + (self._current is not None)

    def _work(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._closed.is_set() or len(self._queue))
                if self._closed.is_set():
                    return
                job = self._current = self._queue.pop()
                job.change(state=State.WORKING, stage="Starting")
            outcome = self._outcome(job)
            with self._news:
                job.change(**outcome)
                self._tidy(job)
                self._current = None

    def _outcome(self, job: Job) -> dict[str, Any]:
        """Work on a job; return how it ends."""

        def on_news(news: dict[str, Any]) -> None:
            with self._news:
                job.change(stage=str(news["stage"]), progress=float(news["progress"]))

        try:
            if self.worker.pid is None:
                self._start_worker()
            if job.removed:
                raise WorkerDied("its visitor has removed it")
            result = self.worker.run(
                {
                    "folder": str(job.folder),
                    "name": job.name,
                    "max_seconds": self.limits.video_seconds,
                    "work_seconds": self.limits.work_seconds,
                    "work_bytes": self.limits.work_bytes,
                },
                seconds=self.limits.work_seconds,
                on_news=on_news,
            )
            return {"state": State.DONE, "progress": 1.0, "stage": "", "result": result}
        except StresnetError as error:
            reason = {"problem": error.problem, "remedy": error.remedy}
        except Exception:  # nonsense from the worker must not end this thread
            logger.exception("the worker's answer cannot be understood")
            self.worker.kill()
            reason = {
                "problem": "the process that worked on it could not be understood",
                "remedy": "try again",
            }
        return {"state": State.FAILED, "error": reason}

    def _start_worker(self) -> None:
        if self._closed.is_set():
            raise WorkerDied("the server is about to end")
        try:
            ready = self.worker.start()
        except StresnetError as error:
            if self._model is None or isinstance(error, WorkerDied):
                raise
            logger.error(f"the model cannot be loaded again: {error}")
            raise _NO_MODEL from error  # without the server's paths
        if self._model not in (None, ready):
            self.worker.kill()
            logger.error("the model was changed on disk; start the server again")
            raise _NO_MODEL
        self._model = ready
        self.class_names = tuple(ready["classes"])

    def _tidy(self, job: Job) -> None:
        """Keep what its visitor may fetch, and nothing of a job that failed or was removed."""
        if job.removed or job.state is State.FAILED:
            shutil.rmtree(job.folder, ignore_errors=True)
            return
        for path in job.folder.iterdir():
            if path.name not in FILES:
                path.unlink()

    def _clear(self) -> None:
        """Remove jobs whose time is over."""
        while not self._closed.wait(min(CLEARING_SECONDS, self.limits.keep_seconds)):
            oldest = time.monotonic() - self.limits.keep_seconds
            with self._news:
                ended = [job for job in self._jobs.values() if job.state.ended]
            for job in ended:
                if job.ended_at < oldest:
                    self.remove(job)

    def _end(self) -> None:
        self.worker.close()
        shutil.rmtree(self._scratch, ignore_errors=True)


Item = TypeVar("Item")


class FairQueue(Generic[Item]):
    """Round robin over clients, first come first served within one. Not thread-safe."""

    def __init__(self) -> None:
        self._lines: dict[str, deque[Item]] = {}  # in the order of the next turns; none is empty

    def __iter__(self) -> Iterator[Item]:
        """Yield all items in the order in which they are served, if no more come."""
        for turn in zip_longest(*self._lines.values()):
            yield from (item for item in turn if item is not None)

    def __len__(self) -> int:
        return sum(map(len, self._lines.values()))

    def put(self, client: str, item: Item) -> None:
        self._lines.setdefault(client, deque()).append(item)

    def pop(self) -> Item:
        """Return the next item; its client goes behind all others.

        Raises:
            IndexError: nothing waits.
        """
        if not self._lines:
            raise IndexError("nothing waits")
        client = next(iter(self._lines))
        line = self._lines.pop(client)
        item = line.popleft()
        if line:
            self._lines[client] = line
        return item

    def remove(self, item: Item) -> None:
        """Take an item out, if it is there."""
        for client, line in list(self._lines.items()):
            if item in line:
                line.remove(item)
            if not line:
                del self._lines[client]
