"""The page as a hostile client sees it: the table of docs/reliability.md, a test for each row.

The server is a real one (uvicorn on a socket of its own); its worker only plays its part.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

pytest.importorskip("uvicorn")
pytest.importorskip("fastapi")

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from faking_worker import FAKE, fake_service, sent, wait_for
from stresnet.web.app import make_app
from stresnet.web.guard import Connections
from stresnet.web.job import Limits
from stresnet.web.queue_service import Service

LIMITS = Limits(upload_bytes=1000, upload_seconds=1.0, jobs_waiting=6, jobs_of_client=6)
MOST = 50  # connections
HEAD_SECONDS = 1.0


@pytest.fixture
def service() -> Iterator[Service]:
    with pytest.MonkeyPatch.context() as patch, fake_service(patch, limits=LIMITS) as service:
        yield service


@pytest.fixture
def server(service: Service) -> Iterator[tuple[str, int]]:
    """The address of a server that runs in a thread."""
    connections = Connections(make_app(service), most=MOST, head_seconds=HEAD_SECONDS)
    http = connections.protocol(H11Protocol)
    config = uvicorn.Config(connections, http=http, ws="none", log_level="error")  # type: ignore[arg-type]
    config.timeout_graceful_shutdown = 1
    running = uvicorn.Server(config)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]})
        thread.start()
        wait_for(lambda: running.started)
        yield listening.getsockname()
        running.should_exit = True
        thread.join(10)


def asked(server: tuple[str, int], request: bytes, *, seconds: float = 5.0) -> bytes:
    """The answer to raw bytes, up to the end of the connection or of the time."""
    answer = b""
    with socket.create_connection(server, timeout=seconds) as connection:
        connection.sendall(request)
        try:
            while part := connection.recv(65536):
                answer += part
        except (TimeoutError, ConnectionError):
            pass
    return answer


def get(path: str, *headers: str, method: str = "GET", body: bytes = b"") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


def status(answer: bytes) -> int:
    return int(answer.split()[1]) if answer else 0


def is_well(server: tuple[str, int]) -> bool:
    return status(asked(server, get("/api/about"))) == 200


def test_a_thousand_connections_that_say_nothing(server: tuple[str, int]) -> None:
    with ExitStack() as stack:
        for _ in range(20 * MOST):
            idle = stack.enter_context(closing(socket.socket()))
            idle.setblocking(False)
            idle.connect_ex(server)
        wait_for(lambda: is_well(server), seconds=5 * HEAD_SECONDS + 5)


def test_a_head_that_comes_letter_by_letter(server: tuple[str, int]) -> None:
    began = time.monotonic()
    with socket.create_connection(server, timeout=10) as slow, pytest.raises(OSError):
        for letter in b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Long: " + 1000 * b"a":
            slow.sendall(bytes([letter]))
            time.sleep(0.05)
    assert time.monotonic() - began < HEAD_SECONDS + 5


def test_a_second_request_that_never_comes(server: tuple[str, int]) -> None:
    with socket.create_connection(server, timeout=10) as kept:
        kept.sendall(get("/api/about").replace(b"Connection: close\r\n", b"") + b"G")
        began, answer = time.monotonic(), b""
        try:
            while part := kept.recv(65536):
                answer += part
        except ConnectionError:
            pass
        assert status(answer) == 200 and time.monotonic() - began < HEAD_SECONDS + 5


def test_a_clip_that_comes_too_slowly(server: tuple[str, int], service: Service) -> None:
    request = get("/api/jobs", "Content-Length: 100", method="POST") + b"a"
    assert status(asked(server, request)) == 408
    assert service.receive("me", "still possible")


@pytest.mark.parametrize(
    ("length", "body", "answer"),
    [
        ("Content-Length: 5000", b"a", 413),  # said to be too large
        ("Transfer-Encoding: chunked", b"7D0\r\n" + 2000 * b"a" + b"\r\n0\r\n\r\n", 413),
        ("Content-Length: 0", b"", 400),
        ("Content-Length: -1", b"a", 400),
        ("Content-Length: 1e9", b"a", 400),
        ("Content-Length: 3\r\nContent-Length: 4", b"abcd", 400),
        ("Content-Length: 3\r\nTransfer-Encoding: chunked", b"0\r\n\r\n", 400),
        ("Content-Type: multipart/form-data; boundary=x\r\nContent-Length: 1", b"a", 415),
    ],
)
def test_wrong_lengths(
    server: tuple[str, int], service: Service, length: str, body: bytes, answer: int
) -> None:
    assert status(asked(server, get("/api/jobs", length, method="POST", body=body))) == answer
    for _ in range(LIMITS.jobs_waiting):
        service.receive("me", "nothing is left of it")


def test_a_head_without_end(server: tuple[str, int]) -> None:
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\nX: " + 500_000 * b"a"
    assert status(asked(server, head)) in (0, 400, 431)
    assert is_well(server)


@pytest.mark.parametrize(
    "path",
    [
        *("/../etc/passwd", "/..%2f..%2fetc/passwd", "/%2e%2e/app.py", "//etc/passwd"),
        *("/static/../app.py", "/index.html/..", "/app.js%00.html", "/api/examples/..%2f..%2fa"),
        *("/api/jobs/..%2f..%2fx", "/api/jobs/x/files/..%2fupload", "/\\..\\..\\windows"),
    ],
)
def test_path_tricks(server: tuple[str, int], path: str) -> None:
    for method in ("GET", "POST"):
        answer = asked(server, get(path, "Content-Length: 0", method=method))
        assert status(answer) in (400, 404, 405)
        assert b"root:" not in answer and b"import" not in answer


def test_ranges_without_end(server: tuple[str, int], service: Service) -> None:
    job = sent(service, "fine")
    wait_for(lambda: job.state.ended)
    path = f"/api/jobs/{job.id}/files/video.mp4"
    assert status(asked(server, get(path, "Range: bytes=1-2"))) == 206
    for ranges in ("0-," * 5000 + "0-", "9-1", "99999999999999999999-", "-0", "a-b", "1-2-3"):
        began = time.monotonic()
        answer = asked(server, get(path, f"Range: bytes={ranges}"))
        assert status(answer) in (200, 206, 400, 416) and time.monotonic() - began < 5
        assert len(answer) < 100_000


@pytest.mark.parametrize(
    "header",
    [
        *("Host: evil.example", "Host: localhost.evil.example", "Host: "),  # DNS rebinding
        *("Host: localhost\r\nHost: evil.example",),
    ],
)
def test_another_name(server: tuple[str, int], header: str) -> None:
    request = get("/api/about").replace(b"Host: localhost", header.encode())
    assert status(asked(server, request)) in (400, 403)


@pytest.mark.parametrize(
    "told",
    [
        *(f"Origin: {origin}" for origin in ("https://evil.example", "null", "http://localhost:1")),
        *(f"Sec-Fetch-Site: {site}" for site in ("cross-site", "same-site")),
        "Origin: x",
    ],
)
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_another_page(server: tuple[str, int], told: str, method: str) -> None:
    request = get("/api/jobs", told, "Content-Length: 1", method=method, body=b"a")
    assert status(asked(server, request)) == 403


def test_results_cannot_be_guessed_or_listed(server: tuple[str, int], service: Service) -> None:
    job = sent(service, "fine")
    assert len(job.id) >= 22  # 128 bits
    for guess in ("", "/", "/0", f"/{job.id[:-1]}", f"/{job.id}x", "/%00", "/*"):
        assert status(asked(server, get(f"/api/jobs{guess}"))) in (404, 405, 307, 403)


def test_a_compressed_body_is_not_unpacked(server: tuple[str, int], service: Service) -> None:
    request = get("/api/jobs", "Content-Encoding: gzip", "Content-Length: 4", method="POST")
    answer = asked(server, request + b"\x1f\x8bab")
    assert status(answer) == 201  # and is no video, says the worker


def test_who_fills_the_queue_is_refused(server: tuple[str, int]) -> None:
    request = get("/api/jobs", "Content-Length: 4", method="POST", body=b"long")
    answers = [status(asked(server, request)) for _ in range(LIMITS.jobs_waiting + 2)]
    assert answers.count(201) == LIMITS.jobs_waiting and answers[-1] == 429


CHANGED = FAKE.replace(
    'tell(ready={"classes": ["falls", "rises"]})',
    """
