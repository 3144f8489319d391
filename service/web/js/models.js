/** The models view: the store's table, its report and its cards. */

import { artifacts, getBlob, getJson, getText } from "./api.js";
import { $, el } from "./dom.js";
import { clearProblem, showProblem, withProgress } from "./feedback.js";
import { capital, megabytes, milliseconds } from "./format.js";
import { bestRecord, RULE } from "./tradeoff.js";

let last = Promise.resolve();

/** One request at a time: a service may allow a client no more. Where it asks for a pause, wait. */
function inTurn(work) {
  const mine = last.then(work).catch(async (problem) => {
    if (problem.type !== "too-many-requests") throw problem;
    await new Promise((resolve) => setTimeout(resolve, 1000 * problem.retryAfter));
    return work();
  });
  last = mine.catch(() => {});
  return mine;
}

export async function startModels(failed) {
  clearProblem($("models-problem"));
  try {
    const asked = inTurn(async () => [await artifacts(), await getJson("/reports")]);
    const [records, reports] = await withProgress($("models-progress"), "Reading the store…", asked);
    showStore(records);
    showReports(reports);
    const models = [...new Set(records.map((r) => r.model))];
    $("cards").replaceChildren(...models.map((model, index) => section(model, `/web/cards/${model}`, { open: index === 0 })));
  } catch (problem) {
    failed();
    showProblem($("models-problem"), problem, [["Try again", () => startModels(failed)]]);
  }
}

function showStore(records) {
  const best = bestRecord(records);
  const heads = ["Artifact", "Accuracy, %", "95 % interval", "Macro F1", "Calibration error, %", "Latency, ms", "Size, MB", "Version"];
  const number = (text) => el("td", { class: "number" }, text);
  const rows = records.map((r) => {
    const { metrics: m, latency } = r;
    const badge = r === best ? [el("span", { class: "badge" }, "best trade-off")] : [];
    return el(
      "tr",
      { class: r === best ? "best" : "" },
      el("th", { scope: "row" }, el("span", { class: "model" }, r.model), " ", r.precision, ...badge),
      number((100 * m.accuracy).toFixed(1)),
      number(`${(100 * m.accuracy_low).toFixed(1)} to ${(100 * m.accuracy_high).toFixed(1)}`),
      number(m.macro_f1.toFixed(3)),
      number((100 * m.calibration_error).toFixed(1)),
      number(milliseconds(latency.p50_ms)),
      number(megabytes(r.bytes)),
      el("td", {}, el("code", {}, r.sha256.slice(0, 12))),
    );
  });
  const { metrics, latency } = records[0];
  $("store").replaceChildren(
    el("caption", {}, el("p", {}, `${RULE} Accuracy on ${metrics.images} images (${metrics.protocol}); latency of the network alone on ${latency.machine}.`)),
    el("thead", {}, el("tr", {}, ...heads.map((head, index) => el("th", { scope: "col", class: index && head !== "Version" ? "number" : "" }, head)))),
    el("tbody", {}, ...rows),
  );
}

const WORDS = {
  confusion: "confusion matrices",
  reliability: "reliability diagrams",
  tradeoff: "accuracy, latency and size",
  subject10: "over ten folds without a person on two sides",
  random: "over the study's random split, which leaks",
};

const words = (name) => capital(name.replace(/\.\w+$/, "").split("_").map((word) => WORDS[word] ?? word).join(" "));

function showReports(reports) {
  const of = (type) => reports.filter((report) => report.media_type === type);
  const plots = of("image/png").map(({ name }) => {
    const image = el("img", { alt: `Plot: ${words(name)}` });
    fill(image, name);
    const link = el("a", { target: "_blank", "aria-label": `${words(name)}, full size` }, image);
    image.addEventListener("load", () => link.setAttribute("href", image.src));
    return el("figure", {}, link, el("figcaption", {}, `${words(name)}, of the models in the report below. Click for the full size.`));
  });
  $("plots").replaceChildren(...plots);
  const raw = of("application/json").flatMap(({ name }) => [el("button", { class: "link", onclick: () => download(name) }, name), " "]);
  $("texts").replaceChildren(
    ...of("text/markdown").map(({ name }) => section(words(name), `/web/reports/${name}`, { report: name })),
    ...(raw.length ? [el("p", { class: "muted" }, "The numbers behind: ", ...raw)] : []),
  );
}

/** Load a picture of the report as the API's other answers are loaded, key included. */
async function fill(image, name) {
  try {
    image.src = URL.createObjectURL(await inTurn(() => getBlob(`/reports/${name}`)));
  } catch (problem) {
    const again = () => {
      clearProblem($("models-problem"));
      fill(image, name);
    };
    showProblem($("models-problem"), problem, [["Try again", again]]);
  }
}

async function download(name) {
  try {
    const href = URL.createObjectURL(await inTurn(() => getBlob(`/reports/${name}`)));
    el("a", { href, download: name }).click();
    URL.revokeObjectURL(href);
  } catch (problem) {
    showProblem($("models-problem"), problem);
  }
}

/** A text that is fetched when it is first opened. */
function section(title, path, { open = false, report = null } = {}) {
  const place = el("div", { class: "prose" });
  const details = el("details", { "data-report": report }, el("summary", {}, title), place);
  details.addEventListener("toggle", async () => {
    if (!details.open || place.childNodes.length) return;
    const box = el("div", { class: "problem", role: "alert", hidden: true });
    const progress = el("div", { class: "progress", hidden: true });
    details.querySelectorAll(":scope > :is(.problem, .progress)").forEach((old) => old.remove());
    place.before(box, progress);
    try {
      place.replaceChildren(...prose(await withProgress(progress, `Reading ${title}…`, inTurn(() => getText(path)))));
    } catch (problem) {
      showProblem(box, problem);
    }
  });
  details.open = open;
  return details;
}

/** Go to a text of the report, or load another file of it. */
function openReport(name) {
  const details = [...$("texts").children].find((part) => part.dataset.report === name);
  if (!details) {
    download(name);
    return;
  }
  details.open = true;
  details.querySelector("summary").focus();
}

/** HTML of the service's Markdown renderer as nodes that fit into this page. */
function prose(html) {
  const body = new DOMParser().parseFromString(html, "text/html").body; // inert: nothing loads yet
  for (const image of body.querySelectorAll("img")) {
    const name = image.getAttribute("src");
    image.removeAttribute("src");
    fill(image, name);
  }
  for (const link of body.querySelectorAll("a")) {
    const name = link.getAttribute("href");
    if (/^([a-z]+:|[/#])/i.test(name)) continue; // leads out of the report
    link.replaceWith(el("button", { class: "link", onclick: () => openReport(name) }, ...link.childNodes));
  }
  for (const heading of body.querySelectorAll("h1, h2, h3, h4")) {
    const level = Math.min(6, Number(heading.tagName[1]) + 2);
    const lower = el(`h${level}`);
    lower.append(...heading.childNodes);
    heading.replaceWith(lower);
  }
  for (const table of body.querySelectorAll("table")) {
    const scroll = el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Table" });
    table.replaceWith(scroll);
    scroll.append(table);
  }
  return [...body.childNodes];
}
