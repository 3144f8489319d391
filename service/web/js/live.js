/** Live mode: one frame under way at a time; the camera's other frames are dropped. */

import { artifacts, predict } from "./api.js";
import { openCamera, still, stopCamera } from "./camera.js";
import { $, announce, bar, el, show } from "./dom.js";
import { outline } from "./faces.js";
import { clearProblem, showProblem } from "./feedback.js";
import { artifactName, milliseconds, percent } from "./format.js";
import { bestRecord } from "./tradeoff.js";

const WIDTH = 640; // pixels sent: more adds time, not accuracy
const WINDOW = 2000; // milliseconds the read-out looks back
let running = null;

export async function startLive() {
  $("live-toggle").addEventListener("click", () => (running ? stopLive() : begin()));
  try {
    const records = await artifacts();
    const best = bestRecord(records);
    const options = records.map((r) => el("option", { value: `${r.model}/${r.precision}` }, artifactName(r)));
    $("live-artifact").replaceChildren(...options);
    $("live-artifact").value = `${best.model}/${best.precision}`;
  } catch (problem) {
    showProblem($("live-problem"), problem);
  }
  readOut([], 0);
}

export function stopLive() {
  if (!running) return;
  running.stop.abort();
  running = null;
  stopCamera($("live-video"));
  $("live-boxes").replaceChildren();
  $("live-toggle").textContent = "Start the camera";
  show($("live-idle"));
}

async function begin() {
  const video = $("live-video");
  const mine = (running = { stop: new AbortController(), answers: [], seen: 0, heard: "", heardAt: 0 });
  clearProblem($("live-problem"));
  try {
    await openCamera(video);
    if (mine.stop.signal.aborted) return stopCamera(video);
    $("live-toggle").textContent = "Stop the camera";
    show($("live-idle"), false);
    countFrames(video, mine);
    while (!mine.stop.signal.aborted) await oneFrame(video, mine);
  } catch (problem) {
    if (mine.stop.signal.aborted) return;
    stopLive();
    showProblem($("live-problem"), problem);
  }
}

/** Count what the camera delivers, so that what was dropped can be told. */
function countFrames(video, mine) {
  if (!video.requestVideoFrameCallback || mine.stop.signal.aborted) return;
  video.requestVideoFrameCallback(() => {
    mine.seen += 1;
    countFrames(video, mine);
  });
}

async function oneFrame(video, mine) {
  const frame = await still(video, WIDTH, 0.8);
  const [model, precision] = $("live-artifact").value.split("/");
  const sent = performance.now();
  try {
    const params = { model, precision, faces: "all", no_face: "whole" }; // no face is no error here
    const { image, faces, latency_ms } = await predict(frame, params, mine.stop.signal);
    record(mine, sent, latency_ms);
    outline($("live-boxes"), image, faces);
    bars(faces[0].box ? faces[0].probabilities : null);
    tell(mine, faces[0].box ? faces[0].emotion : "no face");
  } catch (problem) {
    if (!problem.retryAfter) throw problem;
    await new Promise((resolve) => setTimeout(resolve, 1000 * problem.retryAfter));
  }
  await new Promise(requestAnimationFrame); // pauses while the page is hidden
}

function record(mine, sent, latency) {
  const now = performance.now();
  mine.total = (mine.total ?? 0) + 1;
  mine.answers.push({ at: now, sent, latency });
  mine.answers = mine.answers.filter((answer) => now - answer.at < WINDOW);
  readOut(mine.answers, Math.max(0, mine.seen - mine.total));
}

function readOut(answers, dropped) {
  const span = answers.length > 1 ? (answers.at(-1).at - answers[0].at) / 1000 : 0;
  const rows = [
    ["Answers per second", span ? ((answers.length - 1) / span).toFixed(1) : "–"],
    ["There and back, ms", middle(answers.map((a) => a.at - a.sent))],
    ["In the service, ms", middle(answers.map((a) => a.latency.total))],
    ["In the network, ms", middle(answers.map((a) => a.latency.inference))],
    ["Frames dropped", String(dropped)],
  ];
  $("live-numbers").replaceChildren(...rows.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))));
}

function middle(values) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted.length ? milliseconds(sorted[Math.floor(sorted.length / 2)]) : "–";
}

function bars(probabilities) {
  if (!probabilities) return $("live-bars").replaceChildren(el("p", { class: "muted" }, "No face in view: come closer, face the camera, look for light."));
  const top = Math.max(...Object.values(probabilities));
  const rows = Object.entries(probabilities).map(([emotion, p]) =>
    el("div", { class: "bar-row" }, el("span", {}, emotion), bar(p, p === top ? "top" : ""), el("span", { class: "number" }, percent(p))),
  );
  return $("live-bars").replaceChildren(...rows);
}

/** Screen readers hear changes, at most every three seconds. */
function tell(mine, text) {
  if (text === mine.heard || performance.now() - mine.heardAt < 3000) return;
  Object.assign(mine, { heard: text, heardAt: performance.now() });
  announce(text);
}
