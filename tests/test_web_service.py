"""Jobs: their turns, their ends, and that nothing of them stays."""

from __future__ import annotations

from dataclasses import fields

import pytest

from faking_worker import REFUSING, ended, fake_service, sent, wait_for
from stresnet.errors import UsageError, WeightsError
from stresnet.web.job import Limits, State
from stresnet.web.queue_service import Busy


def test_a_clip_is_done_and_only_what_may_be_fetched_is_kept(monkeypatch):
    with fake_service(monkeypatch) as service:
        assert service.class_names == ("falls", "rises")
        job = sent(service, "fine")
        said = ended(service, job)
        assert said["state"] == "done" and said["result"] == {"said": "fine"}
        wait_for(lambda: {p.name for p in job.folder.iterdir()} == {"video.mp4", "result.json"})
        scratch = job.folder.parent
        assert scratch.stat().st_mode & 0o077 == 0  # nobody else may look
    assert not scratch.exists()


def test_a_bad_clip_gets_a_sentence_and_its_files_go(monkeypatch):
    with fake_service(monkeypatch) as service:
        job = sent(service, "damaged")
        assert ended(service, job)["error"] == {"problem": "no video", "remedy": "send one"}
        wait_for(lambda: not job.folder.exists())


def test_a_killed_worker_costs_one_job_and_the_next_is_done(monkeypatch):
    with fake_service(monkeypatch) as service:
        killed, after = sent(service, "killed"), sent(service, "fine")
        assert (
            "ended unexpectedly (killed by SIGKILL)" in ended(service, killed)["error"]["problem"]
        )
        assert ended(service, after)["state"] == "done"


def test_a_worker_killed_while_it_waits_is_not_noticed_by_anyone(monkeypatch):
    with fake_service(monkeypatch) as service:
        service.worker.kill()
        assert ended(service, sent(service, "fine"))["state"] == "done"


def test_a_worker_that_talks_nonsense_is_replaced(monkeypatch, caplog):
    with fake_service(monkeypatch) as service:
        before = service.worker.pid
        assert "understood" in ended(service, sent(service, "nonsense"))["error"]["problem"]
        assert ended(service, sent(service, "fine"))["state"] == "done"
        assert service.worker.pid != before
    assert "Traceback" in caplog.text


def test_what_takes_too_long_is_stopped(monkeypatch):
    with fake_service(monkeypatch, limits=Limits(work_seconds=0.2)) as service:
        assert (
            "longer than 0.2 seconds" in ended(service, sent(service, "long"))["error"]["problem"]
        )


def test_a_removed_job_is_ended_and_forgotten_and_the_next_has_its_turn(monkeypatch):
    with fake_service(monkeypatch) as service:
        worked_on, waiting, after = (sent(service, clip) for clip in ("long", "fine", "fine"))
        wait_for(lambda: (worked_on.folder / "scratch").exists())
        assert [service.describe(job).ahead for job in (worked_on, waiting, after)] == [0, 1, 2]
        service.remove(waiting)
        service.remove(worked_on)
        assert ended(service, after)["state"] == "done"
        assert service.find(waiting.id) is None and service.find(worked_on.id) is None
        assert not waiting.folder.exists()
        wait_for(lambda: not worked_on.folder.exists())
        assert waiting.state is State.WAITING  # it never had its turn


def test_a_queue_that_moves_is_news(monkeypatch):
    with fake_service(monkeypatch) as service:
        worked_on, first, second = (sent(service, clip) for clip in ("long", "long", "long"))
        wait_for(lambda: worked_on.state is State.WORKING)
        before = service.describe(second).version
        service.remove(first)
        assert service.describe(second).version != before


def test_no_more_are_taken_than_can_wait(monkeypatch):
    limits = Limits(jobs_waiting=3, jobs_of_client=2)
    with fake_service(monkeypatch, limits=limits) as service:
        sent(service, "long")
        kept = service.receive("me", "sending")  # counts while it is being sent
        with pytest.raises(Busy, match="your other clips"):
            service.receive("me", "third")
        sent(service, "long", client="you")
        with pytest.raises(Busy, match="too many clips"):
            service.receive("they", "fourth")
        service.remove(kept)
        service.receive("they", "fourth")


def test_finished_jobs_are_forgotten_after_a_while(monkeypatch):
    with fake_service(monkeypatch, limits=Limits(keep_seconds=0.1)) as service:
        job = sent(service, "fine")
        wait_for(lambda: service.find(job.id) is None and not job.folder.exists())


def test_leaving_in_the_middle_of_work_leaves_nothing(monkeypatch):
    with fake_service(monkeypatch) as service:
        job = sent(service, "long")
        wait_for(lambda: (job.folder / "scratch").exists())
        pid = service.worker.pid
    assert pid is not None and service.worker.pid is None
    assert not job.folder.parent.exists()


def test_a_model_that_cannot_be_used_is_told_at_once(monkeypatch):
    with (
        pytest.raises(WeightsError, match="no model"),
        fake_service(monkeypatch, script=REFUSING) as service,
    ):
        pytest.fail(f"entered {service}")


@pytest.mark.parametrize("name", [field.name for field in fields(Limits)])
def test_limits_are_above_zero(name):
    with pytest.raises(UsageError, match=name):
        Limits(**{name: 0})
