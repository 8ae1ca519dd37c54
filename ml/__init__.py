"""Scores: training, evaluation, registry, batch and online scoring, reasons."""
