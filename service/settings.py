"""All settings of the service, read once from the environment (prefix ``EMOTION_``)."""

import os
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from emotion.classifier import CHECKOUT_STORE
from emotion.detectors import DetectorName


class Settings(BaseSettings):
    """Every field is an environment variable: ``EMOTION_PORT=9000``."""

    model_config = SettingsConfigDict(env_prefix="EMOTION_", frozen=True)

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on")
    workers: int = Field(default=1, ge=1, description="processes, each with its own models")
    threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        description="requests one process computes at once (default: the machine's cores)",
    )
    store: Path = Field(default=CHECKOUT_STORE, description="directory of the model store")
    preload: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("all",),
        description="artifacts loaded before the service is ready: `all`, `none`, or a list such "
        "as `mobilenet/int8,resnet50/int8`; the others load on first use",
    )
    detector: DetectorName | None = Field(
        default=None,
        description="finds the faces where a request names none: `compiled` or `caffe` (default: "
        "compiled where the store has one, else caffe)",
    )
    detector_dir: Path | None = Field(
        default=None, description="directory with the Caffe detector's two files"
    )
    data_dir: Path | None = Field(
        default=None, description="data directory; its `face_detector/` is used where it exists"
    )
    max_body_bytes: int = Field(default=20_000_000, ge=1, description="largest request body")
    max_pixels: int = Field(default=40_000_000, ge=1, description="most pixels of one image")
    max_waiting: int = Field(
        default=64, ge=0, description="requests that may wait for a thread; more get 503"
    )
    deadline_seconds: float = Field(
        default=10.0, gt=0, description="time for one request to be computed, waiting included"
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="least severe log lines written"
    )

    @field_validator("preload", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(filter(None, value.split(","))) if isinstance(value, str) else value
