"use strict";
// A table of examples that is searched, filtered and sorted, some of it drawn at a time; and commands that are copied.

const STEP = 25; // rows that are drawn at a time
const PLACE = 0, SOURCE = 1, WANTED = 2, GOT = 3, SCORE = 4, SURE = 5, MARKS = 6, COMMAND = 7; // of a row of the data

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

// The words of a text, those marked that the other text has not, or not as often.
function compared(text, other, kind) {
  const plain = word => word.toLowerCase().replace(/^[^\p{L}\p{N}]+|[^\p{L}\p{N}]+$/gu, "");
  const left = new Map();
  for (const word of other.split(/\s+/)) left.set(plain(word), (left.get(plain(word)) ?? 0) + 1);
  return text.split(/(\s+)/).map(word => {
    const key = plain(word), count = left.get(key) ?? 0;
    left.set(key, count - 1);
    return !key || count > 0 ? word : element("mark", { className: kind, textContent: word });
  });
}

function drawTable(place, data) {
  const withMarks = [...new Set(data.rows.flatMap(row => row[MARKS]))];
  const labels = data.compares ? [] : [...new Set(data.rows.map(row => row[WANTED]))].filter(Boolean);
  const hasAnswer = data.rows.some(row => row[WANTED] || row[GOT]);
  const columns = [["where", null], ["example", null]];
  if (data.rows.some(row => row[SCORE] !== null)) columns.push([data.score, SCORE]);
  if (data.rows.some(row => row[SURE] !== null)) columns.push(["sureness", SURE]);
  if (data.rows.some(row => row[COMMAND])) columns.push(["explain", null]);
  let order = null, descending = false, shown = STEP, found = data.rows;

  const search = element("input", { type: "search", placeholder: "a word, a label, a place" });
  const filter = element("select", {}, element("option", { value: "", textContent: "all" }));
  const option = (value, textContent) => filter.append(element("option", { value, textContent }));
  if (!data.compares && hasAnswer) {
    option("right", "right: the answer is what is wanted");
    option("wrong", "wrong: it is not");
  }
  if (withMarks.length) option("odd", "anything odd");
  for (const mark of withMarks) option("mark " + mark, mark);
  if (labels.length > 1 && labels.length <= 60) for (const label of labels.sort()) option("label " + label, "wanted: " + label);
  const status = element("p", { className: "soft" });
  status.setAttribute("role", "status");
  const body = element("tbody"), more = element("button", { type: "button" });

  const passes = row => {
    const kind = filter.value;
    if (kind === "right") return row[WANTED] === row[GOT];
    if (kind === "wrong") return row[WANTED] !== row[GOT];
    if (kind === "odd") return row[MARKS].length > 0;
    if (kind.startsWith("mark ")) return row[MARKS].includes(kind.slice(5));
    return !kind || row[WANTED] === kind.slice(6);
  };

  function answer(row) {
    const list = element("dl"), add = (name, ...content) => {
      const value = element("dd", { dir: "auto" }, ...content);
      if (!value.textContent.trim()) value.append(element("i", { textContent: "(empty)" }));
      list.append(element("dt", { textContent: name }), value);
    };
    add("source", row[SOURCE]);
    if (hasAnswer) {
      add("wanted", ...(data.compares ? compared(row[WANTED], row[GOT], "missed") : [row[WANTED]]));
      add("got", ...(data.compares ? compared(row[GOT], row[WANTED], "wrong") : [row[GOT]]));
    }
    return element("td", {}, list, ...row[MARKS].map(mark => element("span", { className: "mark", textContent: mark })));
  }

  function draw(from) {
    const lines = found.slice(from, shown).map(row => {
      const line = element("tr", {}, element("td", { className: "place", textContent: row[PLACE] }), answer(row));
      for (const [name, key] of columns.slice(2)) {
        if (key === null) line.append(element("td", {}, ...(row[COMMAND] ? [copyButton(row[COMMAND], "copy command")] : [])));
        else line.append(element("td", { className: "figure", textContent: row[key] === null ? "–" : row[key].toFixed(key === SURE ? 3 : 2) }));
      }
      return line;
    });
    if (!from) body.replaceChildren();
    body.append(...lines);
    const left = found.length - Math.min(shown, found.length);
    more.hidden = !left;
    more.textContent = `show ${Math.min(STEP, left)} more of ${left.toLocaleString("en")}`;
    status.textContent = `${found.length.toLocaleString("en")} of ${data.rows.length.toLocaleString("en")} examples`;
  }

  function update() {
    const wanted = search.value.toLowerCase().trim();
    found = data.rows.filter(row => passes(row) && (!wanted || [PLACE, SOURCE, WANTED, GOT].some(key => row[key].toLowerCase().includes(wanted))));
    if (order !== null) {
      const sign = descending ? -1 : 1;
      found = [...found].sort((a, b) => (a[order] === null) - (b[order] === null) || sign * (a[order] - b[order]));
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
