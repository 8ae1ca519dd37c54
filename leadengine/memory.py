"""The garbage collector where it only costs."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def collector_paused() -> Iterator[None]:
    """For a loop over very many rows, in the whole process.

    Reference counts free what such a loop makes. The collector finds nothing more, but is called by
    the number of objects and looks through all that the process has, every few thousand rows.
    """
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
