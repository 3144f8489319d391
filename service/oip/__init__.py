"""The Open Inference Protocol (KServe V2): its messages, its tensors, and what they mean here.

Two rules are the protocol's own: an error is a JSON object with ``error``, and one bad image
fails its whole request. Everything else is the service's: the same pictures, limits and answers.
"""