marker = pathlib.Path(sys.argv[0])
tell(ready={"classes": ["falls", "rises"], "model": "b" if marker.exists() else "a"})
marker.touch()
""",
)


def test_a_model_that_is_changed_underneath(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    script = CHANGED.replace("sys.argv[0]", repr(str(tmp_path / "changed")))
    with fake_service(monkeypatch, script=script) as service:
        killed = sent(service, "killed")
        wait_for(lambda: killed.state.ended)
        job = sent(service, "fine")
        wait_for(lambda: job.state.ended)
        assert job.error is not None and "has changed" in job.error["problem"]
    assert "start the server again" in caplog.text


def test_a_model_that_is_gone_tells_visitors_no_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gone = 'tell(error={"kind": "WeightsError", "problem": "/secret: no such file", "remedy": ""})'
    first = f"pathlib.Path({str(tmp_path / 'gone')!r})"
    script = FAKE.replace(
        'tell(ready={"classes": ["falls", "rises"]})',
        f"if {first}.exists(): {gone}; sys.exit()\n"
        f"{first}.touch()\ntell(ready={{'classes': ['a']}})",
    )
    with fake_service(monkeypatch, script=script) as service:
        killed = sent(service, "killed")
        wait_for(lambda: killed.state.ended)
        job = sent(service, "fine")
        wait_for(lambda: job.state.ended)
        assert job.error is not None and "secret" not in str(job.error)
    assert "/secret" in caplog.text
