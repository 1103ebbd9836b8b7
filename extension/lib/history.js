/** The songs that were found, newest first: a list in the browser's own storage, and its export. Pure functions. */

import { SERVICES } from "./answer.js";

export const MAX_ENTRIES = 500;
const SAME_PLAY_MS = 15 * 60 * 1000;

/**
 * The list with one more answer. An answer that is there already, or the same song on the same target a moment
 * later, is not listed twice.
 * @param {readonly HistoryEntry[]} list
 * @param {HistoryEntry} heard
 * @returns {HistoryEntry[]}
 */
export function added(list, heard) {
  const others = list.filter((each) => each.id !== heard.id && !samePlay(each, heard));
  return [heard, ...others].slice(0, MAX_ENTRIES);
}

/** @param {HistoryEntry} one @param {HistoryEntry} other */
function samePlay(one, other) {
  const near = Math.abs(Date.parse(one.heard_at) - Date.parse(other.heard_at)) < SAME_PLAY_MS;
  return near && one.title === other.title && one.artists === other.artists && one.target === other.target;
}

/** @param {Found} view @returns {HistoryEntry} */
export function toHistoryEntry(view) {
  const { title, artists, album, links } = view.song;
  return { id: view.id, title, artists, album, links, kind: view.kind, target: view.target, heard_at: view.heard_at };
}

/** @param {readonly HistoryEntry[]} list @param {string} text */
export function matching(list, text) {
  const words = text.toLocaleLowerCase().split(/\s+/).filter(Boolean);
  return list.filter((heard) => {
    const all = `${heard.title} ${heard.artists} ${heard.album} ${heard.target}`.toLocaleLowerCase();
    return words.every((word) => all.includes(word));
  });
}

const COLUMNS = /** @type {const} */ (["heard_at", "title", "artists", "album", "kind", "target"]);

/**
 * RFC 4180. A cell that a spreadsheet would take for a formula gets an apostrophe before it.
 * @param {readonly HistoryEntry[]} list
 */
export function csv(list) {
  const rows = list.map((heard) => [
    ...COLUMNS.map((column) => heard[column]),
    ...SERVICES.map((service) => heard.links.find((link) => link.service === service && link.exact)?.href ?? ""),
  ]);
  return [[...COLUMNS, ...SERVICES], ...rows].map((row) => row.map(cell).join(",")).join("\r\n") + "\r\n";
}

/** @param {string} text */
function cell(text) {
  const safe = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** @param {readonly HistoryEntry[]} list */
export function json(list) {
  return `${JSON.stringify(list, null, 2)}\n`;
}
