"use strict";
// The words of an explanation: what each looked at or is due to, one head or measure at a time.

const told = JSON.parse(document.getElementById("explanation").textContent);
const decoded = new Map();
const chosen = { view: 0, layer: -1, head: -1, row: 0, held: -1 };
const NAMES = { source: { audio: "heard", image: "seen", video: "seen" }[told.media?.kind] ?? "read", target: "said so far", said: "said" };

function view() { return told.views[chosen.view]; }

// All values of a view, in the order of its shape.
function valuesOf(which) {
  if (!decoded.has(which)) {
    const raw = atob(which.bytes), bytes = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) bytes[i] = raw.charCodeAt(i);
    decoded.set(which, new Int16Array(bytes.buffer));
  }
  return decoded.get(which);
}

// The matrix of a layer and head, -1 for the mean of all: rows × columns.
function matrix(which, layer, head) {
  const values = valuesOf(which), shape = which.shape, [rows, columns] = shape.slice(-2), size = rows * columns;
  const result = new Float32Array(size);
  if (shape.length === 2) {
    for (let i = 0; i < size; i++) result[i] = values[i] * which.scale;
    return { rows, columns, values: result };
  }
  const [layers, heads] = shape;
  const these = layer < 0 ? [...Array(layers).keys()] : [layer], those = head < 0 ? [...Array(heads).keys()] : [head];
  for (const l of these) for (const h of those) {
    const start = (l * heads + h) * size;
    for (let i = 0; i < size; i++) result[i] += values[start + i];
  }
  const share = which.scale / (these.length * those.length);
  for (let i = 0; i < size; i++) result[i] *= share;
  return { rows, columns, values: result };
}

function rowPieces(which) {
  const pieces = told.lines[which.rows].pieces;
  return which.only ? which.only.map(place => pieces[place]) : pieces;
}

function columnPieces(which) { return which.columns.flatMap(name => told.lines[name].pieces); }

function colour(name) { return getComputedStyle(document.documentElement).getPropertyValue(name).trim(); }

function channels(name) {
  const probe = document.createElement("canvas").getContext("2d");
  probe.fillStyle = colour(name);
  probe.fillRect(0, 0, 1, 1);
  return probe.getImageData(0, 0, 1, 1).data;
}

// ---- choices -------------------------------------------------------------------------------------------------------

function select(label, options, value, change) {
  const outer = document.createElement("label"), inner = document.createElement("select");
  outer.append(label, inner);
  inner.setAttribute("aria-label", label);
  let group = null;
  for (const [number, name, of] of options) {
    if (of && group?.label !== of) {
      group = document.createElement("optgroup");
      group.label = of;
      inner.append(group);
    }
    const option = document.createElement("option");
    option.value = number;
    option.textContent = name;
    option.selected = number === value;
    (of ? group : inner).append(option);
  }
  inner.addEventListener("change", () => change(Number(inner.value)));
  return outer;
}

function showControls() {
  const controls = document.getElementById("controls");
  const parts = [select("show", told.views.map((one, place) => [place, one.name, one.group]), chosen.view, place => {
    Object.assign(chosen, { view: place, layer: -1, head: -1, held: -1, row: 0 });
    showAll();
  })];
  if (view().shape.length === 4) {
    const [layers, heads] = view().shape;
    const counted = (count, of) => [[-1, `mean of ${of}`], ...Array.from({ length: count }, (_, place) => [place, String(place + 1)])];
    parts.push(select("layer", counted(layers, "all"), chosen.layer, place => { chosen.layer = place; showChoice(); }));
    parts.push(select("head", counted(heads, "all"), chosen.head, place => { chosen.head = place; showChoice(); }));
  }
  const focused = document.activeElement?.getAttribute("aria-label");
  controls.replaceChildren(...parts);
  if (focused) controls.querySelector(`select[aria-label="${focused}"]`)?.focus();
}

// ---- words ---------------------------------------------------------------------------------------------------------

function strip(name, pieces, marks, asButtons) {
  const outer = document.createElement("div"), row = document.createElement("span"), title = document.createElement("span");
  outer.className = "strip";
  title.className = "soft";
  title.textContent = name;
  row.className = "row";
  row.dir = "auto";
  pieces.forEach((text, place) => {
    const piece = document.createElement(asButtons ? "button" : "span");
    piece.className = "piece" + (marks?.[place] ? " mark" : "");
    piece.textContent = text;
    if (asButtons) {
      piece.type = "button";
      piece.tabIndex = place === chosen.row ? 0 : -1;
    }
    row.append(piece);
  });
  outer.append(title, row);
  return outer;
}

