// The language of the interface: all that carries data-say is said anew when it changes.

import { recall, remember } from "./dom.js";
import { WORDS } from "./words.js";

const heard = [];
let language = recall("language") ?? (navigator.language.toLowerCase().startsWith("zh") ? "zh" : "en");
if (!Object.hasOwn(WORDS, language)) language = "en";

export const words = () => WORDS[language];
export const current = () => language;

// By a name that may come from data: nothing but what is told here.
export const told = (group, name, otherwise) => (Object.hasOwn(words()[group], name) ? words()[group][name] : otherwise);

export function onChange(listener) { heard.push(listener); }

export function choose(next) {
  language = next;
  remember("language", next);
  sayAll();
}

export function sayAll() {
  document.documentElement.lang = language === "zh" ? "zh-Hans" : "en";
  for (const said of document.querySelectorAll("[data-say]")) said.textContent = words()[said.dataset.say];
  for (const listener of heard) listener();
}

// "de" → German, in the language of the interface.
export function nameOf(code) {
  try {
    return new Intl.DisplayNames([language], { type: "language" }).of(code.replaceAll("_", "-")) ?? code;
  } catch {
    return code;
  }
}

export const percent = value => `${(100 * value).toFixed(value > 0.995 || value < 0.005 ? 1 : 0)} %`;
