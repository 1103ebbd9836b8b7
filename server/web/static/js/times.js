/** When something was, in the reader's time zone; the server only knows UTC. Pure functions. */

/** How long after it was heard an answer about a live channel is still shown as live. server/web/answer.py has the same. */
export const LIVE_MS = 5 * 60 * 1000;

/** The reader's English: the words around the times are English, too. @param {readonly string[]} languages */
export const english = (languages) => languages.find((each) => /^en\b/i.test(each)) ?? "en-GB";

/**
 * `at 12:02 PM` on the same day, else with the date, and the year if it is another.
 * @param {Date} moment
 * @param {Date} now
 * @param {string} locale
 */
export function momentText(moment, now, locale) {
  const clock = `at ${moment.toLocaleTimeString(locale, { hour: "numeric", minute: "2-digit" })}`;
  if (moment.toDateString() === now.toDateString()) return clock;
  const year = moment.getFullYear() === now.getFullYear() ? undefined : "numeric";
  return `on ${moment.toLocaleDateString(locale, { day: "numeric", month: "long", year })} ${clock}`;
}
