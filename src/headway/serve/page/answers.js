// An answer of each kind, or the problem instead of one, shown. Every text of it is data.

import * as card from "./card.js";
import { Characters, element, find, partsOf } from "./dom.js";
import { percent, words } from "./languages.js";
import * as source from "./source.js";

const place = find("answer"), problem = find("problem");
const MOST_BARS = 8, SURE = 0.9; // above it a word is not underlined
const isNumber = value => typeof value === "number" && Number.isFinite(value);

export function clear() {
  card.clear();
  place.replaceChildren();
  place.classList.remove("stale", "coming");
}

// With a note, such as why nothing can be asked.
export function showEmpty(note) {
  clear();
  place.append(note ? element("p", { class: "soft empty" }, note) : element("p", { class: "soft empty", "data-say": "empty" }, words().empty));
}

export function clearProblem() {
  problem.hidden = true;
  problem.replaceChildren();
}

// In words; with `again`, a button that does it again, after some seconds if the server said so.
export function showProblem({ headline, advice, detail, again, after }) {
  const retry = again ? element("button", { type: "button", class: "plain", on: { click: again } }, words().tryAgain) : null;
  problem.replaceChildren(
    element("p", { class: "what" }, headline),
    ...(advice ? [element("p", {}, advice)] : []),
    ...(detail ? [element("p", { class: "soft small", lang: "en" }, detail)] : []),
    ...(retry ? [retry] : []),
  );
  problem.hidden = false;
  if (retry && after) countDown(retry, after);
}

function countDown(button, seconds) {
  button.disabled = seconds > 0;
  button.textContent = seconds > 0 ? words().tryIn(seconds) : words().tryAgain;
  if (seconds > 0) setTimeout(() => countDown(button, seconds - 1), 1000);
}

// What has been written so far; a later one may say something else.
export function showComing(text) {
  card.clear();
  place.classList.add("coming");
  const written = place.querySelector(".written") ?? element("p", { class: "written", dir: "auto" });
  if (!written.isConnected) place.replaceChildren(written);
  written.textContent = text;
}

// Which kind of answer it is, by what it holds.
export function show(best, asked) {
  clear();
  if (best.explanation?.source) source.showWords(best.explanation.source, ...asked.texts);
  if (best.probabilities || best.labels) showLabels(best);
  else if (Array.isArray(best.words)) showTags(best, asked.texts.at(-1));
  else if (Array.isArray(best.vector)) showVector(best.vector);
  else if (typeof best.answer === "string") showSpan(best, asked);
  else place.append(written(best.text ?? "", best.explanation?.outputs));
  if (best.cut) place.append(element("p", { class: "note" }, words().cut));
  if (best.abstains) place.append(element("p", { class: "note" }, words().abstains));
}

// A text whose words can be looked at.
export function written(text, outputs) {
  const shown = element("p", { class: "written", dir: "auto" });
  const parts = outputs?.length ? partsOf(text, outputs) : null;
  if (!text.trim()) shown.append(element("span", { class: "soft" }, words().nothingWritten));
  else if (!parts) shown.append(text);
  else shown.append(...parts.map(([part, which]) => (which < 0 ? part : word(part, outputs[which]))));
  return shown;
}

function word(text, output) {
  const sure = isNumber(output.probability) ? output.probability : 1;
  const doubt = Math.max(0, Math.min(1, (SURE - sure) / SURE)), kind = sure < 0.5 ? "word unsure" : "word";
  return card.bind(element("span", { class: kind, css: { "--doubt": doubt.toFixed(3) } }, text), output, text);
}

function showLabels(best) {
  const given = best.probabilities ?? {}, chosen = new Set((best.labels ?? []).map(String));
  const outputs = new Map((best.explanation?.outputs ?? []).map(output => [String(output.text), output]));
  const rows = Object.entries(given).filter(([, share]) => isNumber(share)).sort((one, other) => other[1] - one[1]);
  if (!rows.length) {
    place.append(element("p", { class: "large", dir: "auto" }, [...chosen].join(", ") || words().none));
    return;
  }
  const list = element("ol", { class: "bars" });
  rows.forEach(([name, share], number) => {
    const output = outputs.get(name) ?? { text: name, probability: share };
    const bar = element("div", { class: chosen.has(name) ? "share chosen" : "share", css: { "--share": share } },
      element("span", { dir: "auto" }, name), element("span", { class: "number" }, percent(share)), element("i", { "aria-hidden": "true" }));
    list.append(element("li", { hidden: number >= MOST_BARS }, card.bind(bar, output, name)));
  });
  place.append(list);
  if (rows.length > MOST_BARS) place.append(showAll(list, rows.length));
  const shown = best.explanation?.outputs?.find(output => chosen.has(String(output.text))) ?? best.explanation?.outputs?.[0];
  if (shown?.weights) source.rest(shown.weights);
}

function showAll(list, count) {
  const button = element("button", { type: "button", class: "quiet" }, words().allLabels(count));
  button.addEventListener("click", () => { for (const row of list.children) row.hidden = false; button.remove(); });
  return button;
}

