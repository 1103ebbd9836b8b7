/** Turns answers and refusals into what the extension shows: words, links and next steps. No DOM, no browser API. */

import { NAMES, SERVICES, answerView, clockText, playbackOf, searchLink, textOf } from "./answer.js";
import { ProblemError } from "./problem.js";

/** @type {Record<string, 0 | 1 | 2>} */
const STAGES = { queued: 0, resolving: 0, capturing: 1, fingerprinting: 2, recognizing: 2, done: 2 };

/** Problems that pass by themselves. */
const PASSING = new Set([
  "ad-break", "no-audio", "not-live", "job-in-progress", "rate-limited", "busy", "upstream-unavailable", "timeout",
  "internal", "maintenance", "not-found", "job-slow", "extension-silent", "extension-failed", "offline",
  "gateway-error", "refused-on-the-way", "server-away", "server-unreachable", "connection-not-secure", "server-slow",
  "no-server",
]);
const SIGN_IN = new Set(["login-required", "token-invalid", "token-wrong-client", "sign-in-failed", "sign-in-cancelled"]);
const OPTIONS = new Set([
  "key-invalid", "code-invalid", "not-a-server", "server-too-old", "permission-missing", "server-unreachable",
  "address-invalid", "sign-in-off", "subscription-required", "connection-not-secure",
  "server-away", "server-redirects", "storage-refused", "private-window",
]);
/** Problems that the address shows when it is opened in a tab. */
const OPEN = new Set(["connection-not-secure", "server-redirects", "refused-on-the-way", "server-away"]);
/** Problems about which our words only say when to try again, which a button that counts down says exactly. */
const ONLY_WHEN = new Set(["rate-limited", "busy", "upstream-unavailable"]);
/** Problems for which the server's own sentence, in English, is shown below ours, since it says more. */
const DETAILED = new Set(["subscription-required", "recognizer-unavailable", "invalid-input"]);

const MIN_WAIT_SECONDS = 2;
const MAX_OTHERS = 20;

/**
 * @param {Identification} identification
 * @param {Say} say
 * @param {string} server
 * @param {number | null} [wait] seconds after which a running job is asked about again
 * @param {number} [ago] how many seconds before the live moment was asked about
 * @returns {View}
 */
export function viewOf(identification, say, server, wait = null, ago = 0) {
  const { state, id, kind, target, live, stage, heard_at, song, others, elsewhere, uncertain, probable } = answerView(identification);
  const place = elsewhere
    ? say("panel_elsewhere", [elsewhere.asked, elsewhere.from, elsewhere.until])
    : momentNote(identification, say, ago);
  const note = [place, uncertain ? say("panel_uncertain") : ""].filter(Boolean).join(" ");
  switch (state) {
    case "working":
      if (identification.status === "successful") throw new ProblemError("server-too-old");
      return { state, id, stage: STAGES[stage] ?? 0, blocked: false, wait };
    case "none": {
      const text = say(live ? "none_text" : "none_text_recorded");
      return { state, id, heading: say("none_heading"), text: note ? `${note} ${text}` : text, actions: [{ name: "retry", label: say("action_retry") }] };
    }
    case "found": {
      if (!song || !identification.song) throw new ProblemError("server-too-old");
      return {
        state, id, kind, target,
        heard_at: heard_at || textOf(identification.finished_at) || textOf(identification.created_at) || new Date().toISOString(),
        song: shownSong(song),
        others: others.slice(0, MAX_OTHERS).map(shownSong),
        note: [note, ...playedWords(identification.song, say)].filter(Boolean).join(" "),
        probably: probable ? say("song_probably") : "",
        corrected: identification.song.corrected === true ? say("song_corrected") : "",
      };
    }
    case "failed": {
      const { code, detail, retry_after_seconds, title } = identification.problem ?? {};
      const refusal = new ProblemError(textOf(code) || "internal", textOf(detail), seconds(retry_after_seconds), textOf(title));
      return { ...problemView(refusal, say, server, target), final: true };
    }
  }
}

/** @param {unknown} value */
const seconds = (value) => (typeof value === "number" && value >= 0 && value < Infinity ? Math.min(value, 3600) : null);

