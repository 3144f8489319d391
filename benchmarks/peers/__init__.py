"""The same artifact and pipeline, hosted by what people would pick instead; see ``__main__``.

The peers live in environments of their own under ``build/peers`` and are no dependency.
"""
