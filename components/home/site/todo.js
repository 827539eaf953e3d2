// The To-Do Manager: the lists of a user.

import { isWritable } from "./api.js";
import { announce, ask, button, byId, h } from "./dom.js";
import {
  discard, itemsOf, newItem, newList, pathOf, save, saveAll, update,
} from "./list.js";
import { askFor, newPart, newUsers, pathTo, problemView, showParts } from "./part.js";

/** For how long a done item stays, with its Undo. */
const UNDO_MS = 5000;

const users = newUsers("todo", "/todo/users", readAddress);
const lists = newPart("The lists are missing.", askForLists, show);

/** The lists of all chosen users, by path. */
const known = new Map();

/** The last list that was `deleted`, the `problem` of a new one, the last item that `moved`. */
const state = { user: null, canWrite: null, deleted: null, problem: null, moved: null };

const byName = (a, b) => (a.name < b.name ? -1 : 1);
const isHere = ({ user }) => user === state.user;

/** Moves the focus, but not away from somebody who types. */
function focus(id) {
  if (!document.activeElement.matches("input:not([type])")) byId(id)?.focus();
}

export async function start() {
  addEventListener("back", () => {
    for (const list of known.values()) if (list.problem) saveAll(list, show);
  });
  users.load();
  state.canWrite = await isWritable("/todo/lists/user/list");
  show();
}

/** Follows the address: loads the lists of another user. */
export function readAddress() {
  const user = users.show();
  if (user !== state.user) {
    Object.assign(state, { user, deleted: null, problem: null });
    lists.clear();
    if (user) lists.load();
  }
  show();
}

/** Loads what others may have changed, and what was missing. What is not saved stays. */
export function lookAgain() {
  state.problem = null;
  for (const list of known.values()) if (!list.edits.length) list.problem = null;
  if (users.problem) users.load();
  if (state.user) lists.load();
}

async function askForLists() {
  const { user } = state;
  const time = performance.now();
  const { value, problem } = await askFor(pathTo("todo", "users", user, "lists"), new Map());
  if (problem) return { problem };
  for (const name of value.keys()) {
    if (!listOf(user, name)) keep(newList(user, name, null));
  }
  for (const list of known.values()) {
    if (list.user === user) update(list, value.get(list.name) ?? null, time);
  }
  return { value: true };
}

const listOf = (user, name) => known.get(pathOf({ user, name }));

function keep(list) {
  known.set(pathOf(list), list);
  return list;
}

/** Saves an edit. Gives back what was typed if it fails, unless more was typed since. */
async function edit(list, change) {
  await save(list, change, show);
  const [failed] = list.edits;
  const field = byId(`${list.id}-add`);
  if (!list.problem || !failed?.added || field?.value !== "") return;
  field.value = failed.added.text;
  list.edits.shift();
  for (const one of list.edits) one.items = one.items?.filter((item) => item !== failed.added);
  show();
}

function add(list, field) {
  const text = field.value.trim();
  if (!text || list.conflict) return;
  field.value = "";
  const added = newItem(text);
  edit(list, { items: [...itemsOf(list), added], added, outcome: `Added “${text}”.` });
}

/** The items, and the done ones where they were. */
function rowsOf(list) {
  const items = itemsOf(list) ?? list.saved ?? [];
  const rows = items.map((item) => ({ item }));
  for (const { item, place } of list.done) {
    if (!items.includes(item)) rows.splice(place, 0, { item, isDone: true });
  }
  return rows;
}

function tickOff(list, item) {
  const place = rowsOf(list).findIndex((row) => row.item === item);
  const done = { item, place };
  list.done = [...list.done, done].sort((a, b) => a.place - b.place);
  hideLater(list, done);
  const items = itemsOf(list).filter((other) => other !== item);
  edit(list, { items, outcome: `Done: “${item.text}”.` });
}

