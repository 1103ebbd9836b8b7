/**
 * Reads channel names, clip slugs, video numbers and Twitch addresses as the server's parse_target does
 * (fingerprint/domain/targets.py). The cases in tests/unit/targets.json hold for both.
 *
 * A classic script, since content scripts cannot be modules: modules import it for its global.
 */
"use strict";

globalThis.twitchaudio = /** @type {TwitchAudioContent} */ (globalThis.twitchaudio ?? {});

twitchaudio.targets = (() => {
  const MAX_TEXT = 2000;
  const MAX_AT_SECONDS = 1_000_000;
  const MAX_PARAMETERS = 100;
  const LOGIN = /^[A-Za-z0-9_]{1,25}$/;
  const SLUG = /^[A-Za-z0-9_-]{1,128}$/;
  const VIDEO_ID = /^[vV]?([1-9][0-9]{0,14})$/;
  const MOMENT = /^(?:([0-9]{1,4})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,7})s?)?$/i;

  const SITES = ["twitch.tv", "www.twitch.tv", "m.twitch.tv", "go.twitch.tv"];
  const PLAYERS = ["player.twitch.tv", "embed.twitch.tv"];

  /** First path segments of twitch.tv that are pages, not channels. */
  const RESERVED = new Set((
    "about activate bits blog broadcast checkout clip clips collections communities dashboard directory discover " +
    "downloads drops embed event events following friends inventory jobs legal login logout moderator p partner " +
    "payments popout press prime privacy products redeem search security settings signup store subscriptions team " +
    "teams terms turbo u user v video videos wallet"
  ).split(" "));

  /** @param {string} name in any case, with or without `@` @returns {ParsedTarget | null} */
  function channelTarget(name) {
    const login = name.trim().replace(/^@/, "");
    if (!LOGIN.test(login) || RESERVED.has(login.toLowerCase())) return null;
    return { kind: "channel", login: login.toLowerCase() };
  }

  /** @param {string} text @returns {ParsedTarget | null} */
  function clipTarget(text) {
    const slug = text.trim();
    return SLUG.test(slug) && !/^[0-9]+$/.test(slug) ? { kind: "clip", slug } : null;
  }

  /** @param {string} text @param {string} moment as in an address @returns {ParsedTarget | null} */
  function videoTarget(text, moment = "") {
    const id = VIDEO_ID.exec(text.trim())?.[1];
    const at = parseMoment(moment);
    return id === undefined || at === null || at > MAX_AT_SECONDS ? null : { kind: "video", id, at };
  }

  /**
   * Seconds of a moment in a video, written as 1h2m3s, 83m or 5025; 0 for no text, null for anything else.
   * @param {string} text
   */
  function parseMoment(text) {
    const parts = MOMENT.exec(text);
    return parts && Number(parts[1] ?? 0) * 3600 + Number(parts[2] ?? 0) * 60 + Number(parts[3] ?? 0);
  }

  /** Whether a word is one of the old slugs, such as AbrasivePlayfulMangoMau5. @param {string} word */
  function isOldSlug(word) {
    const parts = word.match(/[A-Z][^A-Z]*/g) ?? [];
    return word.length >= 17 && !word.includes("_") && parts.length >= 4 && parts.join("") === word &&
      parts.slice(0, 3).every((part) => part.length >= 3);
  }

  /**
   * The parts of an address, taken apart as the server does: `URL` would repair what the server refuses.
   * @param {string} text
   */
  function split(text) {
    // eslint-disable-next-line no-control-regex -- they are what is refused
    if (/[\u0000- \u007f\\]/.test(text)) return null;
    const scheme = text.indexOf("://");
    if (scheme >= 0 && !/^https?$/i.test(text.slice(0, scheme))) return null;
    const rest = scheme < 0 ? text.replace(/^\/\//, "") : text.slice(scheme + 3);
    const [, place = "", path = "", query = ""] = /^([^/?#]*)([^?#]*)(?:\?([^#]*))?/.exec(rest) ?? [];
    const [host = "", ...ports] = place.split(":");
    if (place.includes("@") || !["", "80", "443"].includes(ports.join(":"))) return null;
    if (query.split("&").length > MAX_PARAMETERS) return null;
    return { host: host.toLowerCase(), path: path.split("/").filter(Boolean), query: new URLSearchParams(query) };
  }

  /** @param {string} text @returns {ParsedTarget | null} */
  function addressTarget(text) {
    const parts = split(text);
    if (parts === null) return null;
    const { host, path } = parts;
    const query = (/** @type {string} */ name) => parts.query.getAll(name).find(Boolean);
    const moment = query("t") ?? query("time") ?? "";
    if (host === "clips.twitch.tv") {
      const clip = query("clip");
      if (path[0] === "embed" && clip !== undefined) return clipTarget(clip);
      if (path.length === 0 || path.length > 2 || ["embed", "create", "clips"].includes(path[0] ?? "")) return null;
      return clipTarget(path.at(-1) ?? "");
    }
    if (PLAYERS.includes(host)) {
      const channel = query("channel");
      return channel === undefined ? videoTarget(query("video") ?? "", moment) : channelTarget(channel);
    }
    return SITES.includes(host) ? pageTarget(path, moment, query("vodID")) : null;
  }

  /**
   * @param {string[]} path of www.twitch.tv
   * @param {string} moment
   * @param {string | undefined} scheduled the video that a schedule page names
   * @returns {ParsedTarget | null}
   */
  function pageTarget(path, moment, scheduled) {
    const [one = "", two = "", three = ""] = path;
    const [first, second] = [one.toLowerCase(), two.toLowerCase()];
    if (path.length > 1) {
      if (first === "clip") return clipTarget(two);
      if (["videos", "video", "v"].includes(first)) return videoTarget(two, moment);
      if (first === "popout" && second === "moderator" && path.length > 2) return channelTarget(three);
      if (["popout", "moderator", "embed"].includes(first)) return channelTarget(two);
    }
    if (path.length === 2 && ["clip", "c", "b", "v", "video"].includes(second)) return null;
    if (second === "clip") return clipTarget(three);
    if (["v", "video", "videos"].includes(second) && path.length > 2) return videoTarget(three, moment);
    if (second === "b" || second === "c") return null;
    if (second === "schedule" && scheduled !== undefined) return videoTarget(scheduled, moment);
    return channelTarget(one);
  }

  /** @param {string} text a name, slug, number or address @returns {ParsedTarget | null} null for anything else */
  function parseTarget(text) {
    const word = text.trim();
    if (word.length > MAX_TEXT) return null;
    if (/[/.:?]/.test(word)) return addressTarget(word);
    if (/^[0-9]{7,}$/.test(word)) return videoTarget(word);
    return word.includes("-") || word.length > 25 || isOldSlug(word) ? clipTarget(word) : channelTarget(word);
  }

  /** The body of the request that identifies a target. @param {ParsedTarget} target @returns {Question} */
  function toQuestion(target) {
    switch (target.kind) {
      case "channel": return { channel: target.login };
      case "clip": return { clip: target.slug };
      case "video": return { video: target.id, at: target.at };
    }
  }

  return { parseTarget, parseMoment, toQuestion };
})();
