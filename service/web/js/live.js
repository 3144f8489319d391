/** Live mode: one frame under way at a time; the camera's other frames are dropped. */

import { predict } from "./api.js";
import { OPENING, openCamera, still } from "./camera.js";
import { $, announce, bar, el, show } from "./dom.js";
import { outline } from "./faces.js";
import { attempt, clearProblem, placeOf, showProblem, withProgress } from "./feedback.js";
import { artifactName, milliseconds, percent } from "./format.js";
import { artifacts, artifactsAnew, store } from "./store.js";
import { bestRecord } from "./tradeoff.js";

const WIDTH = 640; // pixels sent: more adds time, not accuracy
const WINDOW = 2000; // milliseconds the read-out looks back
const PAUSES = ["overloaded", "too-many-requests"]; // other problems do not pass by waiting
let running = null;

export async function startLive() {
  $("live-toggle").addEventListener("click", () => (running ? stopLive() : begin()));
  store.addEventListener("replaced", offer);
  readOut([], "0");
  await attempt(placeOf("live"), "Reading the store…", offer);
}

/** Without an artifact to ask, the camera cannot start. */
async function offer() {
  const records = await artifacts();
  const names = records.map((r) => `${r.model}/${r.precision}`);
  const kept = $("live-artifact").value;
  const best = bestRecord(records);
  $("live-artifact").replaceChildren(...records.map((r, index) => el("option", { value: names[index] }, artifactName(r))));
  $("live-artifact").value = names.includes(kept) ? kept : `${best.model}/${best.precision}`;
  $("live-toggle").disabled = false;
}

export function stopLive() {
  if (!running) return;
  running.stop.abort();
  running = null;
  for (const id of ["live-boxes", "live-bars"]) $(id).replaceChildren();
  readOut([], "0");
  $("live-toggle").textContent = "Start the camera";
  show($("live-idle"));
}

async function begin() {
  const video = $("live-video");
  const mine = (running = { stop: new AbortController(), answers: [], answered: 0, heard: "", heardAt: 0 });
  const { signal } = mine.stop;
  const fail = (problem) => {
    if (signal.aborted) return;
    stopLive();
    showProblem($("live-problem"), problem);
    if (problem.type === "unknown-artifact") artifactsAnew().catch(() => {}); // so that one that is there can be chosen
  };
  clearProblem($("live-problem"));
  $("live-toggle").textContent = "Cancel";
  try {
    await withProgress($("live-progress"), OPENING, openCamera(video, signal, fail));
    $("live-toggle").textContent = "Stop the camera";
    show($("live-idle"), false);
    while (!signal.aborted) await oneFrame(video, mine);
  } catch (problem) {
    fail(problem);
  }
}

/** Wait for a frame that was not sent yet, and count those that the camera delivered. */
async function newFrame(video, mine) {
  if (!video.requestVideoFrameCallback) {
    const { currentTime } = video;
    do await new Promise(requestAnimationFrame);
    while (video.currentTime === currentTime && !mine.stop.signal.aborted);
  } else {
    const frame = await new Promise((resolve) => video.requestVideoFrameCallback((_, told) => resolve(told)));
    mine.before ??= frame.presentedFrames - 1;
    mine.seen = frame.presentedFrames - mine.before;
  }
  mine.stop.signal.throwIfAborted();
}

async function oneFrame(video, mine) {
  await newFrame(video, mine); // none comes while the page is hidden
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
    if (!PAUSES.includes(problem.type)) throw problem;
    await pause(mine, problem.retryAfter);
  }
}

/** The service asked for a pause: say so; what was measured before it says nothing any more. */
async function pause(mine, seconds) {
  mine.answers = [];
  $("live-boxes").replaceChildren();
  $("live-bars").replaceChildren();
  announce(`The service asks to wait ${seconds} s.`);
  for (let left = seconds; left > 0 && !mine.stop.signal.aborted; left -= 1) {
    readOut([], dropped(mine), `waiting, ${left} s`);
    await new Promise((resolve) => setTimeout(resolve, 1000));
  }
}

const dropped = ({ seen, answered }) => (seen === undefined ? "–" : String(seen - answered)); // – : the browser does not tell

function record(mine, sent, latency) {
  const now = performance.now();
  mine.answered += 1;
  mine.answers.push({ at: now, sent, latency });
  mine.answers = mine.answers.filter((answer) => now - answer.at < WINDOW);
  readOut(mine.answers, dropped(mine));
}

function readOut(answers, missed, waiting = "–") {
  const span = answers.length > 1 ? (answers.at(-1).at - answers[0].at) / 1000 : 0;
  const rows = [
    ["Answers per second", span ? ((answers.length - 1) / span).toFixed(1) : waiting],
    ["There and back, ms", middle(answers.map((a) => a.at - a.sent))],
    ["In the service, ms", middle(answers.map((a) => a.latency.total))],
    ["In the network, ms", middle(answers.map((a) => a.latency.inference))],
    ["Frames dropped", missed],
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
