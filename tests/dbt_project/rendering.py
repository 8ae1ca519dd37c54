"""The feature macro for one lead, compiled, as the online path reads it.

``python -m tests.dbt_project.rendering`` writes it anew after the macro has changed; it needs the
variables of ``dbt_project/profiles.yml``.
"""

import re
import tempfile
from pathlib import Path

from dbt.cli.main import dbtRunner

PROJECT = Path(__file__).parents[2] / "dbt_project"
RENDERED = PROJECT / "rendered" / "one_lead_features.sql"
_HEADER = """\
-- Compiled from analyses/one_lead_features.sql: do not edit. The features of one lead at one
-- moment, with the bound parameters lead_id (text) and as_of (timestamptz). Gives one row:
-- lead_id, as_of, and the features of marts.lead_features.
"""


def render() -> str:
    """Compiles the analysis.

    Raises:
        RuntimeError: dbt cannot compile it.
    """
    with tempfile.TemporaryDirectory(prefix="leadengine-render-") as target:
        result = dbtRunner().invoke(
            ["--log-level", "none", "--log-path", target, "compile",
             "--select", "one_lead_features",
             "--project-dir", str(PROJECT), "--profiles-dir", str(PROJECT),
             "--target-path", target, "--no-populate-cache"]
        )  # fmt: skip
        if not result.success:
            raise RuntimeError("dbt cannot compile analyses/one_lead_features.sql")
        compiled = Path(target, "compiled/leadengine/analyses/one_lead_features.sql")
        sql = compiled.read_text(encoding="utf-8")
    # Macros leave blank lines around what they give.
    lines = [line.rstrip() for line in sql.strip().splitlines() if line.strip()]
    return _HEADER + re.sub(r"\n\),\n", "\n),\n\n", "\n".join(lines)) + "\n"


if __name__ == "__main__":
    RENDERED.parent.mkdir(exist_ok=True)
    RENDERED.write_text(render(), encoding="utf-8")
