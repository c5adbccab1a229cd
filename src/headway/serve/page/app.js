// The page: a model is chosen, a text is asked, the answer is shown. What the server has not, the page does not ask for.

import * as answers from "./answers.js";
import * as api from "./api.js";
import * as card from "./card.js";
import * as correcting from "./correcting.js";
import { element, find, recall, remember } from "./dom.js";
import * as languages from "./languages.js";
import * as media from "./media.js";
import * as source from "./source.js";
import * as talk from "./talk.js";

const { words, told } = languages;
const WRITERS = new Set(["translation", "summarisation", "dialogue", "language_model"]);
const MUTE = new Set(["masked_language_model", "span_corruption", "denoising"]); // they learn, and answer nothing
const TWO_TEXTS = new Map([["question_answering", ["question", "passage"]], ["pair_classification", ["first", "second"]], ["sentence_embedding", ["first", "second"]]]);
const MENDED = new Set(["translation", "summarisation", "dialogue", "language_model", "classification", "pair_classification", "question_answering"]);
const SEVERAL_SENTENCES = /[.!?…。！？]["'”’»)]?\s+\S|[。！？]["'”’»)]?\S|\n\s*\S/u;

const state = { models: [], model: null, able: {}, asking: null, last: null, begun: 0 };
const other = find("other"), picker = find("model");

// ---- what is asked ---------------------------------------------------------------------------------------------------

// The one place that decides which fields a question has.
function question(text) {
  const { task, directions } = state.model, able = state.able, asked = { texts: [text] };
  if (directions.length > 1) [asked.from, asked.to] = JSON.parse(find("direction").value);
  if (able.longTexts && task === "translation" && SEVERAL_SENTENCES.test(text.trim())) return { ...asked, format: "text" };
  asked.details = true;
  if (able.explain && task !== "sentence_embedding") asked.explain = true;
  if (able.stream && WRITERS.has(task)) asked.stream = true;
  return asked;
}

// Two texts are asked as one with a tab between them; a tab of their own would part them elsewhere.
const textsAsked = () => (TWO_TEXTS.has(state.model.task) ? [other.value.replaceAll("\t", " "), source.text()] : [source.text()]);

function ready() {
  const { task } = state.model ?? {};
  if (!task || MUTE.has(task)) return false;
  if (media.kindOf(state.model)) return media.file() !== null && (!state.model.text_beside || source.text().trim() !== "");
  if (task === "sentence_embedding") return other.value.trim() !== "" || source.text().trim() !== "";
  return source.text().trim() !== "" && (!TWO_TEXTS.has(task) || other.value.trim() !== "");
}

// ---- asking ----------------------------------------------------------------------------------------------------------

async function ask() {
  if (!ready()) return (find("other-sheet").hidden || other.value.trim() ? find("source") : other).focus();
  if (state.asking && state.model.task === "dialogue") return; // one after the other
  state.asking?.abort();
  const asking = state.asking = new AbortController(), { task, name } = state.model;
  const way = task === "dialogue" ? sayNext : task === "sentence_embedding" ? compare : media.kindOf(state.model) ? askOfFile : askOfText;
  begin();
  try {
    const show = await way(name, { signal: asking.signal, onText: text => { if (state.asking === asking) answers.showComing(text); } });
    if (state.asking !== asking) return; // another question is asked by now
    show();
    finish();
  } catch (trouble) {
    if (state.asking !== asking) return;
    end();
    if (trouble.name === "AbortError") return stopped();
    takeAway();
    failed(trouble, ask);
  }
}

// Each of these asks, and returns what shows the answer.

async function askOfText(name, heard) {
  const texts = textsAsked(), asked = question(texts.join("\t"));
  const found = await api.ask(name, asked, heard).catch(trouble => {
    if (trouble.status !== 422 || !asked.explain) throw trouble;
    return api.ask(name, { ...asked, explain: false }, heard); // too long to explain, or a model of another engine
  });
  return () => showBest(found[0]?.[0] ?? {}, { texts, to: asked.to, from: asked.from });
}

async function askOfFile(name, heard) {
  const text = state.model.text_beside ? source.text() : "", [from, to] = state.model.directions[0] ?? [];
  const found = await api.askOfFile(name, media.file(), { text, signal: heard.signal });
  return () => showBest(found[0]?.[0] ?? {}, { texts: [text], to, from });
}

async function compare(name, heard) {
  const texts = [other.value, source.text()].filter(text => text.trim());
  const found = await api.ask(name, { texts }, heard);
  return () => {
    answers.showLikeness(found.map(best => best[0].vector));
    state.last = { copied: JSON.stringify(found.map(best => best[0].vector)) };
  };
}

async function sayNext(name, heard) {
  const text = source.text();
  answers.clear();
  source.write("");
  counted();
  try {
    await talk.say(name, text, heard.signal);
  } catch (trouble) {
    if (state.model.name === name && !source.text().trim()) source.write(text); // else the next is being typed
    counted();
    throw trouble;
  }
  return () => {
    const turn = talk.lastTurn();
    state.last = { copied: turn.answer };
    find("again").hidden = false;
    offerCorrection(turn);
  };
}

function showBest(best, asked) {
  const labels = best.labels ? best.labels.join(", ") : null;
  answers.show(best, asked);
  state.last = { copied: best.text ?? labels ?? best.answer ?? (best.words ?? []).map(one => `${one.word}/${one.tag}`).join(" "), best };
  offerCorrection({ text: asked.texts.join("\t"), answer: best.text ?? best.answer ?? labels ?? "", to: asked.to, from: asked.from });
}

function offerCorrection(answer) {
  const { task, name, labels, directions } = state.model, [from, to] = directions[0] ?? [];
  const fits = state.able.corrections && MENDED.has(task);
  correcting.offer(fits ? { ...answer, model: name, from: answer.from ?? from, to: answer.to ?? to, labels: task.endsWith("classification") ? labels : null } : null, failed);
}

// ---- the course of a question ------------------------------------------------------------------------------------------

function begin() {
  answers.clearProblem();
  correcting.offer(null);
  card.hide();
  state.begun = performance.now();
  find("progress").hidden = false;
  find("answered").setAttribute("aria-busy", "true");
  find("facts").textContent = WRITERS.has(state.model.task) ? words().writing : words().asking;
  find("actions").hidden = true;
  find("answer").classList.add("stale");
  find("cancel").hidden = false;
  source.forget();
}

function end() {
  state.asking = null;
  find("progress").hidden = true;
  find("answered").removeAttribute("aria-busy");
  find("cancel").hidden = true;
  find("answer").classList.remove("coming");
  find("facts").textContent = "";
}

function finish() {
  const seconds = (performance.now() - state.begun) / 1000, sure = state.last?.best?.confidence;
  end();
  find("answer").classList.remove("stale");
  find("actions").hidden = false;
  find("facts").replaceChildren(...(typeof sure === "number" && !state.last.best.probabilities ? [`${words().confidence} ${languages.percent(sure)}`, " · "] : []), words().seconds(seconds));
  find("news").textContent = `${words().answered}. ${state.last?.copied ?? ""}`.slice(0, 2000);
}

function stopped() {
  find("news").textContent = words().stopped;
  find("facts").textContent = words().stopped;
}

function cancel() {
  state.asking?.abort(); // the server sees the connection close, and frees the place
}

// ---- what goes wrong -------------------------------------------------------------------------------------------------

// `again` does once more what failed.
function failed(trouble, again) {
  if (trouble.status === 401) return askForKey(api.hasKey(), again);
  const isTold = trouble instanceof api.Trouble, known = told("troubles", isTold ? trouble.code : "page_fault", null);
  const [headline, advice] = known ?? [trouble.message, trouble.remedy];
  const detail = known && isTold ? trouble.message.replace(/^texts\.\d+: /, "") : "";
  const canPass = [429, 503, 504, 0].includes(trouble.status);
  answers.showProblem({ headline: headline || words().troubles.fault[0], advice, detail, again: canPass ? again : null, after: trouble.retryAfter });
}

// No answer stays below a problem; what was said before does.
function takeAway() {
  state.last = null;
  find("actions").hidden = true;
  answers.clear();
  if (talk.anything()) talk.draw();
}

function askForKey(wrong, again) {
  state.again = again;
  find("key-wrong").hidden = !wrong;
  find("key-dialog").returnValue = "";
  if (!find("key-dialog").open) find("key-dialog").showModal();
  find("key").focus();
}

// ---- models ----------------------------------------------------------------------------------------------------------

async function load() {
  try {
    [state.models, state.able] = await Promise.all([api.models(), api.abilities()]);
  } catch (trouble) {
    return failed(trouble, load);
  }
  answers.clearProblem();
  if (!state.models.length) find("task").textContent = words().noModels;
  const wanted = [inAddress(), recall("model")];
  const first = wanted.map(name => state.models.find(model => model.name === name)).find(Boolean) ?? state.models[0];
  picker.replaceChildren(...state.models.map(model => element("option", { value: model.name }, model.name)));
  picker.disabled = state.models.length < 2;
  if (first) choose(first);
  watchLoading();
}

function inAddress() {
  try { return decodeURIComponent(location.hash.slice(1)); } catch { return null; } // such as #100%
}

// Models that are still being loaded are looked at again until they are there.
function watchLoading() {
  clearTimeout(state.watching);
  if (state.models.some(model => !model.ready)) state.watching = setTimeout(lookAgain, 1000);
}

async function lookAgain() {
  const found = await api.models().catch(() => []), { task: known } = state.model, before = JSON.stringify(state.model);
  for (const model of state.models) Object.assign(model, found.find(({ name }) => name === model.name));
  if (known === null && state.model.task !== null) choose(state.model);
  else if (JSON.stringify(state.model) !== before) describe();
  watchLoading();
}

function choose(model) {
  state.model = model;
  picker.value = model.name;
  remember("model", model.name);
  if (state.models.length > 1) history.replaceState(null, "", `#${encodeURIComponent(model.name)}`);
  media.setMode(media.kindOf(model));
  talk.begin();
  startAgain();
  describe();
}

function startAgain() {
  cancel();
  end();
  state.last = null;
  answers.clearProblem();
  source.forget();
  answers.showEmpty();
  correcting.offer(null);
  find("again").hidden = true;
  find("actions").hidden = true;
}

// All that depends on the task and on the language of the interface.
function describe() {
  if (!state.model) return;
  const { task, directions, ready: works } = state.model, [first, second] = TWO_TEXTS.get(task) ?? [], files = media.kindOf(state.model) !== null;
  find("task").textContent = `${told("tasks", task, task ?? "")}${works ? "" : ` · ${words().notReady}`}`;
  find("ask").textContent = told("verbs", task, words().ask);
  find("source-title").textContent = words()[second ?? (files ? "file" : "text")];
  find("source-label").textContent = words()[second ?? "text"];
  find("source").placeholder = told("placeholders", task, words().placeholders.translation);
  find("sheet").hidden = files && !state.model.text_beside;
  find("other-sheet").hidden = find("other-label").hidden = !first;
  if (first) find("other-label").textContent = words()[first];
  describeDirections(directions);
  const note = works ? MUTE.has(task) && words().notAsked : state.model.trouble ?? (task === null && words().loading);
  if (!state.last && !state.asking && !talk.anything()) answers.showEmpty(note);
  counted();
}

function describeDirections(directions) {
  const chosen = find("direction").value;
  find("directions").hidden = !directions.length;
  const named = directions.map(direction => element("option", { value: JSON.stringify(direction) }, direction.map(languages.nameOf).join(" → ")));
  find("direction").replaceChildren(...named);
  if (named.some(option => option.value === chosen)) find("direction").value = chosen;
  find("direction").disabled = directions.length < 2;
  directionChosen();
}

function reversed() {
  const chosen = find("direction").value;
  if (!chosen) return null;
  const back = JSON.stringify(JSON.parse(chosen).reverse());
  return [...find("direction").options].some(option => option.value === back) ? back : null;
}

function directionChosen() {
  find("swap").hidden = reversed() === null;
  find("swap").setAttribute("aria-label", words().swap);
  find("swap").title = words().swap;
  if (find("direction").value) [find("source").lang, find("answer").lang] = JSON.parse(find("direction").value);
}

function swap() {
  const back = reversed(), answer = find("answer").classList.contains("stale") ? null : state.last?.best?.text; // of the text that stands there
  if (back === null) return;
  find("direction").value = back;
  directionChosen();
  if (answer) source.write(answer);
  startAgain();
  counted();
}

// ---- the frame -------------------------------------------------------------------------------------------------------

function counted() {
  const length = Array.from(source.text()).length;
  find("count").textContent = length ? words().characters(length) : "";
  find("ask").disabled = !ready();
}

function edited() {
  if (state.last && !state.asking && state.model.task !== "dialogue") find("answer").classList.add("stale");
  card.hide();
  counted();
}

async function fileGiven(file) {
  try {
    if (media.kindOf(state.model)) media.take(file);
    else source.write(await media.textOf(file));
    edited();
  } catch (problem) {
    answers.showProblem({ headline: problem.message });
  }
}

async function copy() {
  await navigator.clipboard.writeText(state.last?.copied ?? "");
  find("saved").textContent = words().copied;
}

const THEMES = ["system", "light", "dark"];

function showTheme(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  find("theme").setAttribute("aria-label", words().theme[theme]);
  find("theme").title = words().theme[theme];
}

const theme = () => (THEMES.includes(recall("theme")) ? recall("theme") : "system");

function listen() {
  find("asking").addEventListener("submit", event => { event.preventDefault(); ask(); });
  find("cancel").addEventListener("click", cancel);
  find("copy").hidden = !navigator.clipboard; // which only a safe address has
  find("copy").addEventListener("click", () => copy().catch(() => {}));
  find("swap").addEventListener("click", swap);
  find("again").addEventListener("click", () => { talk.begin(); startAgain(); find("source").focus(); });
  find("direction").addEventListener("change", () => { directionChosen(); edited(); });
  picker.addEventListener("change", () => choose(state.models.find(model => model.name === picker.value)));
  source.watch(edited, card.lookedAt);
  media.watch(fileGiven, headline => answers.showProblem({ headline }));
  find("theme").addEventListener("click", () => {
    const next = THEMES[(THEMES.indexOf(theme()) + 1) % THEMES.length];
    remember("theme", next === "system" ? null : next);
    showTheme(next);
  });
  find("language").addEventListener("click", () => languages.choose(languages.current() === "zh" ? "en" : "zh"));
  find("key-form").addEventListener("submit", event => {
    event.preventDefault();
    if (!api.keepKey(find("key").value.trim())) return askForKey(true, state.again);
    find("key").value = "";
    find("key-dialog").close("entered");
    state.again();
  });
  find("key-dialog").addEventListener("close", () => { // by Esc: it can be asked for again
    if (!find("key-dialog").open && find("key-dialog").returnValue !== "entered") answers.showProblem({ headline: words().keyTitle, again: state.again });
  });
  addEventListener("keydown", event => {
    if (event.isComposing) return;
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { event.preventDefault(); ask(); }
    if (event.key === "Escape") { if (state.asking) cancel(); else card.hide(); }
  });
  languages.onChange(() => {
    find("language").textContent = languages.current() === "zh" ? "EN" : "中文";
    find("language").lang = languages.current() === "zh" ? "en" : "zh-Hans";
    find("language").setAttribute("aria-label", words().languageSwitch);
    showTheme(theme());
    describe();
  });
}

listen();
languages.sayAll();
load();
