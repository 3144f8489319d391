/** float32 against int8, emotion by emotion. */

import { el } from "./dom.js";
import { points } from "./format.js";

const LEAST = 0.01; // a difference of a point fills no bar wider than this does

export function showDifferences(box, note, artifacts) {
  const pairs = [...new Set(artifacts.map((a) => a.model))]
    .map((model) => ({
      model,
      float32: artifacts.find((a) => a.model === model && a.precision === "float32"),
      int8: artifacts.find((a) => a.model === model && a.precision === "int8"),
    }))
    .filter((pair) => pair.float32 && pair.int8);
  const changes = (pair) => Object.entries(pair.int8.probabilities).map(([emotion, p]) => [emotion, p - pair.float32.probabilities[emotion]]);
  const reach = Math.max(LEAST, ...pairs.flatMap((pair) => changes(pair).map(([, change]) => Math.abs(change))));
  note.textContent = pairs.length
    ? `int8 minus float32 in percentage points. A full bar is ${(100 * reach).toFixed(1)} points, in every chart.`
    : "No backbone answered in both float32 and int8.";
  box.replaceChildren(...pairs.map((pair) => chart(pair, changes(pair), reach)));
}

function chart({ model, float32, int8 }, changes, reach) {
  const cell = (p) => el("td", { class: "number" }, (100 * p).toFixed(1));
  const rows = changes.map(([emotion, change]) =>
    el(
      "tr",
      {},
      el("th", { scope: "row" }, emotion),
      cell(float32.probabilities[emotion]),
      cell(int8.probabilities[emotion]),
      el("td", { class: "diverging" }, diverging(change / reach)),
      el("td", { class: "number" }, points(change)),
    ),
  );
  const heads = ["emotion", "float32, %", "int8, %", "", "change"].map((text, index) =>
    text ? el("th", { scope: "col", class: index ? "number" : "" }, text) : el("td"),
  );
  return el("table", { class: "difference" }, el("caption", {}, model), el("thead", {}, el("tr", {}, ...heads)), el("tbody", {}, ...rows));
}

function diverging(share) {
  const fill = el("span", { class: share < 0 ? "fill less" : "fill more" });
  fill.style.width = `${50 * Math.abs(share)}%`;
  fill.style[share < 0 ? "right" : "left"] = "50%";
  return el("span", { class: "axis", "aria-hidden": "true" }, fill);
}