// Words with their tags: entities as wholes, each kind in a colour of its own; other tags below their words.
function showTags(best, asked) {
  const outputs = best.explanation?.outputs ?? [], shown = element("p", { class: "written tagged", dir: "auto" });
  const spans = entitiesOf(best), kinds = [...new Set(spans.map(span => span.kind))];
  const gaps = gapsBetween(asked, best.words.map(one => String(one.word)));
  let open = null;
  best.words.forEach((one, number) => {
    const span = spans.find(some => some.start <= number && number < some.end);
    const output = outputs.length === best.words.length ? outputs[number] : { text: one.tag, probability: one.probability };
    const made = card.bind(element("span", { class: "word" }, one.word), output, `${one.word} · ${one.tag}`);
    if (gaps[number]) ((span && span.start < number && open) || shown).append(gaps[number]);
    if (!span) shown.append(made);
    else if (span.start === number || !open) {
      open = element("mark", { class: `entity k${kinds.indexOf(span.kind) % 6}` }, made);
      shown.append(open);
    } else open.append(made);
    if (span && span.end === number + 1) open.append(element("small", {}, span.kind));
  });
  place.append(shown);
  if (kinds.length) {
    const counted = kinds.map((kind, number) => element("li", {}, element("span", { class: `dot k${number % 6}` }), `${kind} `, element("span", { class: "soft" }, spans.filter(span => span.kind === kind).length)));
    place.append(element("ul", { class: "legend" }, ...counted));
  } else place.append(element("p", { class: "soft" }, words().noEntities));
}

function entitiesOf(best) {
  if (best.entities?.length) return best.entities.map(one => ({ kind: String(one.kind), start: one.first, end: one.end }));
  return best.words.map((one, number) => ({ kind: String(one.tag), start: number, end: number + 1 })).filter(one => one.kind !== "O");
}

// What stands before each word in the text as it was written.
function gapsBetween(text, all) {
  let at = 0;
  return all.map((one, number) => {
    const found = text.indexOf(one, at);
    if (found < 0 || text.slice(at, found).trim()) return number ? " " : "";
    const gap = text.slice(at, found);
    at = found + one.length;
    return gap;
  });
}

function showSpan(best, asked) {
  const output = best.explanation?.outputs?.[0], passage = new Characters(asked.texts.at(-1));
  if (!best.answer) {
    place.append(element("p", { class: "large" }, words().none), element("p", { class: "soft" }, words().notInPassage));
    return;
  }
  const bound = output ? card.bind(element("span", { class: "word" }, best.answer), output, best.answer) : best.answer;
  place.append(element("p", { class: "large", dir: "auto" }, bound));
  if (!isNumber(best.start) || best.start < 0) return;
  const length = output && Number.isInteger(output.end) ? output.end - output.start : Array.from(best.answer).length;
  const end = best.start + length, [before, after] = around(passage, best.start, end);
  place.append(element("blockquote", { dir: "auto" }, before ? "… " : "", passage.between(before, best.start),
    element("mark", { class: "found" }, passage.between(best.start, end)), passage.between(end, after), after < passage.length ? " …" : ""));
  if (output?.weights) source.rest(output.weights);
}

// About this much of a passage on both sides, in whole words.
function around(passage, start, end, most = 140) {
  const left = passage.between(Math.max(0, start - most), start), right = passage.between(end, end + most);
  const cut = (text, whole) => Array.from(whole ? text : text.replace(/\S+$/, "")).length;
  const turned = Array.from(left).reverse().join("");
  return [start - cut(turned, start <= most), end + cut(right, end + most >= passage.length)];
}

// Two vectors: how alike they are. One: what it looks like.
export function showLikeness(vectors) {
  clear();
  const [one, other] = vectors;
  if (other) {
    const sum = (a, b) => a.reduce((total, value, at) => total + value * b[at], 0);
    const alike = sum(one, other) / Math.sqrt(sum(one, one) * sum(other, other) || 1);
    place.append(element("p", { class: "large" }, words().likeness, " ", element("span", { class: "number" }, alike.toFixed(3))));
    place.append(element("div", { class: "share chosen", css: { "--share": Math.max(0, alike) } }, element("i", { "aria-hidden": "true" })));
  }
  for (const vector of other ? [one, other] : [one]) showVector(vector);
}

function showVector(vector) {
  const columns = Math.min(64, vector.length), rows = Math.ceil(vector.length / columns);
  const canvas = element("canvas", { class: "vector", width: columns, height: rows, role: "img", "aria-label": words().vector(vector.length) });
  const pen = canvas.getContext("2d"), most = Math.max(...vector.map(Math.abs), 1e-9);
  vector.forEach((value, at) => {
    pen.fillStyle = value < 0 ? "#c2410c" : "#2b6cb0";
    pen.globalAlpha = Math.abs(value) / most;
    pen.fillRect(at % columns, Math.floor(at / columns), 1, 1);
  });
  place.append(element("figure", {}, canvas, element("figcaption", { class: "soft" }, words().vector(vector.length))));
}
