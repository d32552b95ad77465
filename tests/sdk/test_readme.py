"""The README lists what is traced."""

from __future__ import annotations

from pathlib import Path

from fluoro import instrument

README = Path(__file__).parents[2] / "README.md"


def test_every_library_of_the_table_is_in_the_readme() -> None:
    text = README.read_text()
    listed = text[text.index("## What is traced") : text.index("## Send from")].lower()
    missing = {target.name for target in instrument.TABLE if target.name.lower() not in listed}
    assert not missing
