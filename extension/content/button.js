/** The button: an HTML button in the page itself, placed in the control bar beside Twitch's own. */
"use strict";

twitchaudio.button = {
  create(label, onPress) {
    const wrapper = document.createElement("div");
    wrapper.dataset["twitchaudio"] = "button-place";
    const element = document.createElement("button");
    element.type = "button";
    element.dataset["twitchaudio"] = "button";
    element.dataset["label"] = label;
    element.setAttribute("aria-label", label);
    element.setAttribute("aria-haspopup", "dialog");
    element.setAttribute("aria-expanded", "false");
    element.append(twitchaudio.icons.note());
    wrapper.append(element);

    // A page can dispatch events: only trusted ones start a job. Presses must not reach Twitch's own layers.
    element.addEventListener("click", (event) => {
      event.stopPropagation();
      if (event.isTrusted) onPress(event.detail === 0);
    });
    for (const name of ["dblclick", "mousedown", "mouseup", "pointerdown", "pointerup"]) {
      element.addEventListener(name, (event) => event.stopPropagation());
    }

    return {
      element,
      wrapper,
      setBusy(busy) {
        if (element.hasAttribute("data-busy") === busy) return;
        element.toggleAttribute("data-busy", busy);
        element.setAttribute("aria-busy", String(busy));
        element.replaceChildren(busy ? twitchaudio.icons.bars() : twitchaudio.icons.note());
      },
      setOpen(open) {
        element.setAttribute("aria-expanded", String(open));
      },
    };
  },
};
