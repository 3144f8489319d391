"""GET /web/cards and /web/reports: the store's Markdown as pieces of HTML, for the page."""

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from service.markdown import to_html
from service.page_headers import PAGE_HEADERS
from service.routes.reports import ReportFiles
from service.runtime import RuntimeDep

router = APIRouter(include_in_schema=False, prefix="/web")


@router.get("/cards")
def cards(runtime: RuntimeDep) -> list[str]:
    """Name the cards there are: of each model and, where the store has one, of the detector."""
    store = runtime.classifier.store
    models = dict.fromkeys(record.model for record in store.records)
    return [*models, *(["detector"] if store.card("detector") else [])]


@router.get("/cards/{name}", response_class=HTMLResponse)
def card(name: str, runtime: RuntimeDep) -> HTMLResponse:
    """Render a card as a piece of HTML."""
    if name not in cards(runtime):
        raise HTTPException(404)
    return HTMLResponse(to_html(runtime.classifier.store.card(name)), headers=PAGE_HEADERS)


@router.get("/reports/{name}", response_class=HTMLResponse)
def report(name: str, files: ReportFiles) -> HTMLResponse:
    """Render a Markdown file of the report as a piece of HTML."""
    if name not in files or files[name].suffix != ".md":
        raise HTTPException(404)
    text = files[name].read_text("utf-8", errors="replace")
    return HTMLResponse(to_html(text), headers=PAGE_HEADERS)
