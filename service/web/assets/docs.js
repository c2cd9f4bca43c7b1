// The API page: draws openapi.json as a list of routes, each with a way to try it.

const at = (id) => document.getElementById(id);

function make(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function typeOf(schema = {}) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  const either = schema.anyOf ?? schema.oneOf;
  if (either) return either.map(typeOf).join(" or ");
  if (schema.type === "array") return `list of ${typeOf(schema.items)}`;
  const type = schema.type ?? "any";
  return schema.pattern ? `${type} like ${schema.pattern}` : type;
}

function table(heads, rows) {
  return make("table", {},
    make("thead", {}, make("tr", {}, ...heads.map((head) => make("th", { scope: "col" }, head)))),
    make("tbody", {}, ...rows.map((row) => make("tr", {}, ...row.map((cell) => make("td", {}, cell))))));
}

function parameterTable(parameters) {
  const rows = parameters.map((each) => [
    make("code", {}, each.name), each.in, typeOf(each.schema), each.required ? "required" : "optional", each.description ?? "",
  ]);
  return table(["parameter", "in", "type", "", ""], rows);
}

function fill(path, parameters, values) {
  const query = new URLSearchParams();
  for (const { name, in: place } of parameters) {
    const value = values.get(name) ?? "";
    if (place === "path") path = path.replace(`{${name}}`, encodeURIComponent(value));
    else if (place === "query" && value) query.set(name, value);
  }
  const target = path.replace(/^\//, "") || ".";
  return query.size ? `${target}?${query}` : target;
}

function tryIt(path, parameters) {
  const wanted = parameters.filter((each) => each.in === "path" || each.in === "query");
  if (!wanted.length) return make("p", {}, make("a", { href: fill(path, [], new Map()) }, "Try it"));
  const form = make("form", {});
  for (const { name, required } of wanted) {
    const id = `${path} ${name}`.replaceAll(/\W+/g, "-");
    form.append(make("label", { htmlFor: id }, name), make("input", { id, name, required: Boolean(required) }));
  }
  form.append(make("button", { type: "submit" }, "Try it"));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    location.assign(fill(path, wanted, new FormData(form)));
  });
  return form;
}

function curl(method, path, operation) {
  const kinds = Object.keys(operation.requestBody?.content ?? {});
  const body = kinds.length ? ` -H 'content-type: ${kinds[0]}' -d @body` : "";
  const url = new URL(path.replace(/^\//, ""), document.baseURI);
  return make("pre", {}, `curl -X ${method.toUpperCase()}${body} '${decodeURIComponent(url.href)}'`);
}

function route(path, method, operation) {
  const parameters = operation.parameters ?? [];
  const inside = make("div", {});
  if (operation.description) inside.append(make("p", {}, operation.description));
  if (parameters.length) inside.append(parameterTable(parameters));
  const answers = Object.entries(operation.responses ?? {});
  if (answers.length) inside.append(table(["status", "answer"], answers.map(([status, each]) => [status, each.description ?? ""])));
  inside.append(method === "get" ? tryIt(path, parameters) : curl(method, path, operation));
  return make("details", { className: "card route" },
    make("summary", {},
      make("span", { className: `method ${method}` }, method.toUpperCase()),
      make("span", { className: "path" }, path),
      make("span", {}, operation.summary ?? "")),
    inside);
}

async function draw() {
  const answer = await fetch("openapi.json", { headers: { accept: "application/json" } });
  if (!answer.ok) throw new Error(`openapi.json answered ${answer.status}`);
  const { info, paths } = await answer.json();
  const routes = Object.entries(paths).sort(([a], [b]) => a < b ? -1 : 1).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => route(path, method, operation)));
  document.title = `${info.title} API`;
  at("title").textContent = `${info.title} API`;
  at("about").textContent = `version ${info.version}, ${routes.length} operations`;
  at("routes").replaceChildren(...routes);
  if (!routes.length) at("routes").append(make("p", { className: "notice" }, "No route describes itself."));
}

draw().catch((error) => {
  at("about").textContent = "not available";
  at("routes").replaceChildren(make("p", { className: "notice", role: "alert" }, `The description can't be read: ${error.message}. Load the page again.`));
});
