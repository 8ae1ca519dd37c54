"""The whole engine, as its user runs it."""
