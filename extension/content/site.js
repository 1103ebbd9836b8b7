/**
 * All that is known of twitch.tv: addresses, selectors, where the button and the panel go. Twitch changes its pages
 * without notice, so each thing has several selectors, the most lasting first; generated class names are never used.
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
    /** The button before which ours stands. */
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
    /** Where a VOD is, when the picture does not tell. */
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

  const LOGIN = /^[A-Za-z0-9_]{1,25}$/;
  const SLUG = /^[A-Za-z0-9_-]{1,128}$/;
  const VIDEO = /^v?([1-9][0-9]{0,14})$/i;

  /** First words of paths that are no channels. Never complete: the server knows what is one. */
  const PAGES = new Set(
    ("about activate all annual auth bits blog broadcast browse category checkout clip clips collection collections " +
      "communities creatorcamp dashboard directory discover downloads drops embed event events following friends game " +
      "inventory jobs legal login logout messages moderator notifications p partner payments popout press prime " +
      "privacy products redeem search security settings signup store subs subscriptions tags team teams terms turbo u " +
      "user v video videos wallet").split(" "),
  );

  /** @param {string} login @returns {Target | null} */
  function channel(login) {
    if (!LOGIN.test(login) || PAGES.has(login.toLowerCase())) return null;
    const name = login.toLowerCase();
    return { kind: "channel", key: `channel:${name}`, label: name, question: () => ({ channel: name }) };
  }

  /** @param {string} slug @returns {Target | null} */
  function clip(slug) {
    if (!SLUG.test(slug)) return null;
    return { kind: "clip", key: `clip:${slug}`, label: slug, question: () => ({ clip: slug }) };
  }

  /** @param {string} id @param {URL} address @returns {Target | null} */
  function video(id, address) {
    const number = VIDEO.exec(id)?.[1];
    if (!number) return null;
    const question = () => ({ video: number, at: currentTime(address) });
    return { kind: "video", key: `video:${number}`, label: number, question };
  }

  /** @type {Record<string, (path: string[], address: URL) => Target | null>} */
  const ROUTES = {
    "www.twitch.tv": ([one = "", two = "", three = ""], address) => {
      if (one === "videos") return video(two, address);
      if (one === "clip") return clip(two);
      if (one === "moderator") return channel(two);
      if (one === "popout") return three === "chat" || two === "moderator" ? null : channel(two);
      if (two === "clip") return clip(three);
      if (two === "video" || two === "v") return video(three, address);
      return channel(one);
    },
    "clips.twitch.tv": (path, address) => {
      if (path[0] === "embed") return clip(address.searchParams.get("clip") ?? "");
      if (path[0] === "create" || path.at(-1) === "edit" || path.length > 2) return null;
      return clip(path.at(-1) ?? "");
    },
    "player.twitch.tv": (_, address) =>
      channel(address.searchParams.get("channel") ?? "") ?? video(address.searchParams.get("video") ?? "", address),
  };

  /** What a page's address shows; null when that is nothing that can be identified. @param {URL} address */
  function target(address) {
    return ROUTES[address.hostname]?.(address.pathname.split("/").filter(Boolean), address) ?? null;
  }

  /** Seconds from the start of a VOD: of the picture, else as displayed, else from the address. @param {URL} address */
  function currentTime(address) {
    const picture = mainVideo();
    if (picture && Number.isFinite(picture.currentTime) && picture.currentTime > 0) return round(picture.currentTime);
    const displayed = first("seekTime")?.textContent?.trim() ?? "";
    if (/^(\d+:)?\d{1,2}:\d{2}$/.test(displayed)) {
      return displayed.split(":").reduce((seconds, part) => seconds * 60 + Number(part), 0);
    }
    const [, hours = 0, minutes = 0, seconds = 0] =
      /^(?:(\d{1,4})h)?(?:(\d{1,5})m)?(?:(\d{1,7})s?)?$/.exec(address.searchParams.get("t") ?? "") ?? [];
    return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
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
   * player, or in a low one, it stands fixed at the left edge of the window, the chat being at the right.
   */
  function panelPlace() {
    const picture = mainVideo();
    const box = first("player") ?? (picture && playerOf(picture));
    const whole = document.fullscreenElement;
    const roomy = box !== null && (box.clientHeight >= LOWEST_PLAYER || whole !== null);
    if (box && roomy && (!whole || whole.contains(box))) return { parent: box, fixed: false };
    return { parent: whole && !(whole instanceof HTMLVideoElement) ? whole : document.body, fixed: true };
  }

  /** The look that the viewer has chosen on Twitch; without a sign of it, the system's. @returns {"dark" | "light"} */
  function theme() {
    for (const each of [document.documentElement, document.body]) {
      if (each.matches(SELECTORS.dark.join(", "))) return "dark";
      if (each.matches(SELECTORS.light.join(", "))) return "light";
    }
    if (first("light")) return "light";
    if (first("dark")) return "dark";
    return matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark";
  }

  /** Whether keys that are pressed there are text. @param {EventTarget | null} element */
  function isEditable(element) {
    return element instanceof HTMLElement && (element.isContentEditable || element.matches("input, textarea, select"));
  }

  return { target, buttonPlace, hasVideo: () => mainVideo() !== null, panelPlace, theme, isEditable };
})();
