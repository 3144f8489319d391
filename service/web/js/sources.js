/** Where pictures come from: a file, a drop, the clipboard, an example, the camera. */

import { getText, Problem } from "./api.js";
import { OPENING, openCamera, still } from "./camera.js";
import { $, show } from "./dom.js";
import { clearProblem, withProgress } from "./feedback.js";

let underWay = new AbortController(); // an example that loads, or the camera

/** End what is under way: something newer is chosen, or the view is left. */
export function stopSources() {
  underWay.abort();
  underWay = new AbortController();
  return underWay.signal;
}

/** Call `take(blob)` with every picture and `fail(problem)` with what went wrong. */
export function listen(take, fail) {
  const give = (blob) => {
    stopSources();
    take(blob);
  };
  $("file").addEventListener("change", ({ target }) => {
    if (target.files[0]) give(target.files[0]);
    target.value = ""; // so that the same file can be chosen again
  });
  listenForDrops(give, fail);
  document.addEventListener("paste", (event) => {
    const file = event.clipboardData?.files[0];
    if (file) give(file);
    else if (!$("picture").hidden && !event.target.closest?.("input, textarea")) fail(new Problem("That was not a picture", "Copy the picture itself, not its address, and paste it here."));
  });
  for (const button of document.querySelectorAll("[data-example]")) {
    button.addEventListener("click", async () => {
      const signal = stopSources();
      try {
        const asked = example(button.dataset.example, signal);
        give(await withProgress($("picture-progress"), "Loading the example…", asked));
      } catch (problem) {
        if (!signal.aborted) fail(problem);
      }
    });
  }
  listenForCamera(give, fail);
}

async function example(name, signal) {
  const response = await fetch(`/web/examples/${name}.jpg`, { signal }).catch(() => null);
  if (response?.ok) return response.blob();
  await getText("/livez", { signal }); // says what is wrong where the service itself is
  throw new Problem("The example did not load", "Reload the page, or choose a picture of your own.");
}

function listenForDrops(give, fail) {
  const { classList } = document.body; // for the drop area is not there beside a picture
  addEventListener("dragover", (event) => {
    event.preventDefault();
    classList.add("over");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) classList.remove("over");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    classList.remove("over");
    const file = event.dataTransfer.files[0];
    if (file) give(file);
    else fail(new Problem("That was not a file", "Save the picture and drop the file: links are not followed."));
  });
}

function listenForCamera(give, fail) {
  const video = $("viewfinder");
  const turn = (on) => {
    const focused = $("capture").contains(document.activeElement);
    show($("capture"), on);
    show($("camera"), !on);
    if (on) $("shoot").focus();
    else if (focused) $("camera").focus();
    $("capture").parentElement.classList.toggle("capturing", on);
  };
  $("camera").addEventListener("click", async () => {
    const signal = stopSources();
    signal.addEventListener("abort", () => turn(false));
    const lose = (problem) => {
      if (signal.aborted) return;
      stopSources();
      fail(problem);
    };
    clearProblem($("picture-problem")); // that of an earlier try
    try {
      await withProgress($("picture-progress"), OPENING, openCamera(video, signal, lose));
      turn(true);
    } catch (problem) {
      lose(problem);
    }
  });
  $("cancel").addEventListener("click", stopSources);
  $("shoot").addEventListener("click", async () => {
    const { signal } = underWay;
    const picture = await still(video, Infinity);
    if (!signal.aborted) give(picture); // else it was cancelled, or clicked twice
  });
}
