/** Outlines over a picture or a video. */

import { el } from "./dom.js";
import { percent } from "./format.js";

/** Draw the faces' boxes; with `pick`, each is a button and `picked` the pressed one. */
export function outline(layer, size, faces, { pick = null, picked = 0 } = {}) {
  const boxes = faces.map((face, index) => {
    if (!face.box) return "";
    const text = faces.length > 1 ? face.emotion : `${face.emotion} ${percent(face.confidence)}`;
    const label = el("span", { class: "tag", "aria-hidden": "true" }, text);
    const name = `Face ${index + 1} of ${faces.length}: ${face.emotion}, ${percent(face.confidence)}`;
    const box = pick
      ? el("button", { class: "face", type: "button", "aria-label": name, "aria-pressed": String(index === picked), onclick: () => pick(index) }, label)
      : el("div", { class: "face" }, label);
    place(box, face.box, size);
    return box;
  });
  layer.replaceChildren(...boxes);
}

function place(node, box, size) {
  const share = (value, whole) => `${(100 * value) / whole}%`;
  node.style.left = share(box.x, size.width);
  node.style.top = share(box.y, size.height);
  node.style.width = share(box.width, size.width);
  node.style.height = share(box.height, size.height);
  node.classList.toggle("high", box.y < 0.1 * size.height); // no room for the label above it
  node.classList.toggle("right", box.x + box.width / 2 > size.width / 2); // nor to its right
}
