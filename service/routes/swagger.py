"""GET /swagger: what /docs is made of, each file once in memory however many take it slowly."""

from functools import cache
from importlib.resources import files
from pathlib import PurePath

from fastapi import APIRouter, HTTPException
from fastapi.responses import Response

router = APIRouter(include_in_schema=False, prefix="/swagger")
_TYPES = {".js": "application/javascript", ".css": "text/css", ".png": "image/png"}


@router.get("/{name}")
async def file(name: str) -> Response:
    """Serve one of Swagger UI's files."""
    content, media_type = _files().get(name, (b"", ""))
    if not content:
        raise HTTPException(404)
    return Response(content, media_type=media_type)


@cache
def _files() -> dict[str, tuple[bytes, str]]:
    """Return contents and types by name: what is asked for names one of these, never a path."""
    return {
        part.name: (part.read_bytes(), _TYPES[suffix])
        for part in files("fastapi_swagger.resources").iterdir()
        if (suffix := PurePath(part.name).suffix) in _TYPES
    }
