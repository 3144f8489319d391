"""Ray Serve in front of the service's own HTTP app: ``serve run cluster.serve:build``.

One deployment holds the whole pipeline, because a hop between its steps costs about as much as the
steps (docs/scale.md); ``layout: staged`` gives the networks a deployment of their own.
"""

import os
from functools import partial
from typing import Any, Literal

import structlog
from pydantic import BaseModel, Field
from ray import serve
from ray.serve import Application
from ray.serve.handle import DeploymentHandle

from cluster.app import CurrentApp
from cluster.stages import Artifacts, StagedRuntime
from service.app import create_app
from service.runtime import Runtime
from service.settings import Settings, check_names

_log = structlog.get_logger()
REPLICA: dict[str, Any] = {
    "max_queued_requests": 1000,  # at each proxy, while replicas come or go
    "backpressure_config": {"status_code": 503, "retry_after_s": 1},
    "max_surge_percent": 100,  # new code starts before the old one ends
    "health_check_period_s": 2,
    "health_check_timeout_s": 10,
}


class Options(BaseModel, extra="forbid"):
    """What ``serve run cluster.serve:build name=value`` and a config's ``args`` may say."""

    layout: Literal["whole", "staged"] = Field(
        default="whole", description="the pipeline in one deployment, or the networks in another"
    )
    cpus: int = Field(default=1, ge=1, description="cores of a replica, a thread on each")
    min_replicas: int = Field(default=1, ge=1)
    max_replicas: int = Field(default=4, ge=1)


class Emotion:
    """The whole HTTP API; ``user_config`` holds settings, ``EMOTION_*`` the others'."""

    def __init__(self, threads: int, artifacts: DeploymentHandle[Any] | None = None) -> None:
        self._threads = threads
        runtime = partial(StagedRuntime, artifacts=artifacts) if artifacts else Runtime
        self._app = CurrentApp(lambda settings: create_app(settings, runtime))

    def __serve_build_asgi_app__(self) -> CurrentApp:
        return self._app

    async def reconfigure(self, user_config: dict[str, Any]) -> None:
        """Serve under these settings from now on, such as those with another ``store``.

        Raises:
            pydantic.ValidationError, EmotionError: nothing can serve under them, or one is none.
        """
        check_names(os.environ)
        settings = Settings(**{"threads": self._threads} | user_config)
        await self._app.follow(settings)
        if not settings.api_keys:  # settings.host is not where Ray's proxies listen
            _log.warning("everybody whom Ray's proxies reach may ask: there are no api_keys")


def build(options: Options) -> Application:
    """Return the application that ``serve run`` and a config's ``import_path`` start.

    Raises:
        UnknownSettingError: the environment has a misspelt setting.
    """
    check_names(os.environ)
    settings = Settings(threads=options.cpus)
    scaled = REPLICA | {
        "autoscaling_config": {
            "min_replicas": options.min_replicas,
            "max_replicas": options.max_replicas,
            # One is computed while the next one waits; where more wait, replicas are added.
            "target_ongoing_requests": 2 * options.cpus,
        }
    }
    # All that the app admits, and some: what is too much, it refuses in its own words.
    ongoing = 2 * (settings.max_uploads + settings.max_waiting + options.cpus)
    emotion = serve.deployment(
        **scaled,
        max_ongoing_requests=ongoing,
        user_config={},
        ray_actor_options={"num_cpus": options.cpus},
    )(serve.ingress()(Emotion))
    if options.layout == "whole":
        return emotion.bind(options.cpus)
    artifacts = serve.deployment(
        **scaled, max_ongoing_requests=64, ray_actor_options={"num_cpus": 1}
    )(Artifacts)
    return emotion.bind(options.cpus, artifacts.bind())
