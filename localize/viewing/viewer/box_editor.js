// Boxes over a film that can be drawn, moved, changed in size, labelled, confirmed and deleted. All
// numbers are pixels of the film: the SVG's view box is the film.
const SVG = "http://www.w3.org/2000/svg";
const LEAST_SHARE = 0.01; // a box is at least this share of the film's longer side
const STEP_SHARE = 0.005;
const HANDLES = [[0, 0], [0.5, 0], [1, 0], [1, 0.5], [1, 1], [0.5, 1], [0, 1], [0, 0.5]];
const CURSORS = ["nwse", "ns", "nesw", "ew", "nwse", "ns", "nesw", "ew"];
const RAMP = [[127, 178, 229], [255, 213, 74], [255, 90, 54]];

export function scoreColour(score) {
  if (score === null) return "#b9f27c"; // drawn or corrected by a person
  const place = Math.min(Math.max(score, 0), 1) * 2;
  const k = Math.min(Math.floor(place), 1);
  return `rgb(${RAMP[k].map((low, c) => Math.round(low + (RAMP[k + 1][c] - low) * (place - k))).join(",")})`;
}

function shape(name, attributes) {
  const element = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

// The text at a box: its label where there are several, its score, and a tick of a person's.
function markOf(box, hasLabels) {
  const tick = box.score === null || box.is_confirmed || box.annotator ? "✓" : "";
  return [hasLabels ? box.label : "", box.score === null ? "" : box.score.toFixed(2), tick].filter(Boolean).join(" ");
}

export class BoxEditor {
  // `onChange(isEdit)` is called after every edit and every change of the chosen box. A box is
  // { xyxy, label, score, annotator, is_confirmed, is_saved, sentence }; `score` is null for a
  // person's box, `sentence` "" where it belongs to no sentence of a report.
  constructor(width, height, boxes, label, onChange) {
    Object.assign(this, { width, height, boxes, label, onChange, chosen: -1, least: 0, past: [], future: [] });
    this.sentence = ""; // of boxes drawn from now on
    this.only = null; // the sentence whose boxes stand out
    this.pans = false; // whether dragging moves the film instead
    this.svg = shape("svg", { viewBox: `0 0 ${width} ${height}`, "aria-label": "Boxes" });
    this.layer = shape("g", { class: "layer" });
    this.svg.append(this.layer);
    this.svg.addEventListener("pointerdown", (event) => this.press(event));
    this.svg.addEventListener("pointermove", (event) => this.drag(event));
    this.svg.addEventListener("pointerup", (event) => this.release(event));
    this.svg.addEventListener("pointercancel", (event) => this.release(event));
    this.draw();
  }

  // Proposed boxes below the least score are neither shown nor saved, unless a person saved them.
  isShown(box) {
    const isOfPerson = box.score === null || box.is_confirmed || box.is_saved || box.annotator !== "";
    return isOfPerson || box.score >= this.least;
  }
  shown() {
    return this.boxes.filter((box) => this.isShown(box));
  }
  remember() {
    this.past.push(JSON.stringify(this.boxes));
    this.future = [];
  }
  step(from, to) {
    if (!from.length) return;
    to.push(JSON.stringify(this.boxes));
    this.boxes = JSON.parse(from.pop());
    this.chosen = -1;
    this.draw();
    this.onChange(true);
  }
  undo() { this.step(this.past, this.future); }
  redo() { this.step(this.future, this.past); }
  // The label of the chosen box, and of boxes drawn from now on.
  setLabel(label) {
    this.label = label;
    const box = this.boxes[this.chosen];
    if (!box || box.label === label) return;
    this.remember();
    Object.assign(box, { label, score: null, annotator: "", is_confirmed: false });
    this.draw();
    this.onChange(true);
  }
  // The sentence of the chosen box, and of boxes drawn from now on.
  setSentence(sentence) {
    this.sentence = sentence;
    const box = this.boxes[this.chosen];
    if (!box || box.sentence === sentence) return;
    this.remember();
    Object.assign(box, { sentence, score: null, annotator: "", is_confirmed: false });
    this.draw();
    this.onChange(true);
  }
  showOnly(sentence) {
    if (this.only === sentence) return;
    this.only = sentence;
    this.draw();
  }
  // Marks the chosen box as right, or takes the mark back.
  confirm() {
    const box = this.boxes[this.chosen];
    if (!box || box.score === null) return;
    this.remember();
    box.is_confirmed = !box.is_confirmed;
    this.draw();
    this.onChange(true);
  }
  // Chooses the next shown box, or the one before.
  chooseNext(by) {
    const shown = this.boxes.map((box, index) => index).filter((index) => this.isShown(this.boxes[index]));
    if (!shown.length) return;
    const place = shown.indexOf(this.chosen);
    this.choose(shown[place < 0 ? (by > 0 ? 0 : shown.length - 1) : (place + by + shown.length) % shown.length]);
  }
  choose(index) {
    this.chosen = index;
    this.draw();
    this.onChange(false);
  }
  setLeast(least) {
    this.least = least;
    this.choose(-1);
  }
  remove() {
    if (this.chosen < 0) return;
    this.remember();
    this.boxes.splice(this.chosen, 1);
    this.chosen = -1;
    this.draw();
    this.onChange(true);
  }
  addInMiddle() {
    this.remember();
    const [w, h] = [this.width, this.height];
    this.boxes.push(this.newBox([w * 0.4, h * 0.4, w * 0.6, h * 0.6]));
    this.chosen = this.boxes.length - 1;
    this.draw();
    this.onChange(true);
  }
  // Moves (or, with `resize`, stretches) the chosen box by steps.
  nudge(dx, dy, resize) {
    const box = this.boxes[this.chosen];
    if (!box) return;
    this.remember();
    const step = Math.max(this.width, this.height) * STEP_SHARE;
    const [x1, y1, x2, y2] = box.xyxy;
    this.put(box, resize
      ? [x1, y1, x2 + dx * step, y2 + dy * step]
      : this.inside([x1 + dx * step, y1 + dy * step, x2 + dx * step, y2 + dy * step]));
    this.draw();
    this.onChange(true);
  }

  newBox(xyxy) {
    return { xyxy, label: this.label, score: null, annotator: "", is_confirmed: false, sentence: this.sentence };
  }

  // --- geometry ---------------------------------------------------------------------------------
  point(event) {
    const matrix = this.svg.getScreenCTM().inverse();
    const { x, y } = new DOMPoint(event.clientX, event.clientY).matrixTransform(matrix);
    return [Math.min(Math.max(x, 0), this.width), Math.min(Math.max(y, 0), this.height)];
  }
  inside([x1, y1, x2, y2]) {
    const dx = Math.max(0, -x1) - Math.max(0, x2 - this.width);
    const dy = Math.max(0, -y1) - Math.max(0, y2 - this.height);
    return [x1 + dx, y1 + dy, x2 + dx, y2 + dy];
  }
  // A person's box: corners in order, inside the film, not too thin, and without a score.
  put(box, [x1, y1, x2, y2]) {
    const least = Math.max(this.width, this.height) * LEAST_SHARE;
    const span = (a, b, limit) => {
      let low = Math.max(Math.min(a, b), 0);
      let high = Math.min(Math.max(a, b), limit);
      if (high - low < least) { low = Math.min(low, limit - least); high = low + least; }
      return [low, high];
    };
    const [left, right] = span(x1, x2, this.width);
    const [top, bottom] = span(y1, y2, this.height);
    box.xyxy = [left, top, right, bottom].map((value) => Math.round(value * 100) / 100);
    Object.assign(box, { score: null, annotator: "", is_confirmed: false });
  }

  // --- pointer ----------------------------------------------------------------------------------
  press(event) {
    if (event.button !== 0 || this.pans || event.shiftKey) return;
    event.preventDefault();
    const start = this.point(event);
    const { handle, index } = event.target.dataset;
    this.svg.setPointerCapture(event.pointerId);
    if (handle !== undefined) {
      this.action = { kind: "resize", handle: Number(handle), start, from: [...this.boxes[this.chosen].xyxy] };
    } else if (index !== undefined) {
      this.choose(Number(index));
      this.action = { kind: "move", start, from: [...this.boxes[this.chosen].xyxy] };
    } else {
      this.choose(-1);
      this.action = { kind: "draw", start };
    }
  }
  drag(event) {
    const { action } = this;
    if (!action) return;
    const [x, y] = this.point(event);
    const [dx, dy] = [x - action.start[0], y - action.start[1]];
    const least = Math.max(this.width, this.height) * LEAST_SHARE;
    if (!action.began) {
      if (Math.hypot(dx, dy) < least / 2) return; // a click is no edit
      if (action.kind === "draw" && Math.hypot(dx, dy) < least) return;
      this.remember();
      action.began = true;
      if (action.kind === "draw") {
        this.boxes.push(this.newBox([]));
        this.chosen = this.boxes.length - 1;
      }
    }
    const box = this.boxes[this.chosen];
    if (action.kind === "draw") this.put(box, [...action.start, x, y]);
    if (action.kind === "move") {
      const [x1, y1, x2, y2] = action.from;
      this.put(box, this.inside([x1 + dx, y1 + dy, x2 + dx, y2 + dy]));
    }
    if (action.kind === "resize") {
      const [px, py] = HANDLES[action.handle];
      const corners = [...action.from];
      if (px !== 0.5) corners[px ? 2 : 0] += dx;
      if (py !== 0.5) corners[py ? 3 : 1] += dy;
      this.put(box, corners);
    }
    this.draw();
  }
  release() {
    const began = this.action?.began;
    this.action = null;
    if (began) this.onChange(true);
  }

  hasLabels() {
    return new Set(this.boxes.map((box) => box.label)).size > 1;
  }

  // --- drawing ----------------------------------------------------------------------------------
  draw() {
    const scale = this.svg.getScreenCTM()?.a || 1;
    // Text and handles have the same size on the screen, however large the film is shown.
    const size = scale > 0 && this.svg.isConnected ? 13 / scale : Math.max(this.width, this.height) / 45;
    const hadFocus = this.layer.contains(document.activeElement);
    this.layer.replaceChildren();
    this.boxes.forEach((box, index) => {
      if (!this.isShown(box)) return;
      const [x1, y1, x2, y2] = box.xyxy;
      const colour = scoreColour(box.score);
      const chosen = index === this.chosen;
      const state = `${box.score === null ? "drawn" : `score ${box.score.toFixed(2)}`}${box.is_confirmed ? ", confirmed" : ""}`;
      const off = this.only !== null && box.sentence !== this.only && !chosen ? " off" : "";
      const rect = shape("rect", {
        class: `box${chosen ? " chosen" : ""}${off}`, "data-index": index, tabindex: 0, role: "button",
        "aria-label": `Box ${index + 1}, ${box.label}, ${state}${box.sentence ? `: ${box.sentence}` : ""}`, x: x1, y: y1, width: x2 - x1,
        height: y2 - y1, stroke: colour, "stroke-width": chosen ? 3 : 2,
      });
      rect.addEventListener("focus", () => { if (this.chosen !== index) this.choose(index); });
      const mark = shape("text", {
        class: `mark${off}`, x: x1 + size * 0.15, y: y1 > size * 1.3 ? y1 - size * 0.3 : y1 + size,
        "stroke-width": size / 5, fill: colour,
      });
      mark.style.fontSize = `${size}px`;
      mark.textContent = markOf(box, this.hasLabels());
      this.layer.append(rect, mark);
      if (chosen && hadFocus) rect.focus();
    });
    const box = this.boxes[this.chosen];
    if (!box) return;
    const [x1, y1, x2, y2] = box.xyxy;
    const side = 9 / scale;
    HANDLES.forEach(([px, py], k) => {
      const handle = shape("rect", {
        class: "handle", "data-handle": k, width: side, height: side,
        x: x1 + (x2 - x1) * px - side / 2, y: y1 + (y2 - y1) * py - side / 2,
      });
      handle.style.cursor = `${CURSORS[k]}-resize`;
      this.layer.append(handle);
    });
  }
}
