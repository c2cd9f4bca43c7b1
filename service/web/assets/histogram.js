// Histograms as numbers: adding replicas up, quantiles, and columns that are fit to be drawn.

const COLUMNS = 25;   // at most, for the range that is shown
const MOST = 0.99;    // share of what was served that this range holds
const MOST_OWN = 0.9; // the same of the visitor's requests, which are few

/** Adds up `{count, counts}` of the same buckets. */
export function sum(histograms) {
  const counts = histograms[0].counts.map((_, i) => histograms.reduce((total, each) => total + each.counts[i], 0));
  return { counts, count: counts.reduce((total, each) => total + each, 0) };
}

/** The value that `share` of what was counted keeps below, as Prometheus' histogram_quantile has it. */
export function quantile(share, bounds, { counts, count }) {
  if (!count) return null;
  let left = share * count;
  for (const [i, bound] of bounds.entries()) {
    const low = i ? bounds[i - 1] : 0;
    if (left <= counts[i]) return low + (bound - low) * left / (counts[i] || 1);
    left -= counts[i];
  }
  return bounds.at(-1);
}

/**
 * Joins buckets to columns that are wide enough to be seen.
 *
 * The range is `scale` at least, and holds nearly all of what was served and of `own`, the
 * durations of the visitor's requests; what is longer has one column for all of it.
 * Returns `[{low, high, served, own}]`; the high of that last one is Infinity.
 */
export function columnsOf(bounds, served, own, scale) {
  const reach = Math.max(scale ?? 0, quantile(MOST, bounds, served) ?? 0, share(own, MOST_OWN));
  const top = bounds.find((bound) => bound >= reach) ?? bounds.at(-1);
  const narrowest = top / COLUMNS * (1 - 1e-9);
  const columns = [];
  let open = { low: 0, served: 0 };
  let left = served.count;
  for (const [i, bound] of bounds.entries()) {
    if (bound > top) break;
    open.served += served.counts[i];
    left -= served.counts[i];
    if (bound - open.low >= narrowest || bound === top) {
      columns.push({ ...open, high: bound });
      open = { low: bound, served: 0 };
    }
  }
  if (left || own.some((value) => value > top)) columns.push({ low: top, high: Infinity, served: left });
  for (const column of columns) {
    column.own = own.filter((value) => value <= column.high && (value > column.low || !column.low)).length;
  }
  return columns;
}

/** The value that `part` of `values` does not exceed; 0 of none. */
function share(values, part) {
  return values.toSorted((a, b) => a - b)[Math.ceil(part * values.length) - 1] ?? 0;
}

/** The range of a column in words, without its unit. */
export function rangeName({ low, high }) {
  return high === Infinity ? `above ${low}` : `${low} to ${high}`;
}