/** Nearer to the live moment an answer is about what is live. */
const LIVE_SECONDS = 15;

/**
 * Which moment of a live stream an answer is about, where that is not the live one, or was not to be.
 * @param {Identification} identification
 * @param {Say} say
 * @param {number} ago
 */
function momentNote({ kind, moment, asked_at }, say, ago) {
  if (kind !== "stream") return "";
  // An answer to the moment that was asked for may be one of before, whose distance from live was another.
  const behind = asked_at && ago ? ago : moment?.behind_live;
  if (typeof behind === "number" && behind >= LIVE_SECONDS) return say("moment_behind", [clockText(behind)]);
  return ago >= LIVE_SECONDS ? say("moment_live") : "";
}

/**
 * How the song is played when it is not as it is.
 * @param {SongOfServer} song
 * @param {Say} say
 */
function playedWords(song, say) {
  const { percent, semitones } = playbackOf(song);
  return [
    percent ? say(percent > 0 ? "panel_faster" : "panel_slower", [String(Math.abs(percent))]) : "",
    semitones ? say(semitones > 0 ? "panel_higher" : "panel_lower", [String(Math.abs(semitones))]) : "",
  ];
}

/** @param {SongView} song @returns {ShownSong} */
function shownSong(song) {
  const links = SERVICES.map((service) => {
    const exact = song.links[service];
    return { service, name: NAMES[service], href: exact ?? searchLink(service, song), exact: exact !== undefined };
  });
  return { ...song, links };
}

/**
 * The view of a problem, which is shown instead of an answer.
 * @param {unknown} error
 * @param {Say} say
 * @param {string} server
 * @param {string} [channel] the channel that a subscription would be to
 * @returns {ProblemView}
 */
export function problemView(error, say, server, channel = "") {
  const refusal = error instanceof ProblemError ? error : new ProblemError("extension-failed");
  const key = refusal.code.replaceAll("-", "_");
  const known = say(`problem_${key}_heading`) !== "";
  const host = new URL(server).host;
  const own = refusal.words ? say(refusal.words.key, refusal.words.values ?? [host]) : "";
  const text = own || (known ? say(`problem_${key}_text`, [host]) : refusal.detail || say("problem_internal_text", [host]));
  // A newer server has codes without words here; one that says when to ask again will pass by itself.
  const passing = known ? PASSING.has(refusal.code) : refusal.wait !== null;
  const wait = passing && refusal.wait !== null ? Math.max(MIN_WAIT_SECONDS, Math.ceil(refusal.wait)) : null;
  return {
    state: "error",
    code: refusal.code,
    heading: known ? say(`problem_${key}_heading`, [host]) : refusal.title || say("problem_internal_heading"),
    text: wait !== null && !own && ONLY_WHEN.has(refusal.code) ? "" : text,
    detail: known && DETAILED.has(refusal.code) ? refusal.detail : "",
    actions: actionsFor(refusal.code, passing, say, server, channel),
    wait,
    passing,
    final: false,
  };
}

/** @param {string} code @param {boolean} passing @param {Say} say @param {string} server @param {string} channel @returns {Action[]} */
function actionsFor(code, passing, say, server, channel) {
  /** @type {Action[]} */
  const actions = [];
  if (SIGN_IN.has(code)) actions.push({ name: "sign-in", label: say("action_sign_in") });
  if (code === "subscription-required" && /^[a-z0-9_]{1,25}$/.test(channel)) {
    actions.push({ name: "subscribe", label: say("action_subscribe"), href: `https://www.twitch.tv/subs/${channel}` });
  }
  if (code === "no-server") actions.push({ name: "welcome", label: say("action_choose_server") });
  if (code === "moment-gone") actions.push({ name: "again", label: say("button_label") });
  if (passing) actions.push({ name: "retry", label: say("action_retry") });
  if (code === "extension-updated") actions.push({ name: "reload", label: say("action_reload") });
  if (OPEN.has(code)) {
    actions.push({ name: "open-server", label: say("action_open_server"), href: server });
  }
  if (OPTIONS.has(code)) {
    actions.push({ name: "options", label: say(code === "subscription-required" ? "action_code" : "action_options") });
  }
  return actions;
}
