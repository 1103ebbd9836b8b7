/** An answer as the start page shows it: the values of lib/answer.js in words. server/web/answer.py writes the same. */

import { HOSTS, answerView, clockText, playbackOf, searchLink } from "./lib/answer.js";
import { detailText, gettext, language, locale, ngettext } from "./messages.js";
import { LIVE_MS, longDate } from "./times.js";
import { root } from "./root.js";

/** The needle's place, in percent of the dial's width, while nothing is played. */
const NEEDLE_AT_REST = 2;
/** Over the middle of each stage's label. @type {Record<string, number>} */
const NEEDLE = {
  queued: NEEDLE_AT_REST, resolving: 12.5, capturing: 37.5, fingerprinting: 62.5, recognizing: 87.5, done: 87.5,
};
const DURATIONS = /** @type {const} */ ([
  [gettext("Find"), "resolve_ms"], [gettext("Listen"), "capture_ms"], [gettext("Fingerprint"), "fingerprint_ms"],
  [gettext("Recognize"), "recognize_ms"], [gettext("Total"), "total_ms"],
]);

/** @type {AnswerTexts} */
export const IDLE = {
  state: "idle", id: "", live: false, source: "", fresh: "", on_air: false, heard_at: "", verb: "heard", ask_again: "", set_list: "", song_page: "", stage: "queued",
  needle: NEEDLE_AT_REST, scale_end: "", moment: "", offset: null, length: null, title: "", artists: "", facts: {}, probably: "", corrected: "", sure: "",
  cover: "", landmarks: "", preview: "", links: {}, searches: {}, watch: "",
  also: [], note: "", took: "", heading: "", detail: "", next_step: "", code: "", retry_after_seconds: 0,
};

/** @param {number} ms */
const durationText = (ms) => (ms < 999.5 ? `${ms.toFixed(0)} ms` : `${number((ms / 1000).toFixed(2))} s`);

/** A number with its decimals, as the language writes it. @param {string} digits */
const number = (digits) =>
  new Intl.NumberFormat(language, { minimumFractionDigits: 2, useGrouping: false }).format(Number(digits));

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

/** The path of the cover that fits the page best, or of a drawn one. @param {SongOfServer} song */
function coverOf(song) {
  const covers = (song.artwork ?? []).filter(({ url }) => own(url)).sort((a, b) => a.width - b.width);
  const best = covers.find(({ width }) => width >= COVER_PIXELS) ?? covers.at(-1);
  return best?.url ?? own(song.drawing);
}

/** Texts of a song that are not for people. */
const NOT_FACTS = new Set(["id", "drawing", "landmarks"]);

/** A song's texts by their names, with its dates as the language writes it. @param {SongOfServer} song */
const factsOf = (song) =>
  Object.fromEntries(Object.entries(song).flatMap(([name, value]) => {
    if (typeof value !== "string" || !value || NOT_FACTS.has(name)) return [];
    return [[name, name.endsWith("_date") ? longDate(value, locale()) : value]];
  }));

/** The path of a song's page; of an uploaded recording, only songs in the catalog have one. @param {SongOfServer} song @param {Identification["kind"]} kind */
const songPage = (song, kind) => (song.id && (kind !== "file" || song.catalog) ? `${root}/songs/${song.id}` : "");

/** @param {SongView} song */
function searchesOf(song) {
  const missing = /** @type {Service[]} */ (Object.keys(HOSTS)).filter((service) => !song.links[service]);
  return Object.fromEntries(missing.map((service) => [service, searchLink(service, song)]));
}

/** @param {Identification} identification */
function sourceText({ kind, target, at }) {
  if (kind === "clip") return gettext("Clip %(clip)s", { clip: target });
  return kind === "video" ? gettext("Video %(video)s at %(time)s", { video: target, time: clockText(at ?? 0) }) : target;
}

/** How near to live the sound was. @param {Identification} identification */
const freshText = ({ asked_at, created_at }) =>
  asked_at ? gettext("%(time)s ago", { time: clockText((Date.parse(created_at) - Date.parse(asked_at)) / 1000 + 0.5) }) : gettext("live");

/** What was listened to when a video has no sound at the moment asked for. @param {AnswerView["elsewhere"]} elsewhere */
const elsewhereText = (elsewhere) =>
  elsewhere ? gettext("There is no sound at %(asked)s, so we listened from %(start)s to %(end)s.", { asked: elsewhere.asked, start: elsewhere.from, end: elsewhere.until }) : "";

