/** What the pop-up and the options share: words, elements, messages to the background. */

import "../lib/states.js";
import "../lib/asking.js";

/** @type {Say} */
export const say = (key, substitutions = []) => browser.i18n.getMessage(key, substitutions);

/** Fills the page with words: `data-i18n` is the text, `data-i18n-LABEL` an attribute. */
export function fillWords() {
  // Of the words that are shown: for a language that there are none in, they are English.
  document.documentElement.lang = say("language");
  document.documentElement.dir = say("direction");
  for (const element of /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll("[data-i18n]"))) {
    element.textContent = say(element.dataset["i18n"] ?? "");
  }
  for (const attribute of ["aria-label", "placeholder", "title"]) {
    for (const element of document.querySelectorAll(`[data-i18n-${attribute}]`)) {
      element.setAttribute(attribute, say(element.getAttribute(`data-i18n-${attribute}`) ?? ""));
    }
  }
  document.title = say(document.documentElement.dataset["title"] ?? "extension_name");
}

/** @template {HTMLElement} T @param {string} id @param {new () => T} kind @returns {T} */
export function byId(id, kind) {
  const element = document.getElementById(id);
  if (!(element instanceof kind)) throw new Error(`no ${kind.name} #${id}`);
  return element;
}

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string>} attributes
 * @param {(Node | string | null)[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function h(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Sends a message, and says whether this window is private: the extension's own pages are in no tab of it. */
export const send = twitchaudio.asking.sender(
  (message) => browser.runtime.sendMessage({ private: browser.extension.inIncognitoContext, ...message }),
  () => Boolean(browser.runtime.id),
);

/**
 * Shows a problem, with the links that may help, or a message of success in a live region.
 * @param {HTMLElement} region
 * @param {ProblemView | string | null} what
 */
export function showMessage(region, what) {
  const words = what === null ? "" : typeof what === "string" ? what : `${what.heading}. ${what.text}`;
  const links = what === null || typeof what === "string" ? [] : what.actions.filter(({ href }) => href);
  region.replaceChildren(words, ...links.flatMap(({ label, href }) =>
    [" ", h("a", { href: href ?? "", target: "_blank", rel: "noopener noreferrer" }, label)]));
  region.hidden = words === "";
  region.toggleAttribute("data-bad", what !== null && typeof what !== "string");
}

/** Asks for host permissions; must run in a click, before anything else is awaited. @param {string[]} patterns */
export function askPermission(...patterns) {
  return browser.permissions.request({ origins: patterns }).catch(() => false);
}

/** Fills in the extension's version, in the pages' last line. */
export function showVersion() {
  const { version } = browser.runtime.getManifest();
  byId("version", HTMLElement).textContent = say("about_version", [version]);
}

/** Says which keys ask, or that there are none, in `#shortcut`. */
export async function showShortcut() {
  const command = (await browser.commands.getAll()).find(({ name }) => name === "identify");
  const key = command?.shortcut;
  byId("shortcut", HTMLElement).textContent = key ? say("options_shortcut", [key]) : say("options_shortcut_none");
}
