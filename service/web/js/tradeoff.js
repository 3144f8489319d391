/** The best trade-off, defined once. */

const WITHIN = 0.01; // of the best test accuracy

export const RULE =
  "Best trade-off: the fastest artifact whose test accuracy is within one percentage point of the best one's.";

/** Choose among objects with `accuracy` (0..1) and `latency_ms`. */
export function best(artifacts) {
  const top = Math.max(...artifacts.map((a) => a.accuracy));
  const good = artifacts.filter((a) => a.accuracy >= top - WITHIN);
  return good.reduce((fastest, a) => (a.latency_ms < fastest.latency_ms ? a : fastest));
}

/** The same among the store's records, by their stored latency. */
export function bestRecord(records) {
  const asked = records.map((record) => ({
    record,
    accuracy: record.metrics.accuracy,
    latency_ms: record.latency.p50_ms,
  }));
  return best(asked).record;
}
