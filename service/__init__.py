"""The HTTP service: health, metrics and the online scoring endpoint."""
