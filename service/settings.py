"""All settings of the service, read once from the environment (prefix ``EMOTION_``)."""

from collections.abc import Iterable
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from emotion.classifier import CHECKOUT_STORE
from emotion.decode import DEFAULT_LIMITS, MOST_PIXELS
from emotion.detectors import DetectorName
from emotion.errors import EmotionError
from emotion.machine import usable_cores
from emotion.names import split
from emotion.registry import SPARE_BYTES
from emotion.remote.records import CHANNEL, ChannelName

ApiKey = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,32}:[0-9a-f]{64}$")]

ArtifactName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]*/(float32|float16|int8)$")
]


_NO_SETTINGS = {
    *("EMOTION_URL", "EMOTION_IMAGE_BASE", "EMOTION_IMAGE_TEST"),  # examples', tests'
    *("EMOTION_BIND", "EMOTION_USER"),  # docker-compose.yml's own
}


class UnknownSettingError(EmotionError):
    """A variable looks like a setting and is none."""


class Settings(BaseSettings):
    """Every field is an environment variable: ``EMOTION_PORT=9000``."""

    model_config = SettingsConfigDict(env_prefix="EMOTION_", frozen=True)

    host: str = Field(default="127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(default=8000, ge=0, le=65535, description="port to listen on")
    grpc_port: int | None = Field(
        default=None,
        ge=1,
        le=65535,
        description="port for the Open Inference Protocol over gRPC (default: none; needs the "
        "extra `grpc`)",
    )
    workers: int = Field(default=1, ge=1, description="processes, each with its own models")
    threads: int = Field(
        default_factory=usable_cores,
        ge=1,
        description="requests one process computes at once, a core each; from two on, one more "
        "fills their gaps and a lone one finds faces on two",
    )
    store: str | Path = Field(
        default=CHECKOUT_STORE,
        description="directory of the model store, or its URL: `s3://`, `gs://`, `https://`",
    )
    channel: ChannelName = Field(
        default=CHANNEL, description="which version of a store with a URL: what was promoted there"
    )
    cache_dir: Path | None = Field(
        default=None,
        description="where a store with a URL is kept (default: the user's cache directory)",
    )
    preload: Annotated[tuple[str, ...], NoDecode] = Field(
        default=("all",),
        description="artifacts loaded before the service is ready: `all`, `none`, or a list such "
        "as `mobilenet/int8,resnet50/int8`; the others load on first use",
    )
    reload_seconds: float = Field(
        default=2.0,
        ge=0,
        allow_inf_nan=False,
        description="how often to look, give or take a quarter, whether a newer store was "
        "published or promoted, which then replaces the loaded one; 0 means on SIGHUP alone",
    )
    shadow: ArtifactName | None = Field(
        default=None,
        description="artifact that is measured beside another, such as `mobilenet/int8`: it is "
        "shown some of the faces that `/predict` and `/v2` have answered",
    )
    shadow_of: ArtifactName | None = Field(
        default=None, description="the other (default: the float32 of the same model)"
    )
    shadow_share: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="share of the other's answers that the shadow is shown, where a thread is free",
    )
    shadow_agreement: float = Field(
        default=0.95,
        gt=0,
        lt=1,
        description="share of equal emotions that is enough for `/shadow`",
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
    spare_bytes: int = Field(
        default=SPARE_BYTES,
        ge=0,
        description="memory for artifacts' second and further interpreters, made when several "
        "requests want one artifact at once; where it is used up, they wait for each other",
    )
    max_body_bytes: int = Field(default=10_000_000, ge=1, description="largest request body")
    upload_seconds: float = Field(
        default=30, gt=0, allow_inf_nan=False, description="time for a request body to arrive"
    )
    max_pixels: int = Field(
        default=DEFAULT_LIMITS.max_pixels,
        ge=1,
        le=MOST_PIXELS,
        description="most pixels of one image, 89 million at most; one being decoded takes up to "
        "30 bytes a pixel",
    )
    max_batch: int = Field(
        default=32, ge=1, description="images or ready tensors in one request to `/v2`"
    )
    max_faces: int = Field(
        default=DEFAULT_LIMITS.max_faces,
        ge=1,
        description="most faces of one image that `faces=all` classifies",
    )
    max_uploads: int = Field(
        default=128, ge=1, description="bodies that may arrive at once; more get 503"
    )
    max_connections: int = Field(
        default=1024,
        ge=1,
        description="connections open at once, three quarters of them one client's; more get 503, "
        "as they do where the process has few file descriptors left",
    )
    max_waiting: int = Field(
        default=128, ge=0, description="requests that may wait for a thread; more get 503"
    )
    deadline_seconds: float = Field(
        default=10.0,
        gt=0,
        allow_inf_nan=False,
        description="time for one request to be computed, waiting included",
    )
    drain_seconds: float = Field(
        default=0,
        ge=0,
        allow_inf_nan=False,
        description="after SIGTERM, time in which `/readyz` answers 503 while requests are still "
        "taken: a load balancer leaves before the port closes",
    )
    api_keys: Annotated[tuple[ApiKey, ...] | None, NoDecode] = Field(
        default=None,
        description="who may ask: `id:sha256,id:sha256`, made by `python -m service.keys ID`; "
        "without it everybody may",
    )
    metrics_open: bool = Field(
        default=False, description="whether `/metrics` needs no API key where the others do"
    )
    client_requests: int = Field(
        default=80,
        ge=0,
        description="requests of one client (an API key's, else an address's) at once, in each "
        "process; more get 429; 0 means no limit",
    )
    client_requests_per_minute: int | None = Field(
        default=None, ge=1, description="requests of one client a minute, in each process; as above"
    )
    cors_origins: Annotated[tuple[str, ...] | None, NoDecode] = Field(
        default=None,
        description="origins whose web pages may call the service, such as "
        "`https://app.example.org`, separated by commas",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="least severe log lines written"
    )

    @field_validator("log_level", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.upper() if isinstance(value, str) else value

    @property
    def grace_seconds(self) -> int:
        """Time that what was accepted has once the ports close: to arrive, and to be computed."""
        return int(self.upload_seconds + self.deadline_seconds) + 5

    @field_validator("preload", "api_keys", "cors_origins", mode="before")
    @classmethod
    def _split(cls, value: object, info: ValidationInfo) -> object:
        if not isinstance(value, str):
            return value
        text = value.lower() if info.field_name == "preload" else value
        return tuple(split([text]))

    @field_validator("api_keys")
    @classmethod
    def _not_empty(cls, value: tuple[ApiKey, ...] | None) -> tuple[ApiKey, ...] | None:
        if value == ():
            raise PydanticCustomError(
                "no_keys",
                "it names no key, so everybody might ask: give one, or unset it to let them",
            )
        return value

    @property
    def is_open(self) -> bool:
        """Whether others than this machine reach the service, and need no key."""
        try:
            local = ip_address(self.host).is_loopback
        except ValueError:
            local = self.host == "localhost"
        return not (local or self.api_keys)


def check_names(environment: Iterable[str]) -> None:
    """Refuse variables that look like settings and are none.

    A setting that nobody reads may have been the one that closes the service.

    Raises:
        UnknownSettingError: names each, and the settings most like it.
    """
    known = {f"EMOTION_{name.upper()}" for name in Settings.model_fields}
    said = []
    for name in sorted(environment):
        if name.upper().startswith("EMOTION_") and name.upper() not in known | _NO_SETTINGS:
            close = get_close_matches(name.upper(), known)
            hint = f" Did you mean {' or '.join(close)}?" if close else ""
            said.append(f"{name} is no setting.{hint}")
    if said:
        raise UnknownSettingError(" ".join(said))
