// A conversation: what was said stands one below the other; the server is told all of it again each time.

import { talk } from "./api.js";
import { element, find } from "./dom.js";
import { words } from "./languages.js";

const place = find("answer");
const MOST_TURNS = 256;
let said = [];

export const anything = () => said.length > 0;

// The last answer and what was said before it, an utterance a line, to be mended.
export function lastTurn() {
  const line = message => message.content.replace(/\s+/g, " ").trim();
  return { text: said.slice(0, -1).map(line).join("\n"), answer: said.at(-1)?.content ?? "" };
}

export function begin() { said = []; }

export function draw() {
  place.replaceChildren(element("ol", { class: "talk" }, ...said.map(message => bubble(message.role, message.content))));
}

function bubble(role, text) {
  return element("li", { class: role, dir: "auto" }, element("span", { class: "unseen" }, role === "user" ? words().you : words().answer, ": "), text);
}

// Returns the answer; what was not answered is taken back.
export async function say(model, text, signal) {
  const own = { role: "user", content: text };
  said = [...said.slice(-MOST_TURNS + 2), own];
  draw();
  const reply = bubble("assistant", "…");
  place.querySelector("ol").append(reply);
  try {
    const told = await talk(model, said, { signal, onText: written => { reply.lastChild.textContent = written; reply.scrollIntoView({ block: "nearest" }); } });
    if (said.at(-1) === own) { // else another conversation has begun
      said.push({ role: "assistant", content: told });
      draw();
    }
    return told;
  } catch (trouble) {
    if (said.at(-1) === own) {
      said.pop();
      draw();
    }
    throw trouble;
  }
}
