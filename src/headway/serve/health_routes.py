"""Whether the server lives, whether it can answer, and what it counts."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel

from headway.serve.problems import RESPONSES, TRY_AGAIN, Problem
from headway.serve.service import Service

router = APIRouter(responses={status: RESPONSES[status] for status in (400, 401, 405, 413, 503)})


class Alive(BaseModel):
    """The process lives."""

    status: str = "alive"


class Ready(BaseModel):
    """Every model can answer."""

    status: str = "ready"


@router.get("/healthz", summary="does the server live")
async def healthz() -> Alive:
    """200 while the process answers at all."""
    return Alive()


@router.get("/readyz", summary="can it answer")
async def readyz(request: Request) -> Ready:
    """200 while every model has a worker and there is room for more; else 503."""
    service: Service = request.app.state.service
    if service.draining:
        raise Problem(503, "stopping", "the server stops", TRY_AGAIN, retry_after=5)
    for name, pool in service.pools.items():
        if pool.facts is None:
            raise Problem(503, "loading", f"{name} is loaded just now", TRY_AGAIN, retry_after=1)
        if not pool.ready:
            raise Problem(503, "not_ready", f"{name} has no worker that answers just now", TRY_AGAIN, retry_after=1)
        if pool.open >= service.limits.waiting:
            raise Problem(503, "too_busy", f"too many texts wait for {name}", TRY_AGAIN, retry_after=1)
    return Ready()


@router.get("/metrics", summary="figures for Prometheus", response_class=Response)
async def metrics(request: Request) -> Response:
    """Counters and times, in Prometheus' text format."""
    service: Service = request.app.state.service
    return Response(service.metrics.exposition(), media_type="text/plain; version=0.0.4; charset=utf-8")
