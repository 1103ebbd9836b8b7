/**
 * What an identification says, as values to show: the same for the website (server/web/answer.py and its scripts)
 * and for the extension. No words of any language, no DOM, no browser API. The cases in tests/unit/answers.json
 * hold here and in Python.
 */

/** The services' own hosts; a link to any other is not shown. @satisfies {Record<string, RegExp>} */
export const HOSTS = {
  spotify: /^open\.spotify\.com$/,
  youtube: /^((www|music)\.)?youtube\.com$|^youtu\.be$/,
  deezer: /^(www\.)?deezer\.com$/,
  apple_music: /^music\.apple\.com$/,
};

/** The services in the order in which their links are shown. */
export const SERVICES = /** @type {Service[]} */ (Object.keys(HOSTS));

/** What the services call themselves. @type {Record<Service, string>} */
export const NAMES = { spotify: "Spotify", youtube: "YouTube", deezer: "Deezer", apple_music: "Apple Music" };

/** What comes before the words of a search. fingerprint/domain/links.py has the same. @type {Record<Service, string>} */
const SEARCHES = {
  spotify: "https://open.spotify.com/search/",
  youtube: "https://www.youtube.com/results?search_query=",
  deezer: "https://www.deezer.com/search/",
  apple_music: "https://music.apple.com/us/search?term=",
};

/**
 * The address of a service's search for a song.
 * @param {Service} service
 * @param {Pick<SongView, "title" | "artists">} song
 */
export const searchLink = (service, { title, artists }) =>
  SEARCHES[service] + encodeURIComponent(`${artists} ${title}`.trim().toWellFormed());

/** Up to this score a song is probable. fingerprint/domain/identification.py has the same. */
const PROBABLE = 0.85;

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

/**
 * The address, if it is one of the service's own over https; else null.
 * @param {Service} service
 * @param {unknown} address
 */
export function safeLink(service, address) {
  if (typeof address !== "string" || !URL.canParse(address)) return null;
  const url = new URL(address);
  const plain = url.protocol === "https:" && url.port === "" && url.username === "" && url.password === "";
  return plain && HOSTS[service].test(url.hostname) ? url.href : null;
}

/** Up to 64 points, two bytes of base64url for each. */
const POINTS = /^[A-Za-z0-9_-]{2,171}$/;

/**
 * When and how high a song's landmarks are, 0 to 1; none when there are none that can be read.
 * @param {unknown} text
 * @returns {[number, number][]}
 */
export function pointsOf(text) {
  if (typeof text !== "string" || !POINTS.test(text) || text.length % 4 === 1) return [];
  const bytes = Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0) / 255);
  return Array.from({ length: Math.floor(bytes.length / 2) }, (_, n) => [bytes[2 * n] ?? 0, bytes[2 * n + 1] ?? 0]);
}

/** A picture of a song on its server. */
const PICTURE = /^\/api\/v1\/artwork\/[0-9a-f]{32}-\d{1,3}\.jpg$/;

/** From this width a cover is large enough for the panel. */
const COVER_PIXELS = 112;

/** The path of the smallest cover that is large enough, else of the largest; empty without one. @param {unknown} artwork */
export function smallCover(artwork) {
  const covers = (Array.isArray(artwork) ? artwork : []).filter((each) => isPicture(each?.url) && number(each.width) !== null);
  covers.sort((a, b) => a.width - b.width);
  return textOf((covers.find(({ width }) => width >= COVER_PIXELS) ?? covers.at(-1))?.url);
}

/** @param {unknown} path */
export const isPicture = (path) => typeof path === "string" && PICTURE.test(path);

