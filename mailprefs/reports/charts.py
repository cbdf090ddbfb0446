"""Charts as SVG pictures: dark text on white, no script, no style sheet, nothing from elsewhere.

Each is drawn from numbers that were released, and stands beside a table that holds the same. A
picture is served as a file of its own, so its colours are in its attributes. It is drawn for a
width, as a picture that is made smaller has letters that nobody can read.
"""

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from markupsafe import escape

from mailprefs.reports.breakdowns import Breakdown
from mailprefs.reports.campaigns import Opens, Report
from mailprefs.reports.cells import Shown

WIDE: Final = 720
NARROW: Final = 350
"""Widths in pixels: beside text on a desk, and on a phone."""
_INK: Final = "#1b2429"
_QUIET: Final = "#55626a"
_GRID: Final = "#dcd9d2"
_ACCENT: Final = "#0e5a5e"
_SOFT: Final = "#9cc5c3"
_FONT: Final = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"
_ROW: Final = 36


class _Rate(NamedTuple):
    """One rate to draw: its words, the value, and the bounds around it, if there are any."""

    label: str
    note: str
    rate: float
    low: float | None = None
    high: float | None = None
    less: float | None = None
    more: float | None = None


def of_times(table: Breakdown, zone: str, width: int = WIDE) -> str:
    """Draw opens by day or hour as columns; those that aren't told apart are left out."""
    height, left, floor = 260, 52, 220
    parts = table.parts
    top = _nice(max((part.opens for part in parts), default=1))
    shapes = _grid(top, (left, width), floor)
    room = (width - left - 8) / max(len(parts), 1)
    every = max(-(-len(parts) * 96 // (width - left)), 1)
    for place, part in enumerate(parts):
        middle = left + (place + 0.5) * room
        tall = part.opens / top * (floor - 24)
        wide = max(min(room * 0.72, 56), 1)
        column = _bar((middle - wide / 2, floor - tall), (wide, tall), _ACCENT)
        shapes.append(f"<g><title>{escape(part.label)}: {part.opens:,}</title>{column}</g>")
        if place % every == 0:
            words = _short(part.label)
            shapes.append(_text((middle, height - 16), words, anchor="middle", fill=_QUIET))
    return _picture(f"Opens {table.title.lower()} ({zone})", (width, height), shapes)


def of_values(table: Breakdown, width: int = WIDE) -> str:
    """Draw opens by country or mail program as bars, the largest first, the rest last."""
    lines = table.lines
    most = max((part.opens for part in lines), default=1) or 1
    left, figures = (190, 130) if width > NARROW else (104, 100)
    shapes = []
    for place, part in enumerate(lines):
        y = 12 + place * _ROW
        long = max(part.opens / most * (width - left - figures), 1)
        told = f"{part.opens:,} · {part.rate * 100:.1f} %"
        fill = _SOFT if part is table.rest else _ACCENT
        shapes += [
            *_lines((left - 10, y + 20), part.label, width),
            _bar((left, y + 4), (long, _ROW - 12), fill),
            _text((left + long + 8, y + 20), told, fill=_QUIET),
        ]
    size = (width, 24 + len(lines) * _ROW)
    return _picture(f"Opens {table.title.lower()}", size, shapes)


def of_rates(report: Report, width: int = WIDE) -> str:
    """Draw a campaign's rates, with the interval of the estimate."""
    title = f"Open rates of campaign {report.campaign_id}"
    return _rates(title, _of_opens(report.opens), width)


def of_comparison(reports: Sequence[Report], width: int = WIDE) -> str:
    """Draw the estimated rates of campaigns below each other, with their intervals."""
    longest = 22 if width > NARROW else 11
    rates = []
    for one in reports:
        estimate = one.opens.estimate if one.opens else None
        label = one.name if len(one.name) <= longest else f"{one.name[: longest - 1]}…"
        if estimate is not None:
            rates.append(_Rate(label, f"campaign {one.campaign_id}", *estimate))
    return _rates("Estimated open rates", rates, width)


def _of_opens(opens: Opens | None) -> list[_Rate]:
    if opens is None:
        return []
    found = [
        _Rate(label, note, cell.rate)
        for label, note, cell in (
            ("Reported", "too high", opens.reported),
            ("Confirmed", "at least", opens.confirmed),
        )
        if cell.shown is Shown.EXACT and cell.rate is not None
    ]
    if opens.estimate is not None:
        found.insert(0, _Rate("Estimated", "95 % interval", *opens.estimate))
    return found


def _rates(title: str, rates: Sequence[_Rate], width: int) -> str:
    """Draw rates on one scale, each with its interval as a band and its range as a thin line."""
    left, right = (170, 90) if width > NARROW else (112, 64)
    highest = max((max(one.rate, one.more or 0, one.high or 0) for one in rates), default=0.1)
    top = min(_nice(highest * 100) / 100, 1.0)
    row, bottom = 52, 16 + len(rates) * 52

    def across(rate: float) -> float:
        return left + min(rate / top, 1) * (width - left - right)

    shapes = []
    steps = 4 if width > NARROW else 2
    for tick in range(steps + 1):
        x = across(top * tick / steps)
        shapes.append(_line((x, 8), (x, bottom), _GRID))
        words = f"{top * tick / steps * 100:g} %"
        shapes.append(_text((x, bottom + 20), words, anchor="middle", fill=_QUIET))
    for place, one in enumerate(rates):
        y = 16 + place * row + row / 2
        shapes += [
            _text((left - 14, y - 3), one.label, anchor="end", weight=620),
            _text((left - 14, y + 15), one.note, anchor="end", fill=_QUIET),
            *_span(one, across, y),
            f'<circle cx="{across(one.rate):.1f}" cy="{y}" r="6" fill="{_ACCENT}"/>',
            _text((width - 8, y + 5), f"{one.rate * 100:.1f} %", anchor="end", weight=620),
        ]
    return _picture(title, (width, bottom + 32), shapes)


def _span(one: _Rate, across: Callable[[float], float], y: float) -> list[str]:
    """Draw the interval, and the wider range."""
    if one.low is None or one.high is None or one.less is None or one.more is None:
        return []
    long = max(across(one.high) - across(one.low), 2)
    return [
        _line((across(one.less), y), (across(one.more), y), _SOFT, 3),
        _bar((across(one.low), y - 9), (long, 18), _SOFT),
    ]


def _grid(top: float, between: tuple[int, int], floor: float) -> list[str]:
    """Draw lines for four steps of a scale, each with its number."""
    left, right = between
    lines = []
    for step in range(5):
        y = floor - step * (floor - 24) / 4
        lines.append(_line((left, y), (right, y), _GRID))
        words = f"{top * step / 4:,g}"
        lines.append(_text((left - 8, y + 5), words, anchor="end", fill=_QUIET))
    return lines


def _nice(most: float) -> float:
    """Give a round number that is at least *most*, and can be cut in four."""
    size = 1.0
    while size * 10 < most:
        size *= 10
    steps = (1, 2, 4, 5, 6, 8, 10) if size >= 10 else (4, 8, 10)
    return next((step * size for step in steps if step * size >= most), 10 * size)


def _short(label: str) -> str:
    """Give a day or an hour without its year."""
    return f"{label[5:10]}, {label[11:13]}h" if " " in label else label[5:]


def _lines(at: tuple[float, float], words: str, width: int) -> list[str]:
    """Write a label in one line, or in two where there is little room."""
    x, y = at
    first, comma, second = words.partition(" or ")
    if width > NARROW or not comma:
        return [_text(at, words, anchor="end")]
    return [
        _text((x, y - 7), first, anchor="end"),
        _text((x, y + 8), f"or {second}", anchor="end"),
    ]


def _line(
    start: tuple[float, float], end: tuple[float, float], stroke: str, thick: float = 1
) -> str:
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        f'stroke="{stroke}" stroke-width="{thick}" stroke-linecap="round"/>'
    )


def _bar(at: tuple[float, float], size: tuple[float, float], fill: str) -> str:
    return (
        f'<rect x="{at[0]:.1f}" y="{at[1]:.1f}" width="{size[0]:.1f}" height="{size[1]:.1f}" '
        f'rx="3" fill="{fill}"/>'
    )


def _text(
    at: tuple[float, float],
    words: str,
    *,
    anchor: str = "start",
    fill: str = _INK,
    weight: int = 400,
) -> str:
    return (
        f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{anchor}" fill="{fill}" '
        f'font-size="14" font-weight="{weight}">{escape(words)}</text>'
    )


def _picture(title: str, size: tuple[int, float], shapes: Sequence[str]) -> str:
    width, height = size
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height:.0f}" '
        f'width="{width}" height="{height:.0f}" role="img" font-family="{_FONT}">'
        f"<title>{escape(title)}</title>"
        f'<rect width="100%" height="100%" fill="#ffffff"/>{"".join(shapes)}</svg>\n'
    )
