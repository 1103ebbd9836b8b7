/**
 * How a question goes, as one table: the panel, the pop-up and the tests share it. Each row is an event, each column
 * the state that it meets, each cell the state that follows; a dot means that the event changes nothing there.
 *
 * A classic script, since content scripts cannot be modules: modules import it for its global.
 */
"use strict";

globalThis.twitchaudio = /** @type {TwitchAudioContent} */ (globalThis.twitchaudio ?? {});

twitchaudio.states = (() => {
  const TABLE = `
             | idle     asking   running  blocked  signing  found    none     error
    ask      | asking   asking   asking   asking   asking   asking   asking   asking
    sign-in  | signing  signing  signing  signing  .        signing  signing  signing
    known    | found    .        .        .        .        .        .        .
    running  | .        running  running  running  .        .        .        .
    blocked  | .        blocked  blocked  blocked  .        .        .        .
    lost     | .        asking   asking   asking   .        .        .        .
    found    | .        found    found    found    .        .        .        .
    none     | .        none     none     none     .        .        .        .
    refused  | .        error    error    error    error    .        .        .
    late     | .        error    error    error    error    .        .        .
    silent   | .        error    error    error    error    error    error    error
    updated  | .        error    error    error    error    error    error    error
    close    | .        idle     idle     idle     idle     idle     idle     idle
    leave    | .        idle     idle     idle     idle     idle     idle     idle
  `;
  // ask: the button, "try again", the shortcut, the pop-up.    known: a stored answer came without a question.
  // blocked: an earlier question of this viewer still runs.    lost: the server does not know the job any more.
  // late: a bound was reached.    silent: the extension's background does not answer.
  // updated: the extension was updated, this page has its old script.    close: the viewer.    leave: another page.

  const [head = "", ...rows] = TABLE.trim().split("\n");
  const STATES = /** @type {AskingState[]} */ (words(head.split("|")[1]));
  const EVENTS = /** @type {AskingEvent[]} */ (rows.map((row) => words(row.split("|")[0])[0]));
  const cells = new Map(rows.map((row, index) => [EVENTS[index], words(row.split("|")[1])]));

  /** @param {string | undefined} text */
  function words(text = "") {
    return text.trim().split(/\s+/);
  }

  /** The state that follows. @param {AskingState} state @param {AskingEvent} event @returns {AskingState} */
  function next(state, event) {
    const cell = cells.get(event)?.[STATES.indexOf(state)];
    return cell === undefined || cell === "." ? state : /** @type {AskingState} */ (cell);
  }

  /** What the panel's `data-state` says of a state. @param {AskingState} state @returns {View["state"] | "idle"} */
  function shownAs(state) {
    return state === "asking" || state === "running" || state === "blocked" || state === "signing" ? "working" : state;
  }

  return { STATES, EVENTS, next, shownAs };
})();
