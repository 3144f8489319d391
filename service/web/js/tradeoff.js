/** The best trade-off, defined once. */

import { artifactName } from "./format.js";

export const RULE =
  "Best trade-off: the fastest artifact whose test accuracy cannot be told from the best one's, for its 95 % interval reaches that far.";

/** Choose among objects with model, precision, `accuracy` (0..1) and `latency_ms`; the store's `records` know the intervals. */
export function best(artifacts, records) {
  const high = new Map(records.map((record) => [artifactName(record), record.metrics.accuracy_high]));
  const top = Math.max(...artifacts.map((a) => a.accuracy));
  const good = artifacts.filter((a) => (high.get(artifactName(a)) ?? a.accuracy) >= top);
  return good.reduce((fastest, a) => (a.latency_ms < fastest.latency_ms ? a : fastest));
}

/** The same among the store's records, by their stored latency. */
export function bestRecord(records) {
  const asked = records.map((record) => ({
    ...record,
    record,
    accuracy: record.metrics.accuracy,
    latency_ms: record.latency.p50_ms,
  }));
  return best(asked, records).record;
}
