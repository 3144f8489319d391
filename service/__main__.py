"""``python -m service``: serve with uvicorn, as the settings say."""

import os
import tempfile

import uvicorn

from service.settings import Settings


def main() -> None:
    """Serve until SIGINT or SIGTERM, then finish the requests under way."""
    settings = Settings()
    if settings.workers == 1:
        _serve(settings)
        return
    with tempfile.TemporaryDirectory() as counts:  # where the workers add up their metrics
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = counts
        _serve(settings)


def _serve(settings: Settings) -> None:
    uvicorn.run(
        "service.app:create_app",
        factory=True,
        host=settings.host,
        port=settings.port,
        workers=settings.workers,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=int(settings.deadline_seconds) + 5,
    )


if __name__ == "__main__":
    main()
