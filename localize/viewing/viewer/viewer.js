import { BoxEditor, scoreColour } from "/box_editor.js";
import { FilmView } from "/film_view.js";
import { heat, paint } from "/region_map.js";
import { ReportPanel } from "/report.js";

const KEY = new URLSearchParams(location.search).get("key") ?? "";
history.replaceState(null, "", `/?key=${encodeURIComponent(KEY)}`);
const LIKELY = 0.5;
const REGIONS_SHOWN = 3;
const CALL_HELP = "yes, no or unsure, from two thresholds on P(pneumonia) that belong to the model: on validation films at most 10 % of those with an opacity were called no, and at most 10 % of those without one yes. Compare P with these thresholds, not with 0.5: P = 0.22 can be yes and 0.07 unsure. The call does not depend on how many films show an opacity.";
const control = (id) => document.getElementById(id);
const sessions = new Map(); // film number -> { card, editor, frame, changed }
let films = [];
let keywords = [];
let hasModel = false;
let current = null;
let labels = [];
let leastScore = null;
let asked = []; // keywords whose map is shown
let mapAsked = 0; // counts requests for a map: only the last may draw
let mode = "draw";
const view = new FilmView(control("stage"), control("window"), (zoom) => {
  control("zoom").textContent = `${Math.round(zoom * 100)} %`;
  const editor = sessions.get(current)?.editor;
  editor?.draw(); // handles and text keep their size on the screen
});

const report = new ReportPanel(control("report"), control("sentence"),
  (text) => sessions.get(current)?.editor.showOnly(text),
  (sentence) => {
    const editor = sessions.get(current)?.editor;
    if (!editor) return;
    editor.choose(-1);
    editor.sentence = control("sentence").value = sentence?.text ?? "";
    if (sentence?.findings.length) editor.label = control("label").value = sentence.findings[0];
  });

function node(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
}
const number = (value, digits = 2) => (value === null ? "–" : value.toFixed(digits));

function say(text, isError = false) {
  control("message").textContent = text;
  control("message").classList.toggle("error", isError);
}
async function call(path, options = {}) {
  const headers = { "X-Key": KEY, ...options.headers };
  const response = await fetch(path, { ...options, headers });
  const content = await response.json();
  if (!response.ok) throw new Error(content.error);
  return content;
}
const guarded = (action) => async (...given) => {
  try { return await action(...given); } catch (error) { say(error.message, true); return undefined; }
};

