// Builds and updates elements. Text becomes text nodes, never HTML.

const SVG = "http://www.w3.org/2000/svg";
const keys = new WeakMap();

export const byId = (id) => document.getElementById(id);

/**
 * Describes an element: `h("p.quiet", "Hello")`, `h("a", { href }, "Hello")`. Those of the same
 * tag and `key` are the same element, and must have the same properties.
 */
export function h(name, ...children) {
  const [tag, ...classes] = name.split(".");
  const isProps = children[0]?.constructor === Object && !children[0].tag;
  const props = { class: classes.join(" ") || null, ...(isProps && children.shift()) };
  return { tag, props, children: children.flat() };
}

export function button(text, label, isDisabled, onclick, props) {
  const aria = { "aria-label": label, "aria-disabled": isDisabled && "true" };
  return h("button", { type: "button", ...aria, onclick, ...props }, text);
}

/**
 * What is off does nothing, but unlike what is `disabled`, it keeps the focus. Nor does a second
 * click, without `data-repeat`: it would undo the first one, or hit the next item.
 */
addEventListener("click", (event) => {
  const isSecond = event.detail > 1 && !event.target.closest("[data-repeat]");
  if (!isSecond && !event.target.closest("[aria-disabled]")) return;
  event.preventDefault();
  event.stopPropagation();
}, true);

/**
 * Makes the content of `parent` what `views` describe, without null and false. Elements stay,
 * with the focus and what was typed. If the focused one goes, the next one gets the focus.
 */
export function render(parent, ...views) {
  const active = document.activeElement;
  const place = focusable(parent).indexOf(active);
  patchChildren(parent, views.flat());
  if (place < 0 || document.activeElement === active) return;
  const others = focusable(parent);
  const next = active.isConnected ? active : others[place] ?? others.at(-1);
  (next ?? parent.closest("section, dialog, main").querySelector("h2, h3")).focus();
}

export function announce(text) {
  byId("announcement").replaceChildren(text);
}

/**
 * Asks for a text, after any earlier question. `check` says what is wrong with one. Gives "" if
 * this is cancelled.
 */
export async function ask({ title, label, check = () => null, ...props }) {
  const dialog = byId("dialog");
  const closed = () => new Promise((resolve) => dialog.addEventListener("close", resolve));
  while (dialog.open) await closed();
  dialog.replaceChildren();
  const onsubmit = (event) => {
    const problem = check(byId("answer").value);
    byId("answer-problem").textContent = problem ?? "";
    if (problem) event.preventDefault();
  };
  const described = { "aria-describedby": "answer-problem" };
  render(dialog,
    h("form", { method: "dialog", onsubmit },
      h("h2", { id: "dialog-title" }, title),
      h("label", { for: "answer" }, label),
      h("input", { id: "answer", required: true, autocomplete: "off", ...described, ...props }),
      h("p.wrong", { id: "answer-problem", role: "alert" }),
      h("p.line",
        h("button.main", { value: "ok" }, "OK"),
        button("Cancel", null, false, () => dialog.close()))));
  dialog.returnValue = "";
  dialog.showModal();
  await closed();
  return dialog.returnValue && byId("answer").value;
}

function focusable(parent) {
  return [...parent.querySelectorAll("a, button, input, [tabindex]")];
}

function patchChildren(parent, views) {
  const old = new Map(Array.from(parent.childNodes, (node) => [keys.get(node), node]));
  const nodes = new Set();
  views.forEach((view, index) => {
    if (isNothing(view)) return;
    const key = `${view.tag} ${view.props?.key ?? index}`;
    const node = old.get(key) ?? create(parent, view.tag);
    keys.set(node, key);
    patch(node, view);
    nodes.add(node);
  });
  for (const node of old.values()) {
    if (!nodes.has(node)) node.remove();
  }
  let next = parent.firstChild;
  for (const node of nodes) {
    if (node === next) next = next.nextSibling;
    else parent.insertBefore(node, next);
  }
}

function create(parent, tag) {
  if (!tag) return new Text();
  const isSvg = tag === "svg" || parent.namespaceURI === SVG;
  return isSvg ? document.createElementNS(SVG, tag) : document.createElement(tag);
}

function patch(node, view) {
  const { tag, props, children } = view;
  if (!tag) {
    if (node.data !== view) node.data = view;
    return;
  }
  for (const [name, value] of Object.entries(props)) setProp(node, name, value);
  patchChildren(node, children);
}

function setProp(element, name, value) {
  if (name.startsWith("on") || name === "checked") element[name] = value;
  else if (name.startsWith("--")) element.style.setProperty(name, value);
  else if (isNothing(value)) element.removeAttribute(name);
  else if (name !== "key") element.setAttribute(name, value);
}

function isNothing(value) {
  return (value ?? false) === false;
}
