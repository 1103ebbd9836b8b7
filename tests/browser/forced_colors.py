"""Where the system's few colors replace all others: which controls are lost."""

from typing import Final

FAINT: Final = """(within) => {
  const bare = (color) => /rgba\\(.*, 0\\)|transparent/.test(color);
  const solid = (element) => {
    for (let at = element; at; at = at.parentElement ?? at.getRootNode().host) {
      const color = getComputedStyle(at).backgroundColor;
      if (!bare(color)) return color;
    }
    return "rgb(255, 255, 255)";
  };
  return [...within.querySelectorAll("button, a, input, select, textarea, summary")]
    .filter((control) => control.checkVisibility())
    .filter((control) => {
      const style = getComputedStyle(control);
      const edge = parseFloat(style.borderTopWidth) > 0 && style.borderTopStyle !== "none"
        && style.borderTopColor !== solid(control.parentElement);
      const native = ["checkbox", "radio"].includes(control.type) || control.localName === "summary";
      const underlined = style.textDecorationLine.includes("underline");
      const named = control.localName === "a" && style.color !== solid(control);
      const pictured = control.querySelector("svg") !== null && style.color !== solid(control);
      return style.color === solid(control) || !(edge || native || underlined || named || pictured);
    })
    .map((control) => control.outerHTML.slice(0, 160));
}"""
"""Controls that cannot be told from what is behind them, or whose words cannot."""
