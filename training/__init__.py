"""Turns CK+ into the nine artifacts of the model store. The only package that needs TensorFlow."""
