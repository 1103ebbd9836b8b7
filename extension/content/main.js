/** Connects site, button and panel: follows the page as it changes, asks the background, and shows its answers. */
"use strict";

(() => {
  const { site } = twitchaudio;
  /** @type {Say} */
  const say = (key, substitutions = []) => browser.i18n.getMessage(key, substitutions);

  /** How often a message is sent at most: the browser may stop and restart the background at any moment. */
  const MAX_TRIES = 8;
  const RETRY_MS = 150;
  /** The shortest time between two checks of the page while the control bar is missing. */
  const CHECK_INTERVAL_MS = 200;
  /** How long the control bar may be missing before the button floats over the picture. */
  const MAX_MISSING_MS = 3000;
  const MAX_JOB_MS = 90_000;
  /** A press this soon after the panel opened by itself was meant to open it, and does not close it. */
  const AUTO_OPEN_GRACE_MS = 600;

  // Remove what an earlier copy of this script left: the extension was updated while the page was open.
  for (const leftover of document.querySelectorAll("[data-twitchaudio]")) leftover.remove();

  /** @type {Settings | null} */
  let settings = null;
  /** @type {Target | null} */
  let target = null;
  let address = "";
  /** Aborted on navigation, and with it all that the page view has begun. */
  let page = new AbortController();
  /** Aborted when the question ends: by an answer, by another question, or by the viewer. */
  let asking = new AbortController();
  /** When the panel last opened by itself. */
  let openedByItselfAt = -Infinity;
  let missingSince = 0;
  let checkedAt = -Infinity;
  let checkTimer = 0;
  let checkDueAt = 0;
  let hadFocus = false;
  let observing = false;

  const button = twitchaudio.button.create(say("button_label"), (byKeyboard) => {
    if (!panel.open) void identify();
    else if (performance.now() - openedByItselfAt > AUTO_OPEN_GRACE_MS) hide(false);
    if (byKeyboard) button.element.focus();
  });
  const panel = twitchaudio.panel.create({
    act,
    closed: (byKeyboard) => hide(byKeyboard),
    leave: () => button.element.focus(),
    report: (id, reason, note) => send("report", { id, reason, note }),
  });

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

  // --- the background -----------------------------------------------------------------------------------

  /**
   * Sends a message, again when the background was stopped in the middle of it.
   * @template {MessageName} Name
   * @param {Name} name
   * @param {Messages[Name]["request"]} request
   * @returns {Promise<Messages[Name]["reply"]>}
   */
  async function send(name, request) {
    for (let tried = 1; ; tried++) {
      try {
        const reply = await browser.runtime.sendMessage({ name, ...request });
        if (reply !== undefined) return reply;
      } catch (error) {
        if (!browser.runtime?.id) throw error;
        if (tried >= MAX_TRIES) throw error;
      }
      if (tried >= MAX_TRIES) throw new Error("no reply");
      await pause(RETRY_MS * tried);
    }
  }

  /** @param {number} ms */
  function pause(ms) {
    return new Promise((resolve) => setTimeout(resolve, ms));
  }

  /** @returns {ProblemView} */
  function updated() {
    const [heading, text] = [say("problem_extension_updated_heading"), say("problem_extension_updated_text")];
    return { state: "error", code: "extension-updated", heading, text, actions: [], wait: null };
  }

  // --- asking -------------------------------------------------------------------------------------------

  /** Asks for what the page shows now, and shows the answer. @returns {Promise<View | null>} */
  async function identify() {
    const asked = target;
    if (!asked) return null;
    asking.abort();
    asking = new AbortController();
    const over = AbortSignal.any([asking.signal, page.signal]);
    const until = performance.now() + MAX_JOB_MS;
    show({ state: "working", id: null, step: 0 }, asked);
    const question = asked.question();
    /** @type {View} */
    let view;
    try {
      view = await send("ask", { question });
      while (view.state === "working" && !over.aborted && performance.now() < until) {
        show(view, asked);
        view = view.id === null ? await send("ask", { question }) : await send("poll", { id: view.id });
        if (view.state === "error" && view.code === "not-found") view = await send("ask", { question });
      }
    } catch {
      view = updated();
    }
    if (over.aborted) return null;
    show(view, asked);
    return view;
  }

  /** @param {View} view @param {Target} about */
  function show(view, about) {
    button.setBusy(view.state === "working");
    button.setOpen(true);
    placePanel();
    panel.show(view, about);
  }

  /** @param {boolean} focusButton */
  function hide(focusButton) {
    asking.abort();
    button.setBusy(false);
    button.setOpen(false);
    panel.hide();
    if (focusButton) button.element.focus({ preventScroll: true });
  }

  /** Shows a clip's stored answer without a press of the button. */
  async function lookUp() {
    const about = target;
    if (about?.kind !== "clip" || !settings?.lookup) return;
    const over = page.signal;
    const slug = about.key.slice("clip:".length);
    const view = await send("stored", { slug }).catch(() => null);
    if (view && !over.aborted && !panel.open && target === about) {
      openedByItselfAt = performance.now();
      show(view, about);
    }
  }

  /** @param {Action} action */
  async function act({ name }) {
    switch (name) {
      case "retry":
        await identify();
        break;
      case "options":
        await send("open-options", {}).catch(() => null);
        break;
      case "sign-in": {
        const about = target;
        if (!about) return;
        show({ state: "working", id: null, step: 0 }, about);
        const problem = await send("sign-in", {}).catch(updated);
        if (target !== about) return;
        if (problem) show(problem, about);
        else await identify();
        break;
      }
      default: // links are followed by the browser
    }
  }

  // --- the page -----------------------------------------------------------------------------------------

  /** Puts button and panel at their places in the current page; does nothing when they are there already. */
  function ensure() {
    checkedAt = performance.now();
    if (!target || !settings?.button) {
      remove();
      return;
    }
    const place = site.buttonPlace();
    if (!place || (place.floating && !isMissingFor(MAX_MISSING_MS))) {
      if (place) scheduleCheck(MAX_MISSING_MS);
      return;
    }
    if (!place.floating) missingSince = 0;
    if (place.floating && button.wrapper.isConnected && !button.wrapper.hasAttribute("data-floating")) return;
    if (place.parent !== button.wrapper.parentElement || (place.before && button.wrapper.nextSibling !== place.before)) {
      const focused = hadFocus && (document.activeElement === null || document.activeElement === document.body);
      button.wrapper.toggleAttribute("data-floating", place.floating);
      place.parent.insertBefore(button.wrapper, place.before);
      if (focused) button.element.focus({ preventScroll: true });
    }
    placePanel();
  }

  /** @param {number} ms */
  function isMissingFor(ms) {
    missingSince ||= performance.now();
    return performance.now() - missingSince >= ms;
  }

  function placePanel() {
    const { parent, fixed } = site.panelPlace();
    panel.host.dataset["theme"] = site.theme();
    panel.host.toggleAttribute("data-fixed", fixed);
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

  /** Observes changes of the page; only wanted on pages that can have a player. @param {boolean} wanted */
  function observe(wanted) {
    if (wanted === observing) return;
    observing = wanted;
    if (wanted) observer.observe(document.documentElement, { childList: true, subtree: true });
    else observer.disconnect();
  }

  /** Called when the address may have changed: another target ends what was shown and asked. */
  function navigated() {
    if (!browser.runtime?.id) {
      retire();
      return;
    }
    if (location.href === address) return;
    address = location.href;
    const next = site.target(new URL(address));
    if (next?.key === target?.key) return;
    page.abort();
    page = new AbortController();
    hide(false);
    target = next;
    missingSince = 0;
    observe(target !== null && settings?.button === true);
    ensure();
    void lookUp();
  }

  /** The extension was updated or removed: this copy of the script stops. */
  function retire() {
    observer.disconnect();
    page.abort();
    remove();
  }

  async function begin() {
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
  document.addEventListener("fullscreenchange", () => { if (target) ensure(); });

  browser.runtime.onMessage.addListener((/** @type {TabMessage} */ message) => {
    switch (message?.name) {
      case "identify":
        return identify();
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
    return { label: target?.label ?? "", kind: target?.kind ?? null, view: panel.view, button: placed ? where : "none" };
  }

  begin().catch(retire);
})();