// --- films ----------------------------------------------------------------------------------------
async function loadFilms() {
  const content = await call("/api/films");
  films = content.films;
  keywords = content.keywords;
  hasModel = content.has_model;
  if (leastScore === null) { // only once: the person may have moved the slider
    leastScore = content.least_score;
    control("least").value = leastScore;
    control("least-value").textContent = leastScore.toFixed(2);
  }
  labels = [...new Set([...labels, ...content.labels])];
  const reviewed = films.filter((film) => film.is_reviewed).length;
  if (reviewed) control("reviewed").textContent = `${reviewed} films in ${content.corrections}`;
  control("drop").hidden = !hasModel;
  control("keywords-title").hidden = !keywords.length;
  control("ask").hidden = !hasModel;
  control("map-hint").hidden = !hasModel;
  listFilms();
}
function listFilms() {
  control("films").replaceChildren(...films.map((film) => {
    const row = node("li", { role: "option", tabindex: "0", "data-number": film.number, title: film.id },
      node("i", { "aria-label": film.is_reviewed ? "reviewed" : "" }, film.is_reviewed ? "✓" : ""),
      node("bdi", {}, film.id), node("span", {}, film.p_pneumonia === null ? "" : number(film.p_pneumonia)));
    row.setAttribute("aria-selected", String(film.number === current));
    row.addEventListener("click", () => open(film.number));
    row.addEventListener("keydown", (event) => { if (event.key === "Enter" && film.number !== current) open(film.number); });
    return row;
  }));
  listBeside();
  const reviewed = films.filter((film) => film.is_reviewed).length;
  control("count").textContent = `${films.length} films, ${reviewed} reviewed`;
}
const open = guarded(async (index) => {
  if (!sessions.has(index)) sessions.set(index, await makeSession(index));
  current = index;
  const session = sessions.get(index);
  control("stage").replaceChildren(session.frame);
  view.show(session.frame, session.card.width / session.card.height, session.loadFull);
  control("title").replaceChildren(node("bdi", {}, session.card.id));
  for (const row of control("films").children) {
    const selected = Number(row.dataset.number) === index;
    row.setAttribute("aria-selected", String(selected));
    if (selected) row.scrollIntoView({ block: "nearest" });
  }
  session.editor.setLeast(Number(control("least").value));
  session.editor.pans = mode !== "draw";
  control("label").value = session.editor.label;
  report.show(session.report);
  session.editor.sentence = "";
  session.editor.showOnly(null);
  for (const part of document.querySelectorAll(".of-report")) part.hidden = session.report === null;
  say("");
  showFacts(session);
  listBeside();
  await showMap();
});
const pictureUrl = (index) => `/api/picture?number=${index}&key=${encodeURIComponent(KEY)}`;
async function makeSession(index) {
  const { card, corrected, has_picture: hasPicture, report: ofFilm } = await call(`/api/film?number=${index}`);
  const boxes = (corrected ?? card.boxes).map(({ xyxy, label, score, annotator, sentence }, k) => (
    { xyxy, label, score, annotator: annotator ?? "", is_confirmed: false, is_saved: corrected !== null, sentence: sentence ?? ofFilm?.of_boxes[k] ?? "" }));
  const frame = node("div", { class: "frame" });
  frame.style.aspectRatio = `${card.width} / ${card.height}`;
  const session = { card, frame, changed: false, hasPicture, report: ofFilm };
  const label = control("label").value || card.boxes[0]?.label || labels[0] || "opacity";
  session.editor = new BoxEditor(card.width, card.height, boxes, label, (isEdit) => {
    if (isEdit) session.changed = true;
    if (sessions.get(current) === session) showBoxes(session);
  });
  if (hasPicture) {
    const picture = node("img", { src: pictureUrl(index), alt: `Chest film ${card.id}`, draggable: "false" });
    frame.append(picture);
    session.loadFull = () => {
      session.loadFull = view.loadFull = null;
      picture.src = `${pictureUrl(index)}&full=1`;
    };
  }
  session.canvas = node("canvas", { "aria-hidden": "true" });
  session.canvas.hidden = true;
  frame.append(session.canvas, session.editor.svg);
  session.editor.svg.addEventListener("pointerover", (event) => {
    const { boxes, chosen } = session.editor;
    report.mark((boxes[chosen] ?? boxes[event.target.dataset.index])?.sentence ?? "");
  });
  return session;
}

// --- an earlier film beside this one --------------------------------------------------------------
function listBeside() {
  const select = control("beside");
  const chosen = select.value;
  const others = films.filter((film) => film.number !== current);
  select.replaceChildren(node("option", { value: "" }, "no film"),
    ...others.map((film) => node("option", { value: film.number }, film.id)));
  select.value = others.some((film) => String(film.number) === chosen) ? chosen : "";
  if (select.value !== chosen) showBeside();
}
const showBeside = guarded(async () => {
  const value = control("beside").value;
  const figure = control("other");
  figure.hidden = value === "";
  view.fit();
  if (value === "") return;
  const { card, corrected, has_picture: hasPicture } = await call(`/api/film?number=${value}`);
  const frame = node("div", { class: "frame" });
  frame.style.aspectRatio = `${card.width} / ${card.height}`;
  frame.style.width = `min(100cqw, 100cqh * ${card.width / card.height})`;
  if (hasPicture) frame.append(node("img", { src: pictureUrl(value), alt: `Chest film ${card.id}`, draggable: "false" }));
  const boxes = (corrected ?? card.boxes).map((box) => (
    { ...box, annotator: box.annotator ?? "", is_saved: corrected !== null }));
  const editor = new BoxEditor(card.width, card.height, boxes, "", () => {});
  editor.least = Number(control("least").value);
  editor.svg.classList.add("fixed");
  frame.append(editor.svg);
  figure.querySelector("figcaption").replaceChildren(node("bdi", {}, card.id), ` P ${number(card.p_pneumonia)}`);
  figure.querySelector(".stage").replaceChildren(frame);
  editor.draw();
});
// The film before this one in the list, or none.
function toggleBeside() {
  const place = films.findIndex((film) => film.number === current);
  const earlier = films[place - 1] ?? films[place + 1];
  control("beside").value = control("beside").value === "" && earlier ? String(earlier.number) : "";
  showBeside();
}

