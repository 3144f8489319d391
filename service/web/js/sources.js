/** Where pictures come from: a file, a drop, the clipboard, an example, the camera. */

import { getText, Problem } from "./api.js";
import { openCamera, still, stopCamera } from "./camera.js";
import { $, show } from "./dom.js";

/** Call `give(blob)` with every picture and `fail(problem)` with what went wrong. */
export function listen(take, fail) {
  let closeCamera = () => {};
  const give = (blob) => {
    closeCamera(); // it would hide the picture
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
  });
  for (const button of document.querySelectorAll("[data-example]")) {
    button.addEventListener("click", async () => {
      try {
        give(await example(button.dataset.example));
      } catch (problem) {
        fail(problem);
      }
    });
  }
  closeCamera = listenForCamera(give, fail);
}

async function example(name) {
  const response = await fetch(`/web/examples/${name}.jpg`).catch(() => null);
  if (response?.ok) return response.blob();
  await getText("/livez"); // says what is wrong where the service itself is
  throw new Problem("The example did not load", "Reload the page, or choose a picture of your own.");
}

function listenForDrops(give, fail) {
  const drop = $("drop");
  addEventListener("dragover", (event) => {
    event.preventDefault();
    drop.classList.add("over");
  });
  addEventListener("dragleave", (event) => {
    if (!event.relatedTarget) drop.classList.remove("over");
  });
  addEventListener("drop", (event) => {
    event.preventDefault();
    drop.classList.remove("over");
    const file = event.dataTransfer.files[0];
    if (file) give(file);
    else fail(new Problem("That was not a file", "Save the picture and drop the file: links are not followed."));
  });
}

/** Returns what closes the camera, open or being opened. */
function listenForCamera(give, fail) {
  const video = $("viewfinder");
  let opening = 0;
  const turn = (on) => {
    show($("capture"), on);
    show($("camera"), !on);
    $("capture").parentElement.classList.toggle("capturing", on);
  };
  const close = () => {
    opening += 1;
    stopCamera(video);
    turn(false);
  };
  $("camera").addEventListener("click", async () => {
    const mine = (opening += 1);
    try {
      await openCamera(video);
      if (mine !== opening) return stopCamera(video); // meanwhile something else was chosen
      turn(true);
      $("shoot").focus();
    } catch (problem) {
      if (mine === opening) fail(problem);
    }
  });
  $("cancel").addEventListener("click", () => {
    close();
    $("camera").focus();
  });
  $("shoot").addEventListener("click", async () => {
    const picture = await still(video, Infinity);
    close();
    $("camera").focus();
    give(picture);
  });
  addEventListener("hashchange", close);
  return close;
}
