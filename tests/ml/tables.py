"""Lead tables made for tests; the people in them do not exist."""

import csv
import gzip
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np

X_EDUCATION_LEAKS = (
    "Tags",
    "Lead Quality",
    "Last Notable Activity",
    "Last Activity",
    "Lead Profile",
    "Asymmetrique Activity Index",
    "Asymmetrique Profile Index",
    "Asymmetrique Activity Score",
    "Asymmetrique Profile Score",
)

HEADER = ["Lead Id", "Source", "Budget", "Visits", "Preapproved", "Asked On", "Converted"]


def lead_rows(count: int = 400, seed: int = 3) -> list[list[str]]:
    """Rows below ``HEADER`` whose outcome depends on source, visits and pre-approval."""
    random = np.random.default_rng(seed)
    rows = []
    for i in range(count):
        source = str(random.choice(["Google", "Referral", "Facebook", "Select", ""]))
        visits = int(random.poisson(3))
        approved = bool(random.random() < 0.3)
        # Either alone helps, both together do not: trees see that and a linear model cannot.
        either = (visits > 3) != approved
        log_odds = -2.0 + 0.3 * visits + 1.1 * either + 1.0 * (source == "Referral")
        won = random.random() < 1 / (1 + np.exp(-log_odds))
        rows.append(
            [
                f"L-{i:05d}",
                source,
                f"${random.integers(100, 900)},000",
                str(visits) if random.random() > 0.05 else "",
                "Yes" if approved else "No",
                f"2024-{1 + i * 12 // count:02d}-{1 + i % 28:02d}",
                "1" if won else "0",
            ]
        )
    return rows


def write(path: Path, rows: Sequence[Sequence[str]], header: Sequence[str] | None = None) -> Path:
    """Writes a CSV, gzipped if the name says so."""
    text = io.StringIO()
    csv.writer(text).writerows([header or HEADER, *rows])
    content = text.getvalue().encode()
    path.write_bytes(gzip.compress(content, mtime=0) if path.suffix == ".gz" else content)
    return path
