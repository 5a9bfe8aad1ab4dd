"""The exact text of the exports. Whether the numbers are right is tested in test_tables_summary.py.

After an intended change: ``TABLES_WRITE_GOLDEN=1 python -m pytest tests/tables/test_tables_golden.py``,
then read the difference before committing it.
"""

import os
from pathlib import Path

import pytest
from synthetic_runs import everything, extras_runs, retrieval_runs

from tables.exports import EXPORTS, markdown
from tables.layout import build

GOLDEN = Path(__file__).parent / "golden"
REGENERATE = "TABLES_WRITE_GOLDEN=1 python -m pytest tests/tables/test_tables_golden.py"


CASES = {
    "table1_paper": ("table1", "paper", everything("full")),
    "table1_mini": ("table1", "mini", everything("generated")),
    "table2_paper": ("table2", "paper", retrieval_runs()),
    "extras_paper": ("extras", "paper", extras_runs()),
}


@pytest.mark.parametrize("suffix", ["md", "tex", "csv", "txt"])
@pytest.mark.parametrize("case", CASES)
def test_the_export_equals_its_golden_file(suffix, case):
    if suffix == "txt":
        rendered = markdown.render_text(build(*CASES[case]))
    else:
        rendered = EXPORTS[suffix](build(*CASES[case]))
    # Stored with plain line ends: a checkout may convert them, and CRLF has a test of its own.
    rendered = rendered.replace("\r\n", "\n")
    path = GOLDEN / f"{case}.{suffix}"
    if os.environ.get("TABLES_WRITE_GOLDEN"):
        path.write_text(rendered, encoding="utf-8")
    golden = path.read_text(encoding="utf-8") if path.exists() else ""
    assert rendered == golden, f"{path.name} differs; if that is intended: {REGENERATE}"
