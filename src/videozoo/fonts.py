"""Fonts of pictures: class names may be in any script, and no font has them all."""

from __future__ import annotations

# Of Linux, Windows and macOS; the first have the most scripts.
_WIDE = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans SC", "Source Han Sans SC",
    "WenQuanYi Micro Hei", "WenQuanYi Zen Hei", "Droid Sans Fallback", "Microsoft YaHei", "SimHei",
    "PingFang SC", "Hiragino Sans GB", "Arial Unicode MS", "Noto Sans Devanagari", "Noto Sans Thai",
)  # fmt: skip


def font_files() -> dict[str, str]:
    """Returns the families to draw with and their files: matplotlib's own, then wider ones."""
    from matplotlib.font_manager import fontManager

    installed = {font.name: font.fname for font in reversed(fontManager.ttflist)}
    return {name: installed[name] for name in ("DejaVu Sans", *_WIDE) if name in installed}


def font_file_for(text: str) -> str:
    """Returns the file of the font that has most of a text's characters."""
    from matplotlib.ft2font import FT2Font

    def missing(path: str) -> int:
        known = FT2Font(path).get_charmap()
        return sum(ord(sign) not in known for sign in text)

    return min(font_files().values(), key=missing)
