/** A copy button on every example, where the clipboard can be used, and forms that send the requests described. */

import { copyButtons } from "./copy.js";
import "./escape.js";

const LONGEST_TEXT = 20_000;

copyButtons(".examples pre", "before");

/** @param {HTMLFormElement} form @returns {[string, RequestInit]} */
function requestOf(form) {
  let path = form.dataset["path"] ?? "";
  const query = new URLSearchParams();
  /** @type {Record<string, string>} */
  const headers = {};
  /** @type {string | undefined} */
  let body;
  for (const field of /** @type {NodeListOf<HTMLInputElement>} */ (form.querySelectorAll("[data-in]"))) {
    const value = field.value.trim();
    switch (field.dataset["in"]) {
      case "path": path = path.replace(`{${field.name}}`, encodeURIComponent(value)); break;
      case "query": if (value) query.set(field.name, value); break;
      case "header": if (value) headers[field.name] = value; break;
      default: body = field.value; headers["Content-Type"] = "application/json";
    }
  }
  const key = /** @type {HTMLInputElement} */ (document.getElementById("api-key")).value.trim();
  if (key) headers["X-API-Key"] = key;
  /** @type {HTMLMetaElement | null} */
  const token = document.querySelector('meta[name="csrf-token"]');
  if (token && form.dataset["method"] !== "GET") headers["X-CSRF-Token"] = token.content;
  const address = query.size ? `${path}?${query}` : path;
  return [address, { method: form.dataset["method"] ?? "GET", headers, ...(body === undefined ? {} : { body }) }];
}

/** @param {string} text */
function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

/** @param {HTMLFormElement} form */
async function send(form) {
  const [got, result, stop] = [".got", ".result", ".stop"].map((part) => form.querySelector(part));
  const code = result?.querySelector("code");
  if (!(got instanceof HTMLElement && result instanceof HTMLElement && stop instanceof HTMLButtonElement && code)) return;
  const leaving = new AbortController();
  stop.onclick = () => leaving.abort();
  const streams = form.dataset["streams"] !== undefined;
  stop.hidden = !streams;
  result.hidden = true;
  code.textContent = "";
  got.textContent = "Sending…";
  const started = performance.now();
  try {
    const [address, init] = requestOf(form);
    const limit = AbortSignal.timeout(streams ? 600_000 : 40_000);
    const response = await fetch(address, { ...init, signal: AbortSignal.any([leaving.signal, limit]) });
    const told = `${response.status} ${response.statusText} · ${Math.round(performance.now() - started)} ms`;
    got.textContent = told;
    result.hidden = false;
    if (streams && response.ok && response.body) {
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (let part = await reader.read(); !part.done; part = await reader.read()) {
        code.textContent = (code.textContent + part.value).slice(-LONGEST_TEXT);
      }
      got.textContent = `${told} · ended`;
    } else {
      const text = pretty(await response.text());
      code.textContent = text.slice(0, LONGEST_TEXT) || "(no body)";
    }
  } catch (error) {
    got.textContent = leaving.signal.aborted ? "Stopped." : `No answer: ${error instanceof Error ? error.message : error}`;
  }
  // A button that hides itself hands the focus on.
  if (document.activeElement === stop) /** @type {HTMLElement} */ (form.querySelector("[type=submit]")).focus();
  stop.hidden = true;
}

for (const form of /** @type {NodeListOf<HTMLFormElement>} */ (document.querySelectorAll("form.try"))) {
  form.hidden = false;
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (form.dataset["path"]) void send(form);
  });
}
