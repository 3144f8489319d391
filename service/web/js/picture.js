/** The picture view: a picture comes in, faces are found, one is compared and explained. */

import { artifacts, compare, predict } from "./api.js";
import { showDifferences } from "./difference.js";
import { $, announce, show } from "./dom.js";
import { outline } from "./faces.js";
import { clearProblem, showProblem, withProgress } from "./feedback.js";
import { artifactName, percent, plural } from "./format.js";
import { showScatter } from "./scatter.js";
import { explainFace } from "./sees.js";
import { listen } from "./sources.js";
import { showSummary } from "./summary.js";
import { showTable } from "./table.js";
import { best, bestRecord, RULE } from "./tradeoff.js";

const REPEATS = 15;
let current = null; // the picture being worked on
let running = new AbortController();

export function startPicture() {
  $("photo").addEventListener("error", () => show($("shown"), false)); // the service will say why
  $("tradeoff-rule").textContent = `${RULE} Latency is the network alone, measured just now: the median of ${REPEATS} calls, and below it their 10th and 90th percentile. Below the accuracy stands its 95 % interval.`;
  artifacts().catch((problem) => showProblem($("picture-problem"), problem)); // at once, not later
  const here = () => $("picture").hidden && (location.hash = "picture"); // whatever the view, the answer is in this one
  listen(
    (blob) => {
      here();
      take(blob);
    },
    (problem) => {
      here();
      showProblem($("picture-problem"), problem);
    },
  );
}

/** Stop what is under way and begin something new. */
function restart() {
  running.abort();
  running = new AbortController();
  clearProblem($("picture-problem"));
  for (const id of ["summary", "results"]) show($(id), false); // they are another face's
  return running.signal;
}

async function take(blob, options = {}) {
  if (current && !options.again) URL.revokeObjectURL(current.url);
  current = { blob, url: options.again ? current.url : URL.createObjectURL(blob), options: options.whole ? { faces: "whole" } : {} };
  $("photo").src = current.url;
  $("boxes").replaceChildren();
  $("caption").textContent = "";
  show($("shown"));
  for (const id of ["drop", "welcome"]) show($(id), false);
  await guarded(async (signal) => {
    const { model, precision } = bestRecord(await artifacts());
    const faces = current.options.faces ?? "all";
    const asked = predict(blob, { model, precision, faces }, signal);
    current.found = await withProgress($("picture-progress"), "Finding faces…", asked);
    await choose(0, signal);
  });
}

/** Compare and explain one of the faces found. */
async function choose(index, signal) {
  const { blob, found, options } = current;
  const pick = (other) => guarded((again) => choose(other, again));
  const focused = $("boxes").contains(document.activeElement);
  outline($("boxes"), found.image, found.faces, { pick, picked: index });
  if (focused) $("boxes").querySelector("[aria-pressed=true]").focus();
  $("caption").textContent = captionOf(found);
  const params = { ...options, ...(index ? { face: index } : {}) };
  const asked = compare(blob, { ...params, repeats: REPEATS }, signal);
  const [answer, records] = await Promise.all([
    withProgress($("picture-progress"), "Asking every artifact…", asked),
    artifacts(),
  ]);
  const chosen = best(answer.artifacts, records);
  const { metrics } = records.find((r) => artifactName(r) === artifactName(chosen));
  showSummary($("summary"), answer, chosen, found.latency_ms, metrics.images);
  showTable($("artifacts"), answer.artifacts, chosen, records);
  showScatter($("scatter"), answer.artifacts, chosen);
  showDifferences($("differences"), $("difference-note"), answer.artifacts);
  show($("results"));
  announce(`${chosen.emotion}, ${percent(chosen.confidence)}, says ${artifactName(chosen)}.`);
  await explainFace(blob, params, chosen, records, signal);
}

function captionOf({ faces, image, model, precision }) {
  const where = faces[0].box ? plural(faces.length, "face") : "The whole picture, taken as the face";
  const pick = faces.length > 1 ? " Pick one." : "";
  return `${where} · ${image.width} × ${image.height} pixels · labels by ${model} ${precision}.${pick}`;
}

/** Do what is asked for; where it fails, offer to try the same again. */
async function guarded(work) {
  const signal = restart();
  try {
    await work(signal);
  } catch (problem) {
    if (signal.aborted) return;
    const whole = ["Take the whole picture as the face", () => take(current.blob, { whole: true, again: true })];
    const again = ["Try again", () => guarded(work)];
    if (problem.type === "no-face") problem.detail = "If it already is a cut-out face, take the whole picture; otherwise come closer, face the camera, look for light.";
    const busy = ["overloaded", "deadline-passed", "too-many-requests", "upload-timeout", "internal-error", ""].includes(problem.type);
    showProblem($("picture-problem"), problem, problem.type === "no-face" ? [whole] : busy ? [again] : []);
  }
}
