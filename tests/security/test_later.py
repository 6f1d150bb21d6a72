"""What has no row yet because the house has nothing of it yet. Each fails when that changes."""

import re

from tests.house import ROOT

SOURCES = [path for folder in ("access", "policies", "realtime", "sensors", "smarthome")
           for path in (ROOT / folder).rglob("*.py")]  # fmt: skip


def test_nothing_writes_tables_that_a_spreadsheet_would_open():
    """The first export must quote cells that begin a formula (= + - @, tab, return)."""
    writers = [
        path.name
        for path in SOURCES
        if re.search(
            r"csv\.(w|DictW)riter|^\s*(from csv|import openpyxl|from import_export)",
            path.read_text(),
            re.M,
        )
    ]

    assert writers == []
