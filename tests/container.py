"""Builds the image and runs it as docker-compose.yml does, with buildah and no container engine."""

import json
import os
import shutil
import subprocess
import time
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


# what docker-compose.yml asks for, in a mount and process namespace of its own
CONTAINER = """
set -e
mount --bind "$1" "$1"
mount -t proc proc "$1/proc"
mount -t tmpfs tmpfs "$1/tmp"
mount --bind "$2" "$1/app/model_store"
mount -o remount,bind,ro "$1/app/model_store"
mount -o remount,bind,ro "$1"
root=$1
shift 2
exec chroot "$root" "$@"
"""


@dataclass(frozen=True)
class Image:
    """What an image is and how it wants to be run."""

    layers: list[str]
    config: dict[str, Any]


@dataclass(frozen=True)
class Container:
    """A running image: its first process and where its output goes."""

    pid: int
    log: Path
    supervisor: subprocess.Popen[bytes]

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command inside, as root."""
        inside = ("nsenter", f"--target={self.pid}", "--mount", "--pid", "--root", "--wd")
        path = {"PATH": "/app/.venv/bin:/usr/bin:/bin"}
        return subprocess.run(
            [*inside, *command], capture_output=True, text=True, timeout=60, env=path | environment
        )


@contextmanager
def running(image: Image, files: Path, log: Path, **settings: object) -> Iterator[Container]:
    """Start an image's command as its own user: read-only, without capabilities, as process 1."""
    user, group = image.config["User"].split(":")
    drop = ("--no-new-privs", "--bounding-set=-all", "--inh-caps=-all", "--clear-groups")
    variables = [*image.config["Env"], *(f"EMOTION_{k.upper()}={v}" for k, v in settings.items())]
    namespaces = (
        "unshare",
        "--mount",
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        CONTAINER,
        "sh",
    )
    with log.open("wb") as output:
        supervisor = subprocess.Popen(
            [
                *(*namespaces, files, ROOT / "model_store"),
                *("setpriv", f"--reuid={user}", f"--regid={group}", *drop),
                *("env", "-i", f"--chdir={image.config['WorkingDir']}", *variables),
                *image.config["Cmd"],
            ],
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        children = Path(f"/proc/{supervisor.pid}/task/{supervisor.pid}/children")
        until = time.monotonic() + 10
        while not (first := children.read_text().split()) and time.monotonic() < until:
            time.sleep(0.01)
        yield Container(int(first[0]), log, supervisor)
    finally:
        supervisor.kill()
        supervisor.wait(10)


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
        system = self.root / "debian"
        packages = "--include=ca-certificates,python3,python3-venv"
        subprocess.run(
            ["debootstrap", "--variant=minbase", packages, "bookworm", system],
            check=True,
            stdout=subprocess.DEVNULL,
            timeout=1800,
        )
        shares = ("doc", "info", "locale", "man")
        for leftover in ("var/cache/apt", "var/lib/apt/lists", *(f"usr/share/{x}" for x in shares)):
            shutil.rmtree(system / leftover, ignore_errors=True)
        archive = self.root / "debian.tar"
        # one file system: debootstrap may leave /proc mounted
        subprocess.run(["tar", "--one-file-system", "-C", system, "-cf", archive, "."], check=True)
        container = self.buildah("from", "scratch")
        self.buildah("add", container, archive, "/")
        archive.unlink()
        self.buildah("commit", "--rm", container, BASE)

    def build(self, base: str, tag: str = IMAGE, lock: str = "requirements.lock") -> None:
        """Build the Dockerfile's last stage with the packages of a lock file."""
        settings = [f"--volume={path}:{path}:ro" for path in INDEX_SETTINGS if Path(path).exists()]
        how = ("--isolation=chroot", "--network=host", "--format=docker", "--timestamp=0")
        arguments = (f"--build-arg=BASE={base}", f"--build-arg=LOCK={lock}", f"--tag={tag}")
        self.buildah("bud", *how, *settings, *arguments, ROOT)

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
        proc = root / "debian" / "proc"
        while os.path.ismount(proc):
            subprocess.run(["umount", "--lazy", proc], check=True)
        shutil.rmtree(root)