// The words of a line; what was seen or heard as a picture.
function laid(line, label, pieces, marks, asButtons) {
  return (told.media && line === "source" ? mediaStrip : strip)(label, pieces, marks, asButtons);
}

function showStrips() {
  const which = view(), strips = document.getElementById("strips");
  const rows = laid(which.rows, which.rows === "said" ? "said" : "from", rowPieces(which), null, true);
  rows.id = "rows";
  const columns = which.columns.map(name => laid(name, NAMES[name], told.lines[name].pieces, told.lines[name].marks, false));
  columns.forEach(one => one.classList.add("columns"));
  strips.replaceChildren(rows, ...columns);
  const buttons = [...rows.querySelectorAll("button")];
  buttons.forEach((button, place) => {
    button.addEventListener("pointerenter", () => { if (chosen.held < 0) choose(place); });
    button.addEventListener("focus", () => choose(place));
    button.addEventListener("click", () => { chosen.held = chosen.held === place ? -1 : place; choose(place); });
  });
  rows.addEventListener("keydown", event => {
    const line = told.media && which.rows === "source" ? lineOf(chosen.row) : 1;
    const step = { ArrowRight: 1, ArrowDown: line, ArrowLeft: -1, ArrowUp: -line }[event.key];
    if (!step) return;
    event.preventDefault();
    buttons[Math.max(0, Math.min(buttons.length - 1, chosen.row + step))].focus();
  });
  if (told.media) watchPatches();
}

function choose(row) {
  chosen.row = row;
  const which = view(), found = current(), shares = found.values.subarray(row * found.columns, (row + 1) * found.columns);
  document.querySelectorAll("#rows button").forEach((button, place) => {
    button.setAttribute("aria-pressed", place === row);
    button.tabIndex = place === row ? 0 : -1;
  });
  let most = 1e-9;
  for (const share of shares) most = Math.max(most, Math.abs(share));
  document.querySelectorAll(".columns .piece").forEach((piece, place) => {
    const share = shares[place] / most;
    piece.style.setProperty("--w", Math.max(0, share).toFixed(3));
    piece.style.setProperty("--n", Math.max(0, -share).toFixed(3));
    piece.classList.toggle("dark", Math.abs(share) > 0.6);
    piece.dataset.tip = said(shares[place], which);
  });
  if (told.media) showMediaShares(shares);
  tell(`${rowName(row)} ← `, shares, columnName);
  drawMatrix();
}

// The largest shares, in words.
function tell(begin, shares, name) {
  const best = [...shares.keys()].sort((a, b) => Math.abs(shares[b]) - Math.abs(shares[a])).slice(0, 5);
  document.getElementById("told").textContent = begin + best.map(place => `${name(place)} ${said(shares[place], view())}`).join(", ");
}

function rowName(row) { return told.media && view().rows === "source" ? patchName(row) : rowPieces(view())[row]; }

function columnName(column) { return told.media && view().columns[0] === "source" ? patchName(column) : columnPieces(view())[column]; }

function said(share, which) {
  return which.signed ? `${share > 0 ? "+" : ""}${share.toFixed(3)} ${which.unit}`.trim() : `${(100 * share).toFixed(1)} %`;
}

// ---- the map -------------------------------------------------------------------------------------------------------

let shown = null;
function current() {
  const key = [chosen.view, chosen.layer, chosen.head].join();
  if (shown?.key !== key) shown = { key, ...matrix(view(), chosen.layer, chosen.head) };
  return shown;
}

// Colours of a matrix as an image, a pixel for each value.
function pixels(found) {
  const paper = channels("--paper"), plus = channels("--bar"), minus = channels("--c1");
  let most = 1e-9;
  for (const value of found.values) most = Math.max(most, Math.abs(value));
  const image = new ImageData(found.columns, found.rows);
  found.values.forEach((value, place) => {
    const share = Math.min(1, Math.abs(value) / most), ink = value < 0 ? minus : plus;
    for (let c = 0; c < 3; c++) image.data[4 * place + c] = paper[c] + (ink[c] - paper[c]) * share;
    image.data[4 * place + 3] = 255;
  });
  return image;
}

