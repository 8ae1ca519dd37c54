"""``python -m leadengine``."""

from leadengine.cli import main

main()
