"""The ``emotion`` command: one file per subcommand, and those that other packages bring.

A package adds a subcommand with an entry point of the group ``emotion.commands``, as
``service/`` does for ``serve``: this library knows nothing of HTTP.
"""

import sys
from importlib.metadata import entry_points, version
from typing import Annotated

import typer

from emotion.cli.batch import batch
from emotion.cli.bench import bench
from emotion.cli.compare import compare
from emotion.cli.models import models
from emotion.cli.predict import predict
from emotion.cli.show import tell_json
from emotion.errors import EmotionError, name_of
from emotion.printable import printable

EXITS = (
    "Exit status: 0 success; 1 an error and 2 wrong usage, told on standard error (with --json on "
    "standard output, too); 3 (batch) finished, but some files failed; 130 interrupted. serve, "
    "stopped by Ctrl-C or SIGTERM, answers what it has begun and ends with 0; one process, by "
    "SIGTERM, with 143."
)

_typer = typer.Typer(
    help="Tell which of seven emotions a face shows.",
    epilog=EXITS,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
_typer.add_typer(models, name="models", epilog=EXITS)
for _command in (predict, compare, bench, batch):
    _typer.command(epilog=EXITS)(_command)
for _entry in entry_points(group="emotion.commands"):
    _typer.command(_entry.name, epilog=EXITS)(_entry.load())


def _show_version(wanted: bool) -> None:
    if wanted:
        print(version("emotion-service"))
        raise typer.Exit


@_typer.callback()
def _main(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version)
    ] = False,
) -> None:
    pass


def app() -> None:
    """Run the command; an expected error prints its message and ends with status 1."""
    try:
        _typer()
    except SystemExit as end:
        # Typer told wrong usage while it handled the exception that says what is wrong.
        message = getattr(end.__context__, "format_message", None)
        if message is not None:
            tell_json("usage", printable(message()))
        raise
    except (EmotionError, OSError) as error:
        said = printable(str(error))
        print(f"error: {said}", file=sys.stderr)
        tell_json(name_of(error), said)
        sys.exit(1)
