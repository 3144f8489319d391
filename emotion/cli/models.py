"""``emotion models``: what a store holds; and, of a store elsewhere, what it is to hold."""

import json
import shutil
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from emotion.classifier import CHECKOUT_STORE
from emotion.cli import options as o
from emotion.cli.show import show, title
from emotion.errors import StoreError, UnknownArtifactError
from emotion.labels import EMOTIONS
from emotion.names import split
from emotion.preprocess import PIPELINE
from emotion.records import ArtifactRecord
from emotion.remote import RemoteStore, is_url, open_store, pull
from emotion.remote.records import CHANNEL, Channel
from emotion.remote.store import short
from emotion.store import MANIFEST, REPORTS, ModelStore, in_order, publish

models = typer.Typer()

Remote = Annotated[
    str,
    typer.Option(
        "--store",
        envvar="EMOTION_STORE",
        help="URL of the store: s3://bucket/folder, gs://, https:// (read-only) or file://.",
        show_default=False,
    ),
]
ChannelOption = Annotated[str, typer.Option(envvar="EMOTION_CHANNEL", help="What services follow.")]
Start = Annotated[str, typer.Argument(help="The version, or its first digits.", show_default=False)]


@models.callback(invoke_without_command=True)
def list_models(
    ctx: typer.Context,
    store: o.Store = o.STORE,
    channel: ChannelOption = CHANNEL,
    as_json: o.Json = False,
) -> None:
    """List a store's artifacts; copy some; push, pull, promote and roll back one elsewhere."""
    if ctx.invoked_subcommand:
        for name in ("store", "channel", "as_json"):
            source = ctx.get_parameter_source(name)
            if source and source.name == "COMMANDLINE":
                raise typer.BadParameter(f"give it after '{ctx.invoked_subcommand}'")
        return
    served = None
    if is_url(store):
        remote = RemoteStore(store)
        served = remote.channel(channel)
        records = in_order(remote.manifest(remote.version(served.version)).artifacts)
    else:
        records = ModelStore(Path(store)).records
    if as_json:
        artifacts = [{"version": r.version, "record": r.model_dump(mode="json")} for r in records]
        known = {"classes": EMOTIONS, "pipeline_fingerprint": PIPELINE.fingerprint}
        channels = {channel: served.model_dump(mode="json")} if served else {}
        print(json.dumps(known | {"artifacts": artifacts, "channels": channels}))
        return
    show(_table(store, records, f"{channel}: {_history(served)}" if served else None))


@models.command()
def copy(
    directory: Annotated[
        Path, typer.Argument(help="Becomes the new store.", file_okay=False, show_default=False)
    ],
    precisions: o.Precisions = [],  # noqa: B006 (typer copies it)
    store: o.Store = o.STORE,
    channel: ChannelOption = CHANNEL,
    as_json: o.Json = False,
) -> None:
    """Make a new store of some precisions of another: int8 without the float32 it came from."""
    if (directory / MANIFEST).exists():
        raise StoreError(f"{directory} has a store already: name another directory.")
    wanted = split(precisions)
    source = open_store(store, channel)
    records = [record for record in source.records if not wanted or record.precision in wanted]
    if unknown := set(wanted) - {record.precision for record in records}:
        raise UnknownArtifactError(f"{store} has no artifact in {', '.join(sorted(unknown))}.")
    publish(
        directory,
        [(record, source.read(record)) for record in records],
        _cards(source, records),
        [(record, source.read_detector(record)) for record in source.detectors],
    )
    if (source.root / REPORTS).is_dir():
        shutil.copytree(source.root / REPORTS, directory / REPORTS, dirs_exist_ok=True)
    if as_json:
        print(json.dumps([record.name for record in records]))
    else:
        print(f"{directory}: {', '.join(record.name for record in records)}")


def _cards(source: ModelStore, records: list[ArtifactRecord]) -> dict[str, str]:
    """Return the cards of what is copied, which say where it is not all that they tell of."""
    cards = {"detector": source.card("detector")} if source.card("detector") else {}
    for model in {record.model for record in records}:
        here = [record.precision for record in records if record.model == model]
        before = [record.precision for record in source.records if record.model == model]
        note = "" if here == before else f"\nThis store holds {' and '.join(here)} alone.\n"
        cards[model] = source.card(model) + note
    return cards


@models.command()
def push(
    store: Remote,
    directory: Annotated[
        Path, typer.Argument(help="The store to push.", exists=True, file_okay=False)
    ] = CHECKOUT_STORE,
    as_json: o.Json = False,
) -> None:
    """Add a directory's store as a version; nothing is served of it until it is promoted."""
    done = RemoteStore(store).push(ModelStore(directory))
    if as_json:
        print(json.dumps(vars(done)))
        return
    print(
        f"{short(done.version)}: {done.sent} of {done.files} files sent "
        f"({done.sent_bytes / 1e6:.1f} MB), the others were there."
    )


@models.command(name="pull")
def pull_version(
    store: Remote,
    directory: Annotated[
        Path, typer.Argument(help="Becomes the version's store.", file_okay=False)
    ],
    version: Annotated[
        str | None,
        typer.Option(
            help="The version, or its first digits (default: what the channel serves).",
            show_default=False,
        ),
    ] = None,
    channel: ChannelOption = CHANNEL,
    as_json: o.Json = False,
) -> None:
    """Bring a version into a directory, each file checked; one that was interrupted goes on."""
    remote = RemoteStore(store)
    wanted = remote.find(version) if version is not None else remote.channel(channel).version
    done = pull(remote, wanted, directory)
    if as_json:
        print(json.dumps(vars(done)))
        return
    print(
        f"{short(done.version)}: {done.fetched} of {done.files} files fetched "
        f"({done.fetched_bytes / 1e6:.1f} MB), the others were there."
    )


@models.command()
def promote(
    store: Remote, version: Start, channel: ChannelOption = CHANNEL, as_json: o.Json = False
) -> None:
    """Serve a version from now on, if all of its files are there."""
    remote = RemoteStore(store)
    _report(channel, remote.promote(remote.find(version), channel), as_json)


@models.command()
def rollback(store: Remote, channel: ChannelOption = CHANNEL, as_json: o.Json = False) -> None:
    """Serve the version before; once more goes one further back."""
    _report(channel, RemoteStore(store).rollback(channel), as_json)


def _report(name: str, channel: Channel, as_json: bool) -> None:
    if as_json:
        print(json.dumps({name: channel.model_dump(mode="json")}))
    else:
        print(f"{name}: {_history(channel)}")


def _history(channel: Channel) -> str:
    before = ", ".join(short(promotion.version) for promotion in channel.before[:3])
    return (
        f"{short(channel.version)} since {channel.since:%Y-%m-%d %H:%M} UTC; "
        f"before: {before or 'none'}"
    )


def _table(store: str, records: tuple[ArtifactRecord, ...], caption: str | None) -> Table:
    table = Table(title=title(store), caption=caption)
    for heading in ("model", "precision", "version", "MB", "accuracy", "p50 ms"):
        table.add_column(heading, justify="left" if heading in ("model", "precision") else "right")
    for r in records:
        accuracy, p50 = f"{r.metrics.accuracy:.1%}", f"{r.latency.p50_ms:.2f}"
        table.add_row(r.model, r.precision, r.version, f"{r.bytes / 1e6:.2f}", accuracy, p50)
    return table
