// What just happened: the last 20 requests, and how long each service took.

import { byId, h, render } from "/site/dom.js";

const records = [];
let lastId = 0;

export function record(request) {
  lastId += 1;
  records.unshift({ id: lastId, ...request });
  records.splice(20);
  render(byId("happened"), h("ol", records.map(recordView)));
}

function recordView({ id, method, path, status, time, serverTiming }) {
  const services = readServerTiming(serverTiming);
  const ends = services.map(({ start, duration }) => start + duration);
  const scale = 100 / Math.max(time, ...ends);
  const [asked, ...siblings] = services.map((service) => serviceView(service, scale));
  return h("li.record", { key: id },
    h("p.request",
      h("b", method),
      method === "GET" ? h("a", { href: path }, path) : h("span", path),
      h(status > 0 && status < 400 ? "span" : "strong", `${status || "failed"}`),
      h("span.time", milliseconds(time))),
    asked && h("ul", h("li", asked, siblings.length > 0 &&
      h("ul", siblings.map((sibling) => h("li", sibling))))));
}

function serviceView({ name, start, duration }, scale) {
  const place = { "--start": `${start * scale}%`, "--length": `${duration * scale}%` };
  return h("p.service",
    h("span", name),
    h("span.track", h("span.bar", place)),
    h("span.time", milliseconds(duration)),
    start > 0 && h("span.hidden", ` after ${milliseconds(start)}`));
}

function milliseconds(time) {
  return `${time.toFixed(1)} ms`;
}

/** Reads `users;dur=3.1, movies;dur=1.2;start=0.4`. `PerformanceServerTiming` has no start. */
function readServerTiming(header) {
  const entries = header?.match(/(?:"(?:\\.|[^"\\])*"|[^,"])+/g) ?? [];
  return entries.map((entry) => {
    const [name, ...parameters] = entry.split(";").map((part) => part.trim());
    const { dur = 0, start = 0 } = Object.fromEntries(parameters.map((part) => part.split("=")));
    return { name, duration: Number(dur), start: Number(start) };
  });
}
