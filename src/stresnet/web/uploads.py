"""A request's body -> a file, within limits that hold while it comes in."""

from __future__ import annotations

import asyncio
from pathlib import Path

from fastapi import HTTPException, Request
from starlette.requests import ClientDisconnect

from stresnet.web.job import Limits

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
