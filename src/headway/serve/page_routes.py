"""The pages for people: files of the package as they are, the same for everybody, without a key since they hold no secret."""

from __future__ import annotations

import json
from functools import cache, lru_cache
from importlib.resources import files

from fastapi import APIRouter, FastAPI, Request, Response

KINDS = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
PARTS = (
    "page.css", "docs.css", "icon.svg", "theme.js", "app.js", "api.js", "dom.js", "languages.js", "words.js", "source.js",
    "answers.js", "card.js", "correcting.js", "media.js", "talk.js", "docs.js",
)  # fmt: skip
FILES = {"/": "index.html", "/docs": "docs.html", **{f"/page/{name}": name for name in PARTS}}
router = APIRouter(include_in_schema=False)


@cache
def content(name: str) -> bytes:
    """A file of the page."""
    return files(__package__).joinpath("page", name).read_bytes()


@lru_cache(1)
def schema_of(app: FastAPI) -> bytes:
    """It has many fields, and some clients ask for it again and again."""
    return json.dumps(app.openapi(), ensure_ascii=False).encode()


@router.api_route("/openapi.json", methods=["GET", "HEAD"])
async def schema(request: Request) -> Response:
    """Every route and field."""
    return Response(schema_of(request.app), media_type="application/json")


def _add(path: str, name: str) -> None:
    async def file() -> Response:
        return Response(content(name), media_type=KINDS[name.rpartition(".")[2]])

    router.add_api_route(path, file, methods=["GET"], name=name)


for _path, _name in FILES.items():
    _add(_path, _name)
