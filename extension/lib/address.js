/** Server addresses: what a person types, as an origin that a token may be sent to. */

export const DEFAULT_SERVER = "http://127.0.0.1:8080";

const LOOPBACK = new Set(["127.0.0.1", "localhost"]);

/**
 * The origin of a server: https anywhere, http on this machine only. Null when it is neither.
 * @param {string} text
 */
export function parseServer(text) {
  const typed = text.trim();
  const local = /^(localhost|127\.0\.0\.1)(:|\/|$)/i.test(typed);
  const whole = /^[a-z][a-z0-9+.-]*:\/\//i.test(typed) ? typed : `${local ? "http" : "https"}://${typed}`;
  if (typed === "" || /\s/.test(typed) || !URL.canParse(whole)) return null;
  const url = new URL(whole);
  if (url.username || url.password || url.search || url.hash || url.pathname.length > 1) return null;
  const allowed = url.protocol === "https:" || (url.protocol === "http:" && LOOPBACK.has(url.hostname));
  return allowed && url.hostname !== "" ? url.origin : null;
}

/**
 * The host permission that requests to an origin need. Patterns have no ports.
 * @param {string} origin
 */
export function permissionPattern(origin) {
  const url = new URL(origin);
  return `${url.protocol}//${url.hostname}/*`;
}

/**
 * Whether a token may be sent there: over TLS, or without leaving the machine.
 * @param {string} origin
 */
export function isSafe(origin) {
  return parseServer(origin) === origin;
}
