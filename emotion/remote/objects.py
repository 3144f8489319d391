"""The objects under a URL, by way of fsspec: the only place that knows it."""

import contextlib
import re
import secrets
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from emotion.errors import RemoteStoreError, StoreError

if TYPE_CHECKING:
    from fsspec import AbstractFileSystem

READ_ONLY = ("http", "https")
_EXTRAS = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"}
_SECONDS = 20  # without a byte
_QUERY = re.compile(r"\?[^\s'\"]*=[^\s'\"]*")
_USER = re.compile(r"(?<=://)[^\s'\"]*@")


class Objects:
    """Objects named by paths under a URL.

    Every failure is a RemoteStoreError that says where, without what the URL's owner keeps secret.
    """

    def __init__(self, url: str) -> None:
        """Look at nothing yet.

        Raises:
            StoreError: it is no URL, or has a user, password or query, in which secrets would be
                shown; or the package that speaks its protocol is not installed.
        """
        try:
            parts = urlsplit(url)
        except ValueError:  # which may show all of the host's part
            raise StoreError(
                "The URL of the store cannot be parsed: check its host. Credentials come from the "
                "environment (see docs/store.md)."
            ) from None
        self.url = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}".rstrip("/")
        if parts.query or parts.fragment or "@" in parts.netloc or "::" in url:
            raise StoreError(
                f"{_without_secrets(self.url)}: the URL of a store has no user, password, query or "
                "chain. Credentials come from the environment, such as AWS_ACCESS_KEY_ID or "
                "FSSPEC_HTTP (see docs/store.md)."
            )
        self.read_only = parts.scheme in READ_ONLY
        self._files, self._root = _connect(self.url, parts.scheme)

    def read(self, name: str, start: int | None = None, end: int | None = None) -> bytes:
        """Return an object's content, or its bytes from ``start`` to before ``end``.

        A web server may not know of parts, and send the whole in place of one.
        """
        if start is None and "s3" in self._files.protocol:
            start = 0  # else s3fs asks for the size first, and every poll is two requests
        with self._saying(name):
            return bytes(self._files.cat_file(f"{self._root}/{name}", start=start, end=end))

    def write(self, name: str, content: bytes) -> None:
        """Write an object, whole or not at all."""
        self.check_writable()
        try:
            with self._saying(name):
                self._put(name, content)
        except MissingObjectError as error:
            raise RemoteStoreError(f"{self.url}: there is no such bucket or folder.") from error

    def tag(self, name: str) -> str | None:
        """Return what changes with an object's content, for ``exchange``; None where it is not."""
        try:
            with self._saying(name):
                info = self._files.info(f"{self._root}/{name}")
        except MissingObjectError:
            return None
        return str(info.get("ETag") or info.get("etag") or info.get("mtime"))

    def exchange(self, name: str, content: bytes, tag: str | None) -> bool:
        """Write an object unless it has changed since it had this tag; say whether it was written.

        S3 compares and writes in one step; elsewhere a writer in the moment between is not noticed.
        """
        self.check_writable()
        if self.tag(name) != tag:
            return False
        condition: dict[str, Any] = {}
        if "s3" in self._files.protocol:
            condition = {"IfMatch": tag} if tag else {"mode": "create"}
        try:
            with self._saying(name):
                self._put(name, content, **condition)
        except RemoteStoreError:
            if self.tag(name) == tag:
                raise
            return False
        return True

    def sizes(self, folder: str) -> dict[str, int]:
        """Return the objects in a folder, by name, with their bytes; none where it is not.

        Nor does a web server tell of any.
        """
        if self.read_only:
            return {}
        with self._saying(folder):
            try:
                found = self._files.find(f"{self._root}/{folder}", detail=True)
            except FileNotFoundError:
                return {}
        return {path.rpartition("/")[2]: int(info["size"]) for path, info in found.items()}

    def check_writable(self) -> None:
        """Raise StoreError where objects can only be read."""
        if self.read_only:
            raise StoreError(
                f"{self.url}: a web server's store is only read. Change it where its files lie, by "
                "an s3://, gs:// or file:// URL."
            )

    def _put(self, name: str, content: bytes, **condition: Any) -> None:
        path = f"{self._root}/{name}"
        if "file" not in self._files.protocol:
            self._files.pipe_file(path, content, **condition)
            return
        beside = f"{path}.{secrets.token_hex(8)}.part"
        self._files.makedirs(path.rpartition("/")[0], exist_ok=True)
        self._files.pipe_file(beside, content)
        self._files.mv(beside, path)

    @contextlib.contextmanager
    def _saying(self, name: str) -> Iterator[None]:
        place = f"{self.url}/{name}"
        try:
            yield
        except FileNotFoundError as error:
            raise MissingObjectError(f"{place}: there is no such object.") from error
        except PermissionError as error:
            raise RemoteStoreError(
                f"{place}: not permitted: check the credentials in the environment."
            ) from error
        except Exception as error:  # each protocol's package has errors of its own
            # It may tell where an endpoint or a redirection led: with a password or a signature.
            reason = _without_secrets(str(error).partition("\n")[0]) or type(error).__name__
            raise RemoteStoreError(f"{place}: {reason.rstrip('.')}.") from error


class MissingObjectError(RemoteStoreError):
    """There is no object of that name."""


def _without_secrets(text: str) -> str:
    """Return a text without the users, passwords and queries of the URLs in it."""
    return _USER.sub("", _QUERY.sub("", text))


def _connect(url: str, scheme: str) -> "tuple[AbstractFileSystem, str]":
    extra = _EXTRAS.get(scheme, "remote")
    try:
        from fsspec.config import conf
        from fsspec.core import url_to_fs

        # What the environment says (FSSPEC_S3, FSSPEC_HTTP, ...) has precedence.
        options = _patience(scheme) | conf.get(scheme, {})
        files, root = url_to_fs(url, use_listings_cache=False, skip_instance_cache=True, **options)
    except ImportError as error:
        raise StoreError(
            f"{url}: this needs packages that are not installed ({error.name or error}): "
            f"pip install 'emotion-service[{extra}]'."
        ) from error
    except ValueError as error:  # a protocol that nobody knows
        raise StoreError(f"{url}: {error}.") from error
    return files, root


def _patience(scheme: str) -> dict[str, Any]:
    """Return options that keep a silent server from being waited for long."""
    if scheme in ("s3", "s3a"):
        tries = {"total_max_attempts": 1}  # s3fs tries again itself
        return {
            "config_kwargs": {
                "connect_timeout": _SECONDS / 2,
                "read_timeout": _SECONDS,
                "retries": tries,
            }
        }
    if scheme in READ_ONLY:
        from aiohttp import ClientTimeout

        timeout = ClientTimeout(total=None, sock_connect=_SECONDS / 2, sock_read=_SECONDS)
        return {"client_kwargs": {"timeout": timeout}}
    return {}
