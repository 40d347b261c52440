"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const pictures = JSON.parse(document.getElementById("first-pictures").textContent);
  const SVG = "http://www.w3.org/2000/svg";
  const TOP_BARS = 5;
  const LIKELY = 0.5;
  const FILLED_AT_ONCE = 12;
  const LINES_OF_CARD = 24; // how many lines of text would fill a film's height
  const LINES_OF_LARGE = window.innerWidth < 480 ? 28 : 42;
  const control = (id) => document.getElementById(id);
  const list = control("films");

  // Text only ever enters the page as text nodes and attributes, never as markup.
  function node(name, attributes = {}, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    element.append(...children);
    return element;
  }
  function shape(name, attributes) {
    const element = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    return element;
  }
  const number = (value, digits = 2) => (value === null ? "–" : value.toFixed(digits));
  const plural = (count, word) => `${count} ${word}${count === 1 ? "" : "es"}`;

  const RAMP = [[127, 178, 229], [255, 213, 74], [255, 90, 54]];
  function scoreColour(score) {
    const place = Math.min(Math.max(score ?? 0, 0), 1) * 2;
    const low = RAMP[Math.min(Math.floor(place), 1)];
    const high = RAMP[Math.min(Math.floor(place), 1) + 1];
    const share = place - Math.min(Math.floor(place), 1);
    return `rgb(${low.map((value, k) => Math.round(value + (high[k] - value) * share)).join(",")})`;
  }

  const CALL_HELP = data.call_help;
  const MOST_ZOOM = 16;

  const state = () => ({
    text: control("text").value.trim().toLowerCase(),
    sort: control("sort").value,
    keyword: control("keyword").value,
    truth: control("truth")?.value ?? "",
    call: control("call")?.value ?? "",
    warning: control("warning")?.value ?? "",
    most: Number(control("most").value),
    score: Number(control("score").value),
    allBars: control("all-bars").checked,
  });
  const bestScore = (film) => (film.boxes.length ? film.boxes[0].score ?? 0 : -1);
  const shownBoxes = (film, now) =>
    film.boxes.slice(0, now.most).filter((box) => (box.score ?? 0) >= now.score);

  // --- one card -------------------------------------------------------------------------------
  function describe(film, now) {
    const boxes = shownBoxes(film, now);
    const best = boxes.length ? `, best score ${number(boxes[0].score)}` : "";
    const truth = film.true_boxes === null ? "" : `; ${plural(film.true_boxes.length, "true box")}`;
    return `Chest film ${film.id}: ${plural(boxes.length, "predicted box")}${best}${truth}`;
  }
  // Where the score of a box is written: above, below or in it, where no better box has its own.
  function freeBaseline([x1, y1, , y2], size, height, placed) {
    const places = [y1 - size * 0.25, y2 + size * 0.95, y1 + size, y2 - size * 0.25]
      .filter((y) => y > size * 0.9 && y < height);
    const isFree = (y) => placed.every(([x, other]) => Math.abs(x - x1) > size * 2.2 || Math.abs(other - y) > size);
    return places.find(isFree) ?? places[0];
  }
  function drawing(film, now, lines) {
    const svg = shape("svg", { viewBox: `0 0 ${film.width} ${film.height}`, "aria-hidden": "true" });
    const truth = shape("g", { class: "truth" });
    for (const [x1, y1, x2, y2] of film.true_boxes ?? [])
      truth.append(shape("rect", { class: "true", x: x1, y: y1, width: x2 - x1, height: y2 - y1 }));
    const predicted = shape("g", { class: "predicted" });
    const size = Math.max(film.width, film.height) / lines;
    const placed = [];
    for (const box of shownBoxes(film, now)) {
      const [x1, y1, x2, y2] = box.xyxy;
      const colour = scoreColour(box.score);
      const rect = shape("rect", {
        class: "box", x: x1, y: y1, width: x2 - x1, height: y2 - y1,
        stroke: colour, "stroke-width": (1.2 + 2.3 * (box.score ?? 0)).toFixed(2),
      });
      const words = box.attributes.length ? `: ${box.attributes.join(", ")}` : "";
      const title = shape("title", {});
      title.textContent = `${box.label} ${number(box.score)}${words}`;
      rect.append(title);
      const at = freeBaseline(box.xyxy, size, film.height, placed);
      placed.push([x1, at]);
      const mark = shape("text", {
        class: "mark", x: x1 + size * 0.15, y: at, "font-size": size, fill: colour,
        "stroke-width": size / 5,
      });
      mark.textContent = number(box.score);
      predicted.prepend(rect, mark);
    }
    svg.append(truth, predicted);
    return svg;
  }
  function framed(film, index, now, lines = LINES_OF_CARD) {
    const frame = node("div", { class: "frame" });
    frame.style.aspectRatio = `${film.width} / ${film.height}`;
    frame.style.width = `min(100%, calc(var(--film-height) * ${film.width / film.height}))`;
    const picture = pictures[index];
    if (!picture) {
      const why = picture === null ? "picture not available" : "loading";
      frame.append(node("div", { class: "missing" }, why));
    } else {
      frame.append(node("img", {
        src: `data:image/jpeg;base64,${picture}`, alt: describe(film, now), decoding: "async",
        draggable: "false",
      }));
    }
    frame.append(drawing(film, now, lines));
    return frame;
  }
  function measure(name, value, detail, help = "") {
    const line = node("b", {}, value);
    const hint = help ? { title: help, class: "explained" } : {};
    return node("div", hint, node("span", {}, name), line, node("small", {}, detail));
  }
  function probabilityHelp(film) {
    const share = film.prevalence === null ? "" : `P(pneumonia) is for films of which ${+(100 * film.prevalence).toPrecision(3)} % show an opacity.`;
    return [share, film.opacity ? `Call: ${CALL_HELP}` : ""].filter(Boolean).join(" ");
  }
  function facts(film, all) {
    const measures = node("div", { class: "measures" });
    const call = film.opacity ? ` ${film.opacity}` : "";
    measures.append(measure(call ? "P(pneumonia), call" : "P(pneumonia)", number(film.p_pneumonia), call, probabilityHelp(film)));
    if (film.severity !== null) {
      const range = film.severity_low === null
        ? "" : ` ${number(film.severity_low, 1)} – ${number(film.severity_high, 1)}`;
      measures.append(measure(range ? "severity, 90 % interval" : "severity", number(film.severity, 1), range));
    }
    const bars = node("dl", { class: "bars" });
    const ranked = data.keywords.map((keyword, k) => [keyword, film.attributes[k]])
      .filter(([, value]) => value !== null);
    if (!all) ranked.sort((a, b) => b[1] - a[1]).splice(TOP_BARS);
    for (const [keyword, value] of ranked) {
      const fill = node("div", { class: value >= LIKELY ? "fill likely" : "fill" });
      fill.style.width = `${(100 * value).toFixed(1)}%`;
      bars.append(
        node("dt", {}, keyword),
        node("dd", { "aria-hidden": "true" }, node("div", { class: "track" }, fill)),
        node("dd", { class: "value" }, number(value)),
      );
    }
    const warnings = film.warning ? [node("p", { class: "warning" }, film.warning)] : [];
    return node("div", { class: "facts" }, ...warnings, measures, bars);
  }
  function fillCard(entry, now) {
    const { film, index, card } = entry;
    const boxes = shownBoxes(film, now).length;
    const counts = film.boxes.length > boxes ? `${boxes} of ${film.boxes.length} boxes` : plural(boxes, "box");
    const film_button = node("button", {
      class: "film", type: "button", tabindex: "-1", "aria-label": `Enlarge. ${describe(film, now)}`,
    }, framed(film, index, now));
    film_button.addEventListener("click", () => enlarge(entry));
    const name = node("bdi", { title: film.id }, film.id);
    card.replaceChildren(
      node("div", { class: "name" }, name, node("span", {}, counts)),
      film_button, facts(film, now.allBars),
    );
    entry.filled = true;
  }

  // --- the list: empty cards first, filled when they come near the window ----------------------
  const entries = data.films.map((film, index) => {
    const card = node("article", { class: "card", role: "listitem", tabindex: "-1" });
    card.setAttribute("aria-label", `Film ${film.id}`);
    const words = data.keywords.filter((_, k) => (film.attributes[k] ?? 0) >= LIKELY);
    const labels = film.boxes.flatMap((box) => [box.label, ...box.attributes]);
    const text = [film.id, ...words, ...labels].join(" ").toLowerCase();
    return { film, index, card, text, filled: false };
  });
  const ofCard = new Map(entries.map((entry) => [entry.card, entry]));
  const observer = new IntersectionObserver((seen) => {
    const now = state();
    for (const one of seen) {
      const entry = ofCard.get(one.target);
      if (one.isIntersecting && !entry.filled) fillCard(entry, now);
    }
  }, { rootMargin: "900px" });
  let visible = [];
  let current = 0;

  function fits(entry, now) {
    const { film } = entry;
    if (!now.text.split(/\s+/).every((word) => entry.text.includes(word))) return false;
    if (now.keyword && !((film.attributes[data.keywords.indexOf(now.keyword)] ?? 0) >= LIKELY)) return false;
    if (now.truth && (now.truth === "with") !== Boolean(film.true_boxes?.length)) return false;
    if (now.call && film.opacity !== now.call) return false;
    if (now.warning && (now.warning === "with") !== Boolean(film.warning)) return false;
    // Up to the score that the page starts with, films without such a box stay.
    return now.score <= data.least_score || bestScore(film) >= now.score;
  }
  const ORDER = {
    p_pneumonia: (a, b) => (b.film.p_pneumonia ?? -1) - (a.film.p_pneumonia ?? -1),
    severity: (a, b) => (b.film.severity ?? -1) - (a.film.severity ?? -1),
    score: (a, b) => bestScore(b.film) - bestScore(a.film),
    id: (a, b) => (a.film.id < b.film.id ? -1 : 1),
  };
  function update() {
    const now = state();
    control("score-value").textContent = now.score.toFixed(2);
    visible = entries.filter((entry) => fits(entry, now));
    visible.sort((a, b) => ORDER[now.sort](a, b) || a.index - b.index);
    observer.disconnect();
    for (const entry of entries) entry.filled = false;
    for (const entry of visible) entry.card.replaceChildren();
    visible.slice(0, FILLED_AT_ONCE).forEach((entry) => fillCard(entry, now));
    list.replaceChildren(...visible.map((entry) => entry.card));
    for (const entry of visible) observer.observe(entry.card);
    current = 0;
    visible.forEach((entry, k) => entry.card.setAttribute("tabindex", k === 0 ? "0" : "-1"));
    control("nothing").hidden = visible.length > 0;
    control("status").textContent = `${visible.length} of ${entries.length} films`;
  }
  function toggleLayers() {
    document.body.classList.toggle("no-boxes", !control("show-boxes").checked);
    document.body.classList.toggle("no-truth", !(control("show-truth")?.checked ?? true));
  }

  // --- large view -------------------------------------------------------------------------------
  const large = control("large");
  let zoom = 1; // 1: the film fits
  let place = null; // the enlarged film's window
  let fitted = 0; // width of the film in it, at zoom 1
  function enlarge(entry) {
    const now = state();
    current = visible.indexOf(entry);
    control("large-title").replaceChildren(node("bdi", {}, entry.film.id));
    place = node("div", { class: "film", tabindex: "0" }, framed(entry.film, entry.index, now, LINES_OF_LARGE));
    place.setAttribute("aria-label", `Film ${entry.film.id}`);
    watchMouse(place);
    control("large-body").replaceChildren(place, facts(entry.film, true));
    if (!large.open) large.showModal();
    zoom = 1;
    fitted = place.firstChild.getBoundingClientRect().width;
    control("zoom-value").textContent = "fit";
  }
  // The film grows inside its window, which scrolls; the point (x, y) of the window stays in place.
  function zoomTo(value, x = place.clientWidth / 2, y = place.clientHeight / 2) {
    const { film } = visible[current];
    const before = place.firstChild.getBoundingClientRect();
    const window_ = place.getBoundingClientRect();
    const across = (window_.left + x - before.left) / before.width;
    const down = (window_.top + y - before.top) / before.height;
    zoom = Math.min(Math.max(value, 1), MOST_ZOOM);
    place.classList.toggle("zoomed", zoom > 1);
    const frame = place.firstChild;
    frame.style.width = zoom > 1
      ? `${fitted * zoom}px` : `min(100%, calc(var(--film-height) * ${film.width / film.height}))`;
    frame.querySelector("svg").replaceWith(drawing(film, state(), LINES_OF_LARGE * zoom));
    const after = frame.getBoundingClientRect();
    place.scrollLeft += after.left + across * after.width - window_.left - x;
    place.scrollTop += after.top + down * after.height - window_.top - y;
    control("zoom-value").textContent = zoom > 1 ? `${Math.round((100 * fitted * zoom) / film.width)} %` : "fit";
  }
  const zoomFull = () => zoomTo(visible[current].film.width / (fitted * window.devicePixelRatio));
  function watchMouse(element) {
    element.addEventListener("wheel", (event) => {
      event.preventDefault();
      const window_ = element.getBoundingClientRect();
      zoomTo(zoom * 1.2 ** -Math.sign(event.deltaY), event.clientX - window_.left, event.clientY - window_.top);
    }, { passive: false });
    element.addEventListener("pointermove", (event) => { // a finger scrolls by itself
      if (event.pointerType !== "mouse" || event.buttons !== 1) return;
      element.scrollLeft -= event.movementX;
      element.scrollTop -= event.movementY;
    });
    element.addEventListener("dblclick", () => (zoom > 1 ? zoomTo(1) : zoomFull()));
  }
  function go(step) {
    if (!visible.length) return;
    const next = Math.min(Math.max(current + step, 0), visible.length - 1);
    visible[current]?.card.setAttribute("tabindex", "-1");
    current = next;
    if (large.open) { enlarge(visible[current]); return; }
    const { card } = visible[current];
    card.setAttribute("tabindex", "0");
    card.focus({ preventScroll: true });
    card.scrollIntoView({ block: "nearest" });
  }
  function columns() {
    return getComputedStyle(list).gridTemplateColumns.split(" ").length;
  }
  function flip(id) {
    const box = control(id);
    if (!box) return;
    box.checked = !box.checked;
    box.dispatchEvent(new Event("change", { bubbles: true }));
  }

  const zoomBy = (factor) => { if (large.open) zoomTo(zoom * factor); };
  const KEYS = {
    "+": () => zoomBy(1.5), "=": () => zoomBy(1.5), "-": () => zoomBy(1 / 1.5),
    0: () => zoomBy(0), 1: () => { if (large.open) zoomFull(); },
    ArrowRight: () => go(1), j: () => go(1), ArrowLeft: () => go(-1), k: () => go(-1),
    ArrowDown: () => go(large.open ? 1 : columns()), ArrowUp: () => go(large.open ? -1 : -columns()),
    b: () => flip("show-boxes"), t: () => flip("show-truth"), a: () => flip("all-bars"),
    f: () => { if (!large.open) control("text").focus(); },
    "/": () => { if (!large.open) control("text").focus(); },
    "?": () => { if (!control("help").open) control("help").showModal(); },
  };
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey || control("help").open) return;
    if (event.key === "Escape" && target === control("text")) { target.blur(); return; }
    if (target instanceof HTMLElement && target.matches("input:not([type=checkbox]), select")) return;
    if (event.key === "Enter" && ofCard.has(target)) {
      event.preventDefault(); // the dialog's button has the focus by then and would be pressed
      enlarge(ofCard.get(target));
      return;
    }
    const action = KEYS[event.key];
    if (action) { event.preventDefault(); action(); }
  });
  list.addEventListener("focusin", (event) => {
    const entry = ofCard.get(event.target.closest?.(".card"));
    if (entry) current = visible.indexOf(entry);
  });
  for (const dialog of [large, control("help")]) {
    dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
    dialog.addEventListener("click", (event) => { if (event.target === dialog) dialog.close(); });
  }
  large.addEventListener("close", () => go(0));
  control("zoom-in").addEventListener("click", () => zoomBy(1.5));
  control("zoom-out").addEventListener("click", () => zoomBy(1 / 1.5));
  control("zoom-full").addEventListener("click", zoomFull);
  control("zoom-fit").addEventListener("click", () => zoomTo(1));
  control("help-button").addEventListener("click", () => control("help").showModal());
  control("reset").addEventListener("click", () => { control("controls").reset(); toggleLayers(); update(); });
  control("controls").addEventListener("submit", (event) => event.preventDefault());
  control("controls").addEventListener("input", (event) => {
    if (event.target.type !== "checkbox") update();
  });
  control("controls").addEventListener("change", (event) => {
    toggleLayers();
    if (event.target.id === "all-bars") update();
  });
  update();
  // The pictures after the first ones stand below this script in the file.
  document.addEventListener("DOMContentLoaded", () => {
    const missing = pictures.length;
    pictures.push(...JSON.parse(document.getElementById("other-pictures").textContent));
    const now = state();
    for (const entry of entries) if (entry.filled && entry.index >= missing) fillCard(entry, now);
  });
})();
