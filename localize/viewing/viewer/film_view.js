// How a film is shown: zoom, pan, window and level, inverted. It never changes the film or its boxes.
const MOST_ZOOM = 16;
const ZOOM_STEP = 1.25;
const FULL_FROM = 1.5; // from this zoom on the film is fetched in its own resolution
const LEAST_WIDTH = 0.05;
const PAN_SHARE = 0.1; // of the stage, for an arrow key

export class FilmView {
  // `onZoom(zoom)` is called after every change of the zoom.
  constructor(stage, filter, onZoom) {
    Object.assign(this, { stage, onZoom, zoom: 1, x: 0, y: 0, frame: null, level: 0.5, width: 1, inverted: false });
    this.functions = [...filter.querySelectorAll("[type=linear]")];
    stage.addEventListener("wheel", (event) => {
      if (!this.frame) return;
      event.preventDefault();
      this.zoomBy(event.deltaY < 0 ? ZOOM_STEP : 1 / ZOOM_STEP, event.clientX, event.clientY);
    }, { passive: false });
  }

  // Shows a frame as large as fits; `aspect` is width / height of the film.
  show(frame, aspect, loadFull) {
    Object.assign(this, { frame, aspect, loadFull });
    this.fit();
  }
  fit() {
    Object.assign(this, { zoom: 1, x: 0, y: 0 });
    this.place();
  }
  // Keeps the point of the film under (clientX, clientY), by default the middle of the stage.
  zoomBy(factor, clientX, clientY) {
    const zoom = Math.min(Math.max(this.zoom * factor, 1), MOST_ZOOM);
    const { left, top, width, height } = this.stage.getBoundingClientRect();
    const dx = (clientX ?? left + width / 2) - left - width / 2;
    const dy = (clientY ?? top + height / 2) - top - height / 2;
    const change = zoom / this.zoom;
    this.x = dx - (dx - this.x) * change;
    this.y = dy - (dy - this.y) * change;
    this.zoom = zoom;
    this.place();
  }
  zoomIn() { this.zoomBy(ZOOM_STEP); }
  zoomOut() { this.zoomBy(1 / ZOOM_STEP); }
  panBy(x, y) {
    this.x += x;
    this.y += y;
    this.place();
  }
  panStep(x, y) {
    const { width, height } = this.stage.getBoundingClientRect();
    this.panBy(-x * width * PAN_SHARE, -y * height * PAN_SHARE);
  }
  place() {
    if (!this.frame) return;
    // At least a quarter of the stage stays covered, so that the film is never lost.
    const { width, height } = this.stage.getBoundingClientRect();
    const most = [this.frame.offsetWidth, this.frame.offsetHeight];
    const limit = (value, film, room) => Math.min(Math.max(value, -(film + room) / 2 + room / 4), (film + room) / 2 - room / 4);
    this.frame.style.width = `calc(min(100cqw, 100cqh * ${this.aspect}) * ${this.zoom})`;
    if (this.zoom === 1) { this.x = 0; this.y = 0; }
    this.x = limit(this.x, Math.max(most[0], this.frame.offsetWidth), width);
    this.y = limit(this.y, Math.max(most[1], this.frame.offsetHeight), height);
    this.frame.style.transform = `translate(${this.x}px, ${this.y}px)`;
    if (this.zoom >= FULL_FROM) this.loadFull?.();
    this.onZoom(this.zoom);
  }

  // `level` is the grey level shown as middle grey, `width` the range shown, both as shares of all.
  setWindow(level, width) {
    this.level = Math.min(Math.max(level, 0), 1);
    this.width = Math.min(Math.max(width, LEAST_WIDTH), 1);
    this.showLevels();
  }
  invert() {
    this.inverted = !this.inverted;
    this.showLevels();
  }
  reset() {
    this.inverted = false;
    this.setWindow(0.5, 1);
  }
  showLevels() {
    const slope = 1 / this.width;
    const intercept = 0.5 - this.level * slope;
    for (const transfer of this.functions) {
      transfer.setAttribute("slope", this.inverted ? -slope : slope);
      transfer.setAttribute("intercept", this.inverted ? 1 - intercept : intercept);
    }
  }
}