function layout(found) {
  const room = Math.min(900, document.getElementById("map").clientWidth || 900);
  const longest = pieces => Math.min(16, pieces.reduce((most, piece) => Math.max(most, piece.length), 1));
  const left = 16 + 7 * longest(rowPieces(view())), top = 16 + 5.6 * longest(columnPieces(view()));
  const cell = Math.max(3, Math.min(26, Math.floor((room - left - 10) / found.columns)));
  return { left, top, cell, width: left + cell * found.columns + 10, height: top + cell * found.rows + 6 };
}

let shownPixels = null;
function currentPixels() {
  if (shownPixels?.key !== current().key) shownPixels = { key: current().key, image: pixels(current()) };
  return shownPixels.image;
}

function drawMatrix() {
  const found = current(), place = layout(found), canvas = document.getElementById("matrix"), sharp = devicePixelRatio || 1;
  canvas.width = place.width * sharp;
  canvas.height = place.height * sharp;
  canvas.style.width = place.width + "px";
  canvas.style.height = place.height + "px";
  const pen = canvas.getContext("2d"), small = document.createElement("canvas");
  pen.scale(sharp, sharp);
  small.width = found.columns;
  small.height = found.rows;
  small.getContext("2d").putImageData(currentPixels(), 0, 0);
  pen.imageSmoothingEnabled = false;
  pen.drawImage(small, place.left, place.top, place.cell * found.columns, place.cell * found.rows);
  pen.strokeStyle = colour("--line");
  pen.strokeRect(place.left, place.top, place.cell * found.columns, place.cell * found.rows);
  pen.strokeStyle = colour("--ink");
  pen.strokeRect(place.left, place.top + chosen.row * place.cell, place.cell * found.columns, place.cell);
  pen.fillStyle = colour("--ink");
  pen.font = `${Math.min(12, Math.max(8, place.cell - 1))}px system-ui, sans-serif`;
  const every = Math.ceil(9 / place.cell);
  rowPieces(view()).forEach((text, row) => {
    if (row % every && row !== chosen.row) return;
    pen.textAlign = "right";
    pen.fillText(text.slice(0, 16), place.left - 5, place.top + (row + 0.5) * place.cell + 4);
  });
  columnPieces(view()).forEach((text, column) => {
    if (column % every) return;
    pen.save();
    pen.translate(place.left + (column + 0.5) * place.cell + 3, place.top - 5);
    pen.rotate(-Math.PI / 3);
    pen.textAlign = "left";
    pen.fillText(text.slice(0, 14), 0, 0);
    pen.restore();
  });
  canvas.setAttribute("aria-label", `${title()}: ${found.rows} rows, ${found.columns} columns`);
  document.getElementById("map-title").textContent = title();
}

function title() {
  const one = view(), part = (name, place) => (place < 0 ? `all ${name}s` : `${name} ${place + 1}`);
  return one.shape.length === 4 ? `${one.name}, ${part("layer", chosen.layer)}, ${part("head", chosen.head)}` : one.name;
}

function cellAt(event) {
  const found = current(), place = layout(found), box = event.target.getBoundingClientRect();
  const column = Math.floor((event.clientX - box.left - place.left) / place.cell);
  const row = Math.floor((event.clientY - box.top - place.top) / place.cell);
  return column >= 0 && row >= 0 && column < found.columns && row < found.rows ? { row, column } : null;
}

function followPointer() {
  const canvas = document.getElementById("matrix");
  canvas.addEventListener("pointermove", event => {
    const at = cellAt(event), found = current(), which = view(), tip = document.getElementById("tip");
    tip.hidden = !at;
    if (!at) return;
    tip.textContent = `${rowPieces(which)[at.row]} ← ${columnPieces(which)[at.column]}: ${said(found.values[at.row * found.columns + at.column], which)}`;
    if (chosen.held < 0 && at.row !== chosen.row) choose(at.row);
  });
  canvas.addEventListener("pointerleave", () => { document.getElementById("tip").hidden = true; });
  canvas.addEventListener("click", event => { const at = cellAt(event); if (at) { chosen.held = chosen.held === at.row ? -1 : at.row; choose(at.row); } });
}

// ---- all heads -----------------------------------------------------------------------------------------------------

