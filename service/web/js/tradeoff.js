/** The best trade-off, defined once. */

import { artifactName } from "./format.js";

export const RULE =
  "Best trade-off: the smallest artifact that cannot be told from the most accurate one (its 95 % interval reaches that far) and, of those, from the fastest (their spreads overlap).";

/** Choose among answers with model, precision, bytes, `accuracy` (0..1), `latency_ms` and its spread; the store's `records` know the intervals of accuracy. */
export function best(artifacts, records) {
  const high = new Map(records.map((record) => [artifactName(record), record.metrics.accuracy_high]));
  const top = Math.max(...artifacts.map((a) => a.accuracy));
  const good = artifacts.filter((a) => (high.get(artifactName(a)) ?? a.accuracy) >= top);
  const fastest = least(good, (a) => a.latency_ms);
  const fast = good.filter((a) => a.latency_spread_ms[0] <= fastest.latency_spread_ms[1]);
  return least(fast, (a) => a.bytes);
}

/** The same among the store's records, by their stored latency. */
export function bestRecord(records) {
  const asked = records.map((record) => ({
    ...record,
    record,
    accuracy: record.metrics.accuracy,
    latency_ms: record.latency.p50_ms,
    latency_spread_ms: [record.latency.p50_ms, record.latency.p95_ms],
  }));
  return best(asked, records).record;
}

const least = (items, value) => items.reduce((a, b) => (value(b) < value(a) ? b : a));
