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
  const UNITS = /^(?:([0-9]{1,4})h)?(?:([0-9]{1,5})m)?(?:([0-9]{1,7}(?:\.[0-9]{1,6})?)s?)?$/i;
  const BETWEEN_UNITS = /(?<=[hm])[ +]+/gi;
  const CLOCK = /^(?:([0-9]{1,4}):)?([0-9]{1,5}):([0-9]{1,2}(?:\.[0-9]{1,6})?)$/;

  const SPACES = /[\t-\r \x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]+/;
  /** Characters without a width, which copying from chats and pages brings along. */
  const INVISIBLE =
    // eslint-disable-next-line no-misleading-character-class, no-control-regex -- each sign alone, colors of chats
    /[\x02\x0f\x11\x16\x1d-\x1f\xad\u034f\u061c\u115f\u1160\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff\u{e0000}-\u{e007f}]|\x03(?:[0-9]{1,2}(?:,[0-9]{1,2})?)?|\x1b\[[0-9;]{0,20}m/gu;
  /** Letters that look like spaces. */
  const BLANKS = /[\u2800\u3164]/g;
  /** How Markdown writes `_`, JSON `/`, `&` and `=`, and pages `/`, quotes and brackets. */
  const ESCAPES = /\\([_/])|\\u00(2f|26|3d)|&(?:#x(2f)|#(47|34|39)|(quot|lt|gt|apos|nbsp));/gi;
  /** @type {Record<string, string>} */
  const ESCAPED = {
    "2f": "/", 47: "/", 26: "&", "3d": "=", quot: '"', 34: '"', lt: "<", gt: ">", apos: "'", 39: "'", nbsp: " ",
  };
  /** ASCII as wide as Chinese and Japanese signs. */
  const WIDE = /[\uff01-\uff5e]/g;
  const WIDE_LETTER = /[\uff10-\uff19\uff21-\uff3a\uff41-\uff5a]/;
  const WIDE_SCHEME = /(https?)[:\uff1a][/\uff0f]{2}/gi;
  const WIDE_SLASH = /(twitch\.tv)\uff0f/gi;
  /** Words between an address and the moment that is meant. */
  const BEFORE_MOMENT = [
    ...["at", "@", "-", "\u2013", "\u2014", "ab", "from", "around", "bei", "um", "\u00e0", "vers", "en", "\u2192"],
  ];

  // How chats and documents wrap an address, and what follows it in a sentence. No address of Twitch ends so.
  const OPENING = /^[<([{"'`*|~\u2018\u201c\u201e\u00ab\u300c\u300e\u3010\u3008\u300a\uff08]+/;
  const CLOSING =
    /[>)\]}"'`*|~.,;:!?\\\u2026\u2019\u201c\u201d\u00bb\u300d\u300f\u3011\u3009\u300b\uff09\u3002\u3001\uff0c\uff01\uff1f]+$/;
  const CLOSING_NO_MARKS = new RegExp(CLOSING.source.replace("*|~", ""));
  const PAIRS = ["<>", "()", "[]", "{}", '""', "''", "``", "**", "~~", "||", "\u2018\u2019", "\u201c\u201d", "\u00ab\u00bb"];
  const MARKDOWN = /\[[^[\]]*\]\(([^\s()]+)(?:\s+"[^"]*")?\)/g;
  const LABELED = /<([^\s<>|]+)\|[^<>]*>/g;
  /** What may come right before `https://`: a sign that wraps or quotes, a label, a writing without spaces. */
  // eslint-disable-next-line no-control-regex -- all of ASCII
  const WRAPPED = /^[^/:?]*(?:[<>([\]{"'`*|~_=!]|[^\x00-\x7f]|[A-Za-z]:)$|^["{]{0,2}[A-Za-z_]{1,20}":"$/;
  /** Signs of chats for italic and hidden text before an address: the same ones end it in reverse. */
  const MARKS = /^[_*~|]*_[_*~|]*(?=https?:\/|(?:[a-z0-9-]+\.)*twitch\.tv)/i;
  /** Punctuation, pictures and writings without spaces, which follow an address. */
  const FOREIGN =
    /(?<=[A-Za-z0-9_-])[\u2010-\u2bff\u3000-\u9fff\uac00-\ud7a3\uff00-\uff0f\uff1a-\uff20\uff5b-\uff9f\u{1f000}-\u{1faff}][^]*/u;
  const POSSESSIVE = /['\u2019]s$/;
  const BROKEN_MOMENT = /([?&#;]t(?:ime)?=[0-9hm]{0,12}[hm])[ +]+(?=[0-9]{1,7}(?:\.[0-9]{1,6})?[ms])/gi;

  /** What an address begins with that opens Twitch's app. */
  const APP = /^twitch:\/\/(?:(channel|stream|video|clip)\/+|open\/*\?)/i;
  /** @type {Record<string, string>} */
  const APP_PAGES = {
    channel: "twitch.tv/",
    stream: "twitch.tv/",
    video: "twitch.tv/videos/",
    clip: "clips.twitch.tv/",
    open: "player.twitch.tv/?",
  };
  const SCHEMES = /^(?:(?:https?:\/+)+|\/+)/i;
  const ENCODED = /^(?:https?%3a%2f|(?:https?:\/+)?(?:[a-z0-9-]+\.)*twitch\.tv%2f)/i;
  const ADDRESS = /^([^/?#]*)([^?#]*)(?:\?([^#]*))?(?:#([^]*))?$/;
  const TWITCH = /^(?:(?:https?:\/+)+|\/+)?(?:[a-z0-9-]+\.)*twitch\.tv\.?(?::[0-9]*)?(?:\/+[^/]|[?#])/i;
  const PLAIN_WORD = /^[A-Za-z0-9_-]+$/;

  const SITES = ["", "www.", "m.", "go.", "canary.", "release.", "beta.", "secure."].map((name) => `${name}twitch.tv`);
  const LOCALE = /^(?:m\.|www\.)?(?!id\.)[a-z]{2}(?:-[a-z0-9]{2,4})?(?:\.m|\.www)?\.twitch\.tv$/;
  const PLAYERS = ["player.twitch.tv", "embed.twitch.tv"];

  // Links that sites put around the addresses in what their users write, as in fingerprint/domain/link_wrappers.py.
  const LINK = /^https?:\/+([a-z0-9.-]+?)\.?(?::[0-9]*)?(?:\/[^?#]*)?\?([^#]*)$/i;
  const ADDRESS_START = /^(?:https?:\/+|\/\/)?[a-z0-9.-]+\.[a-z]{2,}/i;
  const GOOGLE = /^(?:www\.)?google(?:\.[a-z]{2,3}){1,2}$/;
  /** Hosts, by the parameter of their links in which the address is. @type {Record<string, string>} */
  const WRAPPERS = {
    q: "m.youtube.com www.youtube.com youtube.com",
    redirecturl: "deref-gmx.net deref-web.de",
    target: "link.zhihu.com",
    to: "away.vk.com m.vk.com vk.com vk.ru",
    u: "l.facebook.com l.instagram.com l.messenger.com l.threads.com l.threads.net l.wl.co lm.facebook.com " +
      "m.facebook.com steamcommunity.com www.facebook.com",
    uddg: "duckduckgo.com",
    url: "disq.us exit.sc gate.sc getpocket.com out.reddit.com slack-redir.net steamcommunity.com t.me " +
      "www.linkedin.com www.pixiv.net",
    z: "t.umblr.com",
  };
  /** Hosts whose links have the address behind the `?`, without a name. */
  const BARE_WRAPPERS = ["anon.to", "anonym.to", "href.li", "nullrefer.com", "www.deviantart.com"];
  const OUTLOOK = ".safelinks.protection.outlook.com";
  const MAX_WRAPPERS = 3;

  /** First path segments of twitch.tv that are pages, not channels. */
  const RESERVED = new Set((
    "about activate bits blog broadcast checkout clip clips collections communities dashboard directory discover " +
    "downloads drops embed event events following friends inventory jobs legal login logout moderator p partner " +
    "payments popout press prime privacy products redeem search security settings signup store subs subscriptions " +
    "team teams terms turbo u user v video videos wallet"
  ).split(" "));

  /** More of them, of which none is known to be kept from channels: they are pages in addresses alone. */
  const PAGES = new Set((
    "all annual auth browse category collection creatorcamp game messages notifications tags widgets"
  ).split(" "));

  /** @param {string} text */
  function clean(text) {
    let plain = text.replace(INVISIBLE, "").replace(BLANKS, " ").replace(ESCAPES, (_, ...groups) => {
      const what = groups.slice(0, 5).find((group) => group !== undefined);
      return ESCAPED[what.toLowerCase()] ?? what;
    });
    if (WIDE_LETTER.test(plain) && !/[A-Za-z0-9]/.test(plain)) {
      plain = plain.replace(WIDE, (sign) => String.fromCharCode(sign.charCodeAt(0) - 0xfee0));
    }
    return plain.replace(WIDE_SCHEME, "$1://").replace(WIDE_SLASH, "$1/").trim();
  }

  /** @param {string} name in any case, with or without `@` or `#` @returns {ParsedTarget | null} */
  function channelTarget(name) {
    const login = clean(name).replace(/^[@#]/, "").toLowerCase();
    return LOGIN.test(login) && !RESERVED.has(login) ? { kind: "channel", login } : null;
  }

  /** @param {string} text @returns {ParsedTarget | null} */
  function clipTarget(text) {
    const slug = clean(text);
    return SLUG.test(slug) && !/^[0-9]+$/.test(slug) ? { kind: "clip", slug } : null;
  }

  /** @param {string} text @param {number} [at] seconds @returns {ParsedTarget | null} */
  function videoTarget(text, at = 0) {
    const id = VIDEO_ID.exec(clean(text))?.[1];
    return id === undefined || at > MAX_AT_SECONDS ? null : { kind: "video", id, at };
  }

  /**
   * Seconds of a moment in a video, written as 1h2m3.5s, 1h 2m, 83m, 5025 or 1:02:03; null for anything else.
   * @param {string} text
   */
  function parseMoment(text) {
    const word = text.trim().replace(BETWEEN_UNITS, "");
    let parts = word ? UNITS.exec(word) : null;
    if (parts === null) {
      parts = CLOCK.exec(word);
      if (parts === null || Number(parts[3]) >= 60 || (parts[1] && Number(parts[2]) >= 60)) return null;
    }
    return Number(parts[1] ?? 0) * 3600 + Number(parts[2] ?? 0) * 60 + Number(parts[3] ?? 0);
  }

  /** Whether a word is one of the old slugs, such as AbrasivePlayfulMangoMau5. @param {string} word */
  function isOldSlug(word) {
    const parts = word.match(/[A-Z][^A-Z]*/g) ?? [];
    return word.length >= 17 && !word.includes("_") && parts.length >= 4 && parts.join("") === word &&
      parts.slice(0, 3).every((part) => part.length >= 3);
  }

  /** The words of a text, without what is wrapped around them. @param {string} text */
  function wordsOf(text) {
    const plain = text.replace(MARKDOWN, " $1 ").replace(LABELED, " $1 ")
      .replace(BROKEN_MOMENT, "$1").replace(BROKEN_MOMENT, "$1");
    const words = plain.split(SPACES).map(unwrapped).filter(Boolean);
    return words.length > 0 ? words : [text];
  }

  /** @param {string} whole */
  function unwrapped(whole) {
    let opening = MARKS.exec(whole)?.[0] ?? "";
    let word = whole.slice(opening.length);
    const scheme = word.search(/https?:\//i);
    const before = word.slice(0, Math.max(scheme, 0));
    if (WRAPPED.test(before)) {
      // Of `href="https://..."` the address ends before the next such sign.
      word = word.slice(scheme).replace(/[<>"[\]][^]*/, "");
      opening += before.slice(before.replace(/[_*~|]+$/, "").length);
    }
    word = word.replace(FOREIGN, "").replace(OPENING, "");
    if (opening.includes("_")) {
      const ending = [...opening].reverse().join("");
      word = word.replace(CLOSING_NO_MARKS, "");
      if (word.endsWith(ending)) word = word.slice(0, -ending.length);
    }
    return word.replace(CLOSING, "").replace(POSSESSIVE, "");
  }

  /** The names of the parameters of a host's links that hold an address. @param {string} host */
  function wrapperParameters(host) {
    if (GOOGLE.test(host)) return ["q", "url"];
    if (host.endsWith(OUTLOOK)) return ["url"];
    return Object.keys(WRAPPERS).filter((name) => WRAPPERS[name]?.split(" ").includes(host));
  }

  /** The address inside a link of a site that wraps addresses; any other word as it is. @param {string} whole */
  function carriedAddress(whole) {
    let word = whole;
    for (let depth = 0; depth < MAX_WRAPPERS; depth += 1) {
      const [, hostText = "", queryText = ""] = LINK.exec(word.split("#")[0] ?? "") ?? [];
      const query = queryText.replaceAll("&amp;", "&");
      const host = hostText.toLowerCase();
      const names = wrapperParameters(host);
      let inner = BARE_WRAPPERS.includes(host) && ADDRESS_START.test(query) ? query : undefined;
      if (names.length > 0 && query.split("&").length <= MAX_PARAMETERS) {
        const values = [...new URLSearchParams(query)].filter(([name]) => names.includes(name.toLowerCase()));
        inner = values.map(([, value]) => value.trim()).find((value) => ADDRESS_START.test(value));
      }
      if (inner === undefined) break;
      word = inner;
    }
    return word;
  }

  /** @param {string} segment */
  function decoded(segment) {
    try {
      return decodeURIComponent(segment);
    } catch {
      return segment;
    }
  }

  /** The first value of each parameter, by its name in lower case. @param {string} text */
  function parametersOf(text) {
    /** @type {Map<string, string>} */
    const found = new Map();
    for (const [name, value] of new URLSearchParams(text)) {
      const key = name.toLowerCase();
      if (value && !found.has(key)) found.set(key, value);
    }
    return found;
  }

  /**
   * The parts of an address, taken apart as the server does: `URL` would repair what the server refuses.
   * @param {string} address
   */
  function split(address) {
    // eslint-disable-next-line no-control-regex -- they are what is refused
    if (/[\u0000- \u007f\\]/.test(address)) return null;
    const text = ENCODED.test(address) ? decoded(address) : address;
    const scheme = SCHEMES.exec(text)?.[0] ?? "";
    if (!scheme && text.includes("://")) return null;
    const parts = ADDRESS.exec(text.slice(scheme.length).replaceAll("&amp;", "&")) ?? [];
    const [, place = "", pathText = "", questionText = "", fragmentText = ""] = parts;
    // A tool that removes parameters has taken the first one, with its `?`.
    const cut = questionText || !pathText.includes("&") ? pathText.length : pathText.indexOf("&");
    const queryText = questionText || pathText.slice(cut + 1);
    // Reddit encodes the `\_` of Markdown, and some tools all of a path.
    const path = decoded(pathText.slice(0, cut)).replaceAll("\\_", "_").split("/").filter(Boolean);
    const [host = "", ...ports] = place.split(":");
    if (!host || /[@[\]]/.test(place) || !["", "80", "443"].includes(ports.join(":"))) return null;
    if ([queryText, fragmentText].some((each) => each.split("&").length > MAX_PARAMETERS)) return null;
    const query = parametersOf(queryText);
    const fragment = parametersOf(fragmentText);
    const moment = query.get("t") ?? query.get("time") ?? fragment.get("t") ?? fragment.get("time");
    // Some tools end an address with a slash, or add their parameters behind a second `?`.
    const at = moment === undefined ? 0 : parseMoment(moment.replace(/(?<=[0-9hms])[/?][^]*/i, ""));
    if (at === null) return null;
    // A name with a dot at its end is the same host: RFC 1034, section 3.1.
    return { host: host.toLowerCase().replace(/\.$/, ""), path, query, at };
  }

  /** @param {string} text an address @returns {ParsedTarget | null} */
  function addressTarget(text) {
    const parts = split(text.replace(APP, (_, page) => APP_PAGES[(page ?? "open").toLowerCase()] ?? ""));
    if (parts === null) return null;
    const { host, path, query, at } = parts;
    if (host === "clips.twitch.tv") return clipPageTarget(path, query.get("clip"));
    if (host === "dashboard.twitch.tv") {
      const [page = "", name = ""] = path[0]?.toLowerCase() === "popout" ? path.slice(1) : path;
      return ["u", "moderator"].includes(page.toLowerCase()) ? dashboardTarget(path, name, at) : null;
    }
    if (PLAYERS.includes(host)) {
      const [channel, stream, video, clip] = ["channel", "stream", "video", "clip"].map((name) => query.get(name));
      if (channel ?? stream) return channelTarget(channel ?? stream ?? "");
      return video === undefined ? clipTarget(clip ?? "") : videoTarget(video, at);
    }
    return SITES.includes(host) || LOCALE.test(host) ? pageTarget(path, at, query.get("vodid")) : null;
  }

  /**
   * The channel of a page of the dashboard, or the video or clip that it edits.
   * @param {string[]} path @param {string} name @param {number} at seconds
   */
  function dashboardTarget(path, name, at) {
    const pages = path.slice(0, -1).map((page) => page.toLowerCase());
    const last = path.at(-1) ?? "";
    if (pages.includes("video-producer") && VIDEO_ID.test(last)) return videoTarget(last, at);
    return pages.includes("clips") && (last.length > 25 || isOldSlug(last)) ? clipTarget(last) : channelTarget(name);
  }

  /** @param {string[]} whole path of clips.twitch.tv @param {string | undefined} embedded */
  function clipPageTarget(whole, embedded) {
    const path = whole.length > 1 && whole.at(-1)?.toLowerCase() === "edit" ? whole.slice(0, -1) : whole;
    const first = path[0]?.toLowerCase() ?? "";
    if (first === "embed" && embedded !== undefined) return clipTarget(embedded.split("/").at(-1) ?? "");
    if (path.length === 0 || path.length > 2 || ["embed", "create", "clips", "edit"].includes(first)) return null;
    return clipTarget(path.at(-1) ?? "");
  }

  /**
   * @param {string[]} path of www.twitch.tv
   * @param {number} at seconds
   * @param {string | undefined} scheduled the video that a schedule page names
   * @returns {ParsedTarget | null}
   */
  function pageTarget(path, at, scheduled) {
    const [one = "", two = "", three = ""] = path;
    const [first, second] = [one.toLowerCase(), two.toLowerCase()];
    if (path.length > 1) {
      if (first === "stories" || first === "story") return null;
      if (first === "clip" || first === "clips") return clipTarget(two);
      if (["videos", "video", "v"].includes(first)) return videoTarget(two, at);
      if (first === "popout" && ["moderator", "u"].includes(second) && path.length > 2) return channelTarget(three);
      if (["popout", "moderator", "embed", "u", "subs"].includes(first)) return channelTarget(two);
    }
    if (path.length === 2 && ["clip", "c", "b", "v", "video"].includes(second)) return null;
    if (second === "clip" || (second === "clips" && path.length > 2)) return clipTarget(three);
    if (second === "v" || second === "video") return videoTarget(three, at);
    if (second === "videos" && VIDEO_ID.test(three)) return videoTarget(three, at);
    if (second === "manager" && VIDEO_ID.test(path.at(-1) ?? "")) return videoTarget(path.at(-1) ?? "", at);
    if (second === "b" || second === "c") return null;
    if (second === "schedule" && scheduled !== undefined) return videoTarget(scheduled, at);
    return PAGES.has(first) ? null : channelTarget(one);
  }

  /** The moment that is written behind an address, maybe as `t=1m`. @param {string} word */
  function writtenMoment(word) {
    return parseMoment(word.replace(/^t=/, ""));
  }

  /** The target of an address, or of a text around exactly one. @param {string} text @returns {ParsedTarget | null} */
  function addressIn(text) {
    const words = wordsOf(text).map(carriedAddress);
    const [, between = "", following = ""] = words;
    if (BEFORE_MOMENT.includes(between.toLowerCase()) && writtenMoment(following) !== null) words.splice(1, 1);
    if (words.length === 1) return addressTarget(words[0] ?? "");
    const [before = "", joint = ""] = words;
    if (before.includes(":") && writtenMoment(before) !== null) {
      const place = words.length > 2 && BEFORE_MOMENT.includes(joint.toLowerCase()) ? 2 : 1;
      const link = words[place] ?? "";
      if (TWITCH.test(link)) words.splice(0, place + 1, link, before);
    }
    const links = [...new Set(words.filter((word) => TWITCH.test(word)))];
    const [link = "", second = ""] = words;
    // In a longer text only a clock's time is meant as the moment.
    if (links.length === 1 && link === links[0] && (words.length === 2 || second.includes(":"))) {
      const target = addressTarget(link);
      const moment = writtenMoment(second);
      if (target?.kind === "video" && !target.at && moment !== null) return videoTarget(target.id, moment);
      // Less likely a sentence than an address that was broken by a space.
      if (words.length === 2 && PLAIN_WORD.test(second) && text.slice(link.length).search(SPACES) === 0) return null;
    }
    const targets = links.map(addressTarget);
    const keys = new Set(targets.map((target) => JSON.stringify(target)));
    return keys.size === 1 ? targets[0] ?? null : null;
  }

  /** @param {string} text a name, slug, number or address @returns {ParsedTarget | null} null for anything else */
  function parseTarget(text) {
    const whole = clean(text);
    if (whole.length > MAX_TEXT) return null;
    let word = whole;
    while (word.length > 2 && PAIRS.includes(word.charAt(0) + word.charAt(word.length - 1))) word = clean(word.slice(1, -1));
    if (/^[@#]/.test(word)) word = word.replace(/[,.:;!?]+$/, "");
    if (/[/.:?]/.test(word)) return addressIn(whole);
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

  return { parseTarget, toQuestion };
})();