// --- what the model says ---------------------------------------------------------------------------
function measure(name, value, detail, help = "") {
  return node("div", help ? { title: help } : {}, node("span", {}, name), node("b", {}, value), " ", node("small", {}, detail));
}
function probabilityHelp(card) {
  const share = card.prevalence === null ? "" : `P(pneumonia) is for films of which ${+(100 * card.prevalence).toPrecision(3)} % show an opacity.`;
  return [share, card.opacity ? `Call: ${CALL_HELP}` : ""].filter(Boolean).join(" ");
}
function showFacts(session) {
  const { card } = session;
  const range = card.severity_low === null ? "" : `${number(card.severity_low, 1)} – ${number(card.severity_high, 1)}`;
  control("measures").replaceChildren(
    ...(card.warning ? [node("p", { class: "warning" }, card.warning)] : []),
    ...(session.report ? [] : [measure(card.opacity ? "P(pneumonia), call" : "P(pneumonia)", number(card.p_pneumonia), card.opacity, probabilityHelp(card))]),
    ...(card.severity === null ? [] : [measure(range ? "severity, 90 % interval" : "severity", number(card.severity, 1), range)]),
  );
  showBoxes(session);
}
function showKeywords(session) {
  const rows = keywords.map((name, k) => [name, session.card.attributes[k] ?? null])
    .filter(([, value]) => value !== null);
  control("keywords").replaceChildren(...rows.map(([name, value]) => {
    const fill = node("div", { class: value >= LIKELY ? "fill likely" : "fill" });
    fill.style.width = `${(100 * value).toFixed(1)}%`;
    const row = node("button", { class: "bar", type: "button", "aria-pressed": String(asked.includes(name)) },
      node("span", {}, name), node("div", { class: "track" }, fill), node("em", {}, number(value)));
    row.disabled = !hasModel || !session.hasPicture;
    row.addEventListener("click", guarded(async () => {
      asked = asked.length === 1 && asked[0] === name ? [] : [name];
      control("understood").textContent = "";
      await showMap();
    }));
    return row;
  }));
}
async function showMap() {
  const session = sessions.get(current);
  const mine = (mapAsked += 1);
  if (!session) return;
  showKeywords(session);
  const clear = () => {
    for (const old of session.editor.svg.querySelectorAll(".answer")) old.remove();
    session.canvas.hidden = true;
    control("notes").replaceChildren();
  };
  if (!asked.length || !hasModel || !session.hasPicture) { clear(); return; }
  say("Finding regions …");
  const words = encodeURIComponent(asked.join(","));
  const { regions, notes } = await call(`/api/regions?number=${current}&words=${words}`);
  if (mine !== mapAsked) return; // asked for something else meanwhile
  clear();
  const { width, height } = session.card;
  paint(session.canvas, heat(regions, width, height));
  session.canvas.hidden = false;
  control("notes").replaceChildren(...notes.map((note) => node("li", {}, note)));
  const fitting = regions.filter((region) => region.match > 0)
    .sort((a, b) => b.match * b.alpha - a.match * a.alpha);
  for (const { xyxy: [x1, y1, x2, y2], match } of fitting.slice(0, REGIONS_SHOWN)) {
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, v] of Object.entries({ class: "answer", x: x1, y: y1, width: x2 - x1, height: y2 - y1, "data-match": match })) rect.setAttribute(key, v);
    session.editor.svg.prepend(rect);
  }
  say(fitting.length
    ? `${fitting.length} of ${regions.length} regions fit ${asked.join(", ")}; weights ${fitting.slice(0, REGIONS_SHOWN).map((region) => region.alpha.toPrecision(2)).join(", ")}.`
    : `No region fits ${asked.join(", ")}.`);
}
const ask = guarded(async () => {
  const text = control("phrase").value.trim();
  if (!text) { asked = []; control("understood").textContent = ""; await showMap(); return; }
  const query = await call(`/api/query?text=${encodeURIComponent(text)}`);
  asked = query.keywords;
  const ignored = query.ignored.length ? `; not used: ${query.ignored.join(" ")}` : "";
  control("understood").textContent = asked.length ? `Understood: ${asked.join(", ")}${ignored}` : "No keyword in it.";
  await showMap();
});

