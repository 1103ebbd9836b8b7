/**
 * All knowledge of twitch.tv: addresses, selectors, where the button and the panel go. Twitch changes its pages
 * without notice, so each element has several selectors, the most stable first; generated class names are never used.
 * Nothing here changes the page.
 */
"use strict";

globalThis.twitchaudio = /** @type {TwitchAudioContent} */ (globalThis.twitchaudio ?? {});

twitchaudio.site = (() => {
  /**
   * Each selector with who else relies on it and the month of the newest evidence (public sources of maintained
   * extensions and user scripts). Tried in this order; each is proven on a page in tests/browser/extension/pages.
   * @satisfies {Record<string, [selector: string, evidence: string, month: string][]>}
   */
  const SELECTORS = {
    /** The right end of the control bar. */
    controls: [
      [".video-player__default-player .player-controls__right-control-group", "FrankerFaceZ", "2026-06"],
      [".player-controls__right-control-group", "BetterTTV", "2026-08"],
      ['[data-a-target="player-controls"] [class*="right-control-group"]', "7TV: the bar by this name", "2026-04"],
    ],
    /** The button before which ours is inserted. */
    neighbor: [
      ['button[data-a-target="player-settings-button"]', "BetterTTV", "2026-08"],
      ['button[data-a-target="player-theatre-mode-button"]', "FrankerFaceZ", "2026-06"],
      ['button[data-a-target="player-fullscreen-button"]', "FrankerFaceZ", "2026-06"],
      ['button[aria-label*="Theat"]', "FrankerFaceZ", "2024-12"],
    ],
    /** The box that holds the picture and, in full screen, is all that is seen. */
    player: [
      [".video-player__container", "BetterTTV", "2026-08"],
      ['[data-test-selector="video-player__video-layout"]', "user scripts", "2023-06"],
      [".video-player__overlay", "BetterTTV: clips and embeds", "2023-06"],
      [".video-player", "BetterTTV", "2026-08"],
    ],
    /** All that belongs to one player: picture, bar, seek bar. Says which kind it is in `data-a-player-type`. */
    whole: [
      [".video-player", "BetterTTV", "2026-08"],
      [".persistent-player", "7TV", "2026-04"],
    ],
    /** Players that show something else than the page is about: previews, mini players, the picture beside an ad. */
    others: [
      ['[data-a-player-type="channel_home_carousel"]', "BetterTTV", "2026-08"],
      ['[data-a-player-type="frontpage"]', "BetterTTV", "2026-08"],
      ['[data-a-player-type="site_mini"]', "BetterTTV", "2026-08"],
      ['[data-a-player-state="mini"]', "BetterTTV", "2026-08"],
      [".persistent-player__border--mini", "FrankerFaceZ", "2026-06"],
      [".picture-by-picture-player", "FrankerFaceZ", "2026-06"],
      ['[data-a-target="picture-by-picture-player"]', "user scripts", "2026"],
      [".pbyp-player-instance", "user scripts", "2025"],
    ],
    /** The seek bar's two times; `data-a-value` holds them in seconds. */
    seekTime: [['[data-a-target="player-seekbar-current-time"]', "user scripts", "2026"]],
    seekEnd: [['[data-a-target="player-seekbar-duration"]', "user scripts", "2026"]],
    /** An ad is shown in the player. */
    ad: [
      ['[data-a-target="video-ad-countdown"]', "user scripts", "2025"],
      ['[data-a-target="video-ad-label"]', "user scripts", "2025"],
    ],
    dark: [[".tw-root--theme-dark", "7TV", "2026-04"]],
    light: [[".tw-root--theme-light", "7TV", "2026-04"]],
  };

  /** @typedef {keyof typeof SELECTORS} Part */

  /** One list for `matches` and `closest`. @param {Part} name */
  function any(name) {
    return SELECTORS[name].map(([selector]) => selector).join(", ");
  }
  const OTHERS = any("others");

  /** All elements of a part that belong to no other player, the best selector's first. @param {Part} name @param {ParentNode} within */
  function all(name, within) {
    const found = new Set(SELECTORS[name].flatMap(([selector]) => [...within.querySelectorAll(selector)]));
    return [...found].filter((each) => !each.closest(OTHERS));
  }

  /** @param {Part} name @param {ParentNode} [within] @returns {Element | null} */
  function first(name, within = document) {
    return all(name, within)[0] ?? null;
  }

  /** The closest box around an element, by the best selector that has one. @param {Part} name @param {Element} element */
  function around(name, element) {
    return SELECTORS[name].map(([selector]) => element.closest(selector)).find((box) => box !== null) ?? null;
  }

  // --- addresses ---------------------------------------------------------------------------------------

  const { parseTarget, toQuestion } = twitchaudio.targets;

  /** Whether a page has no player, although its address names a channel or clip. @param {URL} address */
  function hasNoPlayer({ hostname, pathname }) {
    const path = pathname.toLowerCase();
    const [one = "", two = "", three = ""] = path.split("/").filter(Boolean);
    if (hostname === "clips.twitch.tv") return path.endsWith("/edit");
    return ["embed", "subs"].includes(one) || (one === "popout" && (two === "moderator" || three === "chat"));
  }

  /** What a page's address shows; null when that is nothing that can be identified. @param {URL} address */
  function target(address) {
    const plain = new URL(address);
    // The moment is read when it is needed, from the player if possible.
    for (const name of ["t", "time"]) plain.searchParams.delete(name);
    plain.hash = "";
    const parsed = hasNoPlayer(address) ? null : parseTarget(plain.href);
    if (parsed === null) return null;
    const label = parsed.kind === "channel" ? parsed.login : parsed.kind === "clip" ? parsed.slug : parsed.id;
    return { kind: parsed.kind, key: `${parsed.kind}:${label}`, label, question: () => questionAt(parsed, address) };
  }

  /** @param {ParsedTarget} parsed @param {URL} address @returns {Question | Promise<Question>} */
  function questionAt(parsed, address) {
    const player = mainPlayer();
    if (parsed.kind === "video") return toQuestion({ ...parsed, at: videoMoment(player, address) });
    if (parsed.kind !== "channel" || !player || !isRewound(shownBehind(player))) return toQuestion(parsed);
    return settledBehind(player).then((ago) => (ago === null ? toQuestion(parsed) : { channel: parsed.login, ago }));
  }

  // --- moments -----------------------------------------------------------------------------------------

  /** How far the seek bar, which shows whole seconds, may be beside the picture's own time. */
  const SAME_MOMENT_SECONDS = 3;
  const SAME_LENGTH_SECONDS = 5;
  /** Nearer to the live edge a viewer is live. */
  const LIVE_SECONDS = 15;
  /** So long a seek bar must say the same of a live stream before it is believed. */
  const SETTLE_MS = 2100;
  const SETTLED_SECONDS = 1.5;
  const MAX_AGO_SECONDS = 172_800;

  /**
   * Seconds from the start of a VOD. A picture may be an ad's: it is believed when it agrees with the seek bar, or is
   * the only one and as long as the video; else the seek bar is. With neither, nothing is known but the address.
   * @param {Player | null} player
   * @param {URL} address
   */
  function videoMoment(player, address) {
    const named = parseTarget(address.href);
    const stated = named?.kind === "video" ? named.at : 0;
    if (!player) return stated;
    const [shown, end] = [displayed("seekTime", player.whole), displayed("seekEnd", player.whole)];
    const pictures = picturesOf(player.whole).filter(({ currentTime }) => Number.isFinite(currentTime) && currentTime > 0);
    const beside = (/** @type {HTMLVideoElement} */ each) => Math.abs(each.currentTime - (shown ?? Infinity));
    const [best] = [...pictures].sort((one, other) => beside(one) - beside(other));
    if (best && beside(best) <= SAME_MOMENT_SECONDS) return round(best.currentTime);
    const [only, another] = picturesOf(player.whole);
    const alone = only && !another && only.currentTime > 0 && !first("ad", player.whole);
    const whole = end === null ? shown === null || only && only.duration >= shown : only && Math.abs(only.duration - end) <= SAME_LENGTH_SECONDS;
    return alone && whole ? round(only.currentTime) : shown ?? stated;
  }

  /** The seconds that a part of the seek bar shows; null when it shows none. @param {Part} name @param {Element} within */
  function displayed(name, within) {
    const element = first(name, within);
    const text = element?.textContent?.trim().replace("\u2212", "-") ?? "";
    const told = Number(element?.getAttribute("data-a-value") || NaN);
    if (!/^-?(\d+:)?\d{1,2}:\d{2}$/.test(text)) return Number.isFinite(told) ? told : null;
    const seconds = text.replace("-", "").split(":").reduce((sum, part) => sum * 60 + Number(part), 0);
    return text.startsWith("-") ? -seconds : seconds;
  }

  /** What a live player's seek bar says at this moment; null when it says nothing. @param {Player} player */
  function shownBehind(player) {
    const [at, end] = [displayed("seekTime", player.whole), displayed("seekEnd", player.whole)];
    if (at === null) return null;
    if (at < 0) return -at;
    return end === null || end < at ? null : end - at;
  }

  /** @param {number | null} behind */
  function isRewound(behind) {
    return behind !== null && behind >= LIVE_SECONDS && behind <= MAX_AGO_SECONDS;
  }

  /**
   * How far behind the live edge a rewound stream is; null when the page does not say the same twice: no recording
   * shows how Twitch's seek bar behaves there.
   * @param {Player} player
   * @returns {Promise<number | null>}
   */
  async function settledBehind(player) {
    const before = first("ad", player.whole) ? null : shownBehind(player);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    const after = shownBehind(player);
    return before !== null && after !== null && Math.abs(after - before) <= SETTLED_SECONDS ? Math.round(after) : null;
  }

  /** @param {number} seconds */
  function round(seconds) {
    return Math.round(seconds * 10) / 10;
  }

  // --- places ------------------------------------------------------------------------------------------

  /** The pictures in a part of the page, the largest first. @param {ParentNode} whole */
  function picturesOf(whole) {
    const size = (/** @type {Element} */ each) => each.clientWidth * each.clientHeight;
    return [...whole.querySelectorAll("video")].filter((each) => !each.closest(OTHERS))
      .sort((one, other) => size(other) - size(one));
  }

  /** How visible an element is: Twitch keeps hidden copies of its control bar. @param {Element} element */
  function visibility(element) {
    if (!element.checkVisibility() || element.closest('[aria-hidden="true"], [inert], [hidden]')) return 0;
    return element.checkVisibility({ visibilityProperty: true, opacityProperty: true }) && element.clientHeight > 0 ? 2 : 1;
  }

  /**
   * The player that the page is about, to which the button belongs: by its visible control bar, else by its picture.
   * @returns {Player | null}
   */
  function mainPlayer() {
    let group = null;
    let best = 1;
    for (const each of all("controls", document)) {
      // Of two that are hidden alike, because the mouse rests, the one that has our button keeps it.
      const score = visibility(each) * 2 + (each.querySelector("[data-twitchaudio]") ? 1 : 0);
      if (score > best) [group, best] = [each, score];
    }
    const sized = picturesOf(document).find((each) => each.clientWidth > 0);
    const inside = group ?? sized;
    if (!inside) return null;
    const whole = around("whole", inside) ?? inside.parentElement ?? document.body;
    return { group, whole, box: around("player", inside) ?? whole };
  }

  /** Where the button goes: in the control bar; else, if there is a picture, over its corner. @returns {Place | null} */
  function buttonPlace() {
    const player = mainPlayer();
    if (!player) return null;
    const { group, box } = player;
    if (!group) return { parent: box, before: null, floating: true };
    let neighbor = first("neighbor", group);
    while (neighbor && neighbor.parentElement !== group) neighbor = neighbor.parentElement;
    return { parent: group, before: neighbor, floating: false };
  }

  /** In a player of less height, in pixels, the panel would cover the captions. */
  const LOW_PLAYER = 380;

  /**
   * Where the panel goes: into the player, so that it is seen in full screen and never covers the chat. In a low
   * player, or without one, it is fixed in the larger of the areas over and under the control bar.
   */
  function panelPlace() {
    const player = mainPlayer();
    const whole = document.fullscreenElement;
    const box = player?.box ?? null;
    const roomy = box !== null && (box.clientHeight >= LOW_PLAYER || whole !== null);
    if (box && roomy && (!whole || whole.contains(box))) return { parent: box, fixed: false, area: null };
    const parent = whole && !(whole instanceof HTMLVideoElement) ? whole : document.body;
    return { parent, fixed: true, area: box && areaBeside(box, player?.group?.parentElement ?? null) };
  }

  /** The captions, two lines of them, over the control bar, in pixels. */
  const CAPTIONS = 80;

  /** @param {Element} box @param {Element | null} bar */
  function areaBeside(box, bar) {
    const [player, controls] = [box.getBoundingClientRect(), (bar ?? box).getBoundingClientRect()];
    const over = { top: Math.max(0, player.top), bottom: (bar ? controls.top : player.bottom) - CAPTIONS };
    const under = { top: controls.bottom, bottom: innerHeight };
    const { top, bottom } = over.bottom - over.top >= under.bottom - under.top ? over : under;
    return { left: Math.max(0, player.left), top, width: player.width, height: bottom - top };
  }

  /** The theme that the viewer has chosen on Twitch; if it cannot be found, the system's. @returns {"dark" | "light"} */
  function theme() {
    for (const each of [document.documentElement, document.body]) {
      if (each.matches(any("dark"))) return "dark";
      if (each.matches(any("light"))) return "light";
    }
    if (first("light")) return "light";
    if (first("dark")) return "dark";
    return matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  }

  /** Whether keys that are pressed in an element are text input. @param {EventTarget | null} element */
  function isEditable(element) {
    return element instanceof HTMLElement && (element.isContentEditable || element.matches("input, textarea, select"));
  }

  /** Whether a press on it is for a control of the player, not for the picture. @param {EventTarget | null} element */
  function isControl(element) {
    return element instanceof Element &&
      element.matches(`button, a[href], input, select, textarea, label, [role], [tabindex]:not([tabindex="-1"]), ${any("controls")}`);
  }

  /** How many elements each selector finds: for a report, without anything that the page says. */
  function selectorReport() {
    return Object.entries(SELECTORS).map(([name, rows]) =>
      `${name}: ${rows.map(([selector]) => document.querySelectorAll(selector).length).join(" ")}`);
  }

  return { target, buttonPlace, panelPlace, theme, isEditable, isControl, selectorReport };
})();
