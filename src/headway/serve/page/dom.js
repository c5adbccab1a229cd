// Elements made of plain text. Nothing here, or anywhere on the page, turns text into markup.

export const find = id => document.getElementById(id);

export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name === "on") for (const [event, heard] of Object.entries(value)) made.addEventListener(event, heard);
    else if (name === "css") for (const [key, set] of Object.entries(value)) made.style.setProperty(key, set);
    else if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== undefined && value !== null) made.setAttribute(name, String(value));
  }
  made.append(...children.filter(child => child !== null && child !== undefined).map(child => child instanceof Node ? child : String(child)));
  return made;
}

// Places are counted in characters as Python does; JavaScript counts those beyond 65,535 twice.
export class Characters {
  constructor(text) { this.all = Array.from(text); }
  get length() { return this.all.length; }
  between(start, end) { return this.all.slice(start, end).join(""); }
}

// The parts of a text: [text, which] for each place, [text, -1] for what is between them. Null where the places are none of this text.
export function partsOf(text, places) {
  const characters = new Characters(text), parts = [];
  let at = 0;
  for (const [which, { start, end }] of places.entries()) {
    if (start === null) continue; // it is not known
    if (!(Number.isInteger(start) && Number.isInteger(end) && at <= start && start <= end && end <= characters.length)) return null;
    if (start > at) parts.push([characters.between(at, start), -1]);
    if (end > start) parts.push([characters.between(start, end), which]);
    at = end;
  }
  if (at < characters.length) parts.push([characters.between(at, characters.length), -1]);
  return parts;
}

export function recall(name) {
  try { return localStorage.getItem(`headway-${name}`); } catch { return null; }
}

export function remember(name, value) {
  try {
    if (value === null) localStorage.removeItem(`headway-${name}`);
    else localStorage.setItem(`headway-${name}`, value);
  } catch { /* a browser that keeps nothing */ }
}
