// @ts-check
/**
 * An identification as the panel shows it. The server's server/web/answer.py says the same for the first page.
 *
 * @typedef {{title: string, artists: string[], album: string | null, label: string | null, duration: number | null,
 *   offset: number | null, position: number, links: Record<string, string | null>}} Song
 * @typedef {{code: string, detail: string, retry_after_seconds?: number}} Problem
 * @typedef {{id: string, kind: "stream" | "clip" | "video" | "file", target: string, at: number | null,
 *   status: "queued" | "running" | "successful" | "no_match" | "failed", stage: string, finished_at: string | null,
 *   song: Song | null, songs: Song[], score: number | null, captured_seconds: number | null,
 *   captured_at: string | null, timings: Record<string, number | null>, problem: Problem | null}} Identification
 * @typedef {{heading: string, next_step: string}} Words
 * @typedef {{state: "idle" | "working" | "found" | "none" | "failed", id: string, live: boolean, source: string,
 *   heard_at: string, ask_again: string, set_list: string, stage: string, needle: number, scale_end: string,
 *   moment: string, title: string, artists: string, album: string, label: string, sure: string,
 *   links: Record<string, string>, also: {position: string, text: string}[], took: string, heading: string,
 *   detail: string, next_step: string, code: string, retry_after_seconds: number}} Answer
 */

const AT_REST = 2;
/** @type {Record<string, number>} */
const NEEDLE = {
  queued: AT_REST, resolving: 12.5, capturing: 37.5, fingerprinting: 62.5, recognizing: 87.5, done: 87.5,
};
const STEPS = /** @type {const} */ ([
  ["Find", "resolve_ms"], ["Listen", "capture_ms"], ["Fingerprint", "fingerprint_ms"],
  ["Recognize", "recognize_ms"], ["In all", "total_ms"],
]);

/** @type {Answer} */
export const IDLE = {
  state: "idle", id: "", live: false, source: "", heard_at: "", ask_again: "", set_list: "", stage: "queued",
  needle: AT_REST, scale_end: "", moment: "", title: "", artists: "", album: "", label: "", sure: "", links: {},
  also: [], took: "", heading: "", detail: "", next_step: "", code: "", retry_after_seconds: 0,
};

/**
 * Seconds as m:ss or h:mm:ss, rounded down.
 * @param {number} seconds
 */
export function clockText(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [hours, minutes, second] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const two = (/** @type {number} */ n) => String(n).padStart(2, "0");
  return hours ? `${hours}:${two(minutes)}:${two(second)}` : `${minutes}:${two(second)}`;
}

/** @param {number} ms */
const durationText = (ms) => (ms < 999.5 ? `${ms.toFixed(0)} ms` : `${(ms / 1000).toFixed(2)} s`);

/** @param {Identification} asked */
const tookText = ({ timings }) =>
  STEPS.flatMap(([name, key]) => (timings[key] == null ? [] : [`${name} ${durationText(timings[key])}`])).join(" · ");

/** @param {Identification} asked */
function askAgain({ kind, target, at }) {
  if (kind === "clip") return `https://clips.twitch.tv/${target}`;
  if (kind === "video") return `https://www.twitch.tv/videos/${target}?t=${Math.floor(at ?? 0)}s`;
  return target;
}

/** @param {Identification} asked */
function sourceText({ kind, target, at }) {
  if (kind === "stream") return `${target}, live`;
  if (kind === "clip") return `Clip ${target}`;
  return kind === "video" ? `Video ${target} at ${clockText(at ?? 0)}` : target;
}

/**
 * The panel for a problem.
 * @param {Problem} problem
 * @param {Record<string, Words>} words by problem code
 * @param {Partial<Answer>} about
 * @returns {Answer}
 */
export function problemAnswer(problem, words, about = {}) {
  const { heading, next_step } = words[problem.code] ?? words["internal"] ?? { heading: problem.code, next_step: "" };
  return {
    ...IDLE, ...about, state: "failed", heading, next_step, detail: problem.detail, code: problem.code,
    retry_after_seconds: problem.retry_after_seconds ?? 0,
  };
}

/**
 * The panel for an identification in any state.
 * @param {Identification} asked
 * @param {Record<string, Words>} words by problem code; `no-match` and `no-match-recorded` too
 * @returns {Answer}
 */
export function answerOf(asked, words) {
  const live = asked.kind === "stream";
  const about = { id: asked.id, live, source: sourceText(asked), ask_again: askAgain(asked), stage: asked.stage };
  if (asked.problem) {
    const source = live ? `Channel ${asked.target}` : about.source;
    return problemAnswer(asked.problem, words, { ...about, live: false, source });
  }
  if (asked.status === "no_match") {
    const heard = asked.captured_seconds;
    return {
      ...IDLE, ...about, state: "none", ...words[live ? "no-match" : "no-match-recorded"], took: tookText(asked),
      detail: heard ? `We listened to ${heard.toFixed(1)} s of sound and know no song that fits.` : "",
    };
  }
  const song = asked.song;
  if (!song) return { ...IDLE, ...about, state: "working", needle: NEEDLE[asked.stage] ?? AT_REST };
  const onScale = song.offset != null && song.duration != null && song.duration > 0;
  const share = onScale ? (100 * (song.offset ?? 0)) / (song.duration ?? 1) : AT_REST;
  /** @type {Record<string, string>} */
  const links = {};
  for (const [name, link] of Object.entries(song.links)) if (link?.startsWith("https://")) links[name] = link;
  const same = JSON.stringify(song);
  const several = asked.kind === "clip" || asked.kind === "file";
  return {
    ...IDLE, ...about, state: "found", links, took: tookText(asked),
    heard_at: live ? asked.captured_at ?? asked.finished_at ?? "" : "",
    // A clip's song is stored for good: asking again would only show it again.
    ask_again: live ? about.ask_again : "",
    set_list: live ? `/channels/${encodeURIComponent(asked.target)}` : "",
    needle: Math.min(100, Math.max(0, share)),
    scale_end: onScale ? clockText(song.duration ?? 0) : "",
    moment: song.offset == null ? "" : clockText(song.offset),
    title: song.title,
    artists: song.artists.join(", "),
    album: song.album ?? "",
    label: song.label ?? "",
    sure: asked.score == null ? "" : `${Math.round(asked.score * 100)}%`,
    also: (several ? asked.songs : []).filter((other) => JSON.stringify(other) !== same).map((other) => ({
      position: clockText(other.position),
      text: [other.title, other.artists.join(", ")].filter(Boolean).join(" – "),
    })),
  };
}
