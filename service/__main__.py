"""``python -m service``: serve with uvicorn, as the settings say."""

import gc

gc.disable()  # looking for garbage takes an eighth of the start; service/app.py enables it

import os
import sys
import tempfile

import structlog
import uvicorn
from pydantic import ValidationError

from emotion.detectors import Detectors
from emotion.errors import EmotionError
from emotion.remote import open_store
from service.grpc_extra import grpc_server
from service.logs import configure_logs
from service.ports import check_port
from service.protocol import BoundedProtocol
from service.runtime import finder_of, to_preload
from service.settings import Settings, check_names
from service.shadow import shadow_pair

_log = structlog.get_logger()


def main() -> int:
    """Serve until SIGINT or SIGTERM, then finish the requests under way.

    Returns 1, with a sentence on standard error, where the settings, a port, the store or
    the detector are at fault.
    """
    try:
        settings = Settings()
        check_names(os.environ)
        check_port("EMOTION_PORT", settings.host, settings.port)
        store = open_store(settings.store, settings.channel, settings.cache_dir)
        to_preload(store, settings.preload)
        shadow_pair(settings, store)
        if settings.grpc_port is not None:
            grpc_server()
            check_port("EMOTION_GRPC_PORT", settings.host, settings.grpc_port)
        Detectors(store, finder_of(settings)).look_for(settings.detector)
    except ValidationError as error:
        for problem in error.errors():
            name = f"EMOTION_{problem['loc'][0]}".upper()
            given = "" if name == "EMOTION_API_KEYS" else f"={problem['input']}"  # a key, perhaps
            print(f"error: {name}{given}: {problem['msg']}", file=sys.stderr)
        return 1
    except EmotionError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    configure_logs(settings.log_level)
    if settings.is_open:
        _log.warning("everybody may ask: EMOTION_API_KEYS is not set", host=settings.host)
    if settings.workers == 1:
        _serve(settings)
        return 0
    gc.enable()  # this process only watches over the workers
    # Where the workers add up their metrics, in mapped files: on a disk that is full, writing to
    # one kills the process.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108 (a fresh directory)
    with tempfile.TemporaryDirectory(prefix="emotion-metrics-", dir=memory) as counts:
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = counts
        _serve(settings)
    return 0


def _serve(settings: Settings) -> None:
    # Loopback too may be somebody: whoever says for whom he asks must have been named.
    proxies = os.environ.get("FORWARDED_ALLOW_IPS", "")
    uvicorn.run(
        "service.app:create_app",
        factory=True,
        http=BoundedProtocol,
        ws="none",
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=bool(proxies),  # without any, no request need be looked through for them
        forwarded_allow_ips=proxies,
        timeout_worker_healthcheck=30,  # on a busy machine a sound worker may take its time
        timeout_graceful_shutdown=settings.grace_seconds,
    )


if __name__ == "__main__":
    sys.exit(main())
