/** Problems as sentences, and progress for what takes a while. */

import { KEY_PATTERN, useKey } from "./api.js";
import { $, announce, el, show } from "./dom.js";

const PATIENCE = 300; // milliseconds before progress shows: no flicker for what is fast

/** Where progress and problems show: boxes of the page, by their common name. */
export const placeOf = (name) => ({ progress: $(`${name}-progress`), problem: $(`${name}-problem`) });

/** New ones, to put beside what they are about. */
export const newPlace = () => ({
  progress: el("div", { class: "progress", hidden: true }),
  problem: el("div", { class: "problem", role: "alert", hidden: true }),
});

/** Show a problem, with buttons for what may help: [[text, action], …]. */
export function showProblem(box, problem, actions = []) {
  const id = problem.requestId ? el("p", { class: "muted" }, `Request ${problem.requestId}`) : "";
  const buttons = actions.map(([text, onclick]) => el("button", { onclick }, text));
  box.replaceChildren(
    el("h2", {}, problem.title ?? "The page made a mistake"),
    el("p", {}, problem.detail ?? `${problem.message}. Reload the page and try again.`),
    ...(problem.type === "unauthorized" ? [keyForm(actions[0]?.[1])] : []),
    ...(buttons.length ? [el("div", { class: "buttons" }, ...buttons)] : []),
    id,
  );
  show(box);
}

/** Asks for a key; then the page starts anew, or does `again` what needed one. */
function keyForm(again) {
  const input = el("input", {
    type: "password",
    autocomplete: "off",
    required: true,
    pattern: `\\s*${KEY_PATTERN}\\s*`,
    title: "Letters without accents, digits, signs and spaces: a key has nothing else.",
  });
  const onsubmit = (event) => {
    event.preventDefault();
    if (useKey(input.value.trim()) || !again) location.reload();
    else again();
  };
  return el("form", { class: "buttons", onsubmit }, el("label", {}, "API key ", input), el("button", {}, "Use this key"));
}

export const clearProblem = (box) => {
  if (box.contains(document.activeElement)) box.closest("[tabindex]").focus({ preventScroll: true }); // its button goes
  box.replaceChildren();
  show(box, false);
};

/** Wait for a promise; after a moment, say what for. */
export async function withProgress(box, text, promise) {
  const token = Symbol(text);
  box.waitingFor = token;
  const timer = setTimeout(() => {
    if (box.waitingFor !== token) return;
    box.replaceChildren(el("progress", { "aria-label": text }), el("span", {}, text));
    show(box);
    announce(text);
  }, PATIENCE);
  try {
    return await promise;
  } finally {
    clearTimeout(timer);
    if (box.waitingFor === token) show(box, false);
  }
}

/** Work, and show how it goes: progress, or a problem with another try. */
export async function attempt(place, text, work) {
  clearProblem(place.problem);
  try {
    return await withProgress(place.progress, text, work());
  } catch (problem) {
    return showProblem(place.problem, problem, [["Try again", () => attempt(place, text, work)]]);
  }
}
