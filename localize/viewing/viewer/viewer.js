import { BoxEditor, scoreColour } from "/box_editor.js";
import { heat, paint, phraseAnswers } from "/attention.js";

const KEY = new URLSearchParams(location.search).get("key") ?? "";
history.replaceState(null, "", `/?key=${encodeURIComponent(KEY)}`);
const LIKELY = 0.5;
const ANSWERS_SHOWN = 3;
const control = (id) => document.getElementById(id);
const sessions = new Map(); // film number -> { card, editor, frame, changed, answers }
let films = [];
let keywords = [];
let hasModel = false;
let current = null;
let asked = []; // keywords whose map is shown
let mapAsked = 0; // counts requests for a map: only the last may draw

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
  try { await action(...given); } catch (error) { say(error.message, true); }
};

// --- films ----------------------------------------------------------------------------------------
async function loadFilms() {
  const content = await call("/api/films");
  films = content.films;
  keywords = content.keywords;
  hasModel = content.has_model;
  control("drop").hidden = !hasModel;
  control("ask").hidden = !hasModel;
  control("map-hint").hidden = !hasModel;
  listFilms();
}
function listFilms() {
  control("films").replaceChildren(...films.map((film) => {
    const row = node("li", { role: "option", tabindex: "0", "data-number": film.number, title: film.id },
      node("i", { "aria-label": film.is_reviewed ? "reviewed" : "" }, film.is_reviewed ? "✓" : ""),
      node("bdi", {}, film.id), node("span", {}, number(film.p_pneumonia)));
    row.setAttribute("aria-selected", String(film.number === current));
    row.addEventListener("click", () => open(film.number));
    row.addEventListener("keydown", (event) => { if (event.key === "Enter") open(film.number); });
    return row;
  }));
  const reviewed = films.filter((film) => film.is_reviewed).length;
  control("count").textContent = `${films.length} films, ${reviewed} reviewed`;
}
const open = guarded(async (index) => {
  if (!sessions.has(index)) sessions.set(index, await makeSession(index));
  current = index;
  const session = sessions.get(index);
  control("stage").replaceChildren(session.frame);
  control("title").replaceChildren(node("bdi", {}, session.card.id));
  for (const row of control("films").children) {
    const selected = Number(row.dataset.number) === index;
    row.setAttribute("aria-selected", String(selected));
    if (selected) row.scrollIntoView({ block: "nearest" });
  }
  session.editor.setLeast(Number(control("least").value));
  say("");
  showFacts(session);
  await showMap();
});
async function makeSession(index) {
  const { card, corrected, has_picture: hasPicture } = await call(`/api/film?number=${index}`);
  const proposed = card.boxes.map(({ xyxy, label, score }) => ({ xyxy, label, score }));
  const boxes = corrected === null ? proposed : corrected.map((box) => ({ ...box, score: null }));
  const frame = node("div", { class: "frame" });
  frame.style.aspectRatio = `${card.width} / ${card.height}`;
  frame.style.width = `min(100cqw, calc(100cqh * ${card.width / card.height}))`;
  const session = { card, frame, changed: false, answers: null, hasPicture };
  const label = card.boxes[0]?.label ?? "opacity";
  session.editor = new BoxEditor(card.width, card.height, boxes, label, (isEdit) => {
    if (isEdit) session.changed = true;
    if (sessions.get(current) === session) showBoxes(session);
  });
  if (hasPicture) {
    frame.append(node("img", {
      src: `/api/picture?number=${index}&key=${encodeURIComponent(KEY)}`, alt: `Chest film ${card.id}`, draggable: "false",
    }));
  }
  session.canvas = node("canvas", { "aria-hidden": "true" });
  session.canvas.hidden = true;
  frame.append(session.canvas, session.editor.svg);
  return session;
}

