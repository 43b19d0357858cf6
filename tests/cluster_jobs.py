"""What tests/test_cluster.py runs on a cluster: importable where tests are not."""

import os
import signal
import time
from pathlib import Path

from stresnet.errors import VideoError
from stresnet.jobs import Done


def behave(job: str) -> str:
    """Do what the job says."""
    if job == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if job == "raise":
        raise VideoError("four", remedy="five")
    if job == "crash":
        raise ZeroDivisionError("nought")
    return job.upper()


def take_the_worker_along(job: Path) -> Done:
    """Kill the Ray worker, once or each time."""
    if job.name == "always" or not job.exists():
        job.touch()
        os.kill(os.getppid(), signal.SIGKILL)
        time.sleep(30)
    return Done(value=os.getpid())


def wait_and_tell(job: Path) -> Done:
    """Say that the job runs, then take two seconds."""
    job.touch()
    time.sleep(2)
    return Done(value=os.environ.get("CUDA_VISIBLE_DEVICES"))
