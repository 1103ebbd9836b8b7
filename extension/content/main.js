/** Connects site, button and panel: follows the page as it changes, asks the background, and shows its answers. */
"use strict";

(() => {
  // The browser and the background may both put this script into a page that was open at the installation.
  if (twitchaudio.isCurrent?.()) return;
  const { site, say } = twitchaudio;

  /** The shortest time between two checks of the page while the control bar is missing, and while it is there. */
  const CHECK_INTERVAL_MS = 200;
  const CHECK_PLACED_MS = 1000;
  /** How long the control bar may be missing before the button floats over the picture. */
  const MAX_MISSING_MS = 3000;
  /** A press this soon after the panel opened by itself was meant to open it, and does not close it. */
  const AUTO_OPEN_GRACE_MS = 600;
  /** After so long without the mouse Twitch hides its controls in full screen. */
  const REST_MS = 3000;

  // Remove what an earlier copy of this script left: the extension was updated while the page was open.
  for (const leftover of document.querySelectorAll("[data-twitchaudio]")) leftover.remove();

  /** @type {Settings | null} */
  let settings = null;
  /** @type {Target | null} */
  let target = null;
  let address = "";
  /** Aborted on navigation, and with it all that the page view has begun. */
  let page = new AbortController();
  /** What the shown question is about. @type {Target | null} */
  let about = null;
  /** How many seconds ago the moment was that the viewer has chosen; 0 for the player's own. */
  let chosenAgo = 0;
  /** Looks whether the extension was updated in the middle of a question. */
  let watching = 0;
  let restTimer = 0;
  /** Clips that were looked up in this tab, and what was known of each. @type {Map<string, View | null>} */
  const lookedUp = new Map();
  /** When the panel last opened by itself. */
  let openedByItselfAt = -Infinity;
  let missingSince = 0;
  let checkedAt = -Infinity;
  let checkTimer = 0;
  let checkDueAt = 0;
  let hadFocus = false;
  let observing = false;
  let retired = false;

  const button = twitchaudio.button.create(say("button_label"), (byKeyboard) => {
    if (!panel.open) void identify();
    else if (performance.now() - openedByItselfAt > AUTO_OPEN_GRACE_MS) hide(false);
    if (byKeyboard) button.element.focus();
  });
  const panel = twitchaudio.panel.create({
    act,
    closed: (byKeyboard) => hide(byKeyboard),
    leave: () => button.element.focus(),
    isEditable: site.isEditable,
    isControl: site.isControl,
    picture: (path) => send("picture", { path }).catch(() => null),
    report: (id, reason, note) => send("report", { id, reason, note }).catch(() => problem("extension-silent")),
  });
  const send = twitchaudio.asking.sender((message) => browser.runtime.sendMessage(message), isCurrent);
  const asking = twitchaudio.asking.create({ send, show, problem });

  /** Whether this script belongs to the installed extension; not so after an update of it. */
  function isCurrent() {
    try {
      return Boolean(browser.runtime?.id);
    } catch {
      return false;
    }
  }

  twitchaudio.isCurrent = isCurrent;

  button.element.addEventListener("focus", () => { hadFocus = true; });
  // Removing the button from the page also blurs it: then the viewer did not move the focus.
  button.element.addEventListener("blur", () => queueMicrotask(() => {
    if (button.element.isConnected && document.activeElement !== button.element) hadFocus = false;
  }));
  button.element.addEventListener("keydown", (event) => {
    if (event.key !== "Tab" || event.shiftKey || !panel.open) return;
    event.preventDefault();
    event.stopPropagation();
    panel.focus();
  });

  // --- asking -------------------------------------------------------------------------------------------

  /** The view of a problem that the background cannot tell. @type {AskingParts["problem"]} */
  function problem(code, wait = null) {
    const key = code.replaceAll("-", "_");
    const name = code === "extension-updated" ? "reload" : "retry";
    return {
      state: "error", code, heading: say(`problem_${key}_heading`), text: say(`problem_${key}_text`), detail: "",
      actions: [{ name, label: say(`action_${name}`) }], wait, passing: name === "retry", final: false,
    };
  }

  /**
   * Asks for what the page shows now, or showed a number of seconds ago, and shows the answer.
   * @param {{ fresh?: boolean, ago?: number }} [way]
   */
  async function identify({ fresh = false, ago = 0 } = {}) {
    begin(ago);
    if (about) await asking.ask(asked, ago > 0 ? { chosen: true } : fresh ? { fresh } : {});
  }

  /** A question begins: `about` is what it is about, `asked` makes it. @param {number} ago */
  function begin(ago) {
    about = target;
    chosenAgo = about?.kind === "channel" ? ago : 0;
  }

  /** @returns {Question | Promise<Question>} */
  function asked() {
    if (!about) throw new Error("nothing is asked about");
    return chosenAgo > 0 ? { channel: about.label, ago: chosenAgo } : about.question();
  }

  /** @param {View} view */
  function show(view) {
    if (!about) return;
    const working = view.state === "working";
    if (about.kind === "clip" && view.state === "found") lookedUp.set(about.label, view);
    clearInterval(watching);
    if (working) watching = window.setInterval(() => { if (!isCurrent()) asking.updated(); }, 1000);
    button.setBusy(working);
    button.setOpen(true);
    placePanel();
    panel.show(view, about);
  }

  /** @param {boolean} focusButton */
  function hide(focusButton) {
    asking.end("close");
    clearInterval(watching);
    button.setBusy(false);
    button.setOpen(false);
    panel.hide();
    if (focusButton) button.element.focus({ preventScroll: true });
  }

  /** Shows a clip's stored answer without a press of the button: once for each clip, when the tab is looked at. */
  async function lookUp() {
    const clip = target;
    // In a frame of another site's page, too, nothing is sent by itself.
    if (clip?.kind !== "clip" || !settings?.lookup || browser.extension.inIncognitoContext || window.top !== window) return;
    const over = page.signal;
    await seen(over);
    if (over.aborted || panel.open) return;
    const slug = clip.key.slice("clip:".length);
    const view = lookedUp.has(slug) ? lookedUp.get(slug) : await send("stored", { slug }).catch(() => null);
    lookedUp.set(slug, view ?? null);
    if (view?.state !== "found" || over.aborted || panel.open || target !== clip) return;
    openedByItselfAt = performance.now();
    about = clip;
    asking.known(view);
  }

  /** Waits until the tab is visible. @param {AbortSignal} signal @returns {Promise<void>} */
  function seen(signal) {
    return new Promise((resolve) => {
      if (!document.hidden) return resolve();
      const look = () => { if (!document.hidden) resolve(); };
      document.addEventListener("visibilitychange", look, { signal });
      signal.addEventListener("abort", () => resolve(), { once: true });
    });
  }

  /** @param {Pick<Action, "name" | "ago">} action */
  async function act({ name, ago = 0 }) {
    switch (name) {
      case "retry":
        await identify({ ago: chosenAgo });
        break;
      case "again":
        await identify({ fresh: true });
        break;
      case "ago":
        await identify({ ago });
        break;
      case "reload":
        location.reload();
        break;
      case "options":
        await send("open-options", {}).catch(() => null);
        break;
      case "welcome":
        await send("open-welcome", {}).catch(() => null);
        break;
      case "sign-in":
        begin(chosenAgo);
        if (about) await asking.signIn(asked, chosenAgo > 0 ? { chosen: true } : {});
        break;
      default: // links are followed by the browser
    }
  }

  // --- the page -----------------------------------------------------------------------------------------

  /** Puts button and panel at their places in the current page; does nothing when they are there already. */
  function ensure() {
    checkedAt = performance.now();
    if (!isCurrent() && document.querySelector(`[data-twitchaudio="button-place"]`) !== button.wrapper) retire();
    if (retired) return;
    if (!target || !settings?.button) {
      remove();
      return;
    }
    const place = site.buttonPlace();
    if (!place || place.floating) {
      // In another player, such as a mini player, the button would ask about something else than is seen there.
      if (!button.wrapper.hasAttribute("data-floating")) button.wrapper.remove();
      if (!place) button.wrapper.remove();
      if (!isMissingFor(MAX_MISSING_MS)) {
        if (place) scheduleCheck(MAX_MISSING_MS);
        return;
      }
      if (!place) return;
    } else {
      missingSince = 0;
    }
    if (place.floating && button.wrapper.parentElement === place.parent) return;
    if (place.parent !== button.wrapper.parentElement || (place.before && button.wrapper.nextSibling !== place.before)) {
      const focused = hadFocus && (document.activeElement === null || document.activeElement === document.body);
      button.wrapper.toggleAttribute("data-floating", place.floating);
      place.parent.insertBefore(button.wrapper, place.before);
      if (focused) button.element.focus({ preventScroll: true });
    }
    placePanel();
  }

  /** After an update of the extension this is an old script, and the page may have a new one by now, whose button is there. */
  function retire() {
    retired = true;
    asking.end("leave");
    clearInterval(watching);
    observe(false);
    remove();
  }

  /** @param {number} ms */
  function isMissingFor(ms) {
    missingSince ||= performance.now();
    return performance.now() - missingSince >= ms;
  }

  function placePanel() {
    const { parent, fixed, area } = site.panelPlace();
    panel.host.dataset["theme"] = site.theme();
    panel.host.toggleAttribute("data-fixed", fixed);
    panel.host.toggleAttribute("data-area", area !== null);
    for (const [name, value] of Object.entries(area ?? {})) panel.host.style.setProperty(`--area-${name}`, `${Math.round(value)}px`);
    if (panel.host.parentElement !== parent) parent.append(panel.host);
  }

  function remove() {
    if (!button.wrapper.isConnected && !panel.host.isConnected) return;
    button.wrapper.remove();
    panel.host.remove();
    missingSince = 0;
  }

  /** Called for every burst of changes of the page: must be cheap while button and panel are in place. */
  function changed() {
    if (location.href !== address) navigated();
    else if (!button.wrapper.isConnected || !panel.host.isConnected || button.wrapper.hasAttribute("data-floating")) {
      scheduleCheck(CHECK_INTERVAL_MS);
    } else {
      scheduleCheck(CHECK_PLACED_MS);
    }
  }

  /** Checks the page `ms` after the last check, or at once when that is over. @param {number} ms */
  function scheduleCheck(ms) {
    const due = checkedAt + ms;
    if (checkTimer && due >= checkDueAt) return;
    clearTimeout(checkTimer);
    checkTimer = 0;
    if (due <= performance.now()) {
      ensure();
      return;
    }
    checkDueAt = due;
    checkTimer = window.setTimeout(() => { checkTimer = 0; ensure(); }, due - performance.now());
  }

  const observer = new MutationObserver(changed);
  /** Notices that the bar that holds the button is hidden, because there is another one now. */
  const hidden = new IntersectionObserver(() => { if (button.wrapper.isConnected) scheduleCheck(CHECK_INTERVAL_MS); });

  /** Observes changes of the page; only wanted on pages that can have a player. @param {boolean} wanted */
  function observe(wanted) {
    if (wanted === observing) return;
    observing = wanted;
    if (wanted) {
      const attributeFilter = ["data-a-player-state", "data-a-player-type"];
      observer.observe(document.documentElement, { childList: true, subtree: true, attributeFilter });
      hidden.observe(button.element);
    } else {
      observer.disconnect();
      hidden.disconnect();
    }
  }

  /** Called when the address may have changed: another target ends what was shown and asked. */
  function navigated() {
    if (location.href === address || retired) return;
    if (!isCurrent()) asking.updated();
    address = location.href;
    const next = site.target(new URL(address));
    if (next?.key === target?.key) return;
    page.abort();
    page = new AbortController();
    asking.end("leave");
    hide(false);
    target = next;
    missingSince = 0;
    observe(target !== null && settings?.button === true);
    ensure();
    void lookUp();
  }

  /** In full screen a floating button goes with Twitch's controls, when the mouse rests. */
  function woken() {
    if (button.wrapper.isConnected) scheduleCheck(CHECK_PLACED_MS);
    clearTimeout(restTimer);
    if (button.wrapper.hasAttribute("data-resting")) button.wrapper.removeAttribute("data-resting");
    if (!document.fullscreenElement || !button.wrapper.hasAttribute("data-floating")) return;
    restTimer = window.setTimeout(() => button.wrapper.toggleAttribute("data-resting", !panel.open), REST_MS);
  }

  async function start() {
    settings = await send("settings", {});
    address = "";
    navigated();
    observe(target !== null && settings.button);
    ensure();
  }

  const navigation = /** @type {EventTarget | undefined} */ (/** @type {unknown} */ (window.navigation));
  navigation?.addEventListener("navigatesuccess", navigated);
  navigation?.addEventListener("currententrychange", navigated);
  window.addEventListener("popstate", navigated);
  window.addEventListener("resize", () => { if (panel.open) placePanel(); });
  document.addEventListener("fullscreenchange", () => { if (target) ensure(); woken(); });
  document.addEventListener("pointermove", woken, { passive: true });
  // On the window and first: Twitch's own shortcuts must not see keys that are pressed in the panel.
  for (const name of ["keydown", "keyup", "keypress"]) {
    window.addEventListener(name, (event) => {
      if (!(event instanceof KeyboardEvent)) return;
      const inPanel = event.composedPath().includes(panel.host);
      const pressing = event.target === button.element && [" ", "Enter"].includes(event.key);
      if (inPanel || pressing) event.stopImmediatePropagation();
      if (inPanel && name === "keydown") panel.key(event);
    }, true);
  }

  browser.runtime.onMessage.addListener((/** @type {TabMessage} */ message) => {
    switch (message?.name) {
      case "identify":
        void identify({ ago: message.ago ?? 0 });
        return Promise.resolve(panel.view);
      case "page":
        return Promise.resolve(pageState());
      case "settings-changed":
        return send("settings", {}).then((fresh) => {
          settings = fresh;
          observe(target !== null && fresh.button);
          ensure();
          return null;
        });
      default:
        return undefined;
    }
  });

  /** @returns {PageState} */
  function pageState() {
    navigated();
    const placed = button.wrapper.isConnected && button.element.checkVisibility();
    const where = button.wrapper.hasAttribute("data-floating") ? "floating" : "player";
    const lost = target !== null && settings?.button === true && placed && where === "floating";
    return {
      label: target?.label ?? "", kind: target?.kind ?? null, view: panel.view, button: placed ? where : "none",
      report: lost ? [`page: ${target?.kind}`, ...site.selectorReport()].join("\n") : "",
    };
  }

  start().catch(remove);
})();
