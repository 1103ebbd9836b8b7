/** Turns answers and refusals into what is shown: words, links and next steps. No DOM, no browser API. */

import { Refusal } from "./refusal.js";

/** @type {Record<string, 0 | 1 | 2>} */
const STEPS = { queued: 0, resolving: 0, capturing: 1, fingerprinting: 2, recognizing: 2, done: 2 };

const HOSTS = {
  spotify: /^open\.spotify\.com$/,
  youtube: /^((www|music)\.)?youtube\.com$|^youtu\.be$/,
  deezer: /^(www\.)?deezer\.com$/,
};

/** @type {Record<SongLink["service"], (text: string) => string>} */
const SEARCHES = {
  spotify: (text) => `https://open.spotify.com/search/${encodeURIComponent(text)}`,
  youtube: (text) => `https://www.youtube.com/results?search_query=${encodeURIComponent(text)}`,
  deezer: (text) => `https://www.deezer.com/search/${encodeURIComponent(text)}`,
};

/** Problems that pass by themselves. */
const PASSING = new Set([
  "ad-break", "no-audio", "not-live", "job-in-progress", "rate-limited", "busy", "upstream-unavailable", "timeout",
  "internal", "maintenance", "offline", "server-unreachable", "connection-not-secure", "server-slow",
]);
const SIGN_IN = new Set(["login-required", "token-invalid", "token-wrong-client", "sign-in-failed", "sign-in-cancelled"]);
const OPTIONS = new Set([
  "key-invalid", "code-invalid", "not-a-server", "server-too-old", "permission-missing", "server-unreachable",
  "address-invalid", "sign-in-off", "subscription-required", "connection-not-secure",
]);
/** Problems about which the server's own sentence says more than ours can. */
const DETAILED = new Set(["subscription-required", "recognizer-unavailable", "invalid-input"]);

const SHORTEST_WAIT = 2;

/**
 * @param {Identification} answer
 * @param {Say} say
 * @param {string} server
 * @returns {View}
 */
export function viewOf(answer, say, server) {
  switch (answer.status) {
    case "queued":
    case "running":
      return { state: "working", id: answer.id, step: STEPS[answer.stage] ?? 0 };
    case "no_match":
      return {
        state: "none",
        id: answer.id,
        heading: say("none_heading"),
        text: say(answer.kind === "stream" ? "none_text" : "none_text_recorded"),
        actions: [{ name: "retry", label: say("action_retry") }],
      };
    case "successful": {
      if (!answer.song) throw new Refusal("server-too-old");
      const first = answer.song;
      const others = Array.isArray(answer.songs) ? answer.songs.filter((song) => song.title !== first.title) : [];
      return {
        state: "found",
        id: answer.id,
        kind: answer.kind,
        target: answer.target,
        heard_at: answer.finished_at ?? answer.created_at,
        song: songView(first),
        others: others.slice(0, 20).map(songView),
      };
    }
    case "failed": {
      const problem = answer.problem;
      const wait = problem?.retry_after_seconds ?? null;
      return sorry(new Refusal(problem?.code ?? "internal", problem?.detail ?? "", wait), say, server, answer.target);
    }
  }
}

/** @param {SongOfServer} song @returns {SongView} */
export function songView(song) {
  const artists = song.artists.map(String).join(", ");
  const words = `${artists} ${song.title}`.trim();
  const services = /** @type {SongLink["service"][]} */ (["spotify", "youtube", "deezer"]);
  const links = services.map((service) => {
    const known = safeLink(service, song.links?.[service]);
    return { service, href: known ?? SEARCHES[service](words), exact: known !== null };
  });
  return {
    title: String(song.title),
    artists,
    album: song.album ? String(song.album) : "",
    links,
    offset: number(song.offset),
    duration: number(song.duration),
    position: number(song.position),
  };
}

/** @param {unknown} value */
function number(value) {
  return typeof value === "number" && Number.isFinite(value) && value >= 0 ? value : null;
}

/**
 * An address of the service's own, over https, and nothing else.
 * @param {SongLink["service"]} service
 * @param {unknown} address
 */
export function safeLink(service, address) {
  if (typeof address !== "string" || !URL.canParse(address)) return null;
  const url = new URL(address);
  const plain = url.protocol === "https:" && url.port === "" && url.username === "" && url.password === "";
  return plain && HOSTS[service].test(url.hostname) ? url.href : null;
}

/**
 * What is shown instead of an answer.
 * @param {unknown} error
 * @param {Say} say
 * @param {string} server
 * @param {string} [channel] whom a subscription would be to
 * @returns {Sorry}
 */
export function sorry(error, say, server, channel = "") {
  const refusal = error instanceof Refusal ? error : new Refusal("internal");
  const key = refusal.code.replaceAll("-", "_");
  const known = say(`problem_${key}_heading`) !== "";
  const host = new URL(server).host;
  const text = known ? say(`problem_${key}_text`, [host]) : refusal.detail || say("problem_internal_text", [host]);
  return {
    state: "error",
    code: refusal.code,
    heading: known ? say(`problem_${key}_heading`, [host]) : say("problem_internal_heading"),
    text: DETAILED.has(refusal.code) && refusal.detail ? `${text} ${refusal.detail}` : text,
    actions: actionsFor(refusal.code, say, server, channel),
    wait: PASSING.has(refusal.code) && refusal.wait !== null ? Math.max(SHORTEST_WAIT, Math.ceil(refusal.wait)) : null,
  };
}

/** @param {string} code @param {Say} say @param {string} server @param {string} channel @returns {Action[]} */
function actionsFor(code, say, server, channel) {
  /** @type {Action[]} */
  const actions = [];
  if (SIGN_IN.has(code)) actions.push({ name: "sign-in", label: say("action_sign_in") });
  if (code === "subscription-required" && /^[a-z0-9_]{1,25}$/.test(channel)) {
    actions.push({ name: "subscribe", label: say("action_subscribe"), href: `https://www.twitch.tv/subs/${channel}` });
  }
  if (PASSING.has(code)) actions.push({ name: "retry", label: say("action_retry") });
  if (code === "connection-not-secure") {
    actions.push({ name: "open-server", label: say("action_open_server"), href: server });
  }
  if (OPTIONS.has(code)) {
    actions.push({ name: "options", label: say(code === "subscription-required" ? "action_code" : "action_options") });
  }
  return actions;
}
