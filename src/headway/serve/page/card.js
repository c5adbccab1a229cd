// Words of an answer: by pointer, finger or keys each shows how sure the model was, what else it might have said, and what it looked at.

import { element, find } from "./dom.js";
import { percent, words } from "./languages.js";
import * as source from "./source.js";

const card = find("card"), answer = find("answer");
let shown = [], at = null; // the elements of each output; the one that is shown

export function clear() {
  shown = [];
  hide();
}

export function hide() {
  at = null;
  card.hidden = true;
  for (const several of shown) for (const { node } of several) { node.classList.remove("here"); node.removeAttribute("aria-describedby"); }
  source.shadeBy(null);
}

// An element that stands for an output. `name` is what it is called on the card.
export function bind(node, output, name = output.text) {
  const place = { node, output, name };
  const which = shown.findIndex(several => several[0].output === output);
  if (which < 0) shown.push([place]); else shown[which].push(place);
  node.tabIndex = shown.length === 1 ? 0 : -1;
  node.setAttribute("role", "button");
  node.setAttribute("aria-label", spoken(name, output));
  node.addEventListener("pointerenter", () => show(place));
  node.addEventListener("pointerleave", event => { if (event.pointerType === "mouse" && document.activeElement !== node) hide(); });
  node.addEventListener("focus", () => { show(place); node.scrollIntoView({ block: "nearest" }); });
  node.addEventListener("blur", hide);
  node.addEventListener("click", () => node.focus());
  return node;
}

const isNumber = value => typeof value === "number" && Number.isFinite(value);

function spoken(name, output) {
  const parts = [name];
  if (isNumber(output.probability)) parts.push(`${words().confidence} ${percent(output.probability)}`);
  const others = (output.alternatives ?? []).slice(0, 3).map(other => `${other.text} ${percent(other.probability)}`);
  if (others.length) parts.push(`${words().alternatives}: ${others.join(", ")}`);
  return parts.join(", ");
}

function show(place) {
  if (at && at !== place) hide();
  at = place;
  for (const several of shown) for (const one of several) one.node.style.removeProperty("--w");
  place.node.classList.add("here");
  place.node.setAttribute("aria-describedby", "card");
  if (place.output.weights?.length) source.shadeBy(place.output.weights);
  card.replaceChildren(...told(place));
  card.hidden = false;
  put(place.node.getBoundingClientRect());
}

function told({ output, name }) {
  const rows = [element("p", { class: "card-name", dir: "auto" }, name)];
  if (isNumber(output.probability)) {
    const sure = output.probability >= 0.8 ? "sure" : output.probability >= 0.5 ? "fairly" : "unsure";
    rows.push(row(words().confidence, output.probability, `own ${sure}`, words()[sure]));
  }
  const others = (output.alternatives ?? []).filter(other => isNumber(other.probability) && other.probability >= 0.005).slice(0, 4);
  if (others.length) rows.push(element("p", { class: "soft small" }, words().alternatives), ...others.map(other => row(other.text, other.probability)));
  const seen = attended(output.weights);
  if (seen.length) {
    rows.push(element("p", { class: "soft small glance" }, words().attends));
    rows.push(element("p", { class: "seen glance", dir: "auto" }, ...seen.map(([text, weight]) => element("span", {}, text, " ", element("small", { class: "soft" }, percent(weight))))));
  }
  return rows;
}

function attended(weights) {
  return (weights ?? []).map((weight, which) => [source.wordAt(which), weight]).filter(([text, weight]) => text && weight >= 0.1)
    .sort((one, other) => other[1] - one[1]).slice(0, 3);
}

function row(name, share, kind = "", about = "") {
  return element("div", { class: `share ${kind}`, css: { "--share": Math.max(0, Math.min(1, share)) } },
    element("span", { dir: "auto" }, name), element("span", { class: "number" }, percent(share)), element("i", { "aria-hidden": "true" }), about ? element("small", { class: "soft" }, about) : null);
}

function put(box) {
  const pane = find("answered").getBoundingClientRect(), wide = card.offsetWidth, tall = card.offsetHeight;
  const below = box.bottom + 10 + tall < innerHeight || box.top < tall + 10;
  card.style.setProperty("--left", `${Math.max(pane.left + 8, Math.min(box.left + box.width / 2 - wide / 2, pane.right - wide - 8))}px`);
  card.style.setProperty("--top", `${below ? box.bottom + 10 : box.top - tall - 10}px`);
}

// The other way round: which words of the answer looked at this one of the text.
export function lookedAt(which) {
  if (at) return;
  const weights = shown.map(([{ output }]) => (which < 0 ? 0 : output.weights?.[which] ?? 0)), most = Math.max(...weights, 1e-9);
  shown.forEach((several, place) => {
    for (const { node } of several) {
      if (which < 0) node.style.removeProperty("--w");
      else node.style.setProperty("--w", (weights[place] / most).toFixed(3));
    }
  });
  if (which >= 0) source.shadeBy(weights.length ? Array.from({ length: which + 1 }, (_, place) => (place === which ? 1 : 0)) : null);
  else source.shadeBy(null);
}

answer.addEventListener("keydown", event => {
  const seen = shown.filter(([{ node }]) => node.getClientRects().length), all = seen.map(([{ node }]) => node); // some labels are hidden
  const here = seen.findIndex(several => several.some(one => one.node === document.activeElement));
  if (here < 0) return;
  const turned = getComputedStyle(answer).direction === "rtl" ? -1 : 1;
  const next = { ArrowRight: here + turned, ArrowLeft: here - turned, ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: all.length - 1 }[event.key];
  if (next === undefined) return;
  event.preventDefault();
  const to = all[Math.max(0, Math.min(next, all.length - 1))];
  for (const node of all) node.tabIndex = node === to ? 0 : -1;
  to.focus();
});
addEventListener("scroll", () => { if (at) put(at.node.getBoundingClientRect()); }, { passive: true, capture: true });
