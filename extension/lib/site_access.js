/** What the pop-up says about the current tab, and the access to Twitch's pages that a viewer may withhold. No browser API. */

/** The pages that have a button. The same in manifest.json. */
export const TWITCH_PAGES = ["https://www.twitch.tv/*", "https://clips.twitch.tv/*", "https://player.twitch.tv/*"];

/**
 * @param {{ page: PageState | null, url: string, allowed: boolean }} tab the page's own script's reply, if it is there;
 *   the address, if the browser tells it; whether the extension may see Twitch's pages
 * @returns {{ key: string, values: string[], can: boolean, allow: boolean, earlier: boolean }} the sentence; whether the
 *   song can be asked for; whether the access is to be asked for; whether the page is a live channel, of which earlier
 *   moments can be asked for
 */
export function tabAdvice({ page, url, allowed }) {
  const twitch = /^https:\/\/(www|clips|player|m)\.twitch\.tv\//.test(url);
  if (page?.kind) return { key: `popup_page_${page.kind}`, values: [page.label], can: true, allow: false, earlier: page.kind === "channel" };
  // Without access the browser may not even say that this is Twitch.
  if (!allowed) return { key: "popup_page_withheld", values: [], can: page === null && twitch, allow: true, earlier: false };
  const can = page === null && twitch;
  const mobile = url.startsWith("https://m.");
  return { key: !can ? "popup_page_other" : mobile ? "popup_page_mobile" : "popup_page_unready", values: [], can, allow: false, earlier: false };
}
