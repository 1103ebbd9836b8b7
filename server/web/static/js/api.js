// @ts-check
/**
 * The API, as far as the page uses it. Every failure is a problem: `network` when no answer came at all.
 *
 * @typedef {import("./answer.js").Identification} Identification
 * @typedef {import("./answer.js").Problem} Problem
 */

const BASE = "/api/v1/identifications";
const ANSWER_MS = 10_000;
const POLL_MS = 500;
/** A job is given up by the server after 30 s; nobody waits much longer than that. */
const FOLLOW_MS = 45_000;

export class ProblemError extends Error {
  /** @param {Problem} problem */
  constructor(problem) {
    super(problem.detail);
    this.problem = problem;
  }
}

/**
 * @param {string} path
 * @param {RequestInit} [init]
 * @returns {Promise<Identification>}
 */
async function request(path, init) {
  /** @type {Response} */
  let response;
  try {
    response = await fetch(path, { signal: AbortSignal.timeout(ANSWER_MS), ...init });
  } catch {
    throw new ProblemError({ code: "network", detail: "" });
  }
  const body = await response.json().catch(() => null);
  if (response.ok && body) return body;
  throw new ProblemError(body?.code ? body : { code: "internal", detail: `The server answered ${response.status}.` });
}

/**
 * What shows that our own page sends a request, for whoever is signed in.
 * @returns {Record<string, string>}
 */
export function csrf() {
  /** @type {HTMLMetaElement | null} */
  const token = document.querySelector('meta[name="csrf-token"]');
  return token ? { "X-CSRF-Token": token.content } : {};
}

/**
 * Ask, or join those who ask already.
 * @param {string} text what stands in the field
 * @param {import("./target.js").Target} target what the page understood
 */
export function ask(text, target) {
  /** @type {Record<string, string | number>} */
  let body = { url: text };
  if (target.kind === "channel") body = { channel: target.login };
  if (target.kind === "clip") body = { clip: target.slug };
  if (target.kind === "video") body = { video: target.id, at: target.at };
  return request(BASE, {
    method: "POST", headers: { "Content-Type": "application/json", ...csrf() }, body: JSON.stringify(body),
  });
}

/**
 * Say that an answer is wrong.
 * @param {string} id
 * @param {string} reason
 * @param {string} note
 */
export async function report(id, reason, note) {
  const response = await fetch(`${BASE}/${encodeURIComponent(id)}/reports`, {
    method: "POST", headers: { "Content-Type": "application/json", ...csrf() }, body: JSON.stringify({ reason, note }),
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  if (!response.ok) throw new Error((await response.json().catch(() => null))?.detail ?? "It could not be sent.");
}

/** @param {string} id */
export const get = (id) => request(`${BASE}/${encodeURIComponent(id)}`);

/** @param {Identification} asked */
export const isFinished = (asked) => ["successful", "no_match", "failed"].includes(asked.status);

/**
 * Report every state of an identification until it is finished: by server-sent events, or by asking again and
 * again where those do not come through.
 * @param {string} id
 * @param {(asked: Identification) => void} report
 * @param {AbortSignal} signal
 */
export async function follow(id, report, signal) {
  if (await byEvents(id, report, signal)) return;
  const until = performance.now() + FOLLOW_MS;
  while (!signal.aborted) {
    const asked = await get(id);
    if (signal.aborted) return;
    report(asked);
    if (isFinished(asked)) return;
    if (performance.now() > until) throw new ProblemError({ code: "timeout", detail: "" });
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
}

/**
 * @param {string} id
 * @param {(asked: Identification) => void} report
 * @param {AbortSignal} signal
 * @returns {Promise<boolean>} whether the end was seen
 */
function byEvents(id, report, signal) {
  return new Promise((resolve) => {
    const source = new EventSource(`${BASE}/${encodeURIComponent(id)}/events`);
    const end = (/** @type {boolean} */ seen) => {
      clearTimeout(limit);
      source.close();
      resolve(seen || signal.aborted);
    };
    const limit = setTimeout(() => end(false), FOLLOW_MS);
    const take = (/** @type {MessageEvent<string>} */ event) => {
      const asked = /** @type {Identification} */ (JSON.parse(event.data));
      report(asked);
      if (isFinished(asked)) end(true);
    };
    source.addEventListener("status", take);
    source.addEventListener("result", take);
    source.addEventListener("error", () => end(false));
    signal.addEventListener("abort", () => end(true), { once: true });
  });
}
