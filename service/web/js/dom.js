/** Small helpers to build the page. */

export const $ = (id) => document.getElementById(id);

/** Make an element: attributes by name, `on…` as listeners, children as nodes or text. */
export function el(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children);
  return node;
}

/** A bar of `share` (0..1) of its track; what it says stands beside it as text. */
export function bar(share, kind = "") {
  const fill = el("span", { class: `fill ${kind}` });
  fill.style.inlineSize = `${100 * Math.min(Math.max(share, 0), 1)}%`;
  return el("span", { class: "track", "aria-hidden": "true" }, fill);
}

export function show(node, visible = true) {
  node.hidden = !visible;
}

/** Tell screen readers, politely. */
export function announce(text) {
  $("announcer").textContent = text;
}
