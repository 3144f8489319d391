/** What the network sees: the crop, and two artifacts' occlusion maps on one scale. */

import { explain, inTime } from "./api.js";
import { $, el, show } from "./dom.js";
import { clearProblem, showProblem, withProgress } from "./feedback.js";
import { artifactName, percent } from "./format.js";
import { correlation, draw, place } from "./heatmap.js";

const SIDES = [0, 1];
const GRIDS = [10, 6, 4]; // coarser where the service has no time for finer
let job = null; // the face being explained
let drawing = new AbortController(); // the redraw under way

/** Explain a face for two of the artifacts, at first the best trade-off's float32 and int8; `face.anew()` compares it again. */
export async function explainFace(face, chosen, artifacts) {
  job = { ...face, known: new Map(), grids: GRIDS };
  for (const side of SIDES) fillSelect(side, chosen, artifacts);
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

function fillSelect(side, chosen, artifacts) {
  const select = $(`map-${side}-artifact`);
  const kept = select.value;
  const names = artifacts.map((a) => `${a.model}/${a.precision}`);
  const wanted = `${chosen.model}/${side ? "int8" : "float32"}`;
  select.replaceChildren(...artifacts.map((a, index) => el("option", { value: names[index] }, artifactName(a))));
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
    const work = inTime(job.grids, async (grid) => {
      const answers = [];
      for (const side of SIDES) answers.push(await explained(mine, $(`map-${side}-artifact`).value, grid));
      return answers;
    });
    const { answer, amount: grid } = await withProgress($("sees-progress"), "Hiding one place after another…", work);
    await render(answer, mine.signal);
    job.grids = GRIDS.slice(GRIDS.indexOf(grid));
    if (grid < GRIDS[0]) $("sees-note").append(` The service had no time to hide ${GRIDS[0]} × ${GRIDS[0]} places, so ${grid} × ${grid} were hidden.`);
  } catch (problem) {
    if (mine.signal.aborted) return;
    showProblem($("sees-problem"), problem, [["Try again", problem.type === "unknown-artifact" ? mine.anew : redraw]]);
  }
}

async function explained({ blob, params, signal, known }, name, grid) {
  const wanted = `${name} ${grid}`;
  if (!known.has(wanted)) {
    const [model, precision] = name.split("/");
    known.set(wanted, await explain(blob, { ...params, model, precision, grid }, signal));
  }
  return known.get(wanted);
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
  return Number.isNaN(r) ? "A flat map has nothing to compare." : `The two maps correlate with r = ${r.toFixed(2)} (1: they look at the same places).`;
}
