"""Files that are whole or not there, however a step ends."""

from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write a file beside its place, then rename it there: a kill leaves the old one."""
    new = path.with_name(f"new.{path.name}")
    new.write_bytes(content)
    new.replace(path)
