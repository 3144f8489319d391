/** What the network sees: the crop, and two artifacts' occlusion maps on one scale. */

import { explain } from "./api.js";
import { $, el, show } from "./dom.js";
import { clearProblem, showProblem, withProgress } from "./feedback.js";
import { artifactName, percent } from "./format.js";
import { correlation, draw, place } from "./heatmap.js";

const SIDES = [0, 1];
let job = null; // the face being explained
let drawing = new AbortController(); // the redraw under way

/** Explain a face for the two chosen artifacts, at first the best trade-off's float32 and int8. */
export async function explainFace(blob, params, chosen, records, signal) {
  job = { blob, params, signal, known: new Map() };
  for (const side of SIDES) fillSelect(side, chosen, records);
  forget();
  await redraw();
}

/** Take the last face's pictures away. */
function forget() {
  for (const name of ["before", "after"]) $(name).removeAttribute("src");
  forgetMaps();
}

function forgetMaps() {
  for (const side of SIDES) {
    const canvas = $(`map-${side}`);
    canvas.getContext("2d").clearRect(0, 0, canvas.width, canvas.height);
    canvas.setAttribute("aria-label", "Occlusion map, not yet computed");
    $(`map-${side}-caption`).textContent = "";
  }
  $("sees-note").textContent = "";
  show($("legend"), false);
}

function fillSelect(side, chosen, records) {
  const select = $(`map-${side}-artifact`);
  const kept = select.value;
  const names = records.map((r) => `${r.model}/${r.precision}`);
  const wanted = `${chosen.model}/${side ? "int8" : "float32"}`;
  select.replaceChildren(...records.map((r) => el("option", { value: `${r.model}/${r.precision}` }, artifactName(r))));
  select.value = names.includes(kept) ? kept : names.includes(wanted) ? wanted : names[0];
  select.onchange = redraw;
}

/** Only the newest redraw asks and draws: the maps are always those that the selects name. */
async function redraw() {
  drawing.abort();
  drawing = new AbortController();
  const mine = { ...job, signal: AbortSignal.any([job.signal, drawing.signal]) };
  clearProblem($("sees-problem"));
  forgetMaps();
  try {
    const work = (async () => {
      const answers = [];
      for (const side of SIDES) answers.push(await explained(mine, $(`map-${side}-artifact`).value));
      return answers;
    })();
    const answers = await withProgress($("sees-progress"), "Hiding one place after another…", work);
    await render(answers, mine.signal);
  } catch (problem) {
    if (mine.signal.aborted) return;
    showProblem($("sees-problem"), problem, [["Try again", redraw]]);
  }
}

async function explained({ blob, params, signal, known }, name) {
  if (!known.has(name)) {
    const [model, precision] = name.split("/");
    known.set(name, await explain(blob, { ...params, model, precision }, signal));
  }
  return known.get(name);
}

async function render(answers, signal) {
  signal.throwIfAborted();
  const { crop } = answers[0];
  $("before").src = crop.before_clahe;
  $("after").src = crop.after_clahe;
  await $("after").decode();
  signal.throwIfAborted();
  const all = answers.flatMap((answer) => answer.occlusion.drops.flat());
  const reach = Math.max(0.01, ...all.map(Math.abs));
  answers.forEach((answer, side) => {
    draw($(`map-${side}`), $("after"), answer.occlusion.drops, reach);
    const text = sentence(answer);
    $(`map-${side}`).setAttribute("aria-label", `Occlusion map of ${artifactName(answer)}. ${text}`);
    $(`map-${side}-caption`).textContent = text;
  });
  $("legend-range").textContent = `full colour: ${(100 * reach).toFixed(0)} percentage points`;
  show($("legend"));
  $("sees-note").textContent = comparison(answers);
}

function sentence({ face, occlusion }) {
  const { drop, where } = place(occlusion.drops);
  if (drop < 0.005) return `${face.emotion}, ${percent(face.confidence)}: no single place matters; hiding any leaves it.`;
  return `${face.emotion}, ${percent(face.confidence)}: rests most on the ${where} of the face; hiding that leaves ${percent(Math.max(0, face.confidence - drop))}.`;
}

function comparison([first, second]) {
  if (artifactName(first) === artifactName(second)) return "Choose another artifact to compare.";
  if (first.face.emotion !== second.face.emotion) {
    return `The maps explain different answers: ${first.face.emotion} and ${second.face.emotion}.`;
  }
  const r = correlation(first.occlusion.drops.flat(), second.occlusion.drops.flat());
  return Number.isNaN(r) ? "" : `The two maps correlate with r = ${r.toFixed(2)} (1: they look at the same places).`;
}