// --- boxes ---------------------------------------------------------------------------------------
function showBoxes(session) {
  const { editor } = session;
  control("changed").hidden = !session.changed;
  const chosen = editor.boxes[editor.chosen];
  control("delete").disabled = !chosen;
  control("confirm").disabled = !chosen || chosen.score === null;
  control("confirm").textContent = chosen?.is_confirmed ? "Not confirmed" : "Confirm";
  control("undo").disabled = editor.past.length === 0;
  control("redo").disabled = editor.future.length === 0;
  control("save").disabled = control("save-next").disabled = false;
  if (chosen && document.activeElement !== control("label")) control("label").value = chosen.label;
  control("sentence").value = chosen?.sentence ?? editor.sentence;
  report.mark(chosen?.sentence ?? "");
  labels = [...new Set([...labels, ...editor.boxes.map((box) => box.label)])];
  control("labels").replaceChildren(...labels.map((label) => node("option", { value: label })));
  const rows = editor.boxes.map((box, index) => [box, index]).filter(([box]) => editor.isShown(box));
  control("boxes").replaceChildren(...rows.map(([box, index]) => {
    const author = box.annotator || (box.is_confirmed ? "confirmed" : box.score === null ? "drawn" : "");
    const text = [box.label, box.score === null ? "" : number(box.score), author].filter(Boolean).join(" ");
    const row = node("li", { class: index === editor.chosen ? "chosen" : "" }, text);
    row.style.color = scoreColour(box.score);
    row.addEventListener("click", () => editor.choose(index));
    return row;
  }));
}
const save = guarded(async () => {
  const session = sessions.get(current);
  if (!session) return false;
  const { editor } = session;
  const boxes = editor.shown().map(({ xyxy, label, is_confirmed, sentence }) => ({ xyxy, label, is_confirmed, sentence }));
  const { path, reviewed, boxes: saved } = await call(`/api/save?number=${current}`, { method: "POST", body: JSON.stringify(boxes) });
  editor.boxes = saved.map((box) => ({ ...box, is_confirmed: false, is_saved: true }));
  editor.past = [];
  editor.future = [];
  session.changed = false;
  editor.choose(-1);
  films.find((film) => film.number === current).is_reviewed = true;
  listFilms();
  control("reviewed").textContent = `${reviewed} films in ${path}`;
  say(`Saved ${boxes.length} ${boxes.length === 1 ? "box" : "boxes"}.`);
  return true;
});
const saveAndNext = guarded(async () => {
  const last = current;
  if (!(await save())) return;
  step(1);
  if (films.at(-1)?.number === last) say("Saved. This is the last film.");
});
const exportAll = guarded(async () => {
  const format = control("format").value;
  const { path } = await call(`/api/export?format=${format}`, { method: "POST", body: "" });
  say(`Exported to ${path}`);
});
const dropFilms = guarded(async (dropped) => {
  const read = [];
  const refused = [];
  for (const file of dropped) {
    say(`Reading ${read.length + refused.length + 1} of ${dropped.length}: ${file.name}`);
    const headers = { "X-Name": encodeURIComponent(file.name), "Content-Type": "application/octet-stream" };
    try {
      read.push((await call("/api/drop", { method: "POST", headers, body: file })).number);
    } catch (error) {
      refused.push([file.name, error.message]);
    }
  }
  control("refused").hidden = refused.length === 0;
  control("refused").querySelector("p").textContent = `${refused.length} of ${dropped.length} files could not be read:`;
  control("refused").querySelector("ul").replaceChildren(...refused.map(([name, message]) => (
    node("li", {}, message.startsWith(name) ? message : `${name}: ${message}`))));
  await loadFilms();
  if (read.length) await open(read[0]);
  say(`${read.length} of ${dropped.length} films read.`, refused.length > 0);
});

