/** Views by the address's hash; each starts when it is first shown, and anew after it failed. */

import { $, show } from "./dom.js";
import { startLive, stopLive } from "./live.js";
import { startModels } from "./models.js";
import { listenForPictures, startPicture } from "./picture.js";
import { stopSources } from "./sources.js";
import { store } from "./store.js";

const STARTS = { picture: startPicture, live: startLive, models: startModels };
const started = new Set();

function go(moved) {
  const asked = location.hash.slice(1);
  const known = Object.hasOwn(STARTS, asked);
  if (moved && asked && !known) return; // such as the link that skips to the content
  const name = known ? asked : "picture"; // the first address has no hash: Back leads there
  for (const view of Object.keys(STARTS)) show($(view), view === name);
  for (const link of document.querySelectorAll("nav a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  if (name !== "picture") stopSources();
  if (name !== "live") stopLive();
  if (!started.has(name)) {
    started.add(name);
    STARTS[name](() => started.delete(name));
  }
  if (moved) {
    scrollTo(0, 0);
    $("main").focus({ preventScroll: true });
  }
}

listenForPictures(); // they may be given to any view
store.addEventListener("replaced", () => started.delete("models"));
addEventListener("hashchange", () => go(true));
go(false);
