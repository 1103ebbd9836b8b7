/** Texts in the page's language. The page brings their translations; without them they stay as they are written here. */

const page = typeof document === "undefined" ? undefined : document;

/** The page's language, such as `de`. */
export const language = page?.documentElement?.lang || "en";

/**
 * Texts by the English one, with one for each plural form, and the details of problems in pairs of both.
 * @type {{ texts?: Record<string, string | string[]>, details?: [string, string][] }}
 */
const { texts = {}, details = [] } = JSON.parse(page?.getElementById?.("messages")?.textContent || "{}");

/** @param {string} message */
const translated = (message) => (Object.hasOwn(texts, message) ? texts[message] : undefined) ?? message;

/** @param {string} text @param {Record<string, string | number>} values */
const filled = (text, values) =>
  text.replace(/%(?:\((\w+)\)s|%)/g, (_, /** @type {string | undefined} */ name) => (name === undefined ? "%" : String(values[name])));

/**
 * A text with `values` in the places of its `%(name)s`; `%%` is a percent sign.
 * @param {string} message
 * @param {Record<string, string | number>} [values]
 */
export function gettext(message, values = {}) {
  return filled(String(translated(message)), values);
}

/**
 * A text for a number of things, which is in the place of `%(num)s`.
 * @param {string} one
 * @param {string} many
 * @param {number} num
 * @param {Record<string, string | number>} [values] what is in the places of other names
 */
export function ngettext(one, many, num, values = {}) {
  const forms = translated(one);
  const [first, second] = Array.isArray(forms) ? forms : [one, many];
  return filled((new Intl.PluralRules(language).select(num) === "one" ? first : second) ?? many, { ...values, num });
}

/**
 * A problem's detail, which the server gives in English; empty where the page's language has no words for it.
 * @param {string} detail
 */
export function detailText(detail) {
  if (language === "en") return detail;
  for (const [english, own] of details) {
    const pattern = english.split(/%\((\w+)\)s/).map((part, index) =>
      (index % 2 ? `(?<${part}>.+?)` : part.replace(/[$()*+.?[\\\]^{|}]/g, "\\$&"))).join("");
    const found = new RegExp(`^${pattern}$`, "s").exec(detail);
    if (found) return filled(own, found.groups ?? {});
  }
  return "";
}

/**
 * The reader's own kind of the page's language: it has another clock in each country.
 * @param {readonly string[]} languages as the browser lists them
 * @param {string} [of]
 */
export const ownLocale = (languages, of = language) =>
  languages.find((each) => each.split("-")[0]?.toLowerCase() === of) ?? (of === "en" ? "en-GB" : of);

/** The same for this reader. */
export const locale = () => ownLocale(typeof navigator === "undefined" ? [] : navigator.languages ?? []);
