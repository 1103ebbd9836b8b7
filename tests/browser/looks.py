"""How a page may be looked at (widths, color schemes, on paper), and what is wrong with it then."""

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any, Final, Literal

from tests.browser.bidi.browser import Browser
from tests.browser.bidi.connection import BidiError
from tests.browser.bidi.tab import WAIT_SECONDS, Tab

Scheme = Literal["light", "dark"]

_AT_REST: Final = """
await Promise.all(document.getAnimations()
  .filter((each) => each.effect.getComputedTiming().iterations !== Infinity).map((each) => each.finished));
"""


@dataclass(frozen=True, slots=True)
class Look:
    """The width of the window in CSS pixels, the color scheme, and whether it is printed."""

    width: int
    scheme: Scheme = "light"
    printed: bool = False

    @property
    def name(self) -> str:
        """For the names of pictures and what a failed test says."""
        return f"{self.width}-print" if self.printed else f"{self.width}-{self.scheme}"

    @property
    def height(self) -> int:
        """A phone's, or a desk's."""
        return 844 if self.width < 600 else 900


PHONE: Final = Look(390)
IN_EACH_RUN: Final = (PHONE, Look(1280, "dark"))
AT_NIGHT: Final = (
    *(Look(width, scheme) for width in (390, 768, 1280, 1920) for scheme in ("light", "dark")),
    Look(718, printed=True),  # A4 with margins of 1 cm, at 96 pixels an inch
)
_BY_BROWSER: Final = "light"
"""The scheme of a browser that is not told another one."""


def looks(browser: Browser, *, nightly: bool) -> tuple[Look, ...]:
    """The looks of a run. Only Chromium can be told the color scheme of one tab, and to look as if printed."""
    chosen = AT_NIGHT if nightly else IN_EACH_RUN
    if browser.name == "chromium":
        return chosen
    widths = dict.fromkeys(look.width for look in chosen if not look.printed)
    return tuple(Look(width, _BY_BROWSER) for width in widths)


