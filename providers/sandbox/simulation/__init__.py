"""A simulated real-estate brokerage, generated from a seed.

The people are invented, and so is everything they say; see :mod:`.model`.
"""

from providers.sandbox.simulation.generate import generate
from providers.sandbox.simulation.model import Brokerage, Record, Truth

__all__ = ["Brokerage", "Record", "Truth", "generate"]
