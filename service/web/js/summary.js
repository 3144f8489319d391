/** The answer in a few lines. */

import { bar, el, show } from "./dom.js";
import { artifactName, megabytes, milliseconds, percent } from "./format.js";

const STAGES = ["decode", "detect", "preprocess", "queue", "inference"];

export function showSummary(box, answer, chosen, latency, images) {
  const { artifacts } = answer;
  box.replaceChildren(
    el("p", { class: "small-title" }, `${artifactName(chosen)} says`),
    el("p", { class: "verdict" }, chosen.emotion, el("span", {}, percent(chosen.confidence))),
    el("p", {}, agreement(artifacts, chosen.emotion)),
    el(
      "p",
      { class: "chosen" },
      el("strong", {}, `Best trade-off: ${artifactName(chosen)}. `),
      `${milliseconds(chosen.latency_ms)} ms, ${megabytes(chosen.bytes)} MB, ${percent(chosen.accuracy)} of the ${images} test faces right.`,
    ),
    el("h2", { class: "small-title" }, "Where one request's time goes, ms"),
    stages(latency),
  );
  show(box);
}

function agreement(artifacts, emotion) {
  const others = artifacts.filter((a) => a.emotion !== emotion);
  if (artifacts.length === 1) return "No other artifact was asked.";
  if (!others.length) return `All ${artifacts.length} artifacts say so.`;
  const said = others.map((a) => `${artifactName(a)}: ${a.emotion}`).join("; ");
  return `${artifacts.length - others.length} of ${artifacts.length} artifacts say so. Otherwise: ${said}.`;
}

function stages(latency) {
  const rows = STAGES.filter((stage) => stage in latency).map((stage) =>
    el("div", { class: "bar-row" }, el("span", {}, stage), bar(latency[stage] / latency.total), el("span", { class: "number" }, milliseconds(latency[stage]))),
  );
  const total = el("div", { class: "bar-row total" }, el("span", {}, "total"), el("span"), el("span", { class: "number" }, milliseconds(latency.total)));
  return el("div", { class: "bars" }, ...rows, total);
}
