/**
 * The result panel: a shadow root with the states working, found, none and error, and `idle` when it is closed. It
 * knows nothing of Twitch. Everything is made of elements and text nodes: titles are untrusted.
 */
"use strict";

twitchaudio.panel = (() => {
  const { icons, say } = twitchaudio;
  const NOTE_LENGTH = 200;

  /**
   * @template {keyof HTMLElementTagNameMap} Tag
   * @param {Tag} tag
   * @param {Record<string, string>} attributes
   * @param {(Node | string | null)[]} children
   * @returns {HTMLElementTagNameMap[Tag]}
   */
  function h(tag, attributes = {}, ...children) {
    const element = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
    element.append(...children.filter((child) => child !== null));
    return element;
  }

  /** @param {string} className @param {(Node | string)[]} inner @param {(event: MouseEvent) => void} onClick */
  function pressable(className, inner, onClick) {
    const element = h("button", { type: "button", class: className }, ...inner);
    element.addEventListener("click", (event) => { if (event.isTrusted) onClick(event); });
    return element;
  }

  /** @param {PanelActs} acts @returns {Panel} */
  function create(acts) {
    const host = document.createElement("div");
    host.dataset["twitchaudio"] = "panel";
    host.dataset["state"] = "idle";
    // The page may be in another language.
    host.lang = say("language");
    host.dir = say("direction");
    const root = host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(twitchaudio.panelStyle);
    root.adoptedStyleSheets = [sheet];

    // Live regions must exist before their text changes, or screen readers miss it.
    const spoken = h("div", { class: "unseen", role: "status", "aria-live": "polite" });
    const alerted = h("div", { class: "unseen", role: "alert" });
    const about = h("p", { class: "about", id: "about" });
    const body = h("div", { class: "body" });
    const close = pressable("close", [icons.close()], (event) => acts.closed(event.detail === 0));
    close.setAttribute("aria-label", say("panel_close"));
    const box = h("section", { class: "box", role: "dialog", "aria-labelledby": "about", tabindex: "-1" },
      h("header", {}, about, close), body);
    box.hidden = true;
    root.append(spoken, alerted, box);

    /** @type {View | null} */
    let view = null;
    /** Notes of reports that were not sent, by the answer's id. @type {Map<string, string>} */
    const drafts = new Map();
    let began = 0;
    /** @type {number | undefined} */
    let ticking;

    // Events in the panel must not reach Twitch: presses on its layers pause, its shortcuts mute.
    for (const name of ["click", "dblclick", "mousedown", "mouseup", "pointerdown", "pointerup", "wheel", "contextmenu",
      "keydown", "keyup", "keypress"]) {
      host.addEventListener(name, (event) => event.stopPropagation(), { passive: true });
    }

    /** Keys of the panel; content/main.js takes them before the page can see them. @param {KeyboardEvent} event */
    function key(event) {
      if (event.key === "Tab") leaveAtTheEnds(event);
      if (event.key !== "Escape" || event.isComposing) return;
      const back = body.querySelector(".report button");
      // In the form Escape leads back to the answer; the note is kept.
      if (back instanceof HTMLButtonElement && root.activeElement?.closest(".report")) back.dispatchEvent(new Event("back"));
      else acts.closed(true);
    }

    /**
     * From the last control Tab goes on to what follows the button, which takes the focus first; from the first
     * control it goes back to the button.
     * @param {KeyboardEvent} event
     */
    function leaveAtTheEnds(event) {
      const controls = focusable();
      const at = root.activeElement;
      const backwards = event.shiftKey && (at === controls[0] || at === box);
      if (!backwards && (event.shiftKey || at !== controls.at(-1))) return;
      if (backwards) event.preventDefault();
      acts.leave();
    }

    function focusable() {
      return [.../** @type {NodeListOf<HTMLElement>} */ (box.querySelectorAll("button:not([disabled]), a[href], input"))]
        .filter((element) => element.checkVisibility());
    }

    /** @param {Event} event */
    function outside(event) {
      if (event instanceof KeyboardEvent) {
        const typing = acts.isEditable(event.composedPath()[0] ?? null);
        if (event.key === "Escape" && !event.composedPath().includes(host) && !typing) acts.closed(false);
      } else if (view?.state !== "working" && event.isTrusted) {
        // A press on the picture closes a finished panel; a press elsewhere, e.g. in the chat, does not.
        const path = event.composedPath();
        const end = host.parentElement === document.body ? -1 : path.indexOf(host.parentElement ?? host);
        const inside = path.slice(0, Math.max(0, end));
        const others = inside.some((each) => acts.isControl(each) || (each instanceof Element && each.matches("[data-twitchaudio]")));
        if (end >= 0 && !others) acts.closed(false);
      }
    }

    /** @param {View} next @param {Target} target */
    function show(next, target) {
      const changes = view?.state !== next.state || next.state !== "working";
      if (view === null || (next.state === "working" && view.state !== "working")) began = performance.now();
      if (view === null) {
        document.addEventListener("keydown", outside, true);
        document.addEventListener("click", outside, true);
      }
      view = next;
      const title = next.state === "working" ? "panel_listening" : "panel_about";
      about.textContent = say(`${title}_${target.kind}`, [target.label]);
      if (changes) {
        stopTicking();
        const focused = root.activeElement !== null;
        body.replaceChildren(...drawn(next, target.kind === "channel"));
        if (focused && root.activeElement === null) box.focus({ preventScroll: true });
      }
      if (next.state === "working") drawStages(next);
      host.dataset["state"] = next.state;
      box.hidden = false;
      speak(next, about.textContent);
    }

    function hide() {
      document.removeEventListener("keydown", outside, true);
      document.removeEventListener("click", outside, true);
      stopTicking();
      view = null;
      host.dataset["state"] = "idle";
      box.hidden = true;
      spoken.textContent = alerted.textContent = "";
      body.replaceChildren();
    }

    function stopTicking() {
      clearInterval(ticking);
      ticking = undefined;
    }

    /** @param {View} now @param {string} title */
    function speak(now, title) {
      const alert = now.state === "error" ? `${now.heading}. ${now.text}`.trim() : "";
      let status = "";
      if (now.state === "working") status = now.blocked ? say("panel_blocked") : title;
      if (now.state === "found") status = spokenFound(now);
      if (now.state === "none") status = `${now.heading}. ${now.text}`;
      if (spoken.textContent !== status) spoken.textContent = status;
      if (alerted.textContent !== alert) alerted.textContent = alert;
    }

    /** @param {Found} found */
    function spokenFound({ song, probably }) {
      return say(probably ? "spoken_probably" : "spoken_found", [song.title, song.artists]);
    }

    /** @param {View} now @param {boolean} live whether earlier moments can be asked for @returns {Node[]} */
    function drawn(now, live) {
      switch (now.state) {
        case "working": return drawnWorking();
        case "found": return drawnFound(now, live);
        case "none": return [
          h("h2", {}, now.heading), h("p", { class: "text" }, now.text), drawnActions(now.actions, null),
          ...(live ? [drawnEarlier()] : []),
        ];
        case "error": {
          const detail = now.detail ? [h("p", { class: "text detail", lang: "en" }, now.detail)] : [];
          const earlier = live && now.code === "moment-gone" ? [drawnEarlier()] : [];
          const text = now.text ? [h("p", { class: "text" }, now.text)] : [];
          return [h("h2", {}, now.heading), ...text, ...detail, drawnActions(now.actions, now.wait), ...earlier];
        }
      }
    }

    /** The choice of an earlier moment. */
    function drawnEarlier() {
      const choices = twitchaudio.asking.EARLIER_SECONDS.map((ago) => {
        const label = ago < 60 ? say("ago_seconds", [String(ago)]) : say("ago_minutes", [String(ago / 60)]);
        const choice = pressable("text-button", [label], () => acts.act({ name: "ago", ago }));
        choice.setAttribute("aria-label", say("ago_ask", [label]));
        choice.dataset["act"] = `ago-${ago}`;
        return choice;
      });
      return h("div", { class: "earlier", role: "group", "aria-labelledby": "earlier" }, h("span", { id: "earlier" }, say("ago_label")), ...choices);
    }

    function drawnWorking() {
      const elapsed = h("span", { class: "elapsed" });
      const tick = () => { elapsed.textContent = say("panel_elapsed", [String(Math.floor((performance.now() - began) / 1000))]); };
      tick();
      ticking = window.setInterval(tick, 250);
      const stages = ["stage_find", "stage_listen", "stage_compare"].map((name) => h("li", {}, say(name)));
      const cancel = pressable("text-button", [say("panel_cancel")], (event) => acts.closed(event.detail === 0));
      return [
        h("div", { class: "beam" }, h("i")), h("ol", { class: "steps" }, ...stages),
        h("p", { class: "text blocked" }, say("panel_blocked")), h("p", { class: "foot" }, elapsed, cancel),
      ];
    }

    /** @param {Working} working */
    function drawStages({ stage, blocked }) {
      for (const [index, item] of [...body.querySelectorAll(".steps li")].entries()) {
        item.toggleAttribute("data-past", index < stage);
        if (index === stage) item.setAttribute("aria-current", "step");
        else item.removeAttribute("aria-current");
      }
      body.querySelector(".steps")?.toggleAttribute("hidden", blocked);
      body.querySelector(".blocked")?.toggleAttribute("hidden", !blocked);
    }

    /** @param {Found} found @param {boolean} live @returns {Node[]} */
    function drawnFound({ id, kind, song, others, note, probably, corrected }, live) {
      const title = h("h2", { class: "title", "data-field": "title", dir: "auto" }, song.title);
      const artists = h("p", { class: "artists", "data-field": "artists", dir: "auto" }, song.artists);
      const album = song.album ? h("p", { class: "album", "data-field": "album", dir: "auto" }, song.album) : null;
      const links = song.links.map((link) => drawnLink(link));
      return [
        h("div", { class: "song" }, drawnCover(song), h("div", {},
          probably ? h("p", { class: "probably", "data-field": "probably" }, probably) : null, title, artists, album,
          corrected ? h("p", { class: "probably", "data-field": "corrected" }, corrected) : null)),
        drawnPosition(song),
        note ? h("p", { class: "text", "data-field": "note" }, note) : null,
        h("div", { class: "links" }, ...links),
        others.length ? drawnOthers(others) : null,
        live ? drawnEarlier() : null,
        drawnFoot(id, song, kind),
      ].filter((node) => node !== null);
    }

    /** The cover, and until it is there, or without one, a drawing of the song's landmarks. @param {ShownSong} song */
    function drawnCover({ cover, points }) {
      if (!points.length && !cover) return null;
      const frame = h("div", { class: "cover", "aria-hidden": "true" }, points.length ? icons.landmarks(points) : null);
      const asked = cover ? acts.picture?.(cover) : undefined;
      void asked?.then((address) => {
        if (!address) return;
        const picture = h("img", { alt: "", src: address });
        // A page may forbid it.
        picture.addEventListener("load", () => frame.replaceChildren(picture));
      });
      return frame;
    }

    /** @param {SongLink} link */
    function drawnLink({ service, name, href, exact }) {
      const label = say(exact ? "link_open" : "link_search", [name]);
      const icon = exact ? icons.open() : icons.search();
      return h("a", { href, target: "_blank", rel: "noopener noreferrer", class: "link", "data-field": service,
        "aria-label": label, title: label }, name, icon);
    }

    /** @param {ShownSong} song */
    function drawnPosition({ moment, length, played }) {
      if (moment === "") return null;
      const text = length === "" ? moment : say("panel_position", [moment, length]);
      const line = h("div", { class: "position" }, h("span", {}, text));
      if (played !== null) {
        const filled = h("i");
        filled.style.width = `${played.toFixed(1)}%`;
        line.prepend(h("div", { class: "track", "aria-hidden": "true" }, filled));
      }
      return line;
    }

    /** @param {ShownSong[]} others */
    function drawnOthers(others) {
      const items = others.map((song) => h("li", {},
        h("span", { class: "at" }, song.position),
        h("span", { dir: "auto" }, `${song.artists} – ${song.title}`)));
      return h("div", { class: "others" }, h("h3", {}, say("panel_others")), h("ol", {}, ...items));
    }

    /** @param {string} id @param {ShownSong} song @param {Found["kind"]} kind */
    function drawnFoot(id, song, kind) {
      const copyLabel = h("span", {}, say("panel_copy"));
      const copy = pressable("text-button", [icons.copy(), copyLabel], async () => {
        const done = await copied(song.artists ? `${song.artists} – ${song.title}` : song.title);
        copyLabel.textContent = spoken.textContent = say(done ? "panel_copied" : "panel_copy_failed");
        if (done) copy.querySelector("svg")?.replaceWith(icons.check());
      });
      copy.dataset["act"] = "copy";
      const again = pressable("text-button", [icons.note(), say("action_again")], () => acts.act({ name: "again" }));
      again.dataset["act"] = "again";
      const { report } = acts;
      const wrong = report && pressable("text-button", [icons.flag(), say("report_ask")], () => {
        const form = drawnReport(id, report, () => { form.replaceWith(foot); wrong?.focus(); });
        foot.replaceWith(form);
        form.querySelector("input")?.focus();
      });
      if (wrong) wrong.dataset["act"] = "report";
      const foot = h("p", { class: "foot" }, copy, kind === "clip" ? null : again, wrong ?? null);
      return foot;
    }

    /** @param {string} id @param {NonNullable<PanelActs["report"]>} report @param {() => void} back */
    function drawnReport(id, report, back) {
      const note = h("input", { type: "text", maxlength: String(NOTE_LENGTH), id: "note", placeholder: say("report_note_hint") });
      note.value = drafts.get(id) ?? "";
      note.addEventListener("input", () => drafts.set(id, note.value));
      const cancel = pressable("text-button", [say("panel_cancel")], back);
      cancel.addEventListener("back", back);
      const form = h("form", { class: "report" },
        h("label", { for: "note" }, say("report_note")), note,
        h("p", { class: "foot" }, h("span"), cancel,
          h("button", { type: "submit", class: "primary", "data-act": "send-report" }, say("report_send"))));
      form.addEventListener("submit", async (event) => {
        event.preventDefault();
        if (!event.isTrusted) return;
        for (const control of form.querySelectorAll("button, input")) control.setAttribute("disabled", "");
        const problem = await report(id, "wrong-song", note.value.trim());
        if (!problem) drafts.delete(id);
        const words = problem ? `${problem.heading}. ${problem.text}` : say("report_done");
        form.replaceWith(h("p", { class: "foot", "data-reported": problem ? problem.code : "" }, h("span", { class: "elapsed" }, words)));
        spoken.textContent = words;
        box.focus({ preventScroll: true });
      });
      return form;
    }

    /** @param {Action[]} actions @param {number | null} wait */
    function drawnActions(actions, wait) {
      const drawnOnes = actions.map((action, index) => {
        const className = index === 0 ? "primary" : "secondary";
        const element = action.href
          ? h("a", { class: className, href: action.href, target: "_blank", rel: "noopener noreferrer" }, action.label)
          : pressable(className, [action.label], () => acts.act(action));
        element.dataset["act"] = action.name;
        if (action.name === "retry" && wait !== null && element instanceof HTMLButtonElement) countDown(element, action.label, wait);
        return element;
      });
      return h("div", { class: "actions" }, ...drawnOnes);
    }

    /** @param {HTMLButtonElement} element @param {string} label @param {number} wait */
    function countDown(element, label, wait) {
      const until = performance.now() + wait * 1000;
      const tick = () => {
        const left = Math.ceil((until - performance.now()) / 1000);
        element.disabled = left > 0;
        element.textContent = left > 0 ? say("action_retry_in", [String(left)]) : label;
        if (left <= 0) stopTicking();
      };
      tick();
      ticking = window.setInterval(tick, 250);
    }

    return {
      host,
      show,
      hide,
      key,
      get open() { return view !== null; },
      get view() { return view; },
      focus: () => (focusable()[0] ?? box).focus(),
    };
  }

  /** @param {string} text */
  async function copied(text) {
    try {
      await navigator.clipboard.writeText(text);
      return true;
    } catch {
      return false;
    }
  }

  return { create };
})();
