/** Accuracy against latency, one mark an artifact: colour for the backbone, shape for the precision. */

import { el } from "./dom.js";
import { artifactName, milliseconds, percent } from "./format.js";

export function showScatter(box, artifacts, chosen) {
  const models = [...new Set(artifacts.map((a) => a.model))];
  const precisions = [...new Set(artifacts.map((a) => a.precision))];
  const x = scale(artifacts.map((a) => Math.log(a.latency_ms)), 0.15);
  const y = scale(artifacts.map((a) => a.accuracy), 0.005);
  const kind = (model, precision) => `mark ${precision} color-${models.indexOf(model) % 3}`;
  const marks = artifacts.map((a) => {
    const best = a.model === chosen.model && a.precision === chosen.precision;
    const title = `${artifactName(a)}: ${percent(a.accuracy)} in ${milliseconds(a.latency_ms)} ms`;
    const mark = el("span", { class: `spot${best ? " best" : ""}`, title }, el("span", { class: kind(a.model, a.precision) }));
    const across = x.share(Math.log(a.latency_ms));
    if (best) mark.append(el("span", { class: `spot-label${across > 0.6 ? " left" : ""}` }, artifactName(a)));
    return at(mark, across, y.share(a.accuracy));
  });
  const plane = el(
    "div",
    { class: "plane", role: "img", "aria-label": `Accuracy against latency. ${artifacts.map((a) => `${artifactName(a)}: ${percent(a.accuracy)} in ${milliseconds(a.latency_ms)} ms`).join("; ")}.` },
    ...decades(x).map((ms) => at(el("span", { class: "tick x" }, String(ms)), x.share(Math.log(ms)), 0)),
    ...steps(y).map((share) => at(el("span", { class: "tick y" }, percent(share, 0)), 0, y.share(share))),
    ...marks,
  );
  const legend = [
    ...models.map((model) => el("span", {}, el("span", { class: kind(model, "float32") }), model)),
    ...precisions.map((precision) => el("span", {}, el("span", { class: `mark ${precision}` }), precision)),
  ];
  box.replaceChildren(
    plane,
    el("figcaption", { class: "legend" }, ...legend, el("span", { class: "muted" }, "Latency measured just now, ms (logarithmic), against test accuracy")),
  );
}

function scale(values, margin) {
  const spread = Math.max(...values) - Math.min(...values);
  const low = Math.min(...values) - margin - 0.08 * spread;
  const high = Math.max(...values) + margin + 0.08 * spread;
  return { low, high, share: (value) => (value - low) / (high - low) };
}

/** 1, 2, 5, 10, … milliseconds inside the scale. */
function decades({ low, high }) {
  const all = [0.1, 1, 10, 100, 1000].flatMap((ten) => [1, 2, 5].map((digit) => Number((digit * ten).toPrecision(1))));
  return all.filter((ms) => Math.log(ms) >= low && Math.log(ms) <= high);
}

/** Whole percentages inside the scale, at most six. */
function steps({ low, high }) {
  const step = Math.ceil((100 * (high - low)) / 6);
  const first = Math.ceil((100 * low) / step) * step;
  return Array.from({ length: 7 }, (_, i) => (first + i * step) / 100).filter((share) => share <= high);
}

function at(node, x, y) {
  node.style.left = `${100 * x}%`;
  node.style.bottom = `${100 * y}%`;
  return node;
}