/** Hides a done item after a while, unless somebody may be about to undo that. */
async function hideLater(list, done) {
  do await new Promise((resolve) => setTimeout(resolve, UNDO_MS));
  while (byId(done.item.id)?.matches(":hover, :has(:focus-visible)"));
  list.done = list.done.filter((one) => one !== done);
  show();
}

function undoTick(list, item) {
  const rows = rowsOf(list);
  const before = rows.slice(0, rows.findIndex((row) => row.item === item));
  const place = before.filter(({ isDone }) => !isDone).length;
  list.done = list.done.filter((done) => done.item !== item);
  const items = itemsOf(list).toSpliced(place, 0, item);
  edit(list, { items, outcome: `“${item.text}” is back.` });
}

/** The second click of two means the same item, which is elsewhere by then. */
function move(list, clicked, by, event) {
  const item = event.detail > 1 ? state.moved ?? clicked : clicked;
  const items = itemsOf(list);
  const place = items.indexOf(item) + by;
  if (!items.includes(item) || !items[place]) return;
  state.moved = item;
  const moved = items.filter((other) => other !== item).toSpliced(place, 0, item);
  const outcome = `“${item.text}” is now ${place + 1} of ${items.length}.`;
  edit(list, { items: moved, outcome });
  byId(`${item.id}${by}`)?.focus();
}

/** What is wrong with a name. It is a part of an address, which has no `.` and `..`. */
function problemOf(name) {
  if (!name.trim()) return "A name needs more than spaces.";
  if (isUnreachable({ name: name.trim() })) return "A name can’t be “.” or “..”.";
  if ([...name.trim()].length > 256) return "A name has at most 256 characters.";
  return null;
}

const isUnreachable = ({ name }) => name === "." || name === "..";

/** Saves a new list. Gives that, or the `problem`. */
async function saveNew(user, name, items, outcome) {
  const other = listOf(user, name);
  if (other && itemsOf(other)) return { problem: `There is already a list “${name}”.` };
  if (state.deleted?.list === other) state.deleted = null;
  const list = keep(newList(user, name, null, null));
  await save(list, { items, isNew: true, outcome }, show);
  // What was typed into it meanwhile may have a problem of its own.
  if (list.saved || list.edits.length > 1) return { list };
  known.delete(pathOf(list));
  if (isHere(list)) lists.load();
  return list;
}

async function create(field) {
  const { user } = state;
  const name = field.value.trim();
  state.problem = problemOf(name);
  if (state.problem) return show();
  field.value = "";
  const { list, problem } = await saveNew(user, name, [], `Made the list “${name}”.`);
  if (user !== state.user) return;
  if (problem) field.value ||= name;
  else if (document.activeElement === field && !field.value) byId(`${list.id}-add`)?.focus();
  state.problem = problem;
  show();
}

/** The API can't rename: makes a list of the new name, then deletes the old one. */
async function rename(list) {
  const field = { label: "New name", value: list.name, maxlength: 256, check: problemOf };
  const name = (await ask({ title: `Rename “${list.name}”`, ...field })).trim();
  if (!name || name === list.name) return;
  const items = itemsOf(list);
  const { list: renamed, problem } = await saveNew(list.user, name, items, "");
  list.problem = problem;
  if (!problem) {
    const outcome = `Renamed “${list.name}” to “${name}”.`;
    if (itemsOf(list) === items) await edit(list, { items: null, outcome });
    if (!list.saved) return focus(`${renamed.id}-name`);
    list.problem = `“${name}” exists now, but “${list.name}” is not deleted.`;
  }
  announce(list.problem);
  show();
}

function remove(list) {
  const outcome = `Deleted “${list.name}”.`;
  const change = { items: null, before: itemsOf(list), outcome };
  change.whenSaved = () => {
    if (!isHere(list)) return;
    state.deleted = { list, items: change.before };
    show();
    focus("undo");
  };
  edit(list, change);
}

function undo({ list, items }) {
  state.deleted = null;
  edit(list, { items, isNew: true, outcome: `“${list.name}” is back.` });
  focus(`${list.id}-name`);
}

