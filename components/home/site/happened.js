// What just happened: the services, as openapi.json has them, and the last requests.

import { button, byId, h, render } from "./dom.js";
import { askFor, newPart, showParts } from "./part.js";

const api = newPart("The picture is missing.", askForServices, show);

const records = [];
let lastId = 0;

/** `lit` has the services and arrows of the last requests, by id: true if they failed. */
const state = { chosen: null, times: new Map(), lit: new Map(), litAt: 0 };

/** The pause after which only later requests are lit. */
const PAUSE_MS = 1000;

export function start() {
  addEventListener("answer", ({ detail: { serverTiming, ...request } }) => {
    const services = readServerTiming(serverTiming);
    records.unshift({ id: (lastId += 1), services, ...request });
    records.splice(20);
    render(byId("happened"), h("ol", records.map(recordView)));
    lightUp(services, request.status);
  });
  new ResizeObserver(drawArrows).observe(byId("picture"));
  api.load();
}

export function lookAgain() {
  if (api.problem) api.load();
}

async function askForServices() {
  const { value, problem } = await askFor("/openapi.json");
  return value ? { value: servicesOf(value) } : { problem };
}

/** Gives `{ id, routes, data, database, source, application, operations, asks }` of each. */
function servicesOf(api) {
  const services = Object.entries(api.get("x-services")).map(([id, about]) =>
    ({ id, ...about, operations: [], asks: new Set() }));
  for (const [path, item] of Object.entries(api.get("paths"))) {
    const service = serviceAt(services, path);
    for (const [method, { summary, tags, "x-asks": asks = [] }] of Object.entries(item)) {
      if (!summary) continue;
      service.application ??= tags[0];
      service.operations.push({ method: method.toUpperCase(), path, summary });
      asks.forEach((id) => service.asks.add(id));
    }
  }
  return place(services);
}

/** The service with the longest route that is a prefix of `path`. */
function serviceAt(services, path) {
  const matches = services.flatMap((service) =>
    service.routes.filter((route) => `${path}/`.startsWith(`${route}/`))
      .map((route) => ({ service, length: route.length })));
  return matches.reduce((a, b) => (a.length > b.length ? a : b)).service;
}

/**
 * Gives each a place in a grid. Those of an application that ask are one column, those that are
 * only asked the next. Who has nothing to do with others stands above.
 */
function place(services) {
  const isAsked = (id) => services.some(({ asks }) => asks.has(id));
  const columnOf = ({ id, application, asks }) =>
    asks.size || isAsked(id) ? `${application} ${asks.size ? 1 : 2}` : "";
  const columns = { "": [], ...Object.groupBy(services, columnOf) };
  Object.keys(columns).sort().forEach((key, column) => {
    columns[key].sort((a, b) => (a.database ?? false) - (b.database ?? false));
    columns[key].forEach((one, index) =>
      Object.assign(one, key ? { row: index + 2, column } : { row: 1, column: index + 1 }));
  });
  return services;
}

function lightUp(services, status) {
  const [first, ...siblings] = services;
  if (!first) return;
  for (const { name, duration } of services) state.times.set(name, duration);
  const now = performance.now();
  if (now - state.litAt > PAUSE_MS) {
    // What is lit again shall glow again.
    state.lit.clear();
    show();
  }
  state.litAt = now;
  const light = (id, hasFailed) => state.lit.set(id, hasFailed || state.lit.get(id) === true);
  light(`service-${first.name}`, status === 500);
  for (const { name, hasFailed } of siblings) {
    light(`service-${name}`, hasFailed);
    light(`arrow-${first.name}-${name}`, hasFailed);
  }
  show();
}

function show() {
  const { value } = api;
  showParts("picture", [api], value && [
    h("svg", { key: "arrows", id: "arrows", "aria-hidden": "true" }),
    ...value.map(serviceView),
    databaseView(value),
  ]);
  const service = value?.find(({ id }) => id === state.chosen);
  render(byId("service"), service && detailsView(service));
  drawArrows();
}

function classesOf(id) {
  return state.lit.has(id) ? (state.lit.get(id) ? " lit failed" : " lit") : "";
}

