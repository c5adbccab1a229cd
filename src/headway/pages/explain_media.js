// What was seen or heard: pictures under a grid of patches, a spectrogram under stretches of time; the more a patch counts,
// the clearer it is seen. Used by explain.js, whose `told.media` has the pictures.

// The short name of a piece that is no patch is the piece itself.
function patchName(place) {
  const media = told.media, [, rows, columns] = media.grid;
  if (place >= media.count) return columnOrPiece(place);
  if (media.seconds) return `${(place * media.seconds).toFixed(2)}–${((place + 1) * media.seconds).toFixed(2)} s`;
  const name = media.names[Math.floor(place / (rows * columns))], left = place % (rows * columns);
  return `${name ? name + ", " : ""}row ${Math.floor(left / columns) + 1}, column ${(left % columns) + 1}`;
}

// Of all that the encoder reads, and after it of what was said so far.
function columnOrPiece(place) {
  const source = told.lines.source.pieces;
  return place < source.length ? source[place] : told.lines.target.pieces[place - source.length];
}

// How many places the arrows up and down move on from a patch; from a word to the next word.
function lineOf(place) { return place < told.media.count ? told.media.grid[2] : 1; }

function picture(number) {
  const media = told.media, image = document.createElement("img");
  image.src = media.pictures[number];
  image.alt = media.seconds ? "spectrogram" : media.names[number] || "the picture";
  return image;
}

function stage(number, cells) {
  const media = told.media, [, , columns] = media.grid, outer = document.createElement("figure");
  const frame = document.createElement("div"), grid = document.createElement("div"), scroll = document.createElement("div");
  outer.className = media.seconds ? "stage heard" : "stage";
  scroll.className = "wide";
  frame.className = "frame";
  grid.className = "cells";
  grid.style.setProperty("--columns", columns);
  grid.append(...cells);
  frame.append(picture(number), grid);
  if (media.seconds) {
    frame.style.setProperty("--least", columns * 5 + "px");
    frame.append(timeAxis(columns * media.seconds));
  }
  scroll.append(frame);
  outer.append(scroll);
  if (media.names[number]) {
    const caption = document.createElement("figcaption");
    caption.className = "soft";
    caption.textContent = media.names[number];
    outer.append(caption);
  }
  return outer;
}

function timeAxis(seconds) {
  const axis = document.createElement("div"), most = Math.max(8, Math.min(40, Math.floor(told.media.count * 5 / 70)));
  const step = [0.05, 0.1, 0.2, 0.25, 0.5, 1, 2, 5, 10, 20, 30, 60].find(one => seconds / one <= most) ?? 120;
  axis.className = "axis";
  for (let time = 0; time < seconds - step / 4; time += step) {
    const mark = document.createElement("span");
    mark.textContent = `${Number(time.toFixed(2))} s`;
    mark.style.left = (100 * time) / seconds + "%";
    axis.append(mark);
  }
  return axis;
}

// As `strip` of explain.js: every piece of the source in its order, patches on their picture, words of a text below.
function mediaStrip(label, pieces, marks, asButtons) {
  const media = told.media, outer = document.createElement("div"), stages = document.createElement("div"), title = document.createElement("span");
  outer.className = "strip media" + (media.pictures.length > 1 ? " several" : "");
  title.className = "soft";
  title.textContent = label;
  stages.className = "stages";
  const each = media.grid[1] * media.grid[2];
  media.pictures.forEach((_, number) => {
    const cells = Array.from({ length: each }, (_, place) => {
      const cell = document.createElement("button");
      cell.type = "button";
      cell.className = "piece cell";
      cell.tabIndex = number + place ? -1 : 0;
      cell.setAttribute("aria-label", patchName(number * each + place));
      return cell;
    });
    stages.append(stage(number, cells));
  });
  outer.append(title, stages);
  if (!asButtons) {
    const together = document.createElement("p");
    together.className = "together soft";
    outer.append(together);
  }
  if (pieces.length > media.count) outer.append(strip("read", pieces.slice(media.count), marks?.slice(media.count), asButtons));
  return outer;
}

