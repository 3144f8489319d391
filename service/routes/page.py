"""GET /: the web page, and what it is made of."""

from pathlib import Path

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from service.markdown import to_html
from service.page_headers import PAGE_HEADERS
from service.routes.reports import ReportFiles
from service.runtime import RuntimeDep

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


@router.get("/web/cards/{model}", response_class=HTMLResponse)
def card(model: str, runtime: RuntimeDep) -> HTMLResponse:
    """Render a model's card as a piece of HTML."""
    if model not in {record.model for record in runtime.classifier.store.records}:
        raise HTTPException(404)
    return HTMLResponse(to_html(runtime.classifier.store.card(model)), headers=PAGE_HEADERS)


@router.get("/web/reports/{name}", response_class=HTMLResponse)
def report(name: str, files: ReportFiles) -> HTMLResponse:
    """Render a Markdown file of the report as a piece of HTML."""
    if name not in files or files[name].suffix != ".md":
        raise HTTPException(404)
    text = files[name].read_text("utf-8", errors="replace")
    return HTMLResponse(to_html(text), headers=PAGE_HEADERS)
