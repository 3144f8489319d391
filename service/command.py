"""``emotion serve``: ``python -m service`` with every setting as an option."""

import os
from inspect import Parameter, Signature
from typing import Annotated

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from service.settings import Settings


def serve(**given: str | None) -> None:
    """Serve over HTTP until interrupted, as `python -m service` does."""
    options = {name: value for name, value in given.items() if value is not None}
    # By way of the environment, so that worker processes read the same.
    os.environ.update({f"EMOTION_{name.upper()}": value for name, value in options.items()})
    try:
        Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        if name in options:
            raise typer.BadParameter(
                first["msg"], param_hint=f"--{_option(name)} (EMOTION_{name.upper()})"
            ) from None
    from service.__main__ import main  # uvicorn and FastAPI: not for other commands

    raise typer.Exit(main())


def _option(setting: str) -> str:
    return setting.replace("_", "-")


def _help(description: str) -> str:
    return f"{description[:1].upper()}{description[1:]}."


def _default(field: FieldInfo) -> str | bool:
    if field.default_factory:
        return "the cores it may use"
    if isinstance(field.default, tuple):
        return ",".join(field.default)
    return False if field.default is None else str(field.default)


# One option per setting, made from the settings themselves: the two cannot drift apart.
serve.__signature__ = Signature(  # type: ignore[attr-defined]
    [
        Parameter(
            name,
            Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                str | None,
                typer.Option(
                    f"--{_option(name)}",
                    help=_help(field.description or ""),
                    envvar=f"EMOTION_{name.upper()}",
                    show_default=_default(field),
                ),
            ],
        )
        for name, field in Settings.model_fields.items()
    ]
)