// What each patch counts for the chosen row, to be seen beside the other patches, read out and under the pointer; what they
// count together; and every head as a picture.
function showMediaShares(shares) {
  if (view().columns[0] !== "source") return;
  const patches = shares.subarray(0, told.media.count), most = patches.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-9);
  document.querySelectorAll(".columns .cell").forEach((cell, place) => {
    const name = `${patchName(place)}: ${said(shares[place], view())}`;
    cell.setAttribute("aria-label", name);
    cell.dataset.tip = name;
    cell.style.setProperty("--w", Math.max(0, patches[place] / most).toFixed(3));
    cell.style.setProperty("--n", Math.max(0, -patches[place] / most).toFixed(3));
  });
  const what = told.media.seconds ? "the whole recording" : told.media.pictures.length > 1 ? "the whole clip" : "the whole picture";
  const all = !view().signed && shares.length === told.media.count;
  document.querySelector(".together").textContent = all ? "" : `${what}: ${said(patches.reduce((a, b) => a + b, 0), view())}`;
  if (!told.media.seconds) drawHeadPictures();
}

// The heads of the chosen row, each a grid of patches; steps of time side by side.
function drawHeadPictures() {
  const which = view(), values = valuesOf(which);
  if (which.shape.length !== 4) return;
  const [, heads, rows, columns] = which.shape, [times, down, across] = told.media.grid, paper = channels("--paper"), ink = channels("--bar");
  document.querySelectorAll("#heads button").forEach(button => {
    const [layer, head] = button.dataset.place.split(",").map(Number), canvas = button.querySelector("canvas");
    const start = ((layer * heads + head) * rows + chosen.row) * columns, some = values.subarray(start, start + told.media.count);
    const image = new ImageData(times * across, down), most = some.reduce((a, b) => Math.max(a, b), 1);
    some.forEach((value, place) => {
      const time = Math.floor(place / (down * across)), left = place % (down * across), share = value / most;
      const at = 4 * (Math.floor(left / across) * times * across + time * across + (left % across));
      for (let c = 0; c < 3; c++) image.data[at + c] = paper[c] + (ink[c] - paper[c]) * share;
      image.data[at + 3] = 255;
    });
    Object.assign(canvas, { width: image.width, height: image.height });
    canvas.style.setProperty("height", Math.max(12, Math.min(96, (72 * image.height) / image.width)) + "px");
    canvas.getContext("2d").putImageData(image, 0, 0);
  });
}

// Which words looked at a patch, while it is pointed at.
function lookBack(column) {
  const found = current(), rows = document.getElementById("rows"), shares = new Float32Array(found.rows);
  for (let row = 0; row < found.rows; row++) shares[row] = found.values[row * found.columns + column];
  const most = shares.reduce((a, b) => Math.max(a, Math.abs(b)), 1e-9);
  rows.classList.add("back");
  rows.querySelectorAll("button").forEach((button, row) => {
    button.style.setProperty("--w", Math.max(0, shares[row] / most).toFixed(3));
    button.style.setProperty("--n", Math.max(0, -shares[row] / most).toFixed(3));
    button.classList.toggle("dark", Math.abs(shares[row]) / most > 0.6);
  });
  tell(`${columnName(column)} → `, shares, rowName);
}

function lookForth() {
  const rows = document.getElementById("rows");
  rows.classList.remove("back");
  rows.querySelectorAll("button").forEach(button => button.classList.remove("dark"));
  const found = current();
  tell(`${rowName(chosen.row)} ← `, found.values.subarray(chosen.row * found.columns, (chosen.row + 1) * found.columns), columnName);
}

function watchPatches() {
  const cells = [...document.querySelectorAll(".columns .cell")];
  cells.forEach((cell, place) => {
    cell.addEventListener("pointerenter", () => lookBack(place));
    cell.addEventListener("pointerleave", lookForth);
    cell.addEventListener("focus", () => lookBack(place));
    cell.addEventListener("blur", lookForth);
    cell.addEventListener("keydown", event => {
      const step = { ArrowRight: 1, ArrowLeft: -1, ArrowDown: lineOf(place), ArrowUp: -lineOf(place) }[event.key];
      const next = cells[place + (step ?? NaN)];
      if (!step) return;
      event.preventDefault();
      if (!next) return;
      cell.tabIndex = -1;
      next.tabIndex = 0;
      next.focus();
    });
  });
}

function showPictures() {
  if (told.media.seconds) return;
  const place = document.getElementById("seen"), shown = told.media.pictures.map((_, number) => picture(number));
  place.replaceChildren(...shown);
}
