// The texts that are asked about. Under each lies the same text, unseen, whose words are shaded by what an answer looked at.

import { element, find, partsOf } from "./dom.js";
import { words as said } from "./languages.js";

const main = { sheet: find("sheet"), field: find("source"), shade: find("shade") };
const other = { sheet: find("other-sheet"), field: find("other"), shade: find("other-shade") };
const readAs = find("read-as");
let marks = new Map(), resting = null;

export const text = () => main.field.value;

export function write(value) {
  main.field.value = value;
  forget();
}

// The answer is not about these words any more.
export function forget() {
  marks = new Map();
  resting = null;
  for (const { field, shade } of [main, other]) shade.replaceChildren(`${field.value}\u200b`);
  readAs.hidden = true;
}

// `onPoint` is told the number of the word under the pointer, or -1.
export function watch(onEdit, onPoint) {
  for (const { sheet, field } of [main, other]) {
    field.addEventListener("input", () => { forget(); onEdit(); });
    sheet.addEventListener("pointermove", event => {
      if (!marks.size) return;
      const under = document.elementsFromPoint(event.clientX, event.clientY).find(one => one.dataset?.word !== undefined && sheet.contains(one));
      onPoint(under ? Number(under.dataset.word) : -1);
    });
    sheet.addEventListener("pointerleave", () => onPoint(-1));
  }
}

// Words with their places in what was asked: one text, or two with a tab between them. Where a place is not known, or the
// text is another by now, the words are shown below as they were read.
export function showWords(words, ...texts) {
  forget();
  if (!words?.length) return;
  let begins = 0;
  const drawn = [];
  for (const [number, text] of texts.entries()) {
    const sheet = texts.length > number + 1 ? other : main, length = Array.from(text).length, ends = begins + length;
    const own = [...words.entries()].filter(([, word]) => Number.isInteger(word.start) && word.start >= begins && word.end <= ends);
    const parts = partsOf(text, own.map(([, { start, end }]) => ({ start: start - begins, end: end - begins })));
    const same = text === sheet.field.value && parts?.every(([shown, which]) => which < 0 || shown === own[which][1].text);
    drawn.push({ sheet, same, count: own.length, parts: parts?.map(([shown, which]) => [shown, which < 0 ? -1 : own[which][0]]) });
    begins = ends + 1;
  }
  if (drawn.every(one => one.same) && drawn.reduce((sum, one) => sum + one.count, 0) === words.length) {
    for (const { sheet, parts } of drawn) sheet.shade.replaceChildren(...marked(parts), "\u200b");
  } else {
    readAs.replaceChildren(element("span", { class: "soft" }, said().notRead, " "), ...marked(words.flatMap((word, which) => [[String(word.text), which], [" ", -1]])));
    readAs.hidden = false;
  }
}

function marked(parts) {
  return parts.map(([text, which]) => {
    if (which < 0) return text;
    const made = element("span", { class: "src", "data-word": which }, text);
    marks.set(which, [...(marks.get(which) ?? []), made]);
    return made;
  });
}

// Shades each word by its weight, beside the strongest one; without weights, as it rests.
export function shadeBy(weights) {
  const shown = weights ?? resting, most = Math.max(...(shown ?? []), 1e-9);
  for (const [which, several] of marks) {
    const share = shown ? (shown[which] ?? 0) / most : 0;
    for (const one of several) one.style.setProperty("--w", (share < 0.04 ? 0 : share).toFixed(3));
  }
}

export function rest(weights) {
  resting = weights;
  shadeBy(null);
}

export function wordAt(which) { return marks.get(which)?.[0]?.textContent ?? ""; }
