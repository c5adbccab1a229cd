"""The application: routes, and what all of them share."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import Any, cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from headway import __version__
from headway.serve import (
    corrections_routes,
    file_routes,
    health_routes,
    libretranslate_routes,
    openai_routes,
    page_routes,
    predict_routes,
)
from headway.serve.corrections import Corrections
from headway.serve.detection import Detector
from headway.serve.guards import Guards, Keys
from headway.serve.problems import Problem
from headway.serve.service import Service
from headway.serve.strict_route import mistakes_of

ABOUT = "Models that Headway trained or imported. Every answer that is none has the same form: a code, a message, a remedy."
CORRECTIONS = Path("corrections")
HTTP_PROBLEMS = {
    404: ("no_such_page", "there is no such page", "/docs tells all of them"),
    405: ("other_method", "this page has another method", "pages are asked for with GET; of routes /docs tells"),
}
_log = logging.getLogger(__name__)


def build_app(
    service: Service, *, hosts: Collection[str], keys: Collection[str] = (), corrections: Path = CORRECTIONS
) -> FastAPI:
    """
    Args:
        hosts, keys: see `Guards`. corrections: the directory of what people have mended.
    """
    app = FastAPI(
        title="Headway", version=__version__, description=ABOUT, openapi_url=None, docs_url=None, redoc_url=None,
        redirect_slashes=False,
    )  # fmt: skip
    app.state.service, app.state.limits = service, service.limits
    app.state.corrections = Corrections(corrections, service.limits.corrections_bytes)
    app.state.corrections.warn()
    app.state.keys, app.state.detector = Keys(keys), Detector()
    for routes in (
        predict_routes, file_routes, openai_routes, libretranslate_routes, corrections_routes, health_routes, page_routes,
    ):  # fmt: skip
        app.include_router(routes.router)
    for kind, handle in ((Problem, _problem), (RequestValidationError, _mistakes), (HTTPException, _http), (Exception, _fault)):
        app.add_exception_handler(kind, cast(Any, handle))
    app.add_middleware(
        Guards, hosts=hosts, keys=app.state.keys, limits=service.limits, metrics=service.metrics, journal=service.journal
    )
    return app


async def _problem(_: Request, problem: Problem) -> Response:
    return problem.response()


async def _mistakes(_: Request, error: RequestValidationError) -> Response:
    return mistakes_of(list(error.errors())).response()


async def _http(_: Request, error: HTTPException) -> Response:
    told = HTTP_PROBLEMS.get(error.status_code, ("refused", str(error.detail), "/docs tells what each route takes"))
    answer = Problem(error.status_code, *told).response()
    answer.headers.update(error.headers or {})
    return answer


async def _fault(_: Request, error: Exception) -> Response:
    _log.error("a fault of Headway's own: %s", type(error).__name__)
    return Problem(500, "fault", "a fault of Headway's own", "tell who runs the server: its log names it").response()
