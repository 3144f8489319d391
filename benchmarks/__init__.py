"""Measures the service and its parts; numbers are printed with the machine they come from."""
