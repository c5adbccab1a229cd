// The text that is asked about. Under it lies the same text, unseen, whose words are shaded by what an answer looked at.

import { element, find, partsOf } from "./dom.js";
import { words as said } from "./languages.js";

const sheet = find("sheet"), field = find("source"), shade = find("shade"), readAs = find("read-as");
let marks = new Map(), resting = null;

export const text = () => field.value;

export function write(value) {
  field.value = value;
  forget();
}

// The answer is not about these words any more.
export function forget() {
  marks = new Map();
  resting = null;
  shade.replaceChildren(`${field.value}\u200b`);
  readAs.hidden = true;
}

// `onPoint` is told the number of the word under the pointer, or -1.
export function watch(onEdit, onPoint) {
  field.addEventListener("input", () => { forget(); onEdit(); });
  sheet.addEventListener("pointermove", event => {
    if (!marks.size) return;
    const under = document.elementsFromPoint(event.clientX, event.clientY).find(one => one.dataset?.word !== undefined && sheet.contains(one));
    onPoint(under ? Number(under.dataset.word) : -1);
  });
  sheet.addEventListener("pointerleave", () => onPoint(-1));
}

// Words of the text with their places; where they are places of another form of it, that form is shown below.
export function showWords(words, asked) {
  forget();
  if (!words?.length) return;
  const own = partsOf(asked, words);
  const same = asked === field.value && own && own.every(([text, which]) => which < 0 || text === words[which].text);
  const parts = same ? own : words.flatMap((word, which) => [[String(word.text), which], [" ", -1]]);
  const made = parts.map(([text, which]) => (which < 0 ? text : mark(text, which)));
  if (same) {
    shade.replaceChildren(...made, "\u200b");
  } else {
    readAs.replaceChildren(element("span", { class: "soft" }, said().notRead, " "), ...made);
    readAs.hidden = false;
  }
}

function mark(text, which) {
  const made = element("span", { class: "src", "data-word": which }, text);
  marks.set(which, [...(marks.get(which) ?? []), made]);
  return made;
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

