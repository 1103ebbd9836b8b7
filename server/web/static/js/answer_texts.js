/** An answer as the start page shows it: the values of lib/answer.js in words. server/web/answer.py writes the same. */

import { HOSTS, answerView, clockText, playbackOf, searchLink } from "./lib/answer.js";
import { LIVE_MS } from "./times.js";
import { root } from "./root.js";

/** The needle's place, in percent of the dial's width, while nothing is played. */
const NEEDLE_AT_REST = 2;
/** Over the middle of each stage's label. @type {Record<string, number>} */
const NEEDLE = {
  queued: NEEDLE_AT_REST, resolving: 12.5, capturing: 37.5, fingerprinting: 62.5, recognizing: 87.5, done: 87.5,
};
const DURATIONS = /** @type {const} */ ([
  ["Find", "resolve_ms"], ["Listen", "capture_ms"], ["Fingerprint", "fingerprint_ms"],
  ["Recognize", "recognize_ms"], ["Total", "total_ms"],
]);

/** @type {AnswerTexts} */
export const IDLE = {
  state: "idle", id: "", live: false, source: "", fresh: "", on_air: false, heard_at: "", verb: "heard", ask_again: "", set_list: "", song_page: "", stage: "queued",
  needle: NEEDLE_AT_REST, scale_end: "", moment: "", offset: null, length: null, title: "", artists: "", facts: {}, probably: "", sure: "",
  cover: "", preview: "", links: {}, searches: {}, watch: "",
  also: [], note: "", took: "", heading: "", detail: "", next_step: "", code: "", retry_after_seconds: 0,
};

/** @param {number} ms */
const durationText = (ms) => (ms < 999.5 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`);

/** @param {Identification} identification */
const tookText = ({ timings = {} }) =>
  DURATIONS.flatMap(([name, key]) => {
    const ms = timings[key] ?? null;
    return ms === null ? [] : [`${name} ${durationText(ms)}`];
  }).join(" · ");

/** The text to type to ask for the same target again. @param {Identification} identification */
function askAgainText({ kind, target, at }) {
  if (kind === "clip") return `https://clips.twitch.tv/${target}`;
  if (kind === "video") return `https://www.twitch.tv/videos/${target}?t=${Math.floor(at ?? 0)}s`;
  return target;
}

/** Where the target is on Twitch; empty for a file. @param {Identification} identification */
function watchLink(identification) {
  if (identification.kind === "file") return "";
  return identification.kind === "stream" ? `https://www.twitch.tv/${identification.target}` : askAgainText(identification);
}

/** From this width a cover is large enough for the page. */
const COVER_PIXELS = 240;

/** The address, if it is a path on this server. @param {string | null | undefined} address */
const own = (address) => (address?.startsWith("/") && !address.startsWith("//") ? address : "");

/** The path of the cover that fits the page best, or of a drawn one. @param {SongOfServer} song @param {string} id */
function coverOf(song, id) {
  const covers = (song.artwork ?? []).filter(({ url }) => own(url)).sort((a, b) => a.width - b.width);
  const best = covers.find(({ width }) => width >= COVER_PIXELS) ?? covers.at(-1);
  return best?.url ?? `/covers/${song.catalog?.track_id ?? id}.svg`;
}

/** The path of a song's page; of an uploaded recording, only songs in the catalog have one. @param {SongOfServer} song @param {Identification["kind"]} kind */
const songPage = (song, kind) => (song.id && (kind !== "file" || song.catalog) ? `${root}/songs/${song.id}` : "");

/** @param {SongView} song */
function searchesOf(song) {
  const missing = /** @type {Service[]} */ (Object.keys(HOSTS)).filter((service) => !song.links[service]);
  return Object.fromEntries(missing.map((service) => [service, searchLink(service, song)]));
}

/** @param {Identification} identification */
function sourceText({ kind, target, at }) {
  if (kind === "clip") return `Clip ${target}`;
  return kind === "video" ? `Video ${target} at ${clockText(at ?? 0)}` : target;
}

const LIVE = "live";

/** How near to live the sound was. @param {Identification} identification */
const freshText = ({ asked_at, created_at }) =>
  asked_at ? `${clockText((Date.parse(created_at) - Date.parse(asked_at)) / 1000 + 0.5)} ago` : LIVE;

/** What was listened to when a video has no sound at the moment asked for. @param {AnswerView["elsewhere"]} elsewhere */
const elsewhereText = (elsewhere) =>
  elsewhere ? `There is no sound at ${elsewhere.asked}, so we listened from ${elsewhere.from} to ${elsewhere.until}.` : "";

