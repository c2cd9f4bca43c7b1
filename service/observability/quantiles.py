"""Quantiles of what a classic histogram counted, as Prometheus has them."""

import math
from collections.abc import Mapping

__all__ = ["histogram_quantile"]


def histogram_quantile(share: float, buckets: Mapping[float, float]) -> float:
    """
    Return the value that *share* of what a classic histogram counted keeps below.

    Within a bucket values are taken to be spread evenly; the first begins at 0 if its
    bound is above 0. A quantile in the bucket without bound is the highest bound there
    is. Counts that fall from one bound to the next, as sums over services with other
    buckets may, are raised to those before.

    Args:
        share: 0 to 1.
        buckets: Cumulative count (or rate) by upper bound, +Inf among them.

    Returns:
        A number in the bounds' unit; NaN where nothing was counted, where there is no
        +Inf, or no bound besides it.

    Source: https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
    and `BucketQuantile` in Prometheus' promql/quantile.go
    """
    bounds = sorted(buckets)
    if len(bounds) < 2 or bounds[-1] != math.inf:  # noqa: PLR2004 - one and +Inf
        return math.nan
    counts = []
    highest = 0.0
    for bound in bounds:
        highest = max(highest, buckets[bound])
        counts.append(highest)
    if not highest:
        return math.nan
    rank = share * highest
    at = next((i for i, count in enumerate(counts) if count >= rank), len(counts) - 1)
    if at == len(bounds) - 1:
        return bounds[-2]
    if at == 0 and bounds[0] <= 0:
        return bounds[0]
    low = bounds[at - 1] if at else 0.0
    below = counts[at - 1] if at else 0.0
    inside = counts[at] - below
    if not inside:  # share is 0 and the first buckets are empty
        return low
    return low + (bounds[at] - low) * (rank - below) / inside
