"use strict";
// What every page can do: say what is under the pointer, and save a chart as picture or as data.

function saveFile(name, blob) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// A copy that looks the same without this page's style.
function standaloneSvg(svg) {
  const copy = svg.cloneNode(true);
  const originals = [svg, ...svg.querySelectorAll("*")];
  [copy, ...copy.querySelectorAll("*")].forEach((element, place) => {
    const style = getComputedStyle(originals[place]);
    for (const name of ["fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "opacity", "font", "text-anchor", "text-decoration-line", "paint-order", "stroke-linejoin"]) {
      const value = style.getPropertyValue(name);
      if (value) element.style.setProperty(name, value);
    }
  });
  copy.style.background = getComputedStyle(document.body).backgroundColor;
  return new XMLSerializer().serializeToString(copy);
}

function savePng(svg, name) {
  const box = svg.viewBox.baseVal, scale = 2, image = new Image();
  const address = URL.createObjectURL(new Blob([standaloneSvg(svg)], { type: "image/svg+xml" }));
  image.onload = () => {
    const canvas = document.createElement("canvas");
    canvas.width = box.width * scale;
    canvas.height = box.height * scale;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    URL.revokeObjectURL(address);
    canvas.toBlob(blob => saveFile(name + ".png", blob));
  };
  image.src = address;
}

function tableAsCsv(table) {
  const quoted = cell => '"' + cell.textContent.trim().replaceAll('"', '""') + '"';
  return [...table.rows].map(row => [...row.cells].map(quoted).join(",")).join("\n") + "\n";
}

function addSaveButtons(chart) {
  const svg = chart.querySelector("svg"), caption = chart.querySelector("figcaption"), table = chart.querySelector("table");
  const name = caption.firstChild.textContent.trim().toLowerCase().replace(/[^\p{L}\p{N}]+/gu, "-") || "chart";
  const row = document.createElement("span");
  row.className = "save";
  const ways = { SVG: () => saveFile(name + ".svg", new Blob([standaloneSvg(svg)], { type: "image/svg+xml" })), PNG: () => savePng(svg, name) };
  if (table) ways.CSV = () => saveFile(name + ".csv", new Blob([tableAsCsv(table)], { type: "text/csv" }));
  for (const [label, save] of Object.entries(ways)) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = label;
    button.setAttribute("aria-label", `save “${caption.firstChild.textContent.trim()}” as ${label}`);
    button.addEventListener("click", save);
    row.append(button);
  }
  caption.append(row);
}

function showTips() {
  const tip = document.createElement("div");
  tip.id = "tip";
  tip.hidden = true;
  document.body.append(tip);
  document.addEventListener("pointerover", event => {
    const target = event.target.closest("[data-tip]");
    tip.hidden = !target;
    if (target) tip.textContent = target.dataset.tip;
  });
  document.addEventListener("pointermove", event => {
    if (tip.hidden) return;
    const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
    tip.style.left = Math.max(4, Math.min(event.pageX + 14, scrollX + room)) + "px";
    tip.style.top = event.pageY + 16 + "px";
  });
}

document.querySelectorAll("figure.chart").forEach(addSaveButtons);
showTips();
