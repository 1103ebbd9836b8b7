// @ts-check
/**
 * What the page says at once about the text in the field. The server decides (fingerprint/domain/targets.py);
 * this mirrors its rules, and a test holds the two together.
 *
 * @typedef {{kind: "channel", login: string}
 *   | {kind: "clip", slug: string}
 *   | {kind: "video", id: string, at: number}
 *   | {kind: "unknown"}} Target
 */

const LOGIN = /^[A-Za-z0-9_]{1,25}$/;
const SLUG = /^[A-Za-z0-9_-]{1,128}$/;
const VIDEO_ID = /^[vV]?([1-9][0-9]{0,14})$/;
const MOMENT = /^(?:([0-9]{1,4})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,7})s?)?$/i;
const LATEST = 1_000_000;

const SITES = ["twitch.tv", "www.twitch.tv", "m.twitch.tv", "go.twitch.tv"];
const PLAYERS = ["player.twitch.tv", "embed.twitch.tv"];

/** First parts of Twitch's addresses that are pages, not channels. */
export const RESERVED = new Set((
  "about activate bits blog broadcast checkout clip clips collections communities dashboard directory discover " +
  "downloads drops embed event events following friends inventory jobs legal login logout moderator p partner " +
  "payments popout press prime privacy products redeem search security settings signup store subscriptions team " +
  "teams terms turbo u user v video videos wallet"
).split(" "));

/** @type {Target} */
const UNKNOWN = { kind: "unknown" };

/**
 * @param {string | undefined} name
 * @returns {Target}
 */
function channel(name = "") {
  const login = name.trim().replace(/^@/, "").toLowerCase();
  return LOGIN.test(login) && !RESERVED.has(login) ? { kind: "channel", login } : UNKNOWN;
}

/**
 * @param {string | undefined} slug
 * @returns {Target}
 */
const clip = (slug = "") => (SLUG.test(slug) && !/^[0-9]+$/.test(slug) ? { kind: "clip", slug } : UNKNOWN);

/**
 * @param {string | undefined} id
 * @param {string} moment such as 1h2m3s, 83m or 5025
 * @returns {Target}
 */
function video(id = "", moment = "") {
  const number = VIDEO_ID.exec(id)?.[1];
  const parts = MOMENT.exec(moment);
  if (!number || !parts) return UNKNOWN;
  const [hours, minutes, seconds] = [1, 2, 3].map((n) => Number(parts[n] ?? 0));
  const at = (hours ?? 0) * 3600 + (minutes ?? 0) * 60 + (seconds ?? 0);
  return at <= LATEST ? { kind: "video", id: number, at } : UNKNOWN;
}

/** One of the old slugs, such as AbrasivePlayfulMangoMau5. @param {string} word */
function isOldSlug(word) {
  const parts = word.match(/[A-Z][^A-Z]*/g) ?? [];
  return word.length >= 17 && !word.includes("_") && parts.length >= 4 && parts.join("") === word &&
    parts.slice(0, 3).every((part) => part.length >= 3);
}

/**
 * @param {string} text
 * @returns {Target}
 */
function fromAddress(text) {
  if (/[\s\\]/.test(text)) return UNKNOWN;
  /** @type {URL} */
  let url;
  try {
    url = new URL(text.includes("://") ? text : `https://${text.replace(/^\/\//, "")}`);
  } catch {
    return UNKNOWN;
  }
  if (!/^https?:$/.test(url.protocol) || url.username || url.password || !["", "80", "443"].includes(url.port)) {
    return UNKNOWN;
  }
  const query = (/** @type {string} */ name) => url.searchParams.get(name) || undefined;
  const path = url.pathname.split("/").filter(Boolean);
  const moment = query("t") ?? query("time") ?? "";
  if (url.hostname === "clips.twitch.tv") {
    if (path[0] === "embed" && query("clip")) return clip(query("clip"));
    return path.length > 2 || ["embed", "create", "clips"].includes(path[0] ?? "") ? UNKNOWN : clip(path.at(-1));
  }
  if (PLAYERS.includes(url.hostname)) {
    return query("channel") ? channel(query("channel")) : video(query("video"), moment);
  }
  return SITES.includes(url.hostname) ? fromPage(path, moment, query("vodID")) : UNKNOWN;
}

/**
 * @param {string[]} path of www.twitch.tv
 * @param {string} moment
 * @param {string | undefined} scheduled the video named by a schedule page
 * @returns {Target}
 */
function fromPage(path, moment, scheduled) {
  const [first = "", second = ""] = path.map((part) => part.toLowerCase());
  if (path.length > 1) {
    if (first === "clip") return clip(path[1]);
    if (["videos", "video", "v"].includes(first)) return video(path[1], moment);
    if (["popout", "moderator", "embed"].includes(first)) return channel(path[1]);
  }
  if (path.length === 2 && ["clip", "c", "b", "v", "video"].includes(second)) return UNKNOWN;
  if (second === "clip") return clip(path[2]);
  if (["v", "video", "videos"].includes(second) && path.length > 2) return video(path[2], moment);
  if (second === "b" || second === "c") return UNKNOWN;
  if (second === "schedule" && scheduled) return video(scheduled, moment);
  return channel(first);
}

/**
 * Understand a channel's name, a clip's slug, a video's number or an address.
 * @param {string} text
 * @returns {Target}
 */
export function understand(text) {
  const word = text.trim();
  if (/[/.:?]/.test(word)) return fromAddress(word);
  if (/^[0-9]{7,}$/.test(word)) return video(word);
  return word.includes("-") || word.length > 25 || isOldSlug(word) ? clip(word) : channel(word);
}
