// What /openapi.json tells, for people: each route with its fields, their bounds and meaning, its answers, and a call with curl.

import { openapi } from "./api.js";
import { element, find } from "./dom.js";

const METHODS = ["get", "post", "put", "patch", "delete"];
const EXAMPLES = {
  texts: ["A man is riding a horse."], model: "NAME", messages: [{ role: "user", content: "Where is the cat?" }], prompt: "Once upon a time", input: "A man is riding a horse.",
  text: "A man is riding a horse.", correction: "Ein Mann reitet auf einem Pferd.", q: "A man is riding a horse.", source: "en", target: "de",
};
let schemas = {};

const own = (record, name) => (Object.hasOwn(record, name) ? record[name] : undefined);
const resolved = schema => (schema?.$ref ? own(schemas, schema.$ref.split("/").pop()) ?? {} : schema ?? {});

// "list of text, at most 5" and the like.
function kindOf(schema) {
  const known = resolved(schema), choices = (known.anyOf ?? known.oneOf)?.filter(one => one.type !== "null");
  if (choices) return [...new Set(choices.map(kindOf))].join(" or ");
  if (known.const !== undefined) return JSON.stringify(known.const);
  if (known.enum) return known.enum.map(value => JSON.stringify(value)).join(" or ");
  if (known.type === "array") return `list of ${kindOf(known.items ?? {})}`;
  if (known.type === "object" || known.properties) return known.title ?? "object";
  return { string: "text", integer: "whole number", number: "number", boolean: "true or false", null: "null" }[known.type] ?? "anything";
}

function boundsOf(schema) {
  const known = resolved(schema), told = [];
  for (const choice of known.anyOf ?? known.oneOf ?? []) told.push(...boundsOf(choice));
  const least = known.minimum ?? known.exclusiveMinimum, most = known.maximum ?? known.exclusiveMaximum;
  const number = value => (Math.abs(value) >= 1e15 ? `2^${Math.round(Math.log2(value))}` : value.toLocaleString("en"));
  if (least !== undefined && most !== undefined) told.push(`${number(least)} to ${number(most)}`);
  else if (least !== undefined) told.push(`at least ${number(least)}`);
  else if (most !== undefined) told.push(`at most ${number(most)}`);
  if (known.maxLength !== undefined) told.push(`at most ${number(known.maxLength)} characters`);
  if (known.minLength) told.push(`at least ${number(known.minLength)} character${known.minLength > 1 ? "s" : ""}`);
  if (known.maxItems !== undefined) told.push(`at most ${number(known.maxItems)}`);
  if (known.minItems) told.push(`at least ${number(known.minItems)}`);
  return [...new Set(told)];
}

// The fields of an object, and below them those of the objects in it, as rows.
function rowsOf(schema, before = "", depth = 0) {
  const known = resolved(schema), needed = new Set(known.required ?? []);
  return Object.entries(known.properties ?? {}).flatMap(([name, field]) => {
    const about = [field.description ?? "", ...boundsOf(field)].filter(Boolean).join("; ");
    const start = field.default ?? null, told = start === null || (typeof start === "object") ? "" : JSON.stringify(start);
    const row = element("tr", {}, element("td", {}, element("code", {}, before + name), needed.has(name) ? element("span", { class: "needed", title: "must be given" }, " *") : null),
      element("td", { class: "soft" }, kindOf(field)), element("td", {}, about), element("td", { class: "soft" }, told));
    const deeper = [field, field.items, ...(field.anyOf ?? []), ...(field.anyOf ?? []).map(one => one.items)].map(resolved).find(one => one.properties);
    return [row, ...(deeper && depth < 3 ? rowsOf(deeper, `${before}${name}.`, depth + 1) : [])];
  });
}

function table(title, rows) {
  if (!rows.length) return null;
  const head = ["name", "kind", "meaning and bounds", "default"].map(name => element("th", { scope: "col" }, name));
  return element("div", { class: "wide" }, element("table", {}, element("caption", {}, title), element("thead", {}, element("tr", {}, ...head)), element("tbody", {}, ...rows)));
}

