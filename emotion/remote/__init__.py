"""The model store elsewhere: a bucket or a web server, and the directory it is kept in here."""

from emotion.remote.cache import CachedStore, open_store
from emotion.remote.pull import pull
from emotion.remote.store import RemoteStore, is_url

__all__ = ["CachedStore", "RemoteStore", "is_url", "open_store", "pull"]
