/** Numbers as people read them. */

export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** A difference of shares with its sign, in percentage points. */
export function points(share) {
  const size = Math.abs(100 * share).toFixed(1);
  return Number(size) === 0 ? size : `${share < 0 ? "−" : "+"}${size}`;
}

export const megabytes = (bytes) => (bytes / 1e6).toFixed(2);
export const milliseconds = (value) => value.toFixed(value < 10 ? 2 : 1);
export const artifactName = ({ model, precision }) => `${model} ${precision}`;
export const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
