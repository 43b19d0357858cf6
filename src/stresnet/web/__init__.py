"""A web page, and an interface for programs, that recognise clips.

    browser, curl ──HTTP──> app ──> service ──JSON lines──> worker process (model, decoder, flow)
                             │       └ a fair queue, one clip at a time
                             └ guard: who may ask, and what a browser may load

The server never decodes a video and never imports torch: a forged file or a lack of memory kills
only the worker, and that costs one job.

>>> from stresnet.web import Limits, serve
>>> serve(Path("model-folder"), port=8000, limits=Limits(video_seconds=30))

Needs FastAPI and uvicorn: `pip install 'stresnet[web]'`.
"""

from stresnet.web.job import Limits
from stresnet.web.server import serve

__all__ = ["Limits", "serve"]