// --- what the model says ---------------------------------------------------------------------------
function measure(name, value, detail) {
  return node("div", {}, node("span", {}, name), node("b", {}, value), " ", node("small", {}, detail));
}
function showFacts(session) {
  const { card } = session;
  const range = card.severity_low === null ? "" : `${number(card.severity_low, 1)} – ${number(card.severity_high, 1)}`;
  control("measures").replaceChildren(
    ...(card.warning ? [node("p", { class: "warning" }, card.warning)] : []),
    measure(card.opacity ? "P(pneumonia), call" : "P(pneumonia)", number(card.p_pneumonia), card.opacity),
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
  for (const old of session.editor.svg.querySelectorAll(".answer")) old.remove();
  session.canvas.hidden = true;
  if (!asked.length || !hasModel || !session.hasPicture) return;
  say("Asking the regions …");
  session.answers ??= await call(`/api/answers?number=${current}`);
  if (mine !== mapAsked) return; // asked for something else meanwhile
  const values = phraseAnswers(session.answers, asked);
  const { width, height } = session.card;
  paint(session.canvas, heat(session.answers, values, width, height));
  session.canvas.hidden = false;
  const best = values.map((value, k) => [value, k]).filter(([value]) => value > 0)
    .sort((a, b) => b[0] - a[0]).slice(0, ANSWERS_SHOWN);
  for (const [value, k] of best) {
    const [x1, y1, x2, y2] = session.answers.regions[k].xyxy;
    const rect = document.createElementNS("http://www.w3.org/2000/svg", "rect");
    for (const [key, v] of Object.entries({ class: "answer", x: x1, y: y1, width: x2 - x1, height: y2 - y1, "data-answer": value.toFixed(3) })) rect.setAttribute(key, v);
    session.editor.svg.prepend(rect);
  }
  say(best.length
    ? `Regions that answer to ${asked.join(", ")}: the best ${best.map(([value]) => value.toFixed(2)).join(", ")}.`
    : `No region answers to ${asked.join(", ")}.`);
}
const ask = guarded(async () => {
  const text = control("phrase").value.trim();
  if (!text) { asked = []; control("understood").textContent = ""; await showMap(); return; }
  const phrase = await call(`/api/phrase?text=${encodeURIComponent(text)}`);
  asked = phrase.keywords;
  const ignored = phrase.ignored.length ? `; not used: ${phrase.ignored.join(" ")}` : "";
  control("understood").textContent = asked.length ? `Understood: ${asked.join(", ")}${ignored}` : "No keyword in it.";
  await showMap();
});

// --- boxes ---------------------------------------------------------------------------------------
function showBoxes(session) {
  const { editor } = session;
  control("changed").hidden = !session.changed;
  control("delete").disabled = editor.chosen < 0;
  control("undo").disabled = editor.past.length === 0;
  control("save").disabled = false;
  const rows = editor.boxes.map((box, index) => [box, index]).filter(([box]) => editor.kept().includes(box));
  control("boxes").replaceChildren(...rows.map(([box, index]) => {
    const text = `${box.label} ${box.score === null ? "corrected" : number(box.score)}`;
    const row = node("li", { class: index === editor.chosen ? "chosen" : "" }, text);
    row.style.color = scoreColour(box.score);
    row.addEventListener("click", () => editor.choose(index));
    return row;
  }));
}
const save = guarded(async () => {
  const session = sessions.get(current);
  if (!session) return;
  const { editor } = session;
  const boxes = editor.kept().map(({ xyxy, label }) => ({ xyxy, label }));
  const { path, reviewed } = await call(`/api/save?number=${current}`, { method: "POST", body: JSON.stringify(boxes) });
  editor.boxes = boxes.map((box) => ({ ...box, score: null }));
  editor.past = [];
  session.changed = false;
  editor.choose(-1);
  films.find((film) => film.number === current).is_reviewed = true;
  listFilms();
  control("reviewed").textContent = `${reviewed} films in ${path}`;
  say(`Saved ${boxes.length} ${boxes.length === 1 ? "box" : "boxes"}.`);
});
const exportAll = guarded(async () => {
  const format = control("format").value;
  const { path } = await call(`/api/export?format=${format}`, { method: "POST", body: "" });
  say(`Exported to ${path}`);
});
const dropFilms = guarded(async (dropped) => {
  let last = null;
  for (const file of dropped) {
    say(`Reading ${file.name} …`);
    const headers = { "X-Name": encodeURIComponent(file.name), "Content-Type": "application/octet-stream" };
    try {
      last = (await call("/api/drop", { method: "POST", headers, body: file })).number;
    } catch (error) {
      say(`${file.name}: ${error.message}`, true);
      if (last === null) return;
    }
  }
  await loadFilms();
  if (last !== null) await open(last);
});

// --- controls -------------------------------------------------------------------------------------
control("ask").addEventListener("submit", (event) => { event.preventDefault(); ask(); });
control("phrase").addEventListener("search", () => ask());
control("save").addEventListener("click", () => save());
control("export").addEventListener("click", () => exportAll());
control("delete").addEventListener("click", () => sessions.get(current)?.editor.remove());
control("undo").addEventListener("click", () => sessions.get(current)?.editor.undo());
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
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
document.addEventListener("keydown", (event) => {
  const { target, key } = event;
  if (control("help").open || target.matches("input:not([type=checkbox]):not([type=range]), select")) return;
  const editor = sessions.get(current)?.editor;
  if ((event.ctrlKey || event.metaKey) && key === "z") { event.preventDefault(); editor?.undo(); return; }
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  if (ARROWS[key] && editor?.chosen >= 0 && !target.matches("input")) {
    event.preventDefault();
    editor.nudge(...ARROWS[key], event.shiftKey);
    return;
  }
  const actions = {
    Delete: () => editor?.remove(), Backspace: () => editor?.remove(), Escape: () => editor?.choose(-1),
    n: () => editor?.addInMiddle(), s: () => save(), j: () => step(1), k: () => step(-1),
    b: () => control("show-boxes").click(), m: () => { asked = []; guarded(showMap)(); },
    "?": () => control("help").showModal(),
  };
  if (actions[key]) { event.preventDefault(); actions[key](); }
});

guarded(async () => {
  await loadFilms();
  if (films.length) await open(films[0].number);
})();
