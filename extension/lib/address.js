/** Server addresses: what a person types, as one that a token may be sent to, or the reason why it is none. */

import { OPERATOR } from "./operator.js";

/** Where `scripts/run` starts a server. */
export const LOCAL_SERVER = "http://127.0.0.1:8080";

export const DEFAULT_SERVER = OPERATOR?.server ?? LOCAL_SERVER;

const LOOPBACK = new Set(["127.0.0.1", "localhost"]);
const SCHEME = /^[a-z][a-z0-9+.-]*:\/\//i;

/** The path that TWITCHAUDIO_BASE_URL may have. */
const PREFIX = /^(?:\/[\w~][\w.~-]*)*\/?$/;

/** What paths of the server's own begin with: an address that has one is of a page. server/setting_formats.py has the same. */
const OWN_PATHS = "admin api apple-touch-icon.png c cards channels covers docs extension extension.zip favicon.ico " +
  "finds healthz login logout manifest.webmanifest metrics overlay privacy readyz redeem reports " +
  "robots.txt songs static videos webhooks";
const OWN_PAGE = new RegExp(`/(?:${OWN_PATHS.replaceAll(".", "\\.").replaceAll(" ", "|")})(?=/|$).*$`);

/**
 * The address of a server: https anywhere, http on this machine only; its origin, and the path below which it is if it
 * has one, without a slash at the end. Null when it is none.
 * @param {string} text
 */
export function parseServer(text) {
  const typed = text.trim();
  const local = /^(localhost|127\.0\.0\.1)(:|\/|$)/i.test(typed);
  const whole = SCHEME.test(typed) ? typed : `${local ? "http" : "https"}://${typed}`;
  const misspelled = whole !== typed && /^https?[:;]?\/+/i.test(typed);
  if (typed === "" || /\s/.test(typed) || misspelled || !URL.canParse(whole)) return null;
  const url = new URL(whole);
  if (url.username || url.password || url.search || url.hash) return null;
  if (!PREFIX.test(url.pathname) || OWN_PAGE.test(url.pathname)) return null;
  const allowed = url.protocol === "https:" || (url.protocol === "http:" && LOOPBACK.has(url.hostname));
  return allowed && url.hostname !== "" ? url.origin + url.pathname.replace(/\/$/, "") : null;
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
  const server = parseServer(typed);
  if (server !== null) {
    const { hostname } = new URL(server);
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
  const [whole = ""] = rest.replace(/\s/g, "").replace(/,/g, ".").replace(/\.{2,}/g, ".").split(/[?#\\]/);
  const [place = ""] = whole.split("/");
  const path = whole.slice(place.length).replace(OWN_PAGE, "");
  const host = reason === "loopback" ? `127.0.0.1${/:\d+$/.exec(place)?.[0] ?? ""}` : place;
  const local = /^(localhost|127\.0\.0\.1)(:|$)/i.test(host);
  const scheme = local ? "http" : "https";
  const meant = parseServer(`${scheme}://${host}${path}`) ?? parseServer(`${scheme}://${host}`);
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
 * The host permission that requests to a server need. Patterns have no ports.
 * @param {string} server
 */
export function permissionPattern(server) {
  const url = new URL(server);
  return `${url.protocol}//${url.hostname}/*`;
}

/**
 * Whether a token may be sent there: over TLS, or without leaving the machine.
 * @param {string} server
 */
export function isSafe(server) {
  return parseServer(server) === server;
}
