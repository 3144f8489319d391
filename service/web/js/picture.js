/** The picture view: a picture comes in, faces are found, one is compared and explained. */

import { compare, inTime, predict } from "./api.js";
import { showDifferences } from "./difference.js";
import { $, announce, show } from "./dom.js";
import { outline } from "./faces.js";
import { attempt, clearProblem, placeOf, showProblem, withProgress } from "./feedback.js";
import { artifactName, percent, plural } from "./format.js";
import { showScatter } from "./scatter.js";
import { explainFace } from "./sees.js";
import { listen } from "./sources.js";
import { artifacts, artifactsAnew, recordsOf, withArtifacts } from "./store.js";
import { showSummary } from "./summary.js";
import { showLeftOut, showTable } from "./table.js";
import { best, bestRecord, RULE } from "./tradeoff.js";

const REPEATS = [15, 1]; // with one, several artifacts are asked at once: for where one after another takes too long
let current = null; // the picture being worked on
let running = new AbortController();

export function startPicture() {
  const again = () => attempt(placeOf("picture"), "Reading the store…", artifacts);
  artifacts().catch((problem) => showProblem($("picture-problem"), problem, [["Try again", again]])); // at once, not later
}

/** Whatever the view a picture is given to, the answer is in this one. */
export function listenForPictures() {
  const here = () => $("picture").hidden && (location.hash = "picture");
  $("photo").addEventListener("error", () => {
    show($("shown"), false); // the service will say why
    show($("drop"));
  });
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
  if ($("results").contains(document.activeElement)) document.querySelector(".answer").focus();
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
    const faces = current.options.faces ?? "all";
    const asked = withArtifacts((records) => find(blob, faces, signal, bestFirst(records)));
    current.found = await withProgress($("picture-progress"), "Finding faces…", asked);
    await choose(0, signal);
  });
}

function bestFirst(records) {
  const first = bestRecord(records);
  return [first, ...records.filter((record) => record !== first)];
}

/** Ask the first artifact that can run. */
async function find(blob, faces, signal, [{ model, precision }, ...others]) {
  try {
    return await predict(blob, { model, precision, faces }, signal);
  } catch (problem) {
    if (problem.type !== "artifact-unavailable" || !others.length) throw problem;
    return find(blob, faces, signal, others);
  }
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
  const work = (async () => {
    const { answer, amount } = await inTime(REPEATS, (repeats) => compare(blob, { ...params, repeats }, signal));
    return { answer, asked: amount, records: await recordsOf(answer.artifacts) };
  })();
  const { answer, asked, records } = await withProgress($("picture-progress"), "Asking every artifact…", work);
  signal.throwIfAborted();
  const chosen = best(answer.artifacts, records);
  const { metrics } = records.find((r) => artifactName(r) === artifactName(chosen));
  showSummary($("summary"), answer, chosen, found.latency_ms, metrics.images);
  $("tradeoff-rule").textContent = rule(answer.repeats, asked);
  showTable($("artifacts"), answer.artifacts, chosen, records);
  showLeftOut($("left-out"), answer.left_out);
  showScatter($("scatter"), answer.artifacts, chosen);
  showDifferences($("differences"), $("difference-note"), answer.artifacts);
  show($("results"));
  announce(`${chosen.emotion}, ${percent(chosen.confidence)}, says ${artifactName(chosen)}.`);
  const anew = async (again) => {
    await artifactsAnew();
    await choose(index, again);
  };
  await explainFace({ blob, params, signal, anew: () => guarded(anew) }, chosen, answer.artifacts);
}

function rule(repeats, asked) {
  const calls = repeats > 1 ? `the median of ${repeats} calls, and below it their 10th and 90th percentile` : `one call of each artifact${asked > 1 ? "" : ", several of them at once"}`;
  const fewer = repeats < REPEATS[0] ? ` The service had no time for ${REPEATS[0]} calls of each artifact, but for ${repeats}.` : "";
  return `${RULE} Latency is the network alone, measured just now: ${calls}. Below the accuracy stands its 95 % interval.${fewer}`;
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
    const busy = ["overloaded", "deadline-passed", "too-many-requests", "upload-timeout", "internal-error", "unauthorized", "unknown-artifact", ""].includes(problem.type);
    showProblem($("picture-problem"), problem, problem.type === "no-face" ? [whole] : busy ? [again] : []);
  }
}