/** @param {SongOfServer} song @returns {SongView} */
function songView(song) {
  const [offset, duration] = [number(song.offset), number(song.duration)];
  const onScale = offset !== null && duration !== null && duration > 0;
  /** @type {SongView["links"]} */
  const links = {};
  for (const service of SERVICES) {
    const link = safeLink(service, song.links?.[service]);
    if (link !== null) links[service] = link;
  }
  return {
    title: song.title,
    artists: song.artists.filter((artist) => typeof artist === "string").join(", "),
    album: textOf(song.album),
    label: textOf(song.label),
    cover: smallCover(song.artwork),
    points: pointsOf(song.landmarks),
    links,
    moment: offset === null ? "" : clockText(offset),
    length: onScale ? clockText(duration) : "",
    played: onScale ? Math.min(100, Math.max(0, Number(((100 * offset) / duration).toFixed(2)))) : null,
    position: clockText(number(song.position) ?? 0),
  };
}

/** Smaller changes of speed (a share) and pitch (semitones) are not spoken of: fingerprint/domain/playback.py has them, too. */
const LEAST_SPEED = 0.015;
const LEAST_SEMITONES = 0.75;

/**
 * How a song is played: percent faster, and semitones higher; negative for slower and lower, 0 for as it is.
 * @param {SongOfServer} song
 */
export function playbackOf(song) {
  const [speed, pitch] = [number(song.speed) || 1, number(song.pitch) ?? 0];
  /** @param {number} value */
  const rounded = (value) => Math.sign(value) * Math.floor(Math.abs(value) + 0.5);
  const byItself = Math.abs(pitch - 12 * Math.log2(Math.abs(speed))) >= LEAST_SEMITONES;
  return {
    percent: Math.abs(speed - 1) >= LEAST_SPEED ? rounded(100 * (speed - 1)) : 0,
    semitones: byItself ? rounded(pitch) : 0,
  };
}

/** How far beside the sound the moment asked for may be, in seconds: fingerprint/domain/identification.py has it, too. */
const NOTABLE_SECONDS = 2;

/**
 * Where the sound is from when a video has none at the moment asked for; null when it has.
 * @param {Identification} identification
 * @returns {AnswerView["elsewhere"]}
 */
function elsewhereOf({ kind, at, captured_from, captured_seconds }) {
  const [asked, from] = [number(at), number(captured_from)];
  if (kind !== "video" || asked === null || from === null) return null;
  const until = from + (number(captured_seconds) ?? 0);
  const near = asked >= from - NOTABLE_SECONDS && asked <= until + NOTABLE_SECONDS;
  return near ? null : { asked: clockText(asked), from: clockText(from), until: clockText(until) };
}

/** @param {unknown} value */
function number(value) {
  return typeof value === "number" && Number.isFinite(value) ? value : null;
}

/** @param {unknown} value */
export function textOf(value) {
  return typeof value === "string" ? value : "";
}

/** Whether there is what is shown of a song at least. @param {any} value @returns {value is SongOfServer} */
export function isSong(value) {
  return typeof value?.title === "string" && Array.isArray(value.artists);
}

/**
 * @param {Identification} identification
 * @returns {AnswerView}
 */
export function answerView(identification) {
  const { id, stage, status, song, problem } = identification;
  const kind = /** @type {Identification["kind"]} */ (textOf(identification.kind));
  const target = textOf(identification.target);
  const live = kind === "stream";
  /** @type {AnswerView} */
  const view = {
    state: "working", id, kind, target, live, stage, heard_at: "", song: null, others: [], confidence: "",
    probable: false,
    elsewhere: elsewhereOf(identification),
    uncertain: identification.place_uncertain === true,
  };
  if (problem || status === "failed") return { ...view, state: "failed" };
  if (status === "no_match") return { ...view, state: "none" };
  if (!isSong(song)) return view;
  const same = JSON.stringify(song);
  const score = number(identification.score);
  const several = (kind === "clip" || kind === "file") && Array.isArray(identification.songs);
  const others = several ? identification.songs.filter(isSong) : [];
  return {
    ...view,
    state: "found",
    heard_at: live ? textOf(identification.captured_at) || textOf(identification.finished_at) : "",
    song: songView(song),
    others: others.filter((other) => JSON.stringify(other) !== same).map(songView),
    probable: score !== null && score <= PROBABLE,
    confidence: score === null ? "" : `${(score * 100).toFixed(0)}%`,
  };
}