function parameterRows(parameters) {
  return parameters.map(one => element("tr", {}, element("td", {}, element("code", {}, one.name), one.required ? element("span", { class: "needed" }, " *") : null),
    element("td", { class: "soft" }, one.in), element("td", {}, [one.description ?? "", kindOf(one.schema), ...boundsOf(one.schema)].filter(Boolean).join("; ")), element("td", { class: "soft" }, one.schema?.default === undefined ? "" : JSON.stringify(one.schema.default))));
}

function exampleOf(schema, name = "") {
  const known = resolved(schema);
  if (own(EXAMPLES, name) !== undefined) return EXAMPLES[name];
  if (known.default !== undefined) return known.default;
  if (known.properties) return Object.fromEntries((known.required ?? []).map(key => [key, exampleOf(known.properties[key], key)]));
  return { string: "…", integer: 1, number: 1, boolean: true, array: [] }[known.type] ?? null;
}

const shellSafe = text => `'${text.replaceAll("'", "'\\''")}'`;

function curlOf(path, method, content) {
  const address = new URL(path.slice(1).replaceAll(/\{\w+\}/g, "NAME"), new URL("./", document.baseURI)).href;
  if (method === "get") return `curl ${address}`;
  const [kind, body] = Object.entries(content ?? {})[0] ?? [];
  if (kind === "application/json") return `curl -H 'content-type: application/json' \\\n  -d ${shellSafe(JSON.stringify(exampleOf(body.schema)))} \\\n  ${address}`;
  if (kind === "multipart/form-data") {
    const fields = Object.entries(resolved(body.schema).properties ?? {}).filter(([name]) => resolved(body.schema).required?.includes(name));
    return `curl ${fields.map(([name, field]) => `-F ${shellSafe(`${name}=${field.format === "binary" ? "@FILE" : exampleOf(field, name)}`)}`).join(" ")} \\\n  ${address}`;
  }
  return `curl -H 'content-type: application/octet-stream' --data-binary @FILE \\\n  ${address}`;
}

function answersOf(responses) {
  const rows = Object.entries(responses ?? {}).map(([status, one]) => element("tr", {}, element("td", {}, element("code", {}, status)), element("td", { class: "soft" }, one.description ?? "")));
  const good = Object.values(responses?.["200"]?.content ?? {})[0]?.schema;
  const fields = good ? rowsOf(good) : [];
  return [table("Fields of the answer", fields), element("details", {}, element("summary", {}, "Statuses"), element("table", {}, element("tbody", {}, ...rows)))];
}

// `names` between back quotes are code.
const prose = text => text.split("`").map((part, number) => (number % 2 ? element("code", {}, part) : part));

function routeOf(path, method, told, place) {
  const content = told.requestBody?.content, fields = rowsOf(Object.values(content ?? {})[0]?.schema); // another kind of body has the same
  return element("article", { id: `route-${place}`, class: "pane" },
    element("h2", {}, element("span", { class: `method ${method}` }, method.toUpperCase()), " ", element("code", {}, path)),
    element("p", { class: "summary" }, told.summary ?? ""), ...(told.description ?? "").split(/\n\s*\n/).filter(Boolean).map(text => element("p", { class: "soft" }, ...prose(text))),
    table("In the address", parameterRows(told.parameters ?? [])), table("Fields of the body", fields), element("pre", { tabindex: 0, "aria-label": "an example with curl" }, curlOf(path, method, content)), ...answersOf(told.responses));
}

async function draw() {
  const told = await openapi(), about = find("about");
  schemas = told.components?.schemas ?? {};
  const routes = Object.entries(told.paths ?? {}).flatMap(([path, methods]) => METHODS.filter(method => method in methods).map(method => [path, method, methods[method]]));
  about.textContent = told.info?.description ?? "";
  find("routes").append(...routes.map(([path, method, one], place) => routeOf(path, method, one, place)));
  find("contents").append(element("ol", {}, ...routes.map(([path, method, one], place) => element("li", {}, element("a", { href: `#route-${place}` },
    element("span", { class: `method ${method}` }, method.toUpperCase()), " ", path, element("small", { class: "soft" }, one.summary ?? ""))))));
}

draw().catch(trouble => {
  find("about").textContent = trouble.status === 401 ? "This server asks for a key: enter it on the page where models are asked, then come back in the same tab." : "The server cannot be reached.";
});
