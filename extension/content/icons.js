/** Icons as SVG elements, 20 units wide, drawn in the color of the text. */
"use strict";

twitchaudio.icons = (() => {
  const SVG = "http://www.w3.org/2000/svg";

  /** @param {string} path @param {boolean} [outlined] */
  function icon(path, outlined = false) {
    return () => {
      const svg = document.createElementNS(SVG, "svg");
      const shape = document.createElementNS(SVG, "path");
      svg.setAttribute("viewBox", "0 0 20 20");
      svg.setAttribute("aria-hidden", "true");
      svg.setAttribute("focusable", "false");
      shape.setAttribute("d", path);
      if (outlined) {
        for (const [name, value] of Object.entries({
          "fill": "none", "stroke": "currentColor", "stroke-width": "2", "stroke-linecap": "round", "stroke-linejoin": "round",
        })) shape.setAttribute(name, value);
      } else {
        shape.setAttribute("fill", "currentColor");
        shape.setAttribute("fill-rule", "evenodd");
      }
      svg.append(shape);
      return svg;
    };
  }

  /** A song's landmarks, the lower ones larger. @param {[number, number][]} points when and how high, 0 to 1 */
  function landmarks(points) {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 100 100");
    svg.setAttribute("aria-hidden", "true");
    svg.append(...points.map(([when, height]) => {
      const dot = document.createElementNS(SVG, "circle");
      dot.setAttribute("cx", (6 + 88 * when).toFixed(1));
      dot.setAttribute("cy", (94 - 88 * height).toFixed(1));
      dot.setAttribute("r", (1.2 + 2 * (1 - height)).toFixed(1));
      return dot;
    }));
    return svg;
  }

  /** Four bars that move while something is listened to. */
  function bars() {
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", "0 0 20 20");
    svg.setAttribute("aria-hidden", "true");
    svg.setAttribute("focusable", "false");
    for (const [index, height] of [6, 12, 16, 9].entries()) {
      const bar = document.createElementNS(SVG, "rect");
      for (const [name, value] of Object.entries({ x: 2 + index * 4.5, y: 10 - height / 2, width: 2.5, height, rx: 1.25 })) {
        bar.setAttribute(name, String(value));
      }
      bar.setAttribute("fill", "currentColor");
      svg.append(bar);
    }
    return svg;
  }

  return {
    note: icon("M17 2.2v10.9a2.9 2.9 0 1 1-2-2.75V6.1L8 7.6v7.9a2.9 2.9 0 1 1-2-2.75V4.6l11-2.4z"),
    bars,
    landmarks,
    close: icon("M5 5l10 10M15 5L5 15", true),
    copy: icon("M7 7V3.5h9.5V13H13M3.5 7H13v9.5H3.5z", true),
    check: icon("M4 10.5l4 4 8-9", true),
    open: icon("M8 4H4v12h12v-4M11 3.5h5.5V9M16 4l-7 7", true),
    search: icon("M9 3.5a5.5 5.5 0 1 0 0 11 5.5 5.5 0 0 0 0-11zM13.2 13.2L17 17", true),
    flag: icon("M4.5 17V3.5h11l-2.5 4 2.5 4h-11", true),
  };
})();
