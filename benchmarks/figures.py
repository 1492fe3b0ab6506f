"""Figures: the middle of many, and how they are written."""

from __future__ import annotations

from statistics import median, quantiles
from typing import TypeVar

T = TypeVar("T")


def spread(values: list[float]) -> dict[str, float]:
    """Return the median and the quartiles."""
    if len(values) == 1:
        values = values * 2
    low, _, high = quantiles(values, n=4, method="inclusive")
    return {"median": median(values), "low": low, "high": high}


def turned(things: list[T], number: int) -> list[T]:
    """Return the things in the order of this round: each comes first as often as the others."""
    first = number % len(things)
    return things[first:] + things[:first]


def ratio(figure: dict[str, float]) -> str:
    """Write a ratio with its quartiles."""
    middle = figure["median"]
    digits = 2 if middle >= 0.1 else 4  # noqa: PLR2004 - below, two digits would say nothing
    low, high = figure["low"], figure["high"]
    return f"{middle:.{digits}f} ({low:.{digits}f}-{high:.{digits}f})"


def seconds(value: float) -> str:
    """Write a time in the unit that fits."""
    for unit, factor in (("s", 1.0), ("ms", 1e3), ("us", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}"
    return f"{value * 1e6:.2g} us"


def queries(count: int) -> str:
    """Write a number of queries."""
    return f"{count} quer{'y' if count == 1 else 'ies'}"


def table(head: list[str], rows: list[list[object]]) -> str:
    """Write a table in Markdown."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)
