/** Numbers as people read them. */

export const percent = (share, digits = 1) => `${(100 * share).toFixed(digits)} %`;
export const points = (share) => `${share < 0 ? "−" : "+"}${Math.abs(100 * share).toFixed(1)}`;
export const megabytes = (bytes) => (bytes / 1e6).toFixed(2);
export const milliseconds = (value) => value.toFixed(value < 10 ? 2 : 1);
export const artifactName = ({ model, precision }) => `${model} ${precision}`;
export const plural = (count, noun) => `${count} ${noun}${count === 1 ? "" : "s"}`;