/** Where the sound is from, when that is not, or may not be, the moment asked for. @param {AnswerView} view */
const placeText = ({ elsewhere, uncertain }) => [
  elsewhereText(elsewhere),
  uncertain ? gettext("Twitch's times don't add up here, so this may be from shortly before or after the moment asked for.") : "",
].filter(Boolean).join(" ");

/** How the song is played when it is not as it is. @param {SongOfServer} song */
function playedText(song) {
  const { percent, semitones } = playbackOf(song);
  const height = Math.abs(semitones);
  const words = [
    percent > 0 ? gettext("sped up %(percent)s%%", { percent }) : "",
    percent < 0 ? gettext("slowed down %(percent)s%%", { percent: -percent }) : "",
    semitones > 0 ? ngettext("%(num)s semitone higher", "%(num)s semitones higher", height) : "",
    semitones < 0 ? ngettext("%(num)s semitone lower", "%(num)s semitones lower", height) : "",
  ].filter(Boolean);
  return words.length ? gettext("It is %(changes)s.", { changes: words.join(", ") }) : "";
}

/** Commands and names of settings: what an operator can do about missing recognizers is not for viewers. */
const OPERATORS_WORDS = /`|\b[A-Z]{2,}_[A-Z]/;

/** Problems whose next step is to wait, which is counted down, and details that say what to do: as in words.py. */
const ONLY_WHEN = new Set(["ad-break", "busy", "job-in-progress", "rate-limited", "upstream-unavailable"]);
const SAYS_WHAT_TO_DO = /\b(?:[Tt]ry again|[Ss]ign in (?:again|with)|Come back|Enter|Write|type)\b/;

/**
 * The texts for a problem.
 * @param {Pick<ProblemOfServer, "code" | "detail" | "retry_after_seconds">} problem
 * @param {Record<string, ProblemWords>} words by problem code
 * @param {Partial<AnswerTexts>} about
 * @returns {AnswerTexts}
 */
export function problemTexts(problem, words, about = {}) {
  const { heading, next_step: step } = words[problem.code] ?? words["internal"] ?? { heading: problem.code, next_step: "" };
  const said = SAYS_WHAT_TO_DO.test(problem.detail) || (problem.retry_after_seconds && ONLY_WHEN.has(problem.code));
  const lasts = problem.code === "upstream-unavailable" && !problem.retry_after_seconds;
  const next_step = said ? "" : lasts ? gettext("Trying again won't help. Please tell the operator of this service.") : step;
  const told = problem.code === "recognizer-unavailable" && OPERATORS_WORDS.test(problem.detail) ? "" : detailText(problem.detail);
  const detail = told === `${heading}.` ? "" : told;
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
  const view = answerView(identification);
  const { state, id, live, stage, song, others, confidence, probable } = view;
  const [source, ask_again] = [sourceText(identification), askAgainText(identification)];
  const heard_at = live ? identification.captured_at ?? identification.finished_at ?? "" : "";
  const asked = { ...IDLE, state, id, live, stage, source, heard_at, ask_again, verb: gettext("heard") };
  if (identification.problem) {
    const named = live ? gettext("Channel %(channel)s", { channel: identification.target }) : source;
    return problemTexts(identification.problem, words, { ...asked, live: false, source: named, verb: gettext("asked") });
  }
  const fresh = live && (!heard_at || now - Date.parse(heard_at) <= LIVE_MS) ? freshText(identification) : "";
  const beside = identification.songs.filter((other) => JSON.stringify(other) !== JSON.stringify(identification.song));
  /** @type {AnswerTexts} */
  const texts = { ...asked, fresh, on_air: fresh !== "" && !identification.asked_at, watch: watchLink(identification) };
  if (state === "none") {
    const heard = identification.captured_seconds;
    return {
      ...texts, ...words[live ? "no-match" : "no-match-recorded"], note: placeText(view), took: tookText(identification),
      detail: heard ? gettext("We listened to %(seconds)s seconds but didn't recognize the song.", { seconds: heard.toFixed(0) }) : "",
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
    facts: factsOf(identification.song),
    probably: probable ? gettext("Probably") : "",
    corrected: identification.song.corrected ? gettext("Corrected by the channel") : "",
    sure: confidence && gettext("%(percent)s%%", { percent: confidence.replace("%", "") }),
    cover: coverOf(identification.song),
    landmarks: identification.song.landmarks ?? "",
    preview: own(identification.song.preview),
    links: song.links,
    searches: searchesOf(song),
    also: others.map(({ position, title, artists }, index) => ({
      position, title, artists, page: songPage(/** @type {SongOfServer} */ (beside[index]), identification.kind),
    })),
    note: [placeText(view), playedText(identification.song)].filter(Boolean).join(" "),
    took: tookText(identification),
  };
}
