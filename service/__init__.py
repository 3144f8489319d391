"""HTTP on top of ``emotion``."""
