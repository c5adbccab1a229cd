"use strict";
// A table of examples that is searched, filtered and sorted, some of it drawn at a time; and commands that are copied.

const STEP = 25; // rows that are drawn at a time
const RIGHT = 100; // the score of what is just as wanted

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function selectAll(code) {
  const range = document.createRange();
  range.selectNodeContents(code);
  getSelection().removeAllRanges();
  getSelection().addRange(range);
}

function copyButton(command, label, code) {
  const button = element("button", { type: "button", textContent: label, title: command });
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(command);
      button.textContent = "copied";
    } catch {
      if (code) selectAll(code);
      button.textContent = code ? "press Ctrl+C" : "not allowed";
    }
    setTimeout(() => (button.textContent = label), 1500);
  });
  return button;
}

document.querySelectorAll(".command").forEach(line => {
  const code = line.querySelector("code");
  line.append(copyButton(code.textContent, "copy", code));
});

// Words, the space between them, and each sign of a script that sets no words apart.
const WORDS = /(\s+|[\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}])/u;

// The words of a text, those marked that the other text has not, or not as often.
function compared(text, other, kind) {
  const plain = word => word.toLowerCase().replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, "");
  const left = new Map();
  for (const word of other.split(WORDS)) left.set(plain(word), (left.get(plain(word)) ?? 0) + 1);
  return text.split(WORDS).map(word => {
    const key = plain(word), count = left.get(key) ?? 0;
    left.set(key, count - 1);
    return !key || count > 0 ? word : element("mark", { className: kind, textContent: word });
  });
}

function drawTable(place, data) {
  const marks = [...new Set(data.rows.flatMap(row => row.marks))];
  const columns = [["where", null], ["example", null]];
  for (const [name, key] of [[data.score, "score"], ["confidence", "confidence"]])
    if (data.rows.some(row => row[key] !== null)) columns.push([name, key]);
  if (data.rows.some(row => row.command || row.explanation)) columns.push(["explain", null]);
  let order = null, descending = false, shown = STEP, found = data.rows;

  const search = element("input", { type: "search", placeholder: "a word, a label, a place" });
  const filter = element("select");
  const passing = [];
  const offer = (name, passes) => {
    filter.append(element("option", { textContent: name, value: passing.length }));
    passing.push(passes);
  };
  const side = (row, name) => row.sides.find(one => one[0] === name)?.[1];
  offer("all", () => true);
  if (data.judged) {
    offer("wrong", row => row.score < RIGHT);
    offer("right", row => row.score >= RIGHT);
  }
  if (marks.length > 1) offer("anything odd", row => row.marks.length > 0);
  for (const mark of marks) offer("odd: " + mark, row => row.marks.includes(mark));
  for (const label of data.labels) offer("wanted: " + label, row => side(row, "wanted") === label);
  const status = element("p", { className: "soft" });
  status.setAttribute("role", "status");
  const body = element("tbody"), more = element("button", { type: "button" });

  function answer(row) {
    const list = element("dl"), others = { wanted: "got", got: "wanted" };
    for (const [name, text, lang] of row.sides) {
      const parts = data.compares && others[name] ? compared(text, side(row, others[name]), name) : [text];
      const value = element("dd", { dir: "auto", lang }, ...parts);
      if (!text.trim()) value.append(element("i", { textContent: "(empty)" }));
      list.append(element("dt", { textContent: name }), value);
    }
    const picture = row.picture ? [element("img", { className: "thumbnail", alt: "", src: row.picture })] : [];
    return element("td", {}, ...picture, list, ...row.marks.map(mark => element("span", { className: "mark", textContent: mark })));
  }

  function figure(row, key) {
    if (key !== null) return element("td", { className: "figure", textContent: row[key] === null ? "–" : row[key].toFixed(key === "score" ? 2 : 3) });
    if (row.explanation) {
      const link = element("a", { href: row.explanation, textContent: "open" });
      link.setAttribute("aria-label", "the explanation of " + row.place);
      return element("td", {}, link);
    }
    const button = copyButton(row.command, "copy");
    button.setAttribute("aria-label", "copy the command that explains " + row.place);
    return element("td", {}, ...(row.command ? [button] : []));
  }

  function draw(from) {
    const lines = found.slice(from, shown).map(row =>
      element("tr", {}, element("td", { className: "place", textContent: row.place }), answer(row), ...columns.slice(2).map(([, key]) => figure(row, key))));
    if (!from) body.replaceChildren();
    body.append(...lines);
    const left = Math.max(0, found.length - shown);
    more.hidden = !left;
    more.textContent = `show ${Math.min(STEP, left)} more of ${left.toLocaleString("en")}`;
    status.textContent = `${found.length.toLocaleString("en")} of ${data.rows.length.toLocaleString("en")} examples`;
  }

  function update() {
    const wanted = search.value.toLowerCase().trim(), passes = passing[filter.value];
    const says = row => [row.place, ...row.sides.map(one => one[1])].some(text => text.toLowerCase().includes(wanted));
    found = data.rows.filter(row => passes(row) && says(row));
    if (order !== null) {
      const sign = descending ? -1 : 1;
      found.sort((a, b) => (a[order] === null) - (b[order] === null) || sign * (a[order] - b[order]));
    }
    shown = STEP;
    draw(0);
  }

  const head = element("tr", {}, ...columns.map(([name, key]) => {
    const cell = element("th", { scope: "col" });
    if (key === null) cell.textContent = name;
    else {
      const button = element("button", { type: "button", textContent: name + " ↕" });
      button.addEventListener("click", () => {
        descending = order === key && !descending;
        order = key;
        for (const other of head.cells) other.removeAttribute("aria-sort");
        for (const other of head.querySelectorAll("button")) other.textContent = other.textContent.replace(/.$/, "↕");
        cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
        button.textContent = name + (descending ? " ↓" : " ↑");
        update();
      });
      cell.append(button);
    }
    return cell;
  }));
  let waiting = 0;
  search.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(update, 120);
  });
  filter.addEventListener("change", update);
  more.addEventListener("click", () => {
    const from = shown;
    shown += STEP;
    draw(from);
  });
  const controls = element("div", { className: "controls" }, element("label", {}, "search", search));
  if (filter.options.length > 1) controls.append(element("label", {}, "show", filter));
  const whole = element("table", {}, element("thead", {}, head), body);
  place.append(controls, status, element("div", { className: "wide" }, whole), element("p", { className: "more" }, more));
  update();
}

const examples = document.getElementById("examples-data");
if (examples) drawTable(document.getElementById("examples"), JSON.parse(examples.textContent));
