/** When something was, in the reader's time zone; the server only knows UTC. Pure functions. */

import { gettext } from "./messages.js";

/** How long after it was heard an answer about a live channel is still shown as live. server/web/answer.py has the same. */
export const LIVE_MS = 5 * 60 * 1000;

/**
 * A day or month that was written as `2024-03-08` or `2024-03`; anything else, such as a year, as it is.
 * @param {string} text
 * @param {string} locale
 */
export function longDate(text, locale) {
  const [, month, day] = /^([0-9]{4}-[0-9]{2})(-[0-9]{2})?$/.exec(text) ?? [];
  if (!month) return text;
  const first = `${month}${day ?? "-01"}`;
  const moment = new Date(`${first}T00:00:00Z`);
  // Scripts take February 30 for a day in March.
  if (Number.isNaN(moment.getTime()) || !moment.toISOString().startsWith(first)) return text;
  return moment.toLocaleDateString(locale, { day: day ? "numeric" : undefined, month: "long", year: "numeric", timeZone: "UTC" });
}

/**
 * `at 12:02 PM` on the same day, else with the date, and the year if it is another.
 * @param {Date} moment
 * @param {Date} now
 * @param {string} locale
 */
export function momentText(moment, now, locale) {
  const time = moment.toLocaleTimeString(locale, { hour: "numeric", minute: "2-digit" });
  if (moment.toDateString() === now.toDateString()) return gettext("at %(time)s", { time });
  const year = moment.getFullYear() === now.getFullYear() ? undefined : "numeric";
  const date = moment.toLocaleDateString(locale, { day: "numeric", month: "long", year });
  return gettext("on %(date)s at %(time)s", { date, time });
}
