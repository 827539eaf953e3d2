// To-do: the lists of a user. A list is saved only over the version that the page shows.

import { get, isWritable, write } from "/site/api.js";
import { announce, ask, button, byId, h } from "/site/dom.js";
import { askFor, newPart, newUsers, pathTo, problemView, showParts } from "/site/part.js";

const users = newUsers("todo", "/todo/users", follow);
const lists = newPart("The lists are missing.", askForLists, show);

/** `user` is whose lists these are; `made` and `deleted` are the last lists of that kind. */
const state = { user: null, canWrite: null, made: null, deleted: null, lastId: 0 };

const newId = () => `todo-${(state.lastId += 1)}`;
const textsOf = (items) => items?.map(({ text }) => text) ?? null;
const isSame = (a, b) => JSON.stringify(textsOf(a)) === JSON.stringify(textsOf(b));
const pathOf = ({ user, name }) => pathTo("todo", "lists", user, name);
const byName = (a, b) => (a.name < b.name ? -1 : 1);
const focus = (list, what) => byId(`${list.id}-${what}`)?.focus();

export async function start() {
  users.load();
  state.canWrite = await isWritable("/todo/lists/user/list");
  show();
}

export function follow() {
  const user = users.follow();
  if (user !== state.user) {
    Object.assign(state, { user, made: null, deleted: null });
    lists.clear();
    if (user) lists.load();
  }
  show();
}

async function askForLists() {
  const { value, problem } = await askFor(pathTo("todo", "users", state.user, "lists"), new Map());
  if (problem) return { problem };
  const found = [...value].map(([name, texts]) => newList(name, texts.map(newItem)));
  return { value: found.sort(byName) };
}

/**
 * The `tag` is that of the version that is shown: undefined if unknown, null if there is none.
 * If somebody else was faster, `conflict` has the items of both; null means deleted.
 */
function newList(name, items, tag) {
  return { id: newId(), user: state.user, name, items, tag };
}

/** A list may have the same text twice, so an item has an id. */
function newItem(text) {
  return { id: newId(), text };
}

/** Makes `items` those of the list, or deletes it if they are null. Gives whether it did. */
async function change(list, items, outcome) {
  Object.assign(list, { isBusy: true, problem: null });
  show();
  const isDone = await store(list, items);
  list.isBusy = false;
  show();
  if (isDone) announce(outcome);
  else if (list.conflict) focus(list, "conflict");
  return isDone;
}

async function store(list, items) {
  if (list.tag === undefined && !(await compare(list, items))) return false;
  const isNew = !list.tag && !list.conflict;
  const headers = list.tag ? { "If-Match": list.tag } : { "If-None-Match": "*" };
  const body = textsOf(items);
  const answer = await write(body ? "PUT" : "DELETE", pathOf(list), { headers, body });
  if (answer.status === 412) {
    if (isNew) return fail(list, `There is already a list “${list.name}”.`);
    if (!(await compare(list, items))) return false;
  }
  if (!answer.ok && (body || answer.status !== 404)) return fail(list, answer.problem);
  adopt(list, items, body ? answer.tag : null);
  return true;
}

function fail(list, problem) {
  list.problem = problem;
  announce(problem);
  return false;
}

/** Gets their version. If it is in the way of mine, keeps both until somebody decides. */
async function compare(list, mine) {
  const { ok, status, data, tag, problem } = await get(pathOf(list));
  if (!ok && status !== 404) return fail(list, problem);
  const theirs = ok ? data.map(newItem) : null;
  list.tag = ok ? tag : null;
  if (isSame(theirs, mine) || (isSame(theirs, list.items) && !list.conflict)) return true;
  list.conflict = { mine, theirs };
  return false;
}

/** Shows `items`, or no list if they are null. */
function adopt(list, items, tag) {
  Object.assign(list, { items: items ?? list.items, tag, conflict: null });
  if (list.user !== state.user) return;
  const others = (lists.value ?? []).filter((other) => other !== list);
  lists.value = items ? [...others, list].sort(byName) : others;
}

async function settle(list, items) {
  if (items === list.conflict.theirs) adopt(list, items, list.tag);
  else if (!(await change(list, items, `${items ? "Saved" : "Deleted"} “${list.name}”.`))) return;
  show();
  focus(list, "name");
}

async function add(list, field) {
  const text = field.value.trim();
  if (!text) return;
  await change(list, [...list.items, newItem(text)], `Added “${text}”.`);
  if (!list.problem && field.value.trim() === text) field.value = "";
}

async function tickOff(list, item, { target }) {
  const others = list.items.filter((other) => other !== item);
  target.checked = await change(list, others, `Done: “${item.text}”.`);
}

function move(list, item, place) {
  const items = list.items.filter((other) => other !== item).toSpliced(place, 0, item);
  change(list, items, `“${item.text}” is now ${place + 1} of ${items.length}.`);
}

async function make(field) {
  const list = newList(field.value.trim(), [], null);
  state.made = list;
  if (!(await change(list, [], `Made the list “${list.name}”.`))) return;
  state.made = null;
  field.value = "";
  focus(list, "add");
}

