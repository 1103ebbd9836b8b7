/** What the addresses of this website begin with: nothing, or the path that it is below, such as `/twitchaudio`. */
export const root = (typeof document === "undefined" ? undefined : document.documentElement.dataset["root"]) ?? "";
