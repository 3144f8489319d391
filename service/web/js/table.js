/** The table of artifacts: every number in a column of its own, each column sortable. */

import { announce, bar, el, show } from "./dom.js";
import { artifactName, megabytes, milliseconds, percent } from "./format.js";

const number = (main, ...rest) => el("td", { class: "number" }, main, ...rest);
const small = (text) => el("small", {}, text);

const FIXED = [
  { title: "Top emotion", value: (a) => a.emotion, cell: (a) => el("td", {}, a.emotion, small(percent(a.confidence))) },
  { title: "As float32", value: (a) => a.largest_difference ?? -1, cell: agreementCell },
  { title: "Latency, ms", value: (a) => a.latency_ms, cell: latencyCell },
  { title: "Size, MB", value: (a) => a.bytes, cell: (a) => number(megabytes(a.bytes)) },
  { title: "Test accuracy, %", value: (a) => a.accuracy, largest: true, cell: accuracyCell },
];

let sorted = { title: "Artifact", ascending: true }; // kept from picture to picture

export function showTable(table, artifacts, chosen, records) {
  const rows = artifacts.map((a) => ({ ...a, record: records.find((r) => r.model === a.model && r.precision === a.precision) }));
  const columns = [
    { title: "Artifact", value: artifactOrder(rows), cell: (a) => nameCell(a, a.version === chosen.version && a.model === chosen.model) },
    ...FIXED,
    ...Object.keys(rows[0].probabilities).map(emotionColumn),
  ];
  const draw = () => table.replaceChildren(caption(), head(columns, resort), body(columns, rows, chosen));
  const resort = (column) => {
    const same = sorted.title === column.title;
    sorted = { title: column.title, ascending: same ? !sorted.ascending : !column.largest };
    draw();
    [...table.querySelectorAll("th button")].find((b) => b.dataset.column === column.title)?.focus();
    announce(`Sorted by ${column.title}, ${sorted.ascending ? "ascending" : "descending"}.`);
  };
  draw();
}

/** Say which artifacts have no row, and why. */
export function showLeftOut(box, leftOut) {
  box.textContent = leftOut.map(({ artifact, reason }) => `${artifact.replace("/", " ")} cannot run and is left out. ${reason}`).join(" ");
  show(box, leftOut.length > 0);
}

const caption = () => el("caption", { class: "visually-hidden" }, "Answers, times, sizes and accuracies of the artifacts; the column heads sort.");

function head(columns, resort) {
  const fixed = 1 + FIXED.length;
  const cells = columns.map((column, index) => {
    const direction = sorted.title === column.title ? (sorted.ascending ? "ascending" : "descending") : "none";
    const button = el("button", { type: "button", "data-column": column.title, onclick: () => resort(column) }, column.title);
    return el("th", { scope: "col", "aria-sort": direction, class: index >= fixed ? "emotion" : "" }, button);
  });
  const groups = el("tr", { class: "groups" }, el("td", { colspan: fixed }), el("th", { scope: "colgroup", colspan: columns.length - fixed }, "Probability, %"));
  return el("thead", {}, groups, el("tr", {}, ...cells));
}

function body(columns, rows, chosen) {
  const { value } = columns.find((column) => column.title === sorted.title);
  const order = (a, b) => (value(a) < value(b) ? -1 : value(a) > value(b) ? 1 : 0);
  const ordered = [...rows].sort((a, b) => (sorted.ascending ? order(a, b) : order(b, a)));
  return el(
    "tbody",
    {},
    ...ordered.map((a) => el("tr", { class: a.model === chosen.model && a.version === chosen.version ? "best" : "" }, ...columns.map((column) => column.cell(a)))),
  );
}

const artifactOrder = (rows) => {
  const order = rows.map((a) => artifactName(a)); // the service's: by model, largest precision first
  return (a) => order.indexOf(artifactName(a));
};

const nameCell = (a, isBest) =>
  el("th", { scope: "row" }, el("span", { class: "model" }, a.model), " ", a.precision, ...(isBest ? [el("span", { class: "badge" }, "best trade-off")] : []));

function agreementCell(a) {
  if (a.precision === "float32") return el("td", { class: "muted" }, "reference");
  if (a.agrees_with_float32 === null) return el("td", { class: "muted" }, "not compared");
  const word = a.agrees_with_float32 ? "same" : el("strong", {}, "differs");
  return el("td", {}, word, small(`up to ${(100 * a.largest_difference).toFixed(1)} points`));
}

function latencyCell(a) {
  const [low, high] = a.latency_spread_ms;
  return number(milliseconds(a.latency_ms), small(`${milliseconds(low)} to ${milliseconds(high)}`));
}

function accuracyCell(a) {
  const { accuracy_low: low, accuracy_high: high } = a.record.metrics;
  const digits = (share) => (100 * share).toFixed(1);
  return number(digits(a.accuracy), small(`${digits(low)} to ${digits(high)}`));
}

function emotionColumn(emotion) {
  const value = (a) => a.probabilities[emotion];
  const cell = (a) => number((100 * value(a)).toFixed(1), bar(value(a), a.emotion === emotion ? "top" : ""));
  return { title: emotion, value, largest: true, cell };
}