/** The API can't rename: makes a list of the new name, then deletes the old one. */
async function rename(list) {
  const title = `Rename “${list.name}”`;
  const name = (await ask({ title, label: "New name", value: list.name })).trim();
  if (!name || name === list.name) return;
  const renamed = newList(name, list.items, null);
  if (!(await change(renamed, list.items, ""))) fail(list, renamed.problem);
  else if (await change(list, null, `Renamed “${list.name}” to “${name}”.`)) focus(renamed, "name");
  else fail(list, `“${name}” exists now, but “${list.name}” is not deleted. ${list.problem ?? ""}`);
  show();
}

async function remove(list) {
  if (!(await change(list, null, `Deleted “${list.name}”.`))) return;
  state.deleted = list;
  show();
  byId("undo")?.focus();
}

async function undo(list) {
  if (await change(list, list.items, `“${list.name}” is back.`)) state.deleted = null;
  show();
}

function show() {
  const { canWrite, made, deleted } = state;
  const { value } = lists;
  showParts("lists", [lists, users],
    canWrite === false && h("p.note", "Without a database, the lists can’t be changed."),
    value?.length === 0 && h("p.quiet", "No lists yet."),
    deleted && h("div.note",
      h("p", `Deleted “${deleted.name}”.`),
      button("Undo", null, deleted.isBusy, () => undo(deleted), { id: "undo" }),
      problemView(deleted.problem)),
    value && h("div.lists", value.map(listView)),
    value && canWrite && formView("new-list", "New list", "New list", "Create", made?.isBusy, make),
    problemView(made?.problem));
}

function listView(list) {
  const { id, name, items, isBusy, conflict } = list;
  const isOpen = state.canWrite && !conflict;
  const label = `New item of ${name}`;
  return h("article", { key: id, "aria-labelledby": `${id}-name`, "aria-busy": isBusy && "true" },
    h("div.line",
      h("h3", { id: `${id}-name`, tabindex: -1 }, h("a", { href: pathOf(list) }, name)),
      isBusy && h("p.badge", "Saving…"),
      isOpen && h("div.line",
        button("Rename", `Rename ${name}`, isBusy, () => rename(list)),
        button("Delete", `Delete ${name}`, isBusy, () => remove(list)))),
    problemView(list.problem),
    conflict && conflictView(list, conflict),
    !conflict && h("ol.items", items.map((item, place) => itemView(list, item, place))),
    isOpen && formView(`${id}-add`, "New item", label, "Add", isBusy, (field) => add(list, field)));
}

function itemView(list, item, place) {
  const text = h("span", item.text || "(empty)");
  if (!state.canWrite) return h("li", { key: item.id }, text);
  const { isBusy, items } = list;
  const onclick = (event) => tickOff(list, item, event);
  const tick = { type: "checkbox", "aria-disabled": isBusy && "true", onclick };
  const mover = (arrow, to, label) =>
    button(arrow, label, isBusy || !items[to], () => move(list, item, to));
  return h("li.line", { key: item.id },
    h("label", h("input", tick), text),
    mover("↑", place - 1, `Move ${item.text} up`),
    mover("↓", place + 1, `Move ${item.text} down`));
}

function formView(id, placeholder, label, text, isBusy, act) {
  const onsubmit = (event) => {
    event.preventDefault();
    act(byId(id));
  };
  const field = { id, placeholder, "aria-label": label, required: true, autocomplete: "off" };
  return h("form.line", { key: "form", onsubmit },
    h("input", field),
    h("button", { "aria-disabled": isBusy && "true" }, text));
}

function conflictView(list, { mine, theirs }) {
  const both = mine && theirs && [...theirs, ...onlyIn(mine, theirs)];
  const keepMine = theirs ? "Keep mine" : "Create it again";
  const choice = (text, items) =>
    button(text, `${text}: ${list.name}`, list.isBusy, () => settle(list, items));
  return h("div",
    h("h4", { id: `${list.id}-conflict`, tabindex: -1 }, disputeText(list)),
    h("div.versions", versionView("Yours", mine), versionView("Theirs", theirs)),
    h("p.line",
      choice(mine ? keepMine : "Delete it anyway", mine),
      choice(theirs ? "Keep theirs" : "Let it go", theirs),
      both && choice("Keep both", both)));
}

function disputeText({ name, conflict }) {
  return `Somebody else has ${conflict?.theirs ? "changed" : "deleted"} “${name}”.`;
}

function versionView(title, items) {
  const view = items ? h("ul", items.map(({ text }) => h("li", text))) : h("p", "Deleted.");
  return h("div", h("h5", title), view);
}

/** The items of `mine` whose text is not in `theirs`, or less often. */
function onlyIn(mine, theirs) {
  const rest = textsOf(theirs);
  return mine.filter(({ text }) => {
    const index = rest.indexOf(text);
    return index < 0 || !rest.splice(index, 1);
  });
}
