"""The interface for programs, and who may use it."""

from __future__ import annotations

import re
from importlib.resources import files

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("httpx")

from fastapi.testclient import TestClient

from faking_worker import ended, fake_service, sent, wait_for
from stresnet.web.app import make_app, shown_name
from stresnet.web.job import Limits

HERE = "http://localhost:8000"


@pytest.fixture
def service(monkeypatch):
    limits = Limits(upload_bytes=1000, jobs_of_client=2)
    with fake_service(monkeypatch, limits=limits) as service:
        yield service


@pytest.fixture
def client(service):
    return TestClient(make_app(service), base_url=HERE)


def send(client: TestClient, clip: str, **options):
    return client.post("/api/jobs?name=my.mp4", content=clip.encode(), **options)


def test_a_clip_is_sent_waited_for_fetched_and_forgotten(client):
    answer = send(client, "fine")
    assert answer.status_code == 201
    job = answer.json()
    assert job["name"] == "my.mp4"
    while job["state"] not in ("done", "failed"):
        job = client.get(f"/api/jobs/{job['id']}?after={job['version']}").json()
    assert job["result"] == {"said": "fine"} and "video.mp4" in job["files"]
    video = client.get(f"/api/jobs/{job['id']}/files/video.mp4")
    assert (video.content, video.headers["content-type"]) == (b"fine", "video/mp4")
    part = client.get(f"/api/jobs/{job['id']}/files/video.mp4", headers={"Range": "bytes=1-2"})
    assert (part.status_code, part.content) == (206, b"in")  # so that a browser can seek
    kept = client.get(f"/api/jobs/{job['id']}/files/result.json?download=true")
    assert 'filename="my-result.json"' in kept.headers["content-disposition"]
    assert client.delete(f"/api/jobs/{job['id']}").status_code == 204
    assert client.get(f"/api/jobs/{job['id']}").status_code == 404


@pytest.mark.parametrize("name", ["upload", "prepared.zip", "..%2Fupload", "%2Fetc%2Fpasswd"])
def test_nothing_but_results_can_be_fetched(client, service, name):
    job = sent(service, "fine")
    ended(service, job)
    assert client.get(f"/api/jobs/{job.id}/files/{name}").status_code == 404


def test_no_file_is_given_out_before_the_job_is_done(client, service):
    job = sent(service, "long")
    assert client.get(f"/api/jobs/{job.id}/files/result.json").status_code == 404


def test_an_answer_is_held_back_until_there_is_news(client, service):
    job = sent(service, "long")
    wait_for(lambda: job.progress == 0.5)
    service.worker.kill()
    said = client.get(f"/api/jobs/{job.id}?after={service.describe(job).version}").json()
    assert said["state"] == "failed" and "ended unexpectedly" in said["error"]["problem"]


def test_a_failed_clip_says_why(client):
    job = send(client, "damaged").json()
    while job["state"] != "failed":
        job = client.get(f"/api/jobs/{job['id']}?after={job['version']}").json()
    assert job["error"] == {"problem": "no video", "remedy": "send one"} and job["files"] == []


def test_too_large_a_clip_is_refused_and_leaves_nothing(client, service):
    assert send(client, "x" * 1001).status_code == 413

    def unannounced():
        yield from (b"x" * 400 for _ in range(3))

    answer = client.post("/api/jobs", content=unannounced())
    assert answer.status_code == 413 and "MB that are allowed here" in answer.json()["detail"]
    assert send(client, "x" * 1000).status_code == 201
    assert len(list(service._scratch.iterdir())) == 1


def test_what_is_no_clip_gets_a_plain_sentence(client, service):
    assert send(client, "").json()["detail"] == "no clip came: the request's body is empty"
    form = client.post("/api/jobs", files={"file": b"fine"})
    assert form.status_code == 415 and "not a form" in form.json()["detail"]
    assert not list(service._scratch.iterdir())


def test_who_sends_too_many_is_told_to_wait(client):
    assert [send(client, "long").status_code for _ in range(3)] == [201, 201, 429]


