"""Scores: training, evaluation, registry, batch and online scoring, reasons."""

import os

# Read when LightGBM's OpenMP is loaded. By default its threads spin while they wait, and beside
# other busy processes on few cores training then takes ten times as long.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
