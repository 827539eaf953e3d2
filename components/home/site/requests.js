// The last 20 requests, and how long each service took.

import { byId, h, render } from "./dom.js";

const records = [];
let lastId = 0;

/** Shows a request, and tells the page of it with the event `answer`. */
export function record({ serverTiming, ...request }) {
  lastId += 1;
  records.unshift({ id: lastId, services: readServerTiming(serverTiming), ...request });
  records.splice(20);
  render(byId("happened"), h("ol", records.map(recordView)));
  dispatchEvent(new CustomEvent("answer", { detail: records[0] }));
}

function recordView({ id, method, path, status, time, services }) {
  const ends = services.map(({ start, duration }) => start + duration);
  const scale = 100 / Math.max(time, ...ends);
  const [asked, ...siblings] = services.map((service) => serviceView(service, scale));
  return h("li.record", { key: id },
    h("p.line.request",
      h("b", method),
      method === "GET" ? h("a", { href: path }, path) : h("span", path),
      h(status > 0 && status < 400 ? "span" : "strong", `${status || "failed"}`),
      h("span.time", milliseconds(time))),
    asked && h("ul", h("li", asked, siblings.length > 0 &&
      h("ul", siblings.map((sibling) => h("li", sibling))))));
}

function serviceView({ name, start, duration, hasFailed }, scale) {
  const place = { "--start": `${start * scale}%`, "--length": `${duration * scale}%` };
  return h("p.bars",
    hasFailed ? h("strong", `${name} failed`) : h("span", name),
    h("span.track", h("span.bar", place)),
    h("span.time", milliseconds(duration)),
    start > 0 && h("span.hidden", ` after ${milliseconds(start)}`));
}

export function milliseconds(time) {
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