def test_browsers_with_other_cookies_are_other_clients(client, service):
    first, second = TestClient(client.app, base_url=HERE), TestClient(client.app, base_url=HERE)
    for browser in (first, second):
        browser.get("/")
        assert [send(browser, "long").status_code for _ in range(2)] == [201, 201]


def test_examples_are_there_to_be_tried(client):
    examples = client.get("/api/about").json()["examples"]
    assert {example["label"] for example in examples[:2]} == {"fight", "noFight"}
    with_clip = client.post(f"/api/examples/{examples[0]['name']}")
    assert with_clip.status_code == 201 and with_clip.json()["name"] == examples[0]["name"]
    assert client.post("/api/examples/none.mp4").status_code == 404


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example:8000", "", "127.0.0.1.evil.example"]
)
def test_a_name_that_is_not_ours_is_refused(client, host):
    answer = client.get("/api/about", headers={"Host": host})
    assert answer.status_code == 403 and "not called by that name" in answer.json()["detail"]


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8000", "[::1]:8000", "192.168.0.7", "LAB.example"]
)
def test_our_names_and_any_address_are_answered(service, host):
    client = TestClient(make_app(service, names={"lab.example"}), base_url=HERE)
    assert client.get("/api/about", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    ("origin", "status"),
    [(HERE, 201), ("http://localhost:3000", 403), ("https://evil.example", 403), ("null", 403)],
)
def test_another_page_can_send_nothing(client, origin, status):
    assert send(client, "fine", headers={"Origin": origin}).status_code == status


def test_pages_load_nothing_from_elsewhere_and_run_nothing_inline(client):
    static = {path.name for path in (files("stresnet.web") / "static").iterdir()}
    assert {"index.html", "api.html", "app.js", "style.css", "icon.svg"} <= static
    for name in ("", "api", *static):
        answer = client.get(f"/{name}")
        assert answer.status_code == 200
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy and "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert not re.search(r"""(src|href|import|url\()\s*=?\s*["'(]?(https?:)?//""", answer.text)
        assert not re.search(r"<script(?![^>]*src=)|<style| style=| on\w+=\"", answer.text)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("", "text/html"),
        ("api", "text/html"),
        ("style.css", "text/css"),
        ("app.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ],
)
def test_files_say_what_they_are(client, name, kind):
    """A browser that may not guess (nosniff) runs no script that is called anything else."""
    assert client.get(f"/{name}").headers["content-type"].startswith(kind)


@pytest.mark.parametrize("path", ["app.py", "..%2Fapp.py", "%2e%2e/app.py", "%2Fetc%2Fpasswd"])
def test_no_other_file_is_served(client, path):
    assert client.get(f"/{path}").status_code == 404


@pytest.mark.parametrize("path", ["/", "/api", "/app.js"])
def test_pages_can_be_asked_for_without_their_contents(client, path):
    answer = client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_a_wrong_query_is_told_in_a_sentence(client, service):
    job = sent(service, "fine")
    answer = client.get(f"/api/jobs/{job.id}?after=soon")
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("after: Input should be a valid integer")


def test_the_interface_is_described_and_no_page_is_loaded_from_elsewhere(client):
    described = client.get("/openapi.json").json()
    assert set(described["paths"]) == {
        "/api/about",
        "/api/jobs",
        "/api/examples/{name}",
        "/api/jobs/{job_id}",
        "/api/jobs/{job_id}/files/{name}",
    }
    assert "video/*" in described["paths"]["/api/jobs"]["post"]["requestBody"]["content"]
    assert client.get("/docs").status_code == client.get("/redoc").status_code == 404


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("C:\\films\\my clip.avi", "my clip.avi"),
        ("../../etc/passwd", "passwd"),
        ("a\u202egnp.mp4\n", "agnp.mp4"),
        ("/", "clip"),
        ("x" * 200, "x" * 80),
    ],
)
def test_a_clips_name_is_only_shown(name, shown):
    assert shown_name(name) == shown
