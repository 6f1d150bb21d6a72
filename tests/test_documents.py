"""The documents a stranger follows must be true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
READ = re.compile(r"""(?:env\.\w+|boolean|listed)\(\s*["']([A-Z_]+)["']""")
LINK = re.compile(r"\]\((?!https?:)([^)#\s]+)")


def test_every_setting_that_is_read_stands_in_the_example():
    read = set(READ.findall((ROOT / "smarthome" / "settings.py").read_text()))
    explained = set(re.findall(r"^#([A-Z_]+)=", (ROOT / ".env.example").read_text(), re.M))

    assert {"DATA_DIR", "DEBUG", "ALLOWED_HOSTS", "RATE_LIMIT_CHECK"} <= read
    assert read - explained == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_relative_link_leads_somewhere(document):
    missing = [
        target
        for target in LINK.findall(document.read_text())
        if not (document.parent / target).exists()
    ]

    assert missing == []


def test_every_make_target_that_documents_name_exists():
    named = {
        target
        for document in DOCUMENTS
        for target in re.findall(r"(?:`|^|&& )make ([a-z]+)", document.read_text(), re.M)
    }
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))

    assert {"run", "test"} <= named
    assert named - targets == set()


def test_every_command_that_documents_name_exists():
    named = {
        command
        for document in DOCUMENTS
        for command in re.findall(r"manage\.py ([a-z_]+)", document.read_text())
    }
    ours = {path.stem for path in ROOT.glob("*/management/commands/[a-z]*.py")}

    assert {"enrol_device", "add_card"} <= named
    assert named - ours - {"changepassword"} == set()
