// Shows /openapi.json as a page: the paths with their parameters, bodies and responses.

import { make } from "./show.js";

const $ = (id) => document.getElementById(id);

function examples(card) {
  const address = new URL("predict", location).href;
  const k = card.takes_number ? "?number=4" : "";
  const more = `${address}?${card.takes_number ? "number=4&" : ""}explain=true`;
  const { channels, size } = card.picture;
  return [
    `curl --data-binary @three.png '${address}${k}'`,
    `curl -F picture=@three.png '${more}'`,
    `curl -H 'Content-Type: application/json' -d '{"pixels": [0, 0, ...]}' '${address}${k}'`,
    `# pixels: ${channels * size * size} numbers, 0 to 255`,
  ].join("\n");
}

// The type of a value in a few words, such as "list of number 0 to 255".
function kind(schema) {
  if (schema.$ref) return schema.$ref.split("/").pop();
  if (schema.oneOf) return schema.oneOf.map(kind).join(" or ");
  if (schema.anyOf) return schema.anyOf.map(kind).filter((name) => name !== "null").join(" or ");
  if (schema.type === "array") return `list of ${kind(schema.items)}`;
  if (schema.type === "object" && schema.additionalProperties) return `name: ${kind(schema.additionalProperties)}`;
  const [low, high] = [schema.minimum, schema.maximum];
  return (schema.format === "binary" ? "file" : schema.type ?? "anything") + (low === undefined ? "" : ` ${low} to ${high}`);
}

function table(heads, rows) {
  const [box, made, head, body] = [make("div", "scroll"), make("table"), make("tr"), make("tbody")];
  head.append(...heads.map((text) => make("th", "", text)));
  for (const cells of rows) {
    const row = make("tr");
    row.append(...cells.map((text, index) => make(index ? "td" : "th", "", text)));
    row.firstChild.scope = "row";
    body.append(row);
  }
  made.append(make("thead"), body);
  made.firstChild.append(head);
  box.append(made);
  box.tabIndex = 0;
  return box;
}

const fields = ({ properties = {}, required = [] }) => Object.entries(properties).map(([name, schema]) =>
  [name, kind(schema), required.includes(name) ? "always" : "", schema.description ?? ""]);

function operation(path, method, { description, parameters = [], requestBody, responses }) {
  const part = make("section");
  part.append(make("h2", "path", `${method.toUpperCase()} ${path}`), make("p", "", description));
  if (parameters.length) {
    part.append(make("h3", "", "Query parameters"), table(["name", "type", "default", "meaning"], parameters.map((one) =>
      [one.name, kind(one.schema), String(one.schema.default ?? ""), one.description ?? one.schema.description ?? ""])));
  }
  for (const [type, { schema }] of Object.entries(requestBody?.content ?? {})) {
    part.append(make("h3", "", `Body: ${type}`));
    if (schema.properties) part.append(table(["field", "type", "present", "meaning"], fields(schema)));
    else part.append(make("p", "pale", "The bytes of a picture file."));
  }
  part.append(make("h3", "", "Responses"), table(["status", "content", "meaning"], Object.entries(responses).map(([status, one]) =>
    [status, kind(one.content?.["application/json"]?.schema ?? {}), one.description])));
  return part;
}

function schema(name, { description = "", ...rest }) {
  const part = make("section");
  part.append(make("h2", "path", name), make("p", "", description), table(["field", "type", "present", "meaning"], fields(rest)));
  return part;
}

try {
  const [api, card] = await Promise.all(["openapi.json", "model"].map(async (name) => (await fetch(name)).json()));
  $("about").textContent = api.info.description;
  $("examples").textContent = examples(card);
  for (const [path, methods] of Object.entries(api.paths)) {
    for (const [method, found] of Object.entries(methods)) $("paths").append(operation(path, method, found));
  }
  $("schemas").append(...Object.entries(api.components.schemas).map(([name, found]) => schema(name, found)));
} catch {
  $("fault").hidden = false;
  $("fault").textContent = "The server does not answer. Is it still running?";
}
