// What the server is asked, and what it answers: JSON, events while an answer is written, problems with their remedies.

const KEY = "headway-key";
const SENDABLE = /^[\x20-\x7e\x80-\xff]+$/; // a header holds no more
let key = null;
try { keepKey(sessionStorage.getItem(KEY) ?? ""); } catch { /* it is kept in memory alone */ }

export class Trouble extends Error {
  constructor({ status = 0, code = "fault", message = "", remedy = "", retryAfter = null }) {
    super(String(message));
    Object.assign(this, { status, code: String(code), remedy: String(remedy ?? ""), retryAfter });
  }
}

// False for what can be no key.
export function keepKey(given) {
  if (!SENDABLE.test(given)) return false;
  key = given;
  try { sessionStorage.setItem(KEY, given); } catch { /* as above */ }
  return true;
}

export const hasKey = () => key !== null;

async function send(path, { body, type, signal } = {}) {
  const headers = key === null ? {} : { authorization: `Bearer ${key}` };
  if (type) headers["content-type"] = type;
  let response;
  try {
    response = await fetch(new URL(path, document.baseURI), { method: type ? "POST" : "GET", headers, body, signal, cache: "no-store", redirect: "error" });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble({ code: "no_connection" });
  }
  if (!response.ok) throw await troubleOf(response);
  return response;
}

async function troubleOf(response) {
  const told = await response.json().then(body => body.error ?? {}, () => ({}));
  const seconds = Number(response.headers.get("retry-after"));
  return new Trouble({ ...told, status: response.status, retryAfter: seconds > 0 ? seconds : null });
}

// An answer that breaks off, or is none, is told as such; one that was cancelled is not.
const brokenOff = error => (error.name === "AbortError" || error instanceof Trouble ? error : new Trouble({ code: "cut_off" }));
const bodyOf = response => response.json().catch(error => { throw brokenOff(error); });

const asJson = (path, body, signal) => send(path, { body: JSON.stringify(body), type: "application/json", signal });
const route = (kind, model) => `${kind}/${encodeURIComponent(model)}`;

export async function models() { return (await bodyOf(await send("models"))).models; }

export async function openapi() { return bodyOf(await send("openapi.json")); }

// Which fields and routes this server has: the page asks for no more.
export async function abilities() {
  const told = await openapi(), fields = told.components?.schemas?.Question?.properties ?? {}, paths = told.paths ?? {};
  return {
    explain: "explain" in fields,
    stream: "stream" in fields,
    longTexts: "format" in fields,
    corrections: "/corrections/{model}" in paths,
  };
}

// The answers to the texts of a question, each a list, best first. `onText` hears what has been written so far.
export async function ask(model, question, { signal, onText }) {
  return answersIn(await asJson(route("predict", model), question, signal), onText);
}

export async function askOfFile(model, file, { text, signal }) {
  const asked = new URLSearchParams({ details: true, ...(text ? { text } : {}) }), path = `${route("predict", model)}/file?${asked}`;
  return answersIn(await send(path, { body: file, type: "application/octet-stream", signal }), () => {});
}

async function answersIn(response, onText) {
  if (!(response.headers.get("content-type") ?? "").startsWith("text/event-stream")) return checked(await bodyOf(response));
  for await (const event of events(response)) {
    if (event.error) throw new Trouble(event.error);
    if (event.answers) return checked(event);
    if (typeof event.text === "string") onText(event.text);
  }
  throw new Trouble({ code: "cut_off" });
}

function checked(body) {
  if (!Array.isArray(body?.answers) || !body.answers.every(Array.isArray)) throw new Trouble({ code: "cut_off" });
  return body.answers;
}

// What is said next; the words of the whole conversation are sent again, the server keeps none.
export async function talk(model, messages, { signal, onText }) {
  const response = await asJson("v1/chat/completions", { model, messages, stream: true }, signal);
  let text = "";
  for await (const event of events(response)) {
    if (event.error) throw new Trouble(event.error);
    text += event.choices?.[0]?.delta?.content ?? "";
    onText(text);
  }
  return text;
}

async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let held = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      if (done) throw new Trouble({ code: "cut_off" }); // its end was not told
      const lines = (held + value).split("\n");
      held = lines.pop();
      for (const line of lines) {
        if (!line.startsWith("data:")) continue;
        const told = line.slice(5).trim();
        if (told === "[DONE]") return;
        yield JSON.parse(told);
      }
    }
  } catch (error) {
    throw brokenOff(error);
  } finally {
    reader.cancel().catch(() => {});
  }
}

export async function saveCorrection(model, correction) {
  return (await bodyOf(await asJson(route("corrections", model), correction))).saved;
}
