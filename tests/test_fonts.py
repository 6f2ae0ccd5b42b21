"""Pictures show class names in their own script, where a font of it is installed."""

from __future__ import annotations

import pytest
from matplotlib.ft2font import FT2Font

from videozoo.fonts import font_file_for, font_files


def test_plain_names_are_drawn_with_the_font_that_is_always_there() -> None:
    assert next(iter(font_files())) == "DejaVu Sans"
    assert font_file_for("move left 0.98") == font_files()["DejaVu Sans"]


def test_names_of_another_script_take_a_font_that_has_it() -> None:
    if len(font_files()) == 1:
        pytest.skip("no font of other scripts is installed")
    known = FT2Font(font_file_for("跑步 0.98")).get_charmap()
    assert all(ord(sign) in known for sign in "跑步")
