"""Builds the image and runs it as docker-compose.yml does, without Docker: buildah and podman."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.conftest import ROOT

BASE = "localhost/python-base"
IMAGE = "localhost/emotion-service"
# where a machine keeps what its package index needs
INDEX_SETTINGS = ("/etc/pip.conf", "/etc/xdg/pip", "/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Storage:
    """Images and containers in a directory of their own."""

    root: Path

    def run(self, program: str, *words: str) -> str:
        where = ("--root", self.root / "storage", "--runroot", self.root / "run")
        command = [program, *where, "--storage-driver", "vfs", *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=1200)
        if done.returncode != 0:
            raise RuntimeError(f"{program} {' '.join(words)}:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def import_base(self) -> None:
        """Make the base image: Debian 12 with its own Python 3.11."""
        system, archive = self.root / "debian", self.root / "debian.tar"
        packages = "--include=ca-certificates,python3,python3-venv"
        subprocess.run(
            ["debootstrap", "--variant=minbase", packages, "bookworm", system],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=1200,
        )
        for leftover in ("var/cache/apt", "var/lib/apt/lists"):
            shutil.rmtree(system / leftover)
        # one file system: debootstrap may leave /proc mounted
        subprocess.run(["tar", "--one-file-system", "-C", system, "-cf", archive, "."], check=True)
        self.run("podman", "import", "--quiet", str(archive), BASE)
        archive.unlink()

    def build(self, base: str, tag: str = IMAGE) -> None:
        """Build the Dockerfile's last stage."""
        settings = [f"--volume={path}:{path}:ro" for path in INDEX_SETTINGS if Path(path).exists()]
        how = ("--isolation=chroot", "--network=host", "--format=docker", "--timestamp=0")
        self.run(
            "buildah", "bud", *how, *settings, f"--build-arg=BASE={base}", f"--tag={tag}", str(ROOT)
        )

    def inspect(self, image: str) -> dict[str, object]:
        return json.loads(self.run("podman", "image", "inspect", image))[0]

    @contextmanager
    def serving(self, port: int) -> Iterator[str]:
        """Run the image as docker-compose.yml does; yields the container's id."""
        hardened = ("--read-only", "--tmpfs=/tmp", "--cap-drop=all")
        limits = ("--security-opt=no-new-privileges", "--cgroups=disabled", "--network=host")
        store = f"--volume={ROOT / 'model_store'}:/app/model_store:ro"
        settings = ("--env=EMOTION_HOST=127.0.0.1", f"--env=EMOTION_PORT={port}")
        container = self.run(
            "podman", "run", "--detach", *hardened, *limits, store, *settings, IMAGE
        )
        try:
            yield container
        finally:
            self.run("podman", "rm", "--force", container)


@contextmanager
def storage(root: Path) -> Iterator[Storage]:
    """Give a storage that is gone afterwards, with the gigabytes in it."""
    mine = Storage(root)
    try:
        yield mine
    finally:
        proc = root / "debian" / "proc"
        while os.path.ismount(proc):
            subprocess.run(["umount", "--lazy", proc], check=True)
        shutil.rmtree(root)