// --- controls -------------------------------------------------------------------------------------
control("ask").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
control("phrase").addEventListener("search", () => ask());
control("save").addEventListener("click", () => save());
control("save-next").addEventListener("click", () => saveAndNext());
control("export").addEventListener("click", () => exportAll());
control("delete").addEventListener("click", () => sessions.get(current)?.editor.remove());
control("undo").addEventListener("click", () => sessions.get(current)?.editor.undo());
control("redo").addEventListener("click", () => sessions.get(current)?.editor.redo());
control("confirm").addEventListener("click", () => sessions.get(current)?.editor.confirm());
control("label").addEventListener("change", (event) => {
  const label = event.target.value.trim();
  if (label) sessions.get(current)?.editor.setLabel(label);
});
control("label").addEventListener("keydown", (event) => { if (event.key === "Enter") event.target.blur(); });
control("sentence").addEventListener("change", (event) => sessions.get(current)?.editor.setSentence(event.target.value));
control("refused-close").addEventListener("click", () => { control("refused").hidden = true; });
control("beside").addEventListener("change", () => showBeside());
control("zoom-in").addEventListener("click", () => view.zoomIn());
control("zoom-out").addEventListener("click", () => view.zoomOut());
control("fit").addEventListener("click", () => view.fit());
function setWindow(level, width) {
  view.setWindow(level, width);
  control("level").value = view.level;
  control("width").value = view.width;
}
for (const id of ["level", "width"]) {
  control(id).addEventListener("input", () => setWindow(Number(control("level").value), Number(control("width").value)));
}
function invert() {
  view.invert();
  control("invert").setAttribute("aria-pressed", String(view.inverted));
}
function resetLevels() {
  if (view.inverted) invert();
  setWindow(0.5, 1);
}
control("invert").addEventListener("click", invert);
control("reset").addEventListener("click", resetLevels);
function setMode(chosen) {
  mode = chosen;
  for (const name of ["draw", "pan", "window"]) control(`mode-${name}`).setAttribute("aria-pressed", String(name === mode));
  control("stage").dataset.mode = mode;
  const editor = sessions.get(current)?.editor;
  if (editor) editor.pans = mode !== "draw";
}
for (const name of ["draw", "pan", "window"]) control(`mode-${name}`).addEventListener("click", () => setMode(name));
// Dragging that moves the film (Shift, the middle button) or its grey levels (the right button).
control("stage").addEventListener("pointerdown", (event) => {
  const pans = event.button === 1 || (event.button === 0 && (event.shiftKey || mode === "pan"));
  const levels = event.button === 2 || (event.button === 0 && mode === "window" && !event.shiftKey);
  if (!pans && !levels) return;
  event.preventDefault();
  const stage = control("stage");
  stage.setPointerCapture(event.pointerId);
  let [x, y] = [event.clientX, event.clientY];
  const move = (moved) => {
    const [dx, dy] = [moved.clientX - x, moved.clientY - y];
    [x, y] = [moved.clientX, moved.clientY];
    if (pans) view.panBy(dx, dy);
    else setWindow(view.level + dy / 400, view.width + dx / 400);
  };
  const end = () => {
    stage.removeEventListener("pointermove", move);
    stage.removeEventListener("pointerup", end);
    stage.removeEventListener("pointercancel", end);
  };
  stage.addEventListener("pointermove", move);
  stage.addEventListener("pointerup", end);
  stage.addEventListener("pointercancel", end);
});
// A button clicked with the mouse does not keep the Enter key.
document.addEventListener("click", (event) => {
  if (event.detail > 0) event.target.closest("main button")?.blur();
});
control("stage").addEventListener("contextmenu", (event) => event.preventDefault());
window.addEventListener("resize", () => view.place());
control("file").addEventListener("change", (event) => dropFilms([...event.target.files]));
control("help-button").addEventListener("click", () => control("help").showModal());
control("show-boxes").addEventListener("change", (event) => {
  control("stage").classList.toggle("hide-boxes", !event.target.checked);
});
control("least").addEventListener("input", (event) => {
  control("least-value").textContent = Number(event.target.value).toFixed(2);
  sessions.get(current)?.editor.setLeast(Number(event.target.value));
});
for (const kind of ["dragenter", "dragover", "dragleave", "drop"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    control("drop").classList.toggle("over", kind === "dragenter" || kind === "dragover");
    if (kind === "drop" && hasModel) dropFilms([...event.dataTransfer.files]);
  });
}
window.addEventListener("beforeunload", (event) => {
  if ([...sessions.values()].some((session) => session.changed)) event.preventDefault();
});
function step(by) {
  const place = films.findIndex((film) => film.number === current);
  const next = films[Math.min(Math.max(place + by, 0), films.length - 1)];
  if (next) open(next.number);
}
const LEVEL_STEP = 0.05;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
document.addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (control("help").open || target.matches("input:not([type=checkbox]):not([type=range]), select")) return;
  const editor = sessions.get(current)?.editor;
  if (event.ctrlKey || event.metaKey) {
    const redoes = key === "y" || (event.shiftKey && key.toLowerCase() === "z");
    if (redoes || key === "z") {
      event.preventDefault();
      if (redoes) editor?.redo();
      else editor?.undo();
    }
    return;
  }
  if (event.altKey) return;
  if (ARROWS[key] && !target.matches("input")) {
    event.preventDefault();
    if (editor?.chosen >= 0) editor.nudge(...ARROWS[key], event.shiftKey);
    else view.panStep(...ARROWS[key]);
    return;
  }
  if (/^[1-9]$/.test(key)) {
    const label = labels[Number(key) - 1];
    if (label && editor) { editor.setLabel(label); control("label").value = label; }
    return;
  }
  const isOpen = target.matches("li") && Number(target.dataset.number) === current;
  if (key === "Enter" && target.matches("button, input, li") && !isOpen) return; // their own
  const actions = {
    Delete: () => editor?.remove(), Backspace: () => editor?.remove(), Escape: () => { report.clear(); editor?.choose(-1); },
    n: () => editor?.addInMiddle(), s: () => save(), j: () => step(1), k: () => step(-1),
    Enter: () => saveAndNext(), c: () => editor?.confirm(), ".": () => editor?.chooseNext(1), ",": () => editor?.chooseNext(-1),
    "+": () => view.zoomIn(), "=": () => view.zoomIn(), "-": () => view.zoomOut(), 0: () => view.fit(),
    i: () => invert(), r: () => resetLevels(), d: () => setMode("draw"), p: () => setMode("pan"), w: () => setMode("window"),
    "[": () => setWindow(view.level + LEVEL_STEP, view.width), "]": () => setWindow(view.level - LEVEL_STEP, view.width),
    "{": () => setWindow(view.level, view.width + LEVEL_STEP), "}": () => setWindow(view.level, view.width - LEVEL_STEP),
    e: () => toggleBeside(), l: () => control("label").select(), f: () => control("phrase").focus(),
    b: () => control("show-boxes").click(), m: () => { asked = []; control("understood").textContent = ""; say(""); guarded(showMap)(); },
    t: () => report.chooseNext(1), T: () => report.chooseNext(-1),
    "?": () => control("help").showModal(),
  };
  if (actions[key]) { event.preventDefault(); actions[key](); }
});

guarded(async () => {
  await loadFilms();
  if (films.length) await open(films[0].number);
})();
