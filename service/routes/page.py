"""GET /: the web page, and what it is made of."""

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from service.page_headers import PAGE_HEADERS

FOLDER = Path(__file__).parent.parent / "web"

router = APIRouter(include_in_schema=False)


class PageFiles(StaticFiles):
    """Files that browsers keep, but ask about with their ETag."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """Answer with the page's headers."""
        response = await super().get_response(path, scope)
        response.headers.update(PAGE_HEADERS)
        return response


FILES = PageFiles(directory=FOLDER)


@router.get("/")
@router.head("/")
async def page(request: Request) -> Response:
    """Serve the page."""
    return await FILES.get_response("index.html", request.scope)
