"""``python -m docs.generate``: make the pages' generated parts again, picture and examples too."""

import sys

from docs.generate import answers, pipeline
from docs.generate.pages import PAGES, generated


def main() -> int:
    """Write whatever has changed."""
    pipeline.write()
    answers.write()
    for path in PAGES:
        text = generated(path)
        if text != path.read_text():
            print(path.name)
            path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
