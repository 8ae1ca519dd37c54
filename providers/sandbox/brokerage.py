"""The generated brokerage: made once for (seed, contacts, anchor), then read from a file."""

from __future__ import annotations

import gc
import pickle
from datetime import date
from pathlib import Path

from leadengine.errors import LeadEngineError
from providers.sandbox.simulation import generate
from providers.sandbox.simulation.model import Brokerage


def load_brokerage(
    folder: Path, seed: int, contacts: int, anchor: date, *, has_history: bool
) -> Brokerage:
    """The brokerage of ``folder``, generated when there is none yet.

    A folder keeps the brokerage that it began with, also when a newer version of the simulation
    would make another: what happened since, in the journal, speaks of those people.

    Args:
        folder: of the sandbox's state.
        seed: of everything drawn.
        contacts: how many people.
        anchor: the day (UTC) around which the simulation lies.
        has_history: the journal holds changes, so that another brokerage would not do.

    Raises:
        LeadEngineError: there is history, and the brokerage it belongs to cannot be read.
    """
    path = folder / f"brokerage-{seed}-{contacts}-{anchor.isoformat()}.pickle"
    brokerage = _read(path) if path.exists() else None
    if brokerage is not None:
        return brokerage
    if has_history:
        raise LeadEngineError(
            f"The sandbox's state in {folder} was made by another version.",
            remedy="Delete that folder; its people are simulated, and new ones are made.",
        )
    brokerage = generate(seed, contacts, anchor)
    draft = path.with_suffix(".new")
    with draft.open("wb") as file:
        pickle.dump(brokerage, file, protocol=pickle.HIGHEST_PROTOCOL)
    draft.rename(path)
    return brokerage


def _read(path: Path) -> Brokerage | None:
    # Millions of small objects come to life here: looking for garbage among them doubles the time.
    gc.disable()
    try:
        with path.open("rb") as file:
            loaded = pickle.load(file)  # noqa: S301 - our own file in our own folder
    except (pickle.UnpicklingError, AttributeError, ImportError, EOFError, TypeError):
        return None
    finally:
        gc.enable()
    return loaded if isinstance(loaded, Brokerage) else None
