/** The models view: the store's table, its report and its cards. */

import { getBlob, getJson, getText } from "./api.js";
import { $, el } from "./dom.js";
import { attempt, newPlace, placeOf, showProblem, withProgress } from "./feedback.js";
import { capital, megabytes, milliseconds } from "./format.js";
import { artifacts } from "./store.js";
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
  await attempt(placeOf("models"), "Reading the store…", async () => {
    try {
      const [records, reports, cards] = await inTurn(async () => [await artifacts(), await getJson("/reports"), await getJson("/web/cards")]);
      showStore(records);
      showReports(reports);
      $("cards").replaceChildren(...cards.map((name, index) => section(CARDS[name] ?? name, `/web/cards/${name}`, { open: index === 0 })));
    } catch (problem) {
      failed();
      throw problem;
    }
  });
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

const CARDS = { detector: "the face detector" };

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
    const link = el("a", { target: "_blank", "aria-label": `${words(name)}, full size` }, image);
    image.addEventListener("load", () => link.setAttribute("href", image.src));
    const caption = el("figcaption", {}, `${words(name)}, of the models in the report below. Click for the full size.`);
    const place = newPlace();
    return { figure: el("figure", {}, link, place.progress, place.problem, caption), filled: fill(image, name, place) };
  });
  $("plots").replaceChildren(...plots.map(({ figure }) => figure));
  withProgress($("plots-progress"), "Loading the plots…", Promise.all(plots.map(({ filled }) => filled)));
  const raw = of("application/json").map(({ name }) => downloader(name, name));
  $("texts").replaceChildren(
    ...of("text/markdown").map(({ name }) => section(words(name), `/web/reports/${name}`, { report: name })),
    ...(raw.length ? [el("p", { class: "muted" }, "The numbers behind: ", ...raw.flatMap(({ button }) => [button, " "]))] : []),
    ...raw.flatMap(({ place }) => [place.progress, place.problem]),
  );
}

/** Load a picture of the report as the API's other answers are loaded, key included; what happens shows in `place`. */
async function fill(image, name, place) {
  const load = async () => {
    image.src = URL.createObjectURL(await inTurn(() => getBlob(`/reports/${name}`)));
  };
  const again = () => attempt(place, `Loading ${name}…`, load);
  await load().catch((problem) => showProblem(place.problem, problem, [["Try again", again]]));
}

/** A button that loads a file of the report to keep, and the place for what happens. */
function downloader(name, ...content) {
  const place = newPlace();
  const load = async () => {
    const href = URL.createObjectURL(await inTurn(() => getBlob(`/reports/${name}`)));
    el("a", { href, download: name }).click();
    URL.revokeObjectURL(href);
  };
  const button = el("button", { class: "link", onclick: () => attempt(place, `Loading ${name}…`, load) }, ...content);
  return { button, place };
}

/** A text that is fetched when it is first opened. */
function section(title, path, { open = false, report = null } = {}) {
  const place = newPlace();
  const text = el("div", { class: "prose" });
  const details = el("details", { "data-report": report }, el("summary", {}, title), place.problem, place.progress, text);
  const read = async () => {
    const { nodes, filled } = prose(await inTurn(() => getText(path)));
    text.replaceChildren(...nodes);
    await withProgress(place.progress, `Loading the pictures of ${title}…`, filled);
  };
  details.addEventListener("toggle", () => {
    if (details.open && !text.childNodes.length) attempt(place, `Reading ${title}…`, read);
  });
  details.open = open;
  return details;
}

/** A link to another file of the report: it goes to a text, and loads what is none. */
function linked(name, content) {
  const details = [...$("texts").children].find((part) => part.dataset.report === name);
  if (!details) {
    const { button, place } = downloader(name, ...content);
    return [button, place.progress, place.problem];
  }
  const onclick = () => {
    details.open = true;
    details.querySelector("summary").focus();
  };
  return [el("button", { class: "link", onclick }, ...content)];
}

/** HTML of the service's Markdown renderer as nodes that fit into this page, and a promise of their pictures. */
function prose(html) {
  const body = new DOMParser().parseFromString(html, "text/html").body; // inert: nothing loads yet
  const filled = [...body.querySelectorAll("img")].map((image) => {
    const name = image.getAttribute("src");
    image.removeAttribute("src");
    const place = newPlace();
    image.after(place.progress, place.problem);
    return fill(image, name, place);
  });
  for (const link of body.querySelectorAll("a")) {
    const name = link.getAttribute("href");
    if (/^([a-z]+:|[/#])/i.test(name)) continue; // leads out of the report
    link.replaceWith(...linked(name, link.childNodes));
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
  return { nodes: [...body.childNodes], filled: Promise.all(filled) };
}