function showHeads() {
  const heads = document.getElementById("heads"), which = view();
  heads.replaceChildren();
  if (which.shape.length !== 4) return;
  const [layers, count] = which.shape;
  for (let layer = 0; layer < layers; layer++) {
    const line = document.createElement("div"), name = document.createElement("span");
    line.className = "layer";
    name.textContent = `layer ${layer + 1}`;
    line.append(name);
    for (let head = 0; head < count; head++) {
      const button = document.createElement("button"), canvas = document.createElement("canvas"), found = matrix(which, layer, head);
      button.type = "button";
      button.dataset.place = `${layer},${head}`;
      button.setAttribute("aria-label", `layer ${layer + 1}, head ${head + 1}`);
      canvas.width = found.columns;
      canvas.height = found.rows;
      canvas.getContext("2d").putImageData(pixels(found), 0, 0);
      button.append(canvas);
      button.addEventListener("click", () => { Object.assign(chosen, { layer, head }); showChoice(); });
      line.append(button);
    }
    heads.append(line);
  }
}

function showChoice() {
  showControls();
  document.querySelectorAll("#heads button").forEach(button =>
    button.setAttribute("aria-pressed", button.dataset.place === `${chosen.layer},${chosen.head}`));
  choose(chosen.row);
}

// ---- saving --------------------------------------------------------------------------------------------------------

function rowsAsText() {
  const found = current(), names = rowPieces(view());
  const lines = [["", ...columnPieces(view())], ...names.map((name, row) => [name, ...found.values.subarray(row * found.columns, (row + 1) * found.columns)])];
  return lines.map(cells => cells.map(cell => typeof cell === "number" ? cell.toFixed(5) : `"${cell.replaceAll('"', '""')}"`).join(",")).join("\n") + "\n";
}

function matrixAsSvg() {
  const found = current(), place = layout(found), image = pixels(found), svg = document.createElementNS(document.querySelector("svg")?.namespaceURI ?? new DOMParser().parseFromString("<svg/>", "text/html").body.firstChild.namespaceURI, "svg");
  svg.setAttribute("viewBox", `0 0 ${place.width} ${place.height}`);
  const add = (name, attributes, text) => {
    const element = document.createElementNS(svg.namespaceURI, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    svg.append(element);
  };
  add("rect", { width: place.width, height: place.height, fill: colour("--paper") });
  const ink = colour("--ink"), font = { "font-family": "sans-serif", "font-size": Math.min(12, Math.max(6, place.cell - 1)), fill: ink };
  for (let row = 0; row < found.rows; row++) for (let column = 0; column < found.columns; column++) {
    const at = 4 * (row * found.columns + column), rgb = image.data.slice(at, at + 3).join();
    add("rect", { x: place.left + column * place.cell, y: place.top + row * place.cell, width: place.cell, height: place.cell, fill: `rgb(${rgb})` });
  }
  rowPieces(view()).forEach((text, row) => add("text", { x: place.left - 5, y: place.top + (row + 0.5) * place.cell + 4, "text-anchor": "end", ...font }, text));
  columnPieces(view()).forEach((text, column) => add("text", { transform: `translate(${place.left + (column + 0.5) * place.cell + 3} ${place.top - 5}) rotate(-60)`, ...font }, text));
  return new XMLSerializer().serializeToString(svg);
}

function addMapButtons() {
  const row = document.createElement("span");
  row.className = "save";
  const name = () => title().replace(/[^\p{L}\p{N}]+/gu, "-");
  const ways = {
    SVG: () => saveFile(name() + ".svg", new Blob([matrixAsSvg()], { type: "image/svg+xml" })),
    PNG: () => document.getElementById("matrix").toBlob(blob => saveFile(name() + ".png", blob)),
    CSV: () => saveFile(name() + ".csv", new Blob([rowsAsText()], { type: "text/csv" })),
    JSON: () => saveFile("explanation.json", new Blob([JSON.stringify(told)], { type: "application/json" })),
  };
  for (const [label, save] of Object.entries(ways)) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.setAttribute("aria-label", `save the map as ${label}`);
    button.addEventListener("click", save);
    row.append(button);
  }
  document.querySelector("#map figcaption").append(row);
}

function showAll() {
  showControls();
  showStrips();
  showHeads();
  choose(0);
}

addMapButtons();
followPointer();
if (told.media) showPictures();
showAll();
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { shownPixels = null; showHeads(); showChoice(); });
addEventListener("resize", drawMatrix);
