"""The routes: the page, and the interface for programs that the page itself uses."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import time
from collections.abc import Collection
from dataclasses import dataclass
from importlib.resources import files
from itertools import zip_longest
from pathlib import Path

from fastapi import FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.requests import ClientDisconnect

from stresnet.files import ASSETS
from stresnet.web.guard import Guard
from stresnet.web.job import FILES, UPLOAD, Job, JobView, Limits
from stresnet.web.queue_service import Busy, Service

CLIENT = "stresnet-client"  # a cookie with a random name, for fair turns only
LONGEST_WAIT = 25.0  # seconds that an answer may be held back until the job changes
LOOK = 0.1  # seconds between two looks at it
REFUSALS: dict[int | str, str] = {
    400: "No clip came, or it broke off.",
    408: "Sending took too long.",
    413: "The file is too large.",
    415: "A form came instead of the file itself.",
    429: "Too many clips are waiting.",
    507: "The server's disk is full.",
}
DESCRIPTION = (
    "Send a clip, wait for its turn, fetch what happens in it and when. Answers are JSON; an error "
    "is a sentence in `detail`, or in the job's `error`."
)


@dataclass(frozen=True)
class Example:
    """A clip that ships, to try, and its true class."""

    name: str
    label: str


@dataclass(frozen=True)
class About:
    """What this server knows and allows."""

    classes: list[str]
    examples: list[Example]
    upload_bytes: int
    video_seconds: float
    keep_seconds: float


def make_app(service: Service, *, names: Collection[str] = ()) -> FastAPI:
    """Return the app around a service that is entered.

    Args:
        names: host names, without ports, that the server is called by in addition to "localhost".
    """
    # FastAPI's own pages load scripts from elsewhere; /api is ours.
    app = FastAPI(
        title="stresnet",
        description=DESCRIPTION,
        docs_url=None,
        redoc_url=None,
        responses={422: {"description": "A value in the query has the wrong type."}},
    )
    app.add_middleware(Guard, names=names)
    app.add_exception_handler(RequestValidationError, _in_a_sentence)
    _add_jobs(app, service)
    _add_pages(app)
    return app


def _in_a_sentence(request: Request, error: Exception) -> JSONResponse:
    """Answer a wrong query like every other error."""
    assert isinstance(error, RequestValidationError)
    wrong = "; ".join(f"{each['loc'][-1]}: {each['msg']}" for each in error.errors())
    return JSONResponse({"detail": wrong}, 422)


def example_clips() -> dict[str, Path]:
    """Return the clips that ship, by name; the classes take turns."""
    folders = sorted(path for path in (ASSETS / "clips").iterdir() if path.is_dir())
    classes = [sorted(path.glob("*.mp4")) for path in folders]
    return {path.name: path for turn in zip_longest(*classes) for path in turn if path}


def _add_pages(app: FastAPI) -> None:
    static = Path(str(files("stresnet.web") / "static"))

    @app.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
    def page(request: Request) -> FileResponse:
        response = FileResponse(static / "index.html")
        if CLIENT not in request.cookies:
            response.set_cookie(CLIENT, secrets.token_urlsafe(12), httponly=True, samesite="strict")
        return response

    @app.api_route("/api", methods=["GET", "HEAD"], include_in_schema=False)
    def interface() -> FileResponse:
        return FileResponse(static / "api.html")

    app.mount("/", StaticFiles(directory=static))


def _add_jobs(app: FastAPI, service: Service) -> None:
    def receive(request: Request, name: str) -> Job:
        address = request.client.host if request.client else ""
        client = f"{address} {request.cookies.get(CLIENT, '')[:64]}"
        try:
            return service.receive(client, shown_name(name))
        except Busy as error:
            raise HTTPException(429, str(error)) from error

    def found(job_id: str) -> Job:
        if (job := service.find(job_id)) is None:
            raise HTTPException(404, "no such job, or it has been removed")
        return job

    @app.get("/api/about", summary="What this server knows and allows")
    def about() -> About:
        clips = example_clips().items()
        return About(
            classes=list(service.class_names),
            examples=[Example(name=name, label=clip.parent.name) for name, clip in clips],
            upload_bytes=service.limits.upload_bytes,
            video_seconds=service.limits.video_seconds,
            keep_seconds=service.limits.keep_seconds,
        )

    @app.post(
        "/api/jobs",
        status_code=201,
        summary="Send a clip: the file is the request's body",
        responses={code: {"description": reason} for code, reason in REFUSALS.items()},
        openapi_extra={
            "requestBody": {
                "required": True,
                "content": {"video/*": {"schema": {"type": "string", "format": "binary"}}},
            }
        },
    )
    async def send(
        request: Request, name: str = Query("clip", description="What to call the clip.")
    ) -> JobView:
        job = receive(request, name)
        try:
            await save_upload(request, job.folder / UPLOAD, service.limits)
        except BaseException:
            service.remove(job)
            raise
        service.enqueue(job)
        return service.describe(job)

    @app.post("/api/examples/{name}", status_code=201, summary="Try a clip that ships")
    def send_example(request: Request, name: str) -> JobView:
        if (clip := example_clips().get(name)) is None:
            raise HTTPException(404, "no such example")
        job = receive(request, name)
        shutil.copyfile(clip, job.folder / UPLOAD)
        service.enqueue(job)
        return service.describe(job)

    @app.get("/api/jobs/{job_id}", summary="The state of a job, and its result")
    async def state(
        job_id: str,
        after: int = Query(-1, description="Hold the answer back until `version` differs."),
    ) -> JobView:
        job = found(job_id)
        until = time.monotonic() + LONGEST_WAIT
        while service.describe(job).version == after and time.monotonic() < until:
            await asyncio.sleep(LOOK)
        return service.describe(job)

    @app.delete("/api/jobs/{job_id}", status_code=204, summary="End a job, and delete its files")
    def remove(job_id: str) -> Response:
        service.remove(found(job_id))
        return Response(status_code=204)

    @app.get(
        "/api/jobs/{job_id}/files/{name}",
        summary="A file of a job that is done",
        response_class=FileResponse,
    )
    def file(
        job_id: str,
        name: str,
        download: bool = Query(False, description="To save it instead of showing it."),
    ) -> FileResponse:
        job = found(job_id)
        if name not in service.describe(job).files:
            raise HTTPException(404, "no such file, or the job is not done")
        saved_as = f"{Path(job.name).stem}-{name}" if download else None
        return FileResponse(job.folder / name, media_type=FILES[name], filename=saved_as)


LONGEST_NAME = 80  # characters


async def save_upload(request: Request, path: Path, limits: Limits) -> None:
    """Write the body to `path`.

    Raises:
        HTTPException: 400 empty or broken off, 408 too slow, 413 too large, 415 a form,
            507 the disk is full.
    """
    if request.headers.get("content-type", "").startswith("multipart/"):
        raise HTTPException(415, "send the file itself as the body, not a form: curl -T clip.mp4")
    too_large = f"larger than the {limits.upload_bytes / 1e6:g} MB that are allowed here"
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > limits.upload_bytes:
        raise HTTPException(413, too_large)
    size = 0
    try:
        async with asyncio.timeout(limits.upload_seconds):
            with path.open("wb") as file:
                async for part in request.stream():
                    size += len(part)
                    if size > limits.upload_bytes:
                        raise HTTPException(413, too_large)
                    await asyncio.to_thread(file.write, part)
    except TimeoutError as error:
        raise HTTPException(408, "sending the clip took too long") from error
    except ClientDisconnect as error:
        raise HTTPException(400, "the clip broke off") from error
    except OSError as error:
        raise HTTPException(507, f"the server cannot keep the clip ({error.strerror})") from error
    if not size:
        raise HTTPException(400, "no clip came: the request's body is empty")


def shown_name(name: str) -> str:
    """Make a visitor's name for a clip fit to be shown: its last part, printable, not too long."""
    last = name.replace("\\", "/").rstrip("/").rpartition("/")[2]
    clean = "".join(c for c in last if c.isprintable()).strip()
    return clean[:LONGEST_NAME] or "clip"
