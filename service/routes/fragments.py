"""GET /web/cards and /web/reports: the store's Markdown as pieces of HTML, for the page."""

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from service.markdown import to_html
from service.page_headers import PAGE_HEADERS
from service.routes.reports import ReportFiles
from service.runtime import RuntimeDep

router = APIRouter(include_in_schema=False, prefix="/web")


@router.get("/cards/{model}", response_class=HTMLResponse)
def card(model: str, runtime: RuntimeDep) -> HTMLResponse:
    """Render a model's card as a piece of HTML."""
    if model not in {record.model for record in runtime.classifier.store.records}:
        raise HTTPException(404)
    return HTMLResponse(to_html(runtime.classifier.store.card(model)), headers=PAGE_HEADERS)


@router.get("/reports/{name}", response_class=HTMLResponse)
def report(name: str, files: ReportFiles) -> HTMLResponse:
    """Render a Markdown file of the report as a piece of HTML."""
    if name not in files or files[name].suffix != ".md":
        raise HTTPException(404)
    text = files[name].read_text("utf-8", errors="replace")
    return HTMLResponse(to_html(text), headers=PAGE_HEADERS)