/** How the song is played when it is not as it is. @param {SongOfServer} song */
function playedText(song) {
  const { percent, semitones } = playbackOf(song);
  const height = Math.abs(semitones);
  const words = [
    percent ? `${percent > 0 ? "sped up" : "slowed down"} ${Math.abs(percent)} %` : "",
    semitones ? `${height} semitone${height > 1 ? "s" : ""} ${semitones > 0 ? "higher" : "lower"}` : "",
  ].filter(Boolean);
  return words.length ? `It is ${words.join(", ")}.` : "";
}

/** Commands and names of settings: what an operator can do about missing recognizers is not for viewers. */
const OPERATORS_WORDS = /`|\b[A-Z]{2,}_[A-Z]/;

/**
 * The texts for a problem.
 * @param {Pick<ProblemOfServer, "code" | "detail" | "retry_after_seconds">} problem
 * @param {Record<string, ProblemWords>} words by problem code
 * @param {Partial<AnswerTexts>} about
 * @returns {AnswerTexts}
 */
export function problemTexts(problem, words, about = {}) {
  const { heading, next_step } = words[problem.code] ?? words["internal"] ?? { heading: problem.code, next_step: "" };
  const detail = problem.code === "recognizer-unavailable" && OPERATORS_WORDS.test(problem.detail) ? "" : problem.detail;
  return {
    ...IDLE, ...about, state: "failed", heading, next_step, detail, code: problem.code,
    retry_after_seconds: problem.retry_after_seconds ?? 0,
  };
}

/**
 * The texts for an identification in any state.
 * @param {Identification} identification
 * @param {Record<string, ProblemWords>} words by problem code; `no-match` and `no-match-recorded` too
 * @param {number} [now] in milliseconds
 * @returns {AnswerTexts}
 */
export function answerTexts(identification, words, now = Date.now()) {
  const { state, id, live, stage, song, others, confidence, probable, elsewhere } = answerView(identification);
  const [source, ask_again] = [sourceText(identification), askAgainText(identification)];
  const heard_at = live ? identification.captured_at ?? identification.finished_at ?? "" : "";
  const asked = { ...IDLE, state, id, live, stage, source, heard_at, ask_again };
  if (identification.problem) {
    const named = live ? `Channel ${identification.target}` : source;
    return problemTexts(identification.problem, words, { ...asked, live: false, source: named, verb: "asked" });
  }
  const fresh = live && (!heard_at || now - Date.parse(heard_at) <= LIVE_MS) ? freshText(identification) : "";
  const beside = identification.songs.filter((other) => JSON.stringify(other) !== JSON.stringify(identification.song));
  /** @type {AnswerTexts} */
  const texts = { ...asked, fresh, on_air: fresh === LIVE, watch: watchLink(identification) };
  if (state === "none") {
    const heard = identification.captured_seconds;
    return {
      ...texts, ...words[live ? "no-match" : "no-match-recorded"], note: elsewhereText(elsewhere), took: tookText(identification),
      detail: heard ? `We listened to ${heard.toFixed(0)} seconds but didn't recognize the song.` : "",
    };
  }
  if (!song || !identification.song) return { ...texts, needle: NEEDLE[stage] ?? NEEDLE_AT_REST };
  const page = { stream: "channels", video: "videos", clip: "", file: "" }[identification.kind];
  return {
    ...texts,
    // A clip's song is stored permanently: asking again would only show it again.
    ask_again: live ? ask_again : "",
    set_list: page ? `${root}/${page}/${encodeURIComponent(identification.target)}` : "",
    song_page: songPage(identification.song, identification.kind),
    needle: song.played ?? NEEDLE_AT_REST,
    scale_end: song.length,
    moment: song.moment,
    offset: song.length ? identification.song.offset : null,
    length: song.length ? identification.song.duration : null,
    title: song.title,
    artists: song.artists,
    facts: Object.fromEntries(Object.entries(identification.song).filter(([name, value]) => typeof value === "string" && value && name !== "id")),
    probably: probable ? "Probably" : "",
    sure: confidence,
    cover: coverOf(identification.song, id),
    preview: own(identification.song.preview),
    links: song.links,
    searches: searchesOf(song),
    also: others.map(({ position, title, artists }, index) => ({
      position, title, artists, page: songPage(/** @type {SongOfServer} */ (beside[index]), identification.kind),
    })),
    note: [elsewhereText(elsewhere), playedText(identification.song)].filter(Boolean).join(" "),
    took: tookText(identification),
  };
}
