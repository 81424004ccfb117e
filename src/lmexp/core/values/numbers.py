"""How a number is written everywhere, in the terminal and on pages, in no more digits than say something."""

import math


def number(value: float) -> str:
    """Return `value` with four significant digits; whole numbers below 10^15 keep all of theirs."""
    try:
        value = value if isinstance(value, int) and abs(value) < 1e15 else float(value)
    except OverflowError:  # a whole number beyond any float
        return f"{'-' * (value < 0)}1e{len(str(abs(value))) - 1} or more"
    if not math.isfinite(value):
        return "not a number" if math.isnan(value) else ("-infinity" if value < 0 else "infinity")
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if 1000 <= abs(value) < 1e15:
        return f"{value:,.0f}"
    return tidy(f"{value:.4g}")


def tidy(text: str) -> str:
    """Return ``1e-5`` for ``1e-05``."""
    head, e, exponent = text.partition("e")
    return f"{head}e{int(exponent)}" if e else head
