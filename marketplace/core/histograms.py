"""Percentiles from latency histograms: counts per bucket of LATENCY_BUCKETS_MS, read by straight lines inside a bucket."""

from collections.abc import Sequence

from marketplace.contracts.usage import LATENCY_BUCKETS_MS


def percentile_ms(counts: Sequence[int], share: float) -> float | None:
    """Return the latency in ms below which ``share`` (0 < share <= 1) of the calls stayed; None without calls.

    Exact to the width of the bucket. Calls above the last bound count as that bound, since nobody knows how long they took.
    """
    total = sum(counts)
    if total <= 0:
        return None
    wanted = share * total
    seen = 0.0
    lower = 0.0
    for upper, count in zip(LATENCY_BUCKETS_MS, counts, strict=False):
        if count and seen + count >= wanted:
            return round(lower + (upper - lower) * (wanted - seen) / count, 1)
        seen += count
        lower = float(upper)
    return float(LATENCY_BUCKETS_MS[-1])


def histogram_add(first: Sequence[int], second: Sequence[int]) -> list[int]:
    """Return the sum of two histograms of one length."""
    return [left + right for left, right in zip(first, second, strict=True)]
