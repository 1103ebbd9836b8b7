/**
 * All knowledge of twitch.tv: addresses, selectors, where the button and the panel go. Twitch changes its pages
 * without notice, so each element has several selectors, the most stable first; generated class names are never used.
 * Nothing here changes the page.
 */
"use strict";

globalThis.twitchaudio = /** @type {TwitchAudioContent} */ (globalThis.twitchaudio ?? {});

twitchaudio.site = (() => {
  /** Tried in this order. Each is proven on a page in tests/browser/extension/pages. */
  const SELECTORS = {
    /** The right end of the control bar. */
    controls: [
      ".video-player__default-player .player-controls__right-control-group",
      ".player-controls__right-control-group",
      '[data-a-target="player-controls"] [class*="right-control-group"]',
    ],
    /** The button before which ours is inserted. */
    neighbor: [
      'button[data-a-target="player-settings-button"]',
      'button[data-a-target="player-theatre-mode-button"]',
      'button[data-a-target="player-fullscreen-button"]',
      'button[aria-label*="Theat"]',
    ],
    /** The box that holds the picture and, in full screen, is all that is seen. */
    player: [
      ".video-player__container",
      '[data-test-selector="video-player__video-layout"]',
      ".video-player__overlay",
      ".video-player",
      "#channel-player",
    ],
    /** Players that show something else than the page is about. */
    previews: [
      '[data-a-player-type="channel_home_carousel"]',
      '[data-a-player-type="frontpage"]',
      '[data-a-player-type="clips-preview"]',
      ".persistent-player__border--mini",
    ],
    /** The displayed time in a VOD, for when there is no picture to read it from. */
    seekTime: ['[data-a-target="player-seekbar-current-time"]'],
    dark: [".tw-root--theme-dark"],
    light: [".tw-root--theme-light"],
  };

  /** @param {keyof typeof SELECTORS} name @param {ParentNode} [within] @returns {Element | null} */
  function first(name, within = document) {
    const previews = SELECTORS.previews.join(", ");
    for (const selector of SELECTORS[name]) {
      for (const found of within.querySelectorAll(selector)) {
        if (!found.closest(previews)) return found;
      }
    }
    return null;
  }

  // --- addresses ---------------------------------------------------------------------------------------

  const { parseTarget, toQuestion } = twitchaudio.targets;

  /** Further first path segments that are no channels. Never complete: the server decides what is a channel. */
  const PAGES = new Set(
    "all annual auth browse category collection creatorcamp game messages notifications subs tags".split(" "),
  );

  /** Whether a page has no player, although its address names a channel or clip. @param {URL} address */
  function hasNoPlayer({ hostname, pathname }) {
    const [one = "", two = "", three = ""] = pathname.split("/").filter(Boolean);
    if (hostname === "clips.twitch.tv") return pathname.endsWith("/edit");
    return one === "embed" || (one === "popout" && (two === "moderator" || three === "chat")) || PAGES.has(one.toLowerCase());
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
    const question = () => toQuestion(parsed.kind === "video" ? { ...parsed, at: currentTime(address) } : parsed);
    return { kind: parsed.kind, key: `${parsed.kind}:${label}`, label, question };
  }

  /** Seconds from the start of a VOD: of the picture, else as displayed, else from the address. @param {URL} address */
  function currentTime(address) {
    const picture = mainVideo();
    if (picture && Number.isFinite(picture.currentTime) && picture.currentTime > 0) return round(picture.currentTime);
    const displayed = first("seekTime")?.textContent?.trim() ?? "";
    if (/^(\d+:)?\d{1,2}:\d{2}$/.test(displayed)) {
      return displayed.split(":").reduce((seconds, part) => seconds * 60 + Number(part), 0);
    }
    const named = parseTarget(address.href);
    return named?.kind === "video" ? named.at : 0;
  }

  /** @param {number} seconds */
  function round(seconds) {
    return Math.round(seconds * 10) / 10;
  }

  // --- places ------------------------------------------------------------------------------------------

  /** The largest picture that is no preview. @returns {HTMLVideoElement | null} */
  function mainVideo() {
    const previews = SELECTORS.previews.join(", ");
    let best = null;
    let most = 0;
    for (const each of document.querySelectorAll("video")) {
      const size = each.clientWidth * each.clientHeight;
      if (size > most && !each.closest(previews)) [best, most] = [each, size];
    }
    return best;
  }

  /** Where the button goes: in the control bar; else, if there is a picture, over its corner. @returns {Place | null} */
  function buttonPlace() {
    const group = first("controls");
    if (group) {
      let neighbor = first("neighbor", group);
      while (neighbor && neighbor.parentElement !== group) neighbor = neighbor.parentElement;
      return { parent: group, before: neighbor, floating: false };
    }
    const picture = mainVideo();
    return picture ? { parent: playerOf(picture) ?? document.body, before: null, floating: true } : null;
  }

  /** @param {Element} picture */
  function playerOf(picture) {
    for (const selector of SELECTORS.player) {
      const box = picture.closest(selector);
      if (box) return box;
    }
    return picture.parentElement;
  }

  /** In a lower player, in pixels, the panel would cover the captions. */
  const LOWEST_PLAYER = 380;

  /**
   * Where the panel goes: into the player, so that it is seen in full screen and never covers the chat. Without a
   * player, or in a low one, it is fixed at the left edge of the window, the chat being at the right.
   */
  function panelPlace() {
    const picture = mainVideo();
    const box = first("player") ?? (picture && playerOf(picture));
    const whole = document.fullscreenElement;
    const roomy = box !== null && (box.clientHeight >= LOWEST_PLAYER || whole !== null);
    if (box && roomy && (!whole || whole.contains(box))) return { parent: box, fixed: false };
    return { parent: whole && !(whole instanceof HTMLVideoElement) ? whole : document.body, fixed: true };
  }

  /** The theme that the viewer has chosen on Twitch; if it cannot be found, the system's. @returns {"dark" | "light"} */
  function theme() {
    for (const each of [document.documentElement, document.body]) {
      if (each.matches(SELECTORS.dark.join(", "))) return "dark";
      if (each.matches(SELECTORS.light.join(", "))) return "light";
    }
    if (first("light")) return "light";
    if (first("dark")) return "dark";
    return matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  }

  /** Whether keys that are pressed in an element are text input. @param {EventTarget | null} element */
  function isEditable(element) {
    return element instanceof HTMLElement && (element.isContentEditable || element.matches("input, textarea, select"));
  }

  return { target, buttonPlace, hasVideo: () => mainVideo() !== null, panelPlace, theme, isEditable };
})();