# Contrast as WCAG 2.2 defines it (relative luminance, success criterion 1.4.3), for every visible text.
# What is cut: text beyond the window or beyond an ancestor that hides it, where neither scrolls nor shows "...".
_FAULTS: Final = """(width, printed) => {
  const faults = new Set();
  const light = (value) => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const luminance = ([r, g, b]) => 0.2126 * light(r / 255) + 0.7152 * light(g / 255) + 0.0722 * light(b / 255);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const [r, g, b, a = 1] = parse(getComputedStyle(at).backgroundColor);
      if (a > 0.6) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const said = (element) => {
    const words = element.textContent || element.placeholder || "";
    return words.trim().replace(/\\s+/g, " ").slice(0, 50);
  };
  const wide = document.documentElement.scrollWidth;
  if (wide > width) faults.add(`it is ${wide} wide`);
  const range = document.createRange();
  const tiny = (element) => {
    for (let at = element; at; at = at.parentElement) {
      if (getComputedStyle(at).clipPath === "inset(50%)") return true;  // for screen readers alone
    }
    return false;
  };
  const left = (element) => element.closest("svg, script, style, .skip, noscript, option") || tiny(element);
  for (const element of document.querySelectorAll("body *")) {
    const texts = [...element.childNodes].filter((node) => node.nodeType === 3 && node.data.trim());
    if (!texts.length || left(element) || !element.checkVisibility({visibilityProperty: true})) continue;
    const style = getComputedStyle(element);
    const [one, two] = [luminance(parse(style.color)), luminance(behind(element))].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05);
    const least = parseFloat(style.fontSize) >= 24 ? 3 : 4.5;
    if (ratio < least) faults.add(`contrast ${ratio.toFixed(2)}: ${said(element)}`);
    range.setStartBefore(texts[0]);
    range.setEndAfter(texts.at(-1));
    const box = range.getBoundingClientRect();
    let scrolls = false;
    for (let at = element; at && at !== document.body; at = at.parentElement) {
      const { overflowX, overflowY, textOverflow, webkitLineClamp } = getComputedStyle(at);
      const frame = at.getBoundingClientRect();
      if (/auto|scroll/.test(overflowX + overflowY) || (webkitLineClamp ?? "none") !== "none") scrolls = true;
      if (scrolls) break;
      const beside = /hidden|clip/.test(overflowX) && (box.right > frame.right + 1 || box.left < frame.left - 1);
      const below = /hidden|clip/.test(overflowY) && box.bottom > frame.bottom + 2;
      if (beside && textOverflow === "ellipsis") scrolls = true;
      else if (beside || below) faults.add(`cut by ${at.localName}.${at.className}: ${said(element)}`);
    }
    if (!scrolls && (box.right > width + 1 || box.left < -1)) faults.add(`outside: ${said(element)}`);
  }
  if (printed) return [...faults];
  const controls = [...document.querySelectorAll("a, button, input, select, summary, textarea, audio")]
    .filter((each) => !left(each) && each.type !== "hidden" && each.checkVisibility({visibilityProperty: true}));
  for (const field of controls) {
    const cut = field.placeholder && !field.value && field.scrollWidth > field.clientWidth + 1;
    if (cut) faults.add(`cut: ${said(field)}`);
  }
  for (const control of controls) {
    const box = control.getBoundingClientRect();
    for (let at = control.parentElement; at; at = at.parentElement) {
      const { overflow, borderRightWidth } = getComputedStyle(at);
      if (overflow !== "visible") break;
      if (parseFloat(borderRightWidth) === 0) continue;
      const { left: from, right: to } = at.getBoundingClientRect();
      if (box.left < from - 1 || box.right > to + 1) faults.add(`out of its frame: ${said(control)}`);
    }
  }
  const shown = (element, box) => {
    let { left: x, right, top: y, bottom } = box;
    for (let at = element.parentElement; at; at = at.parentElement) {
      if (getComputedStyle(at).overflow === "visible") continue;
      const frame = at.getBoundingClientRect();
      [x, y] = [Math.max(x, frame.left), Math.max(y, frame.top)];
      [right, bottom] = [Math.min(right, frame.right), Math.min(bottom, frame.bottom)];
    }
    return { left: x, right, top: y, bottom };
  };
  const boxes = controls.map((each) => {
    range.selectNodeContents(each);
    const parts = each.localName === "summary" ? range : each;  // one is as wide as the page
    return [...parts.getClientRects()].map((box) => ({ each, ...shown(each, box) }));
  }).flat().sort((a, b) => a.top - b.top);
  boxes.forEach((a, first) => {
    for (let next = first + 1; boxes[next]?.top < a.bottom - 4; next += 1) {
      const b = boxes[next];
      const across = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const down = Math.min(a.bottom, b.bottom) - b.top;
      if (across <= 2 || down <= 4 || a.each.contains(b.each) || b.each.contains(a.each)) continue;
      faults.add(`"${said(a.each)}" lies over "${said(b.each)}"`);
    }
  });
  return [...faults];
}"""


async def wear(browser: Browser, tab: Tab, look: Look) -> None:
    """Show the tab's page in a look."""
    if browser.name == "chromium":
        await _emulate(tab, look.scheme, media="print" if look.printed else "")
    await tab.viewport(look.width, look.height)
    await tab.run(_AT_REST)


_STAY: Final = """(() => {
if (!document.querySelector("meta[http-equiv=refresh]")) return true;
const whole = performance.getEntriesByType("navigation")[0].loadEventEnd > 0;
window.stop();
return whole;
})()"""


async def stay(tab: Tab) -> None:
    """Keep a page from loading itself again, to show how far something is, in the middle of a look."""
    async with asyncio.timeout(WAIT_SECONDS):
        while not (await tab.wait_for(f"[{_STAY}]", of="a page that can be asked"))[0]:
            with contextlib.suppress(BidiError):  # it was just loading itself
                await tab.reload()


async def undress(browser: Browser, tab: Tab) -> None:
    """Show pages as the browser itself would."""
    if browser.name == "chromium":
        await _emulate(tab, _BY_BROWSER, media="")


async def _emulate(tab: Tab, scheme: Scheme, *, media: str) -> None:
    command = tab.connection.command
    session = (await command("goog:cdp.getSession", context=tab.id))["session"]
    parameters: dict[str, Any] = {
        "media": media,
        "features": [{"name": "prefers-color-scheme", "value": scheme}],
    }
    await command("goog:cdp.sendCommand", method="Emulation.setEmulatedMedia", params=parameters, session=session)


async def faults(tab: Tab, look: Look) -> list[str]:
    """What does not fit, cannot be read, is cut or covered in a look; empty is good."""
    return await tab.evaluate(_FAULTS, look.width, look.printed)
