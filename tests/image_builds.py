"""Builds images: their base with debootstrap, the project's with buildah, the same each time."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

BASE = "localhost/python-base"
IMAGE = "localhost/emotion-service"
# where a machine keeps what its package index needs
INDEX_SETTINGS = ("/etc/pip.conf", "/etc/xdg/pip", "/etc/ssl/certs/ca-certificates.crt")


@dataclass(frozen=True)
class Image:
    """What an image is and how it wants to be run."""

    layers: list[str]
    config: dict[str, Any]


def debian(root: Path, *packages: str) -> Path:
    """Install a slim Debian 12 with some packages below ``root``, and return it as an archive."""
    system, archive = root / "debian", root / "debian.tar"
    command = ["debootstrap", "--variant=minbase", f"--include={','.join(packages)}"]
    try:
        subprocess.run(
            [*command, "bookworm", system], check=True, stdout=subprocess.DEVNULL, timeout=1800
        )
    finally:
        while os.path.ismount(system / "proc"):  # debootstrap may leave it so
            subprocess.run(["umount", "--lazy", system / "proc"], check=True)
    shares = ("doc", "info", "locale", "man")
    for leftover in ("var/cache/apt", "var/lib/apt/lists", *(f"usr/share/{x}" for x in shares)):
        shutil.rmtree(system / leftover, ignore_errors=True)
    subprocess.run(["tar", "--one-file-system", "-C", system, "-cf", archive, "."], check=True)
    shutil.rmtree(system)
    return archive


@dataclass(frozen=True)
class Storage:
    """Images and containers in a directory of their own."""

    root: Path

    def buildah(self, *words: str | Path) -> str:
        """Run buildah here; raises RuntimeError with what it printed."""
        where = ("--root", self.root / "storage", "--runroot", self.root / "run")
        command = ["buildah", *where, "--storage-driver", "vfs", *words]
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=1800)
        if done.returncode != 0:
            raise RuntimeError(f"buildah {words}:\n{done.stdout}{done.stderr}")
        return done.stdout.strip()

    def make_base(self) -> None:
        """Make the base image: a slim Debian 12 with its own Python 3.11."""
        archive = debian(self.root, "ca-certificates", "python3", "python3-venv")
        container = self.buildah("from", "scratch")
        self.buildah("add", container, archive, "/")
        archive.unlink()
        self.buildah("commit", "--rm", container, BASE)

    def build(self, base: str, tag: str = IMAGE) -> None:
        """Build the Dockerfile's last stage."""
        settings = [f"--volume={path}:{path}:ro" for path in INDEX_SETTINGS if Path(path).exists()]
        how = ("--isolation=chroot", "--network=host", "--format=docker", "--timestamp=0")
        self.buildah("bud", *how, *settings, f"--build-arg=BASE={base}", f"--tag={tag}", ROOT)

    def image(self, name: str) -> Image:
        """Read an image's description."""
        facts = json.loads(self.buildah("inspect", "--type=image", name))
        docker = facts["Docker"]
        return Image(docker["rootfs"]["diff_ids"], docker["config"])

    @contextmanager
    def files(self, image: str) -> Iterator[Path]:
        """Lay an image's files out in a directory."""
        container = self.buildah("from", image)
        try:
            yield Path(self.buildah("mount", container))
        finally:
            self.buildah("rm", container)


@contextmanager
def storage(root: Path) -> Iterator[Storage]:
    """Give a storage that is gone afterwards, with the gigabytes in it."""
    mine = Storage(root)
    try:
        yield mine
    finally:
        shutil.rmtree(root)
