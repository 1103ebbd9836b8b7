/** The visitor's own finds: songs that were identified in this browser, newest first, kept by it alone. */

const KEY = "twitchaudio-finds";

/** The oldest finds beyond this many are dropped. */
export const MAX_FINDS = 500;

/** One song on one channel found again within this time is one find. */
const AGAIN_MS = 15 * 60 * 1000;

/**
 * @typedef {object} Find
 * @property {string} id the answer's
 * @property {string} song the path of the song's page; empty without one
 * @property {string} title
 * @property {string} artists
 * @property {string} source where it was heard
 * @property {string} at RFC 3339
 */

/** @param {unknown} value @returns {value is Find} */
const isFind = (value) =>
  typeof value === "object" && value !== null &&
  ["id", "song", "title", "artists", "source", "at"].every((name) => typeof (/** @type {Record<string, unknown>} */ (value))[name] === "string");

/** What is stored, without what is not a find. @param {string | null} text @returns {Find[]} */
export function parseFinds(text) {
  try {
    const stored = JSON.parse(text ?? "[]");
    return Array.isArray(stored) ? stored.filter(isFind).slice(0, MAX_FINDS) : [];
  } catch {
    return [];
  }
}

/**
 * The list with a newer find, which replaces the newest one if that is the same song on the same channel.
 * @param {Find[]} finds
 * @param {Find} found
 */
export function withFind(finds, found) {
  const rest = finds.filter(({ id }) => id !== found.id);
  const [newest] = rest;
  const again = newest && newest.title === found.title && newest.artists === found.artists && newest.source === found.source &&
    Math.abs(Date.parse(found.at) - Date.parse(newest.at)) < AGAIN_MS;
  return [found, ...(again ? rest.slice(1) : rest)].slice(0, MAX_FINDS);
}

/**
 * The finds of an account and of this browser as one list, newest first; one that is in both is there once.
 * @param {Find[]} kept
 * @param {Find[]} local
 */
export function merged(kept, local) {
  const byId = new Map([...local, ...kept].map((find) => [find.id, find]));
  return [...byId.values()].sort((one, other) => Date.parse(other.at) - Date.parse(one.at));
}

/** A cell of a CSV file; an apostrophe comes before what a spreadsheet would take for a formula. @param {string} text */
function cell(text) {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** @param {Find[]} finds @param {string} origin what comes before the paths of pages */
export function asCsv(finds, origin) {
  const rows = finds.map(({ at, title, artists, source, song, id }) =>
    [at, title, artists, source, song ? origin + song : "", `${origin}/?id=${encodeURIComponent(id)}`]);
  return `\ufeff${[["found_at", "title", "artists", "source", "song", "answer"], ...rows].map((row) => row.map(cell).join(",")).join("\r\n")}\r\n`;
}

/** @param {Find[]} finds @param {string} origin */
export function asJson(finds, origin) {
  const rows = finds.map(({ at, title, artists, source, song, id }) =>
    ({ found_at: at, title, artists, source, song: song ? origin + song : null, answer: `${origin}/?id=${encodeURIComponent(id)}` }));
  return `${JSON.stringify(rows, null, 1)}\n`;
}

/** Browsers may refuse to store anything. @returns {Find[]} */
export function readFinds() {
  try {
    return parseFinds(localStorage.getItem(KEY));
  } catch {
    return [];
  }
}

/** @param {Find[]} finds */
export function writeFinds(finds) {
  try {
    if (finds.length) localStorage.setItem(KEY, JSON.stringify(finds));
    else localStorage.removeItem(KEY);
  } catch {
    // Full, or switched off: the answer is shown all the same.
  }
}

/** @param {Find} found */
export const remember = (found) => writeFinds(withFind(readFinds(), found));