async function finish(list, isMine) {
  if (isMine) await saveAll(list, show);
  else discard(list);
  show();
  focus(`${list.id}-name`);
}

function show() {
  const { canWrite, deleted, problem } = state;
  const isShown = (list) => isHere(list) && (list.saved ?? itemsOf(list));
  const shown = [...known.values()].filter(isShown);
  showParts("lists", [lists, users],
    canWrite === false && h("p.note", "Without a database, the lists can’t be changed."),
    lists.value && !shown.length && h("p.quiet", "No lists yet."),
    deleted && h("div.note",
      h("p", `Deleted “${deleted.list.name}”.`),
      button("Undo", null, false, () => undo(deleted), { id: "undo" })),
    lists.value && h("div.lists", shown.sort(byName).map(listView)),
    lists.value && canWrite && formView("new-list", "New list", "", "Create", 256, create),
    problemView(problem));
}

function listView(list) {
  const { id, name, isSaving, problem, conflict, edits } = list;
  const isOpen = state.canWrite && itemsOf(list) && !isUnreachable(list);
  const canEdit = isOpen && !conflict;
  const where = ` of ${name}`;
  const link = isUnreachable(list) ? name : h("a", { href: pathOf(list) }, name);
  return h("article", { key: id, "aria-labelledby": `${id}-name`, "aria-busy": isSaving && "true" },
    h("div.line",
      h("h3", { id: `${id}-name`, tabindex: -1 }, link),
      canEdit && button("Rename", `Rename ${name}`, isSaving, () => rename(list)),
      canEdit && button("Delete", `Delete ${name}`, isSaving, () => remove(list))),
    problemView(problem, !conflict && edits.length > 0 && [
      button("Try again", `Try again: ${name}`, isSaving, () => saveAll(list, show)),
      button("Discard", `Discard: ${name}`, isSaving, () => finish(list)),
    ]),
    isUnreachable(list) && h("p.note", "No address can have this name: it can’t be changed."),
    conflict && conflictView(list),
    h("ol.items", rowsOf(list).map((row) => itemView(list, row, canEdit))),
    isOpen && formView(`${id}-add`, "New item", where, "Add", 1000, (one) => add(list, one)));
}

function itemView(list, { item, isDone }, canEdit) {
  const { id, text } = item;
  const label = h("span", text || "(empty)");
  if (!canEdit) return h("li", { key: id }, label);
  const onclick = () => (isDone ? undoTick(list, item) : tickOff(list, item));
  const tick = h("input", { type: "checkbox", checked: Boolean(isDone), onclick });
  const items = itemsOf(list);
  const mover = (arrow, by, name) => {
    const isDisabled = !items[items.indexOf(item) + by];
    const onclick = (event) => move(list, item, by, event);
    const props = { id: `${id}${by}`, "data-repeat": "" };
    return button(arrow, `Move ${text} ${name}`, isDisabled, onclick, props);
  };
  return h("li.line", { key: id, id },
    h("label", tick, label),
    isDone
      ? button("Undo", `Undo ${text}`, false, onclick, { key: "undo" })
      : [mover("↑", -1, "up"), mover("↓", 1, "down")]);
}

function formView(id, placeholder, where, text, maxlength, act) {
  const onsubmit = (event) => {
    event.preventDefault();
    act(byId(id));
  };
  const field = { id, placeholder, "aria-label": placeholder + where, maxlength, required: true };
  return h("form.line", { key: "form", onsubmit, autocomplete: "off" },
    h("input", field),
    h("button", text));
}

function conflictView(list) {
  const { theirs, text } = list.conflict;
  const choice = (text, isMine) =>
    button(text, `${text}: ${list.name}`, list.isSaving, () => finish(list, isMine));
  return h("div.note",
    h("h4", text),
    theirs && h("p", `It has now: ${theirs.map(({ text }) => text).join(", ") || "nothing"}.`),
    choice(theirs ? "Delete it anyway" : "Create it again", true),
    choice(theirs ? "Keep theirs" : "Let it go", false));
}
