"""The command line: the one module of this room that may reach up into the others."""

from leadengine.cli.app import main

__all__ = ["main"]
