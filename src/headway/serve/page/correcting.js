// An answer mended by a person, kept by the server as something to learn from.

import { clearProblem } from "./answers.js";
import { saveCorrection } from "./api.js";
import { element, find } from "./dom.js";
import { words } from "./languages.js";

const form = find("correcting"), answer = find("answer"), button = find("correct"), saved = find("saved"), actions = find("actions");
let mended = null; // { model, text, answer, labels, to, from }
let field = null, refused = () => {};

// What can be mended now, or nothing.
export function offer(correction, onTrouble) {
  mended = correction;
  refused = onTrouble;
  button.hidden = correction === null;
  button.textContent = words().correct;
  saved.textContent = "";
  close();
}

export function close() {
  if (form.hidden) return;
  clearProblem(); // of a correction that is given up
  form.hidden = true;
  field = null;
  form.replaceChildren();
  answer.hidden = actions.hidden = false;
  button.hidden = mended === null;
}

function open() {
  field = mended.labels?.length ? choice(mended) : element("textarea", { id: "correction", class: "written", dir: "auto", rows: 3, lang: mended.to ?? false });
  if (!mended.labels?.length) field.value = mended.answer;
  form.replaceChildren(
    element("label", { for: "correction", class: "soft" }, mended.labels?.length ? words().labelLabel : words().correctionLabel), field,
    element("p", { class: "soft small" }, words().saveAbout),
    element("div", { class: "foot" }, element("button", { type: "button", class: "quiet", on: { click: leave } }, words().cancel), element("button", { type: "submit", class: "main" }, words().save)),
  );
  form.hidden = false;
  answer.hidden = actions.hidden = true;
  button.hidden = true;
  field.focus();
}

function choice({ labels, answer: given }) {
  const options = labels.map(label => element("option", { value: label, selected: label === given }, label));
  return element("select", { id: "correction" }, ...options);
}

function leave() {
  close();
  button.focus();
}

async function save() {
  const mine = mended, own = field, send = form.querySelector("[type=submit]");
  if (send.disabled) return; // it is being saved
  const { model, text, answer: given, to, from } = mine, correction = own.value;
  clearProblem();
  send.disabled = true;
  try {
    const count = await saveCorrection(model, { text, answer: given, correction, ...(to ? { to } : {}), ...(from ? { from } : {}) });
    if (mended !== mine) return; // another answer is shown by now
    if (field === own) leave();
    saved.textContent = words().saved(count);
    button.textContent = words().another;
  } catch (trouble) {
    if (field === own) refused(trouble, save);
  } finally {
    send.disabled = false;
  }
}

button.addEventListener("click", open);
form.addEventListener("submit", event => { event.preventDefault(); save(); });
form.addEventListener("keydown", event => {
  if (event.isComposing) return;
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); event.stopPropagation(); form.requestSubmit(); }
  if (event.key === "Escape") { event.stopPropagation(); leave(); }
});
