"""How the report writes numbers."""


def percent(share: float) -> str:
    """0.9943 -> "99.43 %"."""
    return f"{100 * share:.2f} %"


def seconds(value: float) -> str:
    """Seconds as a person says them."""
    return f"{value:.1f} s" if value < 60 else f"{value / 60:.1f} min"
