"""GET /reports: the tables, plots and numbers that training left in the store."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field

from emotion.errors import UnknownReportError
from emotion.store import REPORTS
from service.problems import problem_responses
from service.runtime import RuntimeDep

MEDIA_TYPES = {".json": "application/json", ".md": "text/markdown", ".png": "image/png"}

router = APIRouter(tags=["models"], prefix="/reports")


class ReportFile(BaseModel):
    """One file of the report."""

    name: str = Field(description="for /reports/{name}")
    media_type: str
    bytes: int


def _report_files(runtime: RuntimeDep) -> dict[str, Path]:
    """Return what may be served, by name: a request names a file of this list, never a path."""
    files = sorted((runtime.classifier.store.root / REPORTS).glob("*.*"))
    return {f.name: f for f in files if f.suffix in MEDIA_TYPES and f.is_file()}


ReportFiles = Annotated[dict[str, Path], Depends(_report_files)]


@router.get("")
def reports(files: ReportFiles) -> list[ReportFile]:
    """List the report's files."""
    return [
        ReportFile(name=name, media_type=MEDIA_TYPES[file.suffix], bytes=file.stat().st_size)
        for name, file in files.items()
    ]


@router.get("/{name}", response_class=FileResponse, responses=problem_responses(UnknownReportError))
def report(name: str, files: ReportFiles) -> FileResponse:
    """Serve one file of the report: Markdown, PNG or JSON."""
    if name not in files:
        raise UnknownReportError(f"There is no report {name[:100]}. GET /reports lists them.")
    file = files[name]
    return FileResponse(
        file,
        media_type=MEDIA_TYPES[file.suffix],
        headers={"Cache-Control": "no-cache"},
    )
