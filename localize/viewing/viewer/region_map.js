// Maps of where the regions of a film fit the words asked for.
const CELLS = 160; // along the film's longer side; the browser smooths the rest
// Violet to yellow; the paint is as thick as the value, so that the film shows where nothing fits.
const STOPS = [[88, 28, 135], [162, 28, 175], [225, 62, 120], [251, 146, 60], [253, 224, 71]];
const THICKEST = 200; // of 255

// The sum over regions of weight alpha times match, on a grid over the film; largest value 1.
export function heat(regions, width, height) {
  const scale = CELLS / Math.max(width, height);
  const columns = Math.max(1, Math.round(width * scale));
  const rows = Math.max(1, Math.round(height * scale));
  const grid = new Float32Array(columns * rows);
  regions.forEach((region) => {
    const weight = region.match * Math.sqrt(region.alpha); // the root lets weaker regions be seen
    if (!(weight > 0)) return;
    const [x1, y1, x2, y2] = region.xyxy.map((value) => value * scale);
    const [cx, cy, rx, ry] = [(x1 + x2) / 2, (y1 + y2) / 2, (x2 - x1) / 2, (y2 - y1) / 2];
    for (let y = Math.max(0, Math.floor(y1)); y < Math.min(rows, Math.ceil(y2)); y += 1) {
      for (let x = Math.max(0, Math.floor(x1)); x < Math.min(columns, Math.ceil(x2)); x += 1) {
        const away = Math.max(Math.abs(x + 0.5 - cx) / rx, Math.abs(y + 0.5 - cy) / ry);
        grid[y * columns + x] += weight * (away < 0.6 ? 1 : Math.max(0, (1 - away) / 0.4));
      }
    }
  });
  const most = grid.reduce((a, b) => Math.max(a, b), 0);
  if (most > 0) grid.forEach((value, k) => { grid[k] = value / most; });
  return { grid, columns, rows };
}

export function paint(canvas, { grid, columns, rows }) {
  canvas.width = columns;
  canvas.height = rows;
  const context = canvas.getContext("2d");
  const image = context.createImageData(columns, rows);
  grid.forEach((value, k) => {
    const place = Math.min(value, 0.9999) * (STOPS.length - 1);
    const low = STOPS[Math.floor(place)];
    const high = STOPS[Math.floor(place) + 1];
    for (let c = 0; c < 3; c += 1) {
      image.data[4 * k + c] = low[c] + (high[c] - low[c]) * (place - Math.floor(place));
    }
    image.data[4 * k + 3] = value * THICKEST;
  });
  context.putImageData(image, 0, 0);
}
