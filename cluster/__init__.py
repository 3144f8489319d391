"""Several machines: the HTTP service on Ray Serve, a million pictures on Ray Data."""
