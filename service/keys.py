"""``python -m service.keys ID``: make an API key, and what the settings need to know of it."""

import hashlib
import re
import secrets
import sys

ID = re.compile(r"[A-Za-z0-9._-]{1,32}")


def main(arguments: list[str]) -> int:
    """Print a new key for each id; the service stores hashes alone, so keep the keys."""
    if not arguments or not all(ID.fullmatch(name) for name in arguments):
        print("usage: python -m service.keys ID ... (letters, digits, . _ -)", file=sys.stderr)
        return 2
    keys = {name: secrets.token_urlsafe(32) for name in arguments}
    for name, key in keys.items():
        print(f"key of {name}: {key}")
    hashes = [f"{name}:{hashlib.sha256(key.encode()).hexdigest()}" for name, key in keys.items()]
    print(f"EMOTION_API_KEYS={','.join(hashes)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
