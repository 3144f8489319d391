"""``python -m docs.generate``: make everything again that is made from something else."""

import sys

from docs.generate import answers, pipeline, rules
from docs.generate.pages import PAGES, generated


def main() -> int:
    """Write whatever has changed."""
    pipeline.write()
    rules.write()
    answers.write()
    for path in PAGES:
        text = generated(path)
        if text != path.read_text():
            print(path.name)
            path.write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
