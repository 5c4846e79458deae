"""The page and its few addresses.

`POST /api/jobs` takes the bytes of a recording, `GET /api/jobs/ID` says how far it is, `GET /api/jobs/ID/files/NAME`
gives what was made of it, `DELETE /api/jobs/ID` forgets it. All of it is for the page alone: requests need a header
that other sites can't send, and the name of this host.
"""

import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from audiobuff_core.errors import AudioBuffError, InvalidConfig
from audiobuff_core.inference.settings import PRESETS, RestoreSettings
from audiobuff_core.web.jobs import Job, JobQueue, QueueFull
from audiobuff_core.web.limits import Limits
from audiobuff_core.web.uploads import check_length, receive, safe_name, upload_path

# A page elsewhere can't send this with a request to us without asking, and we do not answer.
OUR_HEADER: Final = "x-audiobuff"
SECURITY_HEADERS: Final = {
    "Content-Security-Policy": "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
DOWNLOADS: Final = {
    "restored": "{stem} restored{suffix}",
    "removed": "{stem} removed.wav",
    "report": "{stem} restored.json",
}


def make_app(queue: JobQueue, limits: Limits, model_in_words: str, hosts: Sequence[str]) -> Starlette:
    """The application.

    Args:
        queue: takes the work; closed when the server ends.
        limits: of a recording.
        model_in_words: for the foot of the page.
        hosts: names under which it may be asked; `*` for any.
    """
    pages = _Pages(queue, limits, model_in_words)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await run_in_threadpool(queue.close)

    routes = [
        Route("/", pages.page),
        Route("/page.js", pages.script),
        Route("/api/jobs", _answering(pages.start), methods=["POST"]),
        Route("/api/jobs/{id}", _answering(pages.tell)),
        Route("/api/jobs/{id}", _answering(pages.forget), methods=["DELETE"]),
        Route("/api/jobs/{id}/files/{name}", pages.give),
    ]
    return Starlette(
        routes=routes,
        middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=list(hosts))],
        lifespan=lifespan,
    )


def _answering(answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """`answer` for our page alone, with errors as JSON of one line."""

    async def answered(request: Request) -> Response:
        if OUR_HEADER not in request.headers:
            return _error(403, "This address is for the page alone: open / in a browser")
        try:
            response: Response = await answer(request)
        except QueueFull as error:
            return _error(503, str(error))
        except AudioBuffError as error:
            return _error(400, " ".join(str(error).split()))
        return response

    return answered


def _error(status: int, message: str) -> Response:
    return JSONResponse({"error": message}, status, SECURITY_HEADERS)


class _Pages:
    """What is answered at each address."""

    def __init__(self, queue: JobQueue, limits: Limits, model_in_words: str) -> None:
        self.queue, self.limits, self.model_in_words = queue, limits, model_in_words

    async def page(self, _: Request) -> Response:
        return HTMLResponse(_html(self.limits, self.model_in_words), headers=SECURITY_HEADERS)

    async def script(self, _: Request) -> Response:
        return Response(_script(), media_type="text/javascript", headers=SECURITY_HEADERS)

    async def start(self, request: Request) -> Response:
        """Take an upload, look whether it is a recording, and put it into the queue."""
        name = safe_name(request.query_params.get("name", ""))
        settings = settings_of(request.query_params.get("preset"), request.query_params.get("strength"))
        folder = await run_in_threadpool(self.queue.new_folder)
        job = Job(name, upload_path(folder, name), settings)
        try:
            await receive(request.stream(), job.upload, name, self.limits)
            await run_in_threadpool(check_length, job.upload, name, self.limits)
        except (AudioBuffError, ClientDisconnect, OSError) as error:
            await run_in_threadpool(self.queue.delete, job)
            if isinstance(error, ClientDisconnect):
                return _error(400, "The upload was broken off")
            if isinstance(error, AudioBuffError):
                raise InvalidConfig(str(error).replace(str(job.upload), name)) from error
            return _error(507, "The server has no space left for this recording: try again later")
        self.queue.submit(job)
        return JSONResponse({"id": job.id}, 202, SECURITY_HEADERS)

    async def tell(self, request: Request) -> Response:
        job = self._job(request)
        if job is None:
            return _gone()
        facts = {
            "state": job.state,
            "share": round(job.share, 3),
            "ahead": self.queue.ahead_of(job),
            "message": job.message,
            "result": job.result if job.state == "done" else None,
        }
        return JSONResponse(facts, headers=SECURITY_HEADERS)

    async def forget(self, request: Request) -> Response:
        job = self._job(request)
        if job is not None:
            await run_in_threadpool(self.queue.delete, job)
        return Response(status_code=204, headers=SECURITY_HEADERS)

    async def give(self, request: Request) -> Response:
        job, name = self._job(request), request.path_params["name"]
        place = None if job is None or job.state != "done" else job.files.get(name)
        if job is None or place is None or not place.is_file():
            return _gone()
        if name not in DOWNLOADS:
            return FileResponse(place, headers=SECURITY_HEADERS)
        told = Path(job.name)
        called = DOWNLOADS[name].format(stem=told.stem, suffix=told.suffix)
        return FileResponse(place, filename=called, headers=SECURITY_HEADERS)

    def _job(self, request: Request) -> Job | None:
        return self.queue.find(request.path_params["id"])


def _gone() -> Response:
    return _error(404, "This recording is not here any more: results are kept for a while only. Send it again.")


def settings_of(preset: str | None, strength: str | None) -> RestoreSettings:
    """The settings that a request asks for.

    Raises:
        InvalidConfig: they make no sense.
    """
    try:
        share = float(strength) if strength else 1.0
    except ValueError as error:
        raise InvalidConfig(f"strength {strength!r}: expected a number from 0 to 1") from error
    if preset not in (None, *PRESETS):
        raise InvalidConfig(f"preset {preset!r}: expected one of {', '.join(PRESETS)}")
    return RestoreSettings(preset=preset or "balanced", strength=share)  # type: ignore[arg-type]


@cache
def _script() -> str:
    return (files("audiobuff_core.web") / "static" / "page.js").read_text("utf-8")


def _html(limits: Limits, model_in_words: str) -> str:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    from audiobuff_core.evaluation.figures import tick_positions

    folders = [PackageLoader("audiobuff_core", f"{package}/templates") for package in ("web", "evaluation")]
    environment = Environment(loader=ChoiceLoader(folders), undefined=StrictUndefined, autoescape=True)
    return environment.get_template("page.html").render(
        limits=limits,
        model=model_in_words,
        ticks=tick_positions(),
        script_version=hashlib.sha256(_script().encode()).hexdigest()[:8],
    )
