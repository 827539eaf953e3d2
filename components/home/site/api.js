// Sends requests, reads problems, and asks for the token.

import { ask } from "./dom.js";

/** How often the page looks for a server that was gone. */
const RETRY_MS = 2000;

let prompt = null;
let isWaiting = false;

export function get(path) {
  return send(path, { method: "GET" });
}

/** Whether paths like this take writes: without a database, they do not. */
export async function isWritable(path) {
  const { ok, allow } = await send(path, { method: "OPTIONS" });
  // A service that fails now may take writes later.
  return !ok || allow.includes("PUT");
}

/** Sends a write. If it needs a token, asks for one and sends it again. */
export async function write(method, path, { headers, body } = {}) {
  for (;;) {
    const token = sessionStorage.getItem("token");
    const answer = await send(path, {
      method,
      headers: {
        ...headers,
        ...(body && { "Content-Type": "application/json" }),
        ...(token && { Authorization: `Bearer ${token}` }),
      },
      body: body && JSON.stringify(body),
    });
    if (answer.status !== 401) return answer;
    // Another write may have asked meanwhile.
    if (token !== sessionStorage.getItem("token")) continue;
    prompt ??= askForToken(token !== null);
    if (!(await prompt)) return { ...answer, problem: "Nothing is changed without the token." };
  }
}

async function askForToken(isWrong) {
  const title = isWrong ? "That token is wrong" : "A change needs a token";
  // A header takes only the characters of the pattern.
  const token = await ask({ title, label: "Token", type: "password", pattern: "[!-~]+" });
  prompt = null;
  if (token) sessionStorage.setItem("token", token);
  else sessionStorage.removeItem("token");
  return token;
}

/**
 * Never throws: if something went wrong, `problem` says what. Tells the page of each request, with
 * the event `answer`.
 */
async function send(path, options) {
  const { method } = options;
  const start = performance.now();
  const response = await fetch(path, options).catch(() => Response.error());
  const data = await response.json().catch(() => null);
  const { status, headers, url } = response;
  // The browser measures better, but notes no request that was preloaded, and at most 250.
  const entries = performance.getEntriesByName(url);
  const noted = entries.findLast(({ startTime }) => startTime >= start);
  const time = noted?.duration ?? performance.now() - start;
  const detail = { method, path, status, time, serverTiming: headers.get("Server-Timing") };
  dispatchEvent(new CustomEvent("answer", { detail }));
  if (status === 0) waitForServer();
  const ok = response.ok && (data !== null || method !== "GET");
  const problem = ok ? null : problemOf(status, data);
  return { ok, status, data, problem, tag: headers.get("ETag"), allow: headers.get("Allow") ?? "" };
}

function problemOf(status, document) {
  if (status === 0) return "The server can’t be reached.";
  return document?.detail || document?.title || `The server answered with status ${status}.`;
}

/** Tells the page, with the event `back`, that the server can be reached again. */
async function waitForServer() {
  if (isWaiting) return;
  isWaiting = true;
  do await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
  while (!(await fetch("/", { method: "HEAD" }).catch(() => null)));
  isWaiting = false;
  dispatchEvent(new Event("back"));
}
