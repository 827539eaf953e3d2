// A to-do list. Its edits are saved one after the other, each over the version that it was made
// for; what somebody else has saved meanwhile is merged.

import { get, write } from "./api.js";
import { announce } from "./dom.js";
import { pathTo } from "./part.js";

let lastId = 0;
const newId = () => `todo-${(lastId += 1)}`;
const textsOf = (items) => items?.map(({ text }) => text) ?? null;
const isSame = (a, b) => JSON.stringify(textsOf(a)) === JSON.stringify(textsOf(b));

/** A list may have the same text twice, so an item has an id. */
export function newItem(text) {
  return { id: newId(), text };
}

/**
 * `saved` are the items on the server, null if there is no list, and `tag` is their version,
 * undefined if unknown. Each of the `edits` has the `items` that it makes, null to delete the
 * list. `done` were ticked off a moment ago. `conflict` is what an edit would undo.
 */
export function newList(user, name, saved, tag) {
  return { id: newId(), user, name, saved, tag, savedAt: 0, edits: [], done: [] };
}

export const pathOf = ({ user, name }) => pathTo("todo", "lists", user, name);

/** The items as they will be once all is saved. */
export function itemsOf({ saved, edits }) {
  return edits.length ? edits.at(-1).items : saved;
}

export async function save(list, edit, show) {
  list.edits.push(edit);
  await saveAll(list, show);
}

/** Saves what is not saved, after an error or a conflict, too. */
export async function saveAll(list, show) {
  Object.assign(list, { problem: null, conflict: null });
  show();
  if (list.isSaving) return;
  list.isSaving = true;
  while (list.edits.length && !list.problem && !list.conflict) {
    const [edit] = list.edits;
    if (!(await send(list, edit))) continue;
    list.edits.shift();
    list.savedAt = performance.now();
    show();
    announce(edit.outcome);
    edit.whenSaved?.();
  }
  list.isSaving = false;
  const problem = list.problem ?? list.conflict?.text;
  if (problem) announce(problem);
  show();
}

/**
 * Sends an edit, and returns whether it is saved. If it is not, and the list has no problem,
 * it must be sent again.
 */
async function send(list, edit) {
  if (list.tag === undefined && !(await merge(list))) return false;
  if (isSame(edit.items, list.saved)) return true;
  const headers = list.saved ? { "If-Match": list.tag } : { "If-None-Match": "*" };
  const body = textsOf(edit.items);
  const answer = await write(body ? "PUT" : "DELETE", pathOf(list), { headers, body });
  const isDone = answer.ok || (!body && answer.status === 404);
  if (isDone) [edit.before, list.saved, list.tag] = [list.saved, edit.items, body && answer.tag];
  else if (answer.status !== 412) list.problem = answer.problem;
  else if (edit.isNew) list.problem = `There is already a list “${list.name}”.`;
  else {
    const { tag } = list;
    await merge(list);
    // Nothing is newer: it would be refused again.
    if (list.tag === tag) list.problem ??= answer.problem;
  }
  return isDone;
}

/** Gets the newest version, and merges all edits with that. */
async function merge(list) {
  const { ok, status, data, tag, problem } = await get(pathOf(list));
  if (!ok && status !== 404) {
    list.problem = problem;
    return false;
  }
  const theirs = ok ? itemsWith(data, list.saved ?? []) : null;
  let [before, after] = [list.saved, theirs];
  Object.assign(list, { saved: theirs, tag: ok ? tag : null });
  if (isSame(before, theirs)) return true;
  const items = itemsOf(list);
  if (!isSame(items, theirs) && (!items || !theirs)) {
    const text = `Somebody else has ${theirs ? "changed" : "deleted"} “${list.name}”.`;
    list.conflict = { theirs, text };
    return false;
  }
  for (const edit of list.edits) {
    const merged = mergeItems(before, edit.items, after);
    [before, after] = [edit.items, merged];
    edit.items = merged;
  }
  return true;
}

/**
 * What both have added, and without what either has removed, in the order of theirs. If mine
 * differs from the base in nothing but its order, that stays.
 */
function mergeItems(base, mine, theirs) {
  if (!base || !mine || !theirs || isSame(mine, theirs)) return mine;
  const isMoved = !without(mine, base).length && !without(base, mine).length;
  const [changed, onto] = isMoved ? [theirs, mine] : [mine, theirs];
  return [...without(onto, without(base, changed)), ...without(changed, base)];
}

/** The items whose text is not in `others`, or less often. */
function without(items, others) {
  const rest = textsOf(others);
  return items.filter(({ text }) => {
    const index = rest.indexOf(text);
    return index < 0 || !rest.splice(index, 1);
  });
}

/** Items with these texts, those that are known with their ids. */
function itemsWith(texts, known) {
  const rest = [...known];
  return texts.map((text) => {
    const index = rest.findIndex((item) => item.text === text);
    return index < 0 ? newItem(text) : rest.splice(index, 1)[0];
  });
}

/** Takes what the server had at that time, unless something was edited since. */
export function update(list, texts, time) {
  if (list.edits.length || list.savedAt > time) return;
  list.savedAt = time;
  if (JSON.stringify(textsOf(list.saved)) === JSON.stringify(texts)) return;
  const saved = texts && itemsWith(texts, list.saved ?? []);
  Object.assign(list, { saved, tag: undefined });
}

/** Drops what is not saved. */
export function discard(list) {
  Object.assign(list, { edits: [], problem: null, conflict: null });
}
