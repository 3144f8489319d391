"""A million pictures on Ray Data: ``python -m cluster.batch PICTURES --out FOLDER``."""

import json
import logging
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import ray
import typer

from cluster.plan import shards, write_plan
from cluster.worker import Job, Worker, part
from emotion.batch import BatchError, creating
from emotion.cli import options as o
from emotion.errors import EmotionError
from emotion.printable import printable
from emotion.remote import is_url

SHARD = 1000  # pictures; at most so many are done again where a worker is killed
OBJECTS = 100_000_000  # bytes of Ray's object store: only numbers of shards pass through it


@o.with_setup
def batch(
    source: Annotated[
        Path,
        typer.Argument(
            help="A folder of pictures, or a Parquet file or folder of these.",
            exists=True,
            show_default=False,
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(
            help="A folder of Parquet parts, one row per face or failed picture.",
            file_okay=False,
            show_default=False,
        ),
    ],
    model: o.Model = "mobilenet",
    precision: o.Precision = "int8",
    faces: o.FacesOption = "largest",
    no_face: o.NoFaceOption = "error",
    column: Annotated[
        str, typer.Option(help="Of a Parquet source: the column with the pictures' bytes.")
    ] = "image",
    shard: Annotated[int, typer.Option(min=1, help="Most pictures of one part.")] = SHARD,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Processes, a core each (default: all cores).")
    ] = None,
    address: Annotated[
        str, typer.Option(envvar="RAY_ADDRESS", help="The cluster; `local` starts one here.")
    ] = "local",
    *,
    setup: o.Setup,
) -> None:
    """Classify pictures on a Ray cluster, each exactly once.

    Every node needs source, out and store under the same path. A job that was stopped, in whatever
    way, goes on where it was when the same command is given again.
    """
    start = time.perf_counter()
    record = setup.classifier().registry.get(model, precision).record
    job = Job(
        source=str(source.resolve()),
        out=str(out.resolve()),
        store=setup.store if is_url(setup.store) else str(Path(setup.store).resolve()),
        model=model,
        precision=precision,
        version=record.version,
        detector=setup.detector,
        detector_dir=_absolute(setup.detector_dir),
        data_dir=_absolute(setup.data_dir),
        faces=faces,
        no_face=no_face,
        max_pixels=setup.max_pixels,
        column=column,
        shard=shard,
    )
    resumed = _begin(job)
    pending = [n for n in range(shards(job.plan)) if not part(job, n).exists()]
    begun, totals = time.perf_counter(), {"pictures": 0, "failed": 0, "cpu_seconds": 0.0}
    if pending:
        workers = min(_connect(address, workers), len(pending))
        begun = time.perf_counter()
        for answered in _answered(job, pending, workers):
            totals = {name: total + answered[name] for name, total in totals.items()}
        ray.shutdown()
    summary = {
        **totals,
        "shards": len(pending),
        "resumed": resumed,
        "output": job.out,
        "seconds": round(time.perf_counter() - begun, 3),
        "start_seconds": round(begun - start, 3),
    }
    if setup.as_json:
        print(json.dumps(summary))
    else:
        print("{pictures:,} pictures, {failed:,} failed:".format(**totals), printable(job.out))


def _absolute(path: Path | None) -> str | None:
    return str(path.resolve()) if path else None


def _begin(job: Job) -> bool:
    """Fix what is to be done, or find it as it was fixed; tells which, by True for the latter.

    Of several that begin at the same moment one fixes it, and the others find it.

    Raises:
        BatchError: the folder holds another job.
    """
    Path(job.out).mkdir(parents=True, exist_ok=True)
    note = Path(job.out) / "_job.json"
    try:
        with creating(note) as temporary:
            temporary.write_text(json.dumps(vars(job)))
        found = False
    except FileExistsError:
        found = True
        before = json.loads(note.read_text())
        changed = [name for name, value in vars(job).items() if before.get(name) != value]
        if changed:
            had = ", ".join(f"{name}={before.get(name)}" for name in changed)
            raise BatchError(
                f"{job.out} holds a job with {had}: go on with that, or choose another --out."
            ) from None
    if not job.plan.exists():
        try:
            write_plan(Path(job.source), job.plan, job.shard, job.column)
        except BaseException:
            if not found:
                note.unlink()  # there is no such job
            raise
    return found


def _connect(address: str, workers: int | None) -> int:
    """Join the cluster, or start one here; returns how many workers there shall be."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    local: dict[str, Any] = {}
    if address == "local":
        local = {"num_cpus": workers, "object_store_memory": OBJECTS, "include_dashboard": False}
    try:
        ray.init(address, log_to_driver=False, logging_level=logging.ERROR, **local)
    except Exception as error:  # of no narrower class where a node could not start
        raise BatchError(f"No Ray at {address}: {error}") from error
    return workers or int(ray.cluster_resources().get("CPU", 1))  # type: ignore[no-untyped-call]


def _answered(job: Job, pending: list[int], workers: int) -> Iterator[dict[str, float]]:
    """Yield the numbers of each shard, once its part is written."""
    ray.data.DataContext.get_current().enable_progress_bars = False
    work = ray.data.from_items([{"number": n} for n in pending], override_num_blocks=len(pending))
    pool = ray.data.ActorPoolStrategy(size=workers)
    worker: Any = Worker  # whose objects are what is to be called
    done = work.map(worker, fn_constructor_args=(job,), compute=pool, num_cpus=1)
    yield from done.iter_rows()


def main() -> None:
    """Run the command; an expected error prints its message and ends with status 1."""
    command = typer.Typer(pretty_exceptions_enable=False, add_completion=False)
    command.command()(batch)
    try:
        command()
    except (EmotionError, OSError) as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    main()
