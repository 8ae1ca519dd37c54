"""The generated brokerage: made once for (seed, contacts, anchor), then read from a file."""

from __future__ import annotations

import gc
import hashlib
import pickle
from datetime import date
from pathlib import Path

from providers.sandbox import simulation
from providers.sandbox.simulation import generate
from providers.sandbox.simulation.model import Brokerage


def load_brokerage(folder: Path, seed: int, contacts: int, anchor: date) -> Brokerage:
    """The brokerage, from the cache in ``folder`` if it is there and sound."""
    path = folder / f"brokerage-{seed}-{contacts}-{anchor.isoformat()}-{_code_digest()}.pickle"
    if path.exists():
        brokerage = _read(path)
        if brokerage is not None:
            return brokerage
    brokerage = generate(seed, contacts, anchor)
    draft = path.with_suffix(".new")
    with draft.open("wb") as file:
        pickle.dump(brokerage, file, protocol=pickle.HIGHEST_PROTOCOL)
    draft.rename(path)
    return brokerage


def _code_digest() -> str:
    """Changes with the simulation's code, so that a file made by other code is not used."""
    sha = hashlib.sha256()
    for file in sorted(Path(simulation.__file__).parent.glob("*.py")):
        sha.update(file.read_bytes())
    return sha.hexdigest()[:12]


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
