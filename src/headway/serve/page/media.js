// Files: texts for the field, pictures and recordings for models that see or hear. Pictures are drawn, never linked.

import { find } from "./dom.js";
import { words } from "./languages.js";

// "image", "video" or "audio" of a model that reads files, else null.
export const kindOf = model => (["image", "video", "audio"].includes(model?.reads) ? model.reads : null);

const LONGEST_TEXT_FILE = 1 << 20, WIDEST = 640, LEAST = 240;
const place = find("file-place"), picture = find("picture"), name = find("file-name"), hint = find("file-hint"), record = find("record");
let held = null;
let recording = null; // from the click on; its recorder, once the microphone is there

export const file = () => held;

export function setMode(kind) {
  place.hidden = kind === null;
  find("file").accept = kind ? `${kind}/*` : "text/*,.md,.csv,.tsv,.jsonl,.log";
  record.hidden = !(kind === "audio" && navigator.mediaDevices?.getUserMedia && globalThis.MediaRecorder);
  record.textContent = words().record;
  const left = recording;
  recording = null;
  left?.recorder?.stop();
  take(null);
}

// A file for a model; shown as far as the browser can.
export async function take(given) {
  held = given;
  picture.hidden = true;
  hint.hidden = given !== null;
  name.hidden = given === null;
  name.textContent = given?.name ?? "";
  if (given === null) return;
  try {
    if (given.type.startsWith("image/")) await drawPicture(given);
    else if (given.type.startsWith("audio/")) await drawSound(given);
  } catch { /* what cannot be shown may still be read */ }
}

async function drawPicture(given) {
  const bitmap = await createImageBitmap(given);
  if (held !== given) return bitmap.close(); // another was given meanwhile
  const fits = Math.min(WIDEST / bitmap.width, 400 / bitmap.height);
  const scale = Math.min(fits, Math.max(1, LEAST / bitmap.width));
  picture.width = Math.max(1, bitmap.width * scale);
  picture.height = Math.max(1, bitmap.height * scale);
  picture.getContext("2d").drawImage(bitmap, 0, 0, picture.width, picture.height);
  bitmap.close();
  picture.setAttribute("aria-label", words().picture(given.name));
  picture.hidden = false;
}

async function drawSound(given) {
  const context = new OfflineAudioContext(1, 1, 16000), wave = (await context.decodeAudioData(await given.arrayBuffer())).getChannelData(0);
  if (held !== given) return;
  picture.width = WIDEST;
  picture.height = 80;
  const pen = picture.getContext("2d"), step = Math.max(1, Math.floor(wave.length / WIDEST));
  pen.fillStyle = getComputedStyle(place).getPropertyValue("color");
  for (let x = 0; x < WIDEST; x++) {
    let most = 0;
    for (let at = x * step; at < Math.min(wave.length, (x + 1) * step); at++) most = Math.max(most, Math.abs(wave[at]));
    pen.fillRect(x, 40 - 38 * most, 1, Math.max(1, 76 * most));
  }
  picture.setAttribute("aria-label", words().sound(given.name));
  picture.hidden = false;
}

// The text of a file, or a word on why there is none.
export async function textOf(given) {
  if (given.size > LONGEST_TEXT_FILE) throw new Error(words().tooLargeText);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(await given.arrayBuffer());
  } catch {
    throw new Error(words().noText);
  }
}

async function startRecording(onFile, onProblem) {
  const mine = recording = {}, parts = [];
  let stream;
  try {
    stream = await navigator.mediaDevices.getUserMedia({ audio: true });
  } catch {
    if (recording !== mine) return;
    recording = null;
    onProblem(words().noMicrophone);
    return;
  }
  const release = () => { for (const track of stream.getTracks()) track.stop(); };
  if (recording !== mine) return release(); // the model is another by now
  const recorder = mine.recorder = new MediaRecorder(stream);
  recorder.addEventListener("dataavailable", event => parts.push(event.data));
  recorder.addEventListener("stop", () => {
    release();
    if (recording !== mine) return;
    recording = null;
    record.textContent = words().record;
    onFile(new File(parts, "recording.webm", { type: recorder.mimeType }));
  });
  recorder.start();
  record.textContent = words().stopRecording;
}

// `onFile` is given what is dropped, opened, pasted or recorded.
export function watch(onFile, onProblem) {
  const pane = find("asking"), chooser = find("file");
  find("open").addEventListener("click", () => chooser.click());
  chooser.addEventListener("change", () => { if (chooser.files.length) onFile(chooser.files[0]); chooser.value = ""; });
  for (const event of ["dragenter", "dragover"]) {
    addEventListener(event, heard => { if (heard.dataTransfer?.types.includes("Files")) { heard.preventDefault(); pane.classList.add("dropping"); } });
  }
  addEventListener("dragleave", heard => { if (!heard.relatedTarget) pane.classList.remove("dropping"); });
  addEventListener("drop", heard => {
    pane.classList.remove("dropping");
    if (!heard.dataTransfer?.files.length) return;
    heard.preventDefault();
    onFile(heard.dataTransfer.files[0]);
  });
  addEventListener("paste", heard => {
    if (!heard.clipboardData?.files.length) return;
    if (place.hidden && heard.clipboardData.types.includes("text/plain")) return; // a text that brings a picture of itself
    heard.preventDefault();
    onFile(heard.clipboardData.files[0]);
  });
  record.addEventListener("click", () => (recording ? recording.recorder?.stop() : startRecording(onFile, onProblem)));
}
