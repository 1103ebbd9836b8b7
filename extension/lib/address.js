/** Server addresses: what a person types, as an origin that a token may be sent to, or the reason why it is none. */

import { OPERATOR } from "./operator.js";

/** Where `scripts/run` starts a server. */
export const LOCAL_SERVER = "http://127.0.0.1:8080";

export const DEFAULT_SERVER = OPERATOR?.server ?? LOCAL_SERVER;

const LOOPBACK = new Set(["127.0.0.1", "localhost"]);
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;

/**
 * The origin of a server: https anywhere, http on this machine only. Null when it is neither.
 * @param {string} text
 */
export function parseServer(text) {
  const typed = text.trim();
  const local = /^(localhost|127\.0\.0\.1)(:|\/|$)/i.test(typed);
  const whole = SCHEME.test(typed) ? typed : `${local ? "http" : "https"}://${typed}`;
  if (typed === "" || /\s/.test(typed) || !URL.canParse(whole)) return null;
  const url = new URL(whole);
  if (url.username || url.password || url.search || url.hash || url.pathname.length > 1) return null;
  const allowed = url.protocol === "https:" || (url.protocol === "http:" && LOOPBACK.has(url.hostname));
  return allowed && url.hostname !== "" ? url.origin : null;
}

/** Why an address cannot be a server's; each has its sentence, `address_...`. */
export const ADDRESS_REASONS = /** @type {const} */ ([
  "name", "scheme", "http", "home", "loopback", "credentials", "path", "twitch",
]);

/** @typedef {{ reason: (typeof ADDRESS_REASONS)[number], suggestion: string }} AddressProblem */

/**
 * What is wrong with a typed address, and the address that was probably meant, empty when there is none; null when
 * nothing is wrong as far as can be told without asking.
 * @param {string} text
 * @returns {AddressProblem | null}
 */
export function addressProblem(text) {
  const typed = text.trim();
  const reason = reasonOf(typed);
  return reason && { reason, suggestion: suggestion(typed, reason) };
}

/** @param {string} typed @returns {AddressProblem["reason"] | null} */
function reasonOf(typed) {
  const origin = parseServer(typed);
  if (origin !== null) {
    const { hostname } = new URL(origin);
    if (/(^|\.)twitch\.tv$/.test(hostname)) return "twitch";
    if (/^(0\.0\.0\.0|\[::1?\])$/.test(hostname)) return "loopback";
    const bare = !SCHEME.test(typed) && !hostname.includes(".") && !LOOPBACK.has(hostname) && !hostname.startsWith("[");
    return bare || !isName(hostname) ? "name" : null;
  }
  if (/^https?:\/*https?:/i.test(typed)) return "scheme";
  if (/^https?(?!:\/\/)[:;]?\/+/i.test(typed) || (SCHEME.test(typed) && !/^https?:/i.test(typed))) return "scheme";
  const whole = SCHEME.test(typed) ? typed : `https://${typed}`;
  if (/\s/.test(typed) || !URL.canParse(whole)) return "name";
  const url = new URL(whole);
  if (/(^|\.)twitch\.tv$/.test(url.hostname)) return "twitch";
  if (url.username || url.password) return "credentials";
  if (url.protocol === "http:" && !LOOPBACK.has(url.hostname)) {
    if (/^(0\.0\.0\.0|127\..*|\[::1?\])$/.test(url.hostname)) return "loopback";
    return isHome(url.hostname) ? "home" : "http";
  }
  return isName(url.hostname) ? "path" : "name";
}

/** Whether a host name, as `URL` gives it, can be one: typed commas and doubled dots come through that. @param {string} hostname */
function isName(hostname) {
  return hostname.startsWith("[") || /^([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.?$/.test(hostname);
}

/** @param {string} typed @param {AddressProblem["reason"]} reason */
function suggestion(typed, reason) {
  if (reason === "twitch" || reason === "home") return "";
  const rest = typed.replace(/^([a-z]{2,6}s?[:;]*\/+)+/i, "").replace(/^[^/@]*@/, "");
  const [place = ""] = rest.replace(/\s/g, "").replace(/,/g, ".").replace(/\.{2,}/g, ".").split(/[/?#\\]/);
  const host = reason === "loopback" ? `127.0.0.1${/:\d+$/.exec(place)?.[0] ?? ""}` : place;
  const local = /^(localhost|127\.0\.0\.1)(:|$)/i.test(host);
  const meant = parseServer(`${local ? "http" : "https"}://${host}`);
  return meant !== null && reasonOf(local ? meant : meant.slice("https://".length)) === null ? meant : "";
}

/**
 * Whether a name is of a home's or an office's own network, where browsers seldom trust a server's certificate.
 * @param {string} hostname as `URL` gives it
 */
export function isHome(hostname) {
  return !LOOPBACK.has(hostname) && (
    /^(10|192\.168|169\.254|172\.(1[6-9]|2\d|3[01]))\./.test(hostname) || /^\[f[de]/.test(hostname) ||
    /(^|\.)(local|lan|home|internal|home\.arpa|fritz\.box)\.?$/.test(hostname) || /^[^.[]+$/.test(hostname));
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
