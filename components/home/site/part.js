// What the parts of the page share: each loads, fails and is tried again independently. The
// choices are in the address and nowhere else: `#chris_rivers&date=20151202&todo=meera`.

import { get } from "./api.js";
import { button, byId, h, render } from "./dom.js";

/** The first user, date and to-do user. They are not in the address. */
const defaults = { user: "", date: "", todo: "" };
const encode = encodeURIComponent;

/**
 * A part that `ask` loads: it gives a `value`, a `problem`, or both. The old value stays until
 * there is another. `missing` says what is not there if there is a problem.
 */
export function newPart(missing, ask, show) {
  const part = { requests: 0 };

  part.clear = () => {
    part.requests += 1;
    Object.assign(part, { value: null, problem: null, isBusy: false });
  };

  part.load = async () => {
    const request = (part.requests += 1);
    part.isBusy = true;
    show();
    const { value, problem } = await ask();
    // Only the latest answer counts.
    if (request !== part.requests) return;
    Object.assign(part, { isBusy: false, problem, value: value ?? part.value });
    show();
  };

  part.problemView = () => {
    const retry = button("Try again", null, part.isBusy, part.load);
    return part.problem && problemView(`${missing} ${part.problem}`, retry);
  };

  part.clear();
  return part;
}

/** Shows the first part in the element `id`, which is busy while any of them is. */
export function showParts(id, parts, ...views) {
  byId(id).ariaBusy = parts.some(({ isBusy }) => isBusy);
  render(byId(id), parts[0].problemView(), ...views);
}

export function problemView(text, controls) {
  return text && h("div.problem", h("p", text), controls);
}

/** Asks for the JSON at `path`; an object becomes a Map. `none` is the value after a 404. */
export async function askFor(path, none) {
  const { ok, status, data, problem } = await get(path);
  if (status === 404 && none) return { value: none };
  if (!ok) return { problem };
  return { value: Array.isArray(data) ? data : new Map(Object.entries(data)) };
}

/** `pathTo("users", "chris_rivers")` is `/users/chris_rivers`. */
export function pathTo(...segments) {
  return `/${segments.map(encode).join("/")}`;
}

export function setDefault(name, value = "") {
  defaults[name] = value;
}

export function chosen(name) {
  const choices = new URLSearchParams(`user=${location.hash.slice(1)}`);
  return choices.get(name) || defaults[name];
}

export function choose(change) {
  const choiceOf = (name) => change[name] ?? chosen(name);
  const others = ["date", "todo"].filter((name) => choiceOf(name) !== defaults[name]);
  const parts = others.map((name) => `&${name}=${encode(choiceOf(name))}`);
  location.hash = encode(choiceOf("user")) + parts.join("");
}

/** The users at `path`, in the select that has the `name` of the choice. */
export function newUsers(name, path, readAddress) {
  const select = byId(name);
  select.onchange = () => choose({ [name]: select.value });
  const users = newPart("The users are missing.", () => askFor(path), readAddress);

  /** Shows them and gives the chosen one. While they are missing, believes the address. */
  users.show = () => {
    const { value, problem } = users;
    setDefault(name, value?.keys().next().value);
    const user = chosen(name);
    const isKnown = value?.has(user);
    render(select,
      !isKnown && h("option", { value: "" }, user || "…"),
      [...(value ?? [])].map(([id, about]) =>
        h("option", { key: `user ${id}`, value: id }, about.name)));
    select.value = isKnown ? user : "";
    render(byId(`${name}-note`),
      users.problemView(),
      value && !isKnown && h("p.note", `There is no user “${user}”. Choose another one.`));
    return isKnown || (problem && user) ? user : null;
  };

  return users;
}
