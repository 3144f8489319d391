"""``emotion batch``: a folder of pictures, one artifact, one table."""

import json
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any

import cv2
import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
)

from emotion.batch import (
    FORMATS,
    SUFFIXES,
    BatchError,
    Journal,
    answer_all,
    errors_file,
    find_pictures,
    require,
    write_tables,
)
from emotion.classifier import Classifier
from emotion.cli import options as o
from emotion.cli.show import tell_json
from emotion.printable import printable

SOME_FAILED = 3
INTERRUPTED = 130  # as shells say of SIGINT
_stderr = Console(stderr=True)


class _NothingToDoError(BatchError):
    """The folder has no pictures."""


def _known_format(out: Path) -> Path:
    if out.suffix.lower() not in FORMATS:
        raise typer.BadParameter(f"'{out}' must end in one of {', '.join(FORMATS)}.")
    return out


@o.with_setup
def batch(
    folder: Annotated[
        Path,
        typer.Argument(
            help=f"Searched with all folders in it for {' '.join(SUFFIXES)}. Links to folders are "
            "not followed.",
            exists=True,
            file_okay=False,
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="The table, one row per face: .csv, .jsonl or .parquet. Failed files are listed "
            "beside it: OUT.errors.csv. In names, control characters and bytes that are no UTF-8 "
            "are written \\xff, and a name that a spreadsheet would compute (=, +, -, @) begins "
            "with ./, which is the same path.",
            callback=_known_format,
            dir_okay=False,
            show_default=False,
        ),
    ],
    model: o.Model = "mobilenet",
    precision: o.Precision = "int8",
    faces: o.FacesOption = "largest",
    no_face: o.NoFaceOption = "error",
    threads: o.Threads = o.THREADS,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite",
            help="Replace an output or an unfinished run; one that --overwrite began goes on.",
        ),
    ] = False,
    *,
    setup: o.Setup,
) -> None:
    """Classify a folder of pictures into a table.

    A run that was stopped, in whatever way, goes on where it was when the same command is given
    again. Pictures that cannot be answered are listed, and do not end the run.
    """
    require(out)
    start = time.perf_counter()
    cv2.setNumThreads(1)  # every thread already has a picture of its own
    classifier = setup.classifier(interpreters=threads)
    artifact = classifier.registry.get(model, precision).record
    named = {"model": model, "precision": precision, "version": artifact.version}
    settings = named | {
        "folder": str(folder.resolve()),
        "detector": classifier.detector.name,
        "faces": faces,
        "no_face": no_face,
        "max_pixels": setup.max_pixels,
    }
    journal = _open_journal(out, settings, overwrite)
    others = Counter[str]()
    try:
        _fill(journal, folder, others)
        before = journal.counts()[1] if journal.resumed else 0
        with _progress() as progress:
            _run(journal, folder, classifier, settings, threads, progress)
        rows = write_tables(journal, out, named)
    except KeyboardInterrupt:
        _, done, _ = journal.counts()
        journal.close()
        said = f"Stopped; {done:,} pictures are done. Run the same command to go on."
        _stderr.print(said)
        tell_json("interrupted", said)
        raise typer.Exit(INTERRUPTED) from None
    except _NothingToDoError:
        journal.delete()
        raise
    except BaseException:
        journal.close()
        raise
    total, _, failed = journal.counts()
    failures = journal.failures()
    journal.delete()
    summary = {
        **named,
        "files": total,
        "failed": failed,
        "failures": failures,
        "others": dict(others.most_common(10)),
        "rows": rows,
        "output": str(out),
        "errors": str(errors_file(out)) if failed else None,
        "resumed": journal.resumed,
        "done_before": before,
        "seconds": round(time.perf_counter() - start, 3),
    }
    _report(summary, setup.as_json)
    if failed:
        raise typer.Exit(SOME_FAILED)


def _open_journal(out: Path, settings: dict[str, Any], overwrite: bool) -> Journal:
    if not out.parent.is_dir():
        raise BatchError(f"There is no folder {out.parent}: make it, or change --out.")
    path = out.with_name(f"{out.name}.journal")
    existing = [file for file in (out, errors_file(out)) if file.exists()]
    if existing and not path.exists() and not overwrite:
        raise BatchError(f"{existing[0]} exists: choose another --out, or give --overwrite.")
    return Journal(path, settings, anew=overwrite)


def _fill(journal: Journal, folder: Path, others: Counter[str]) -> None:
    with _stderr.status("Looking for pictures …"):
        journal.plan(find_pictures(folder, others))
    if journal.counts()[0] == 0:
        raise _NothingToDoError(f"No pictures ({' '.join(SUFFIXES)}) in {folder}.")


def _run(
    journal: Journal,
    folder: Path,
    classifier: Classifier,
    settings: dict[str, Any],
    threads: int,
    progress: Progress,
) -> None:
    chosen = {name: settings[name] for name in ("model", "precision", "faces", "no_face")}
    total, done, failed = journal.counts()
    if journal.resumed:
        progress.console.print(f"Going on: {done:,} of {total:,} were done before.")
    task = progress.add_task("pictures", total=total, completed=done, failed=failed)
    outcomes = answer_all(
        journal, folder, lambda content: classifier.predict(content, **chosen), threads
    )
    with closing(outcomes):
        for outcome in outcomes:
            failed += outcome.error is not None
            progress.update(task, advance=1, failed=failed)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[failed]} failed"),
        TimeRemainingColumn(),
        console=_stderr,
        disable=not _stderr.is_terminal,
    )


def _report(summary: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print(json.dumps(summary))
        return
    files, before, seconds = (summary[name] for name in ("files", "done_before", "seconds"))
    resumed = f", {before:,} of them before," if before else ""
    print(
        f"{files:,} pictures{resumed} in {seconds:.1f} s ({(files - before) / seconds:,.0f}/s), "
        f"{summary['rows']:,} rows: {printable(summary['output'])}"
    )
    if summary["others"]:
        ends = (f"{count:,} {end or 'no suffix'}" for end, count in summary["others"].items())
        print(f"passed over, being no pictures by their names: {printable(', '.join(ends))}")
    if summary["failed"]:
        kinds = ", ".join(f"{count:,} {error}" for error, count in summary["failures"].items())
        print(f"{summary['failed']:,} failed ({kinds}): {printable(summary['errors'])}")