function serviceView({ id, row, column, asks, database }) {
  const isChosen = state.chosen === id;
  const ownId = `service-${id}`;
  const time = state.times.has(id) ? milliseconds(state.times.get(id)) : "–";
  const stores = database ? ", keeps data in the database" : "";
  const now = state.lit.has(ownId) ? "Just now: " : "";
  const toggle = () => {
    state.chosen = isChosen ? null : id;
    show();
  };
  return button([
    h("span", id),
    h("span.hidden", ` asks ${[...asks].join(" and ") || "nobody"}${stores}. ${now}`),
    h("span.time", state.lit.get(ownId) ? "failed" : time),
  ], null, false, toggle, {
    key: id, id: ownId, class: `service${classesOf(ownId)}`,
    "aria-expanded": `${isChosen}`, "--row": row, "--column": column,
  });
}

function databaseView(services) {
  const columns = Math.max(...services.map(({ column }) => column));
  const props = { key: "database", id: "database", "--column": `1 / ${columns + 1}` };
  return h("p.database", props, "SQLite");
}

function detailsView({ id, operations, data, database, source }) {
  return h("div.details", { key: id },
    h("h3", id),
    h("ul", operations.map(({ method, path, summary }) =>
      h("li", h("code", `${method} ${path}`), ` ${summary}`))),
    h("p", "Data: ", h("code", data), database && " and the database"),
    h("p", "Source: ", h("code", source)));
}

function drawArrows() {
  const arrows = byId("arrows");
  if (!arrows) return;
  const box = (id) => {
    const { offsetLeft, offsetTop, offsetWidth, offsetHeight } = byId(id);
    const [x, y] = [offsetWidth / 2, offsetHeight / 2];
    return { x: offsetLeft + x, y: offsetTop + y, width: x, height: y };
  };
  const down = (from, to) => `M${from.x} ${from.y}V${to.y}`;
  const views = api.value.flatMap(({ id, asks, database }) => {
    const asked = [...asks].map((other) => {
      const arrowId = `arrow-${id}-${other}`;
      return h("path", {
        key: arrowId, id: arrowId, class: `arrow${classesOf(arrowId)}`,
        d: arrow(box(`service-${id}`), box(`service-${other}`)),
      });
    });
    const stored = database && h("path", {
      key: `${id} database`, class: "store", d: down(box(`service-${id}`), box("database")),
    });
    return [...asked, stored];
  });
  render(arrows, views);
}

/** From the border of one box to that of another, beside the way back. */
function arrow(from, to) {
  const angle = Math.atan2(to.y - from.y, to.x - from.x);
  const aside = [5 * Math.sin(angle), -5 * Math.cos(angle)];
  const border = ({ x, y, width, height }, angle) => {
    const reach = Math.min(width / Math.abs(Math.cos(angle)), height / Math.abs(Math.sin(angle)));
    return [x + aside[0] + reach * Math.cos(angle), y + aside[1] + reach * Math.sin(angle)];
  };
  const [start, end] = [border(from, angle), border(to, angle + Math.PI)];
  const wing = (by) => [end[0] - 8 * Math.cos(angle + by), end[1] - 8 * Math.sin(angle + by)];
  return `M${start}L${end}M${wing(0.5)}L${end}L${wing(-0.5)}`;
}

function recordView({ id, method, path, status, time, services }) {
  const ends = services.map(({ start, duration }) => start + duration);
  const scale = 100 / Math.max(time, ...ends);
  const [asked, ...siblings] = services.map((one) => barView(one, scale));
  return h("li.record", { key: id },
    h("p.line.request",
      h("b", method),
      method === "GET" ? h("a", { href: path }, path) : h("span", path),
      h(status > 0 && status < 400 ? "span" : "strong", `${status || "failed"}`),
      h("span.time", milliseconds(time))),
    asked && h("ul", h("li", asked, siblings.length > 0 &&
      h("ul", siblings.map((sibling) => h("li", sibling))))));
}

function barView({ name, start, duration, hasFailed }, scale) {
  const place = { "--start": `${start * scale}%`, "--length": `${duration * scale}%` };
  return h("p.bars",
    hasFailed ? h("strong", `${name} failed`) : h("span", name),
    h("span.track", h("span.bar", place)),
    h("span.time", milliseconds(duration)),
    start > 0 && h("span.hidden", ` after ${milliseconds(start)}`));
}

function milliseconds(time) {
  return `${time.toFixed(1)} ms`;
}

/** Reads `users;dur=3.1, movies;dur=1.2;start=0.4;desc=failed`. */
function readServerTiming(header) {
  return (header?.split(", ") ?? []).map((entry) => {
    const [name, ...parameters] = entry.split(";");
    const values = Object.fromEntries(parameters.map((one) => one.split("=")));
    const { dur = 0, start = 0, desc } = values;
    return { name, duration: Number(dur), start: Number(start), hasFailed: desc === "failed" };
  });
}
