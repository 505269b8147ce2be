// Charts, drawn by Bokeh. A species has one colour and one marker everywhere, so there are no legends.

Bokeh.logger.set_level("warn");
const FONT = "system-ui, sans-serif";
const painted = [];  // what the theme colours: functions that do so
function paint(work) {
  painted.push(work);
  work();
}
on("theme", () => painted.forEach((work) => work()));

function chart(id, xLabel, yLabel, options = {}) {
  const place = document.getElementById(id);
  const made = Bokeh.Plotting.figure({
    height: 260, sizing_mode: "stretch_width", x_axis_label: xLabel, y_axis_label: yLabel,
    tools: "pan,box_zoom,wheel_zoom,reset,save", toolbar_location: "above", toolbar_inner: true, active_scroll: null,
    background_fill_color: null, border_fill_color: null, outline_line_color: null, ...options,
  });
  made.toolbar.autohide = true;
  made.toolbar.logo = null;
  for (const axis of [...made.below, ...made.left]) {
    Object.assign(axis, {
      axis_label_text_font: FONT, axis_label_text_font_size: "12px",
      axis_label_text_font_style: "normal", major_label_text_font: FONT,
      major_label_text_font_size: "11px", minor_tick_line_color: null,
    });
  }
  paint(() => {
    const soft = ink("soft"), line = ink("line");
    for (const axis of [...made.below, ...made.left]) {
      Object.assign(axis, {
        axis_label_text_color: soft, major_label_text_color: soft, axis_line_color: line, major_tick_line_color: line,
      });
    }
    for (const grid of made.center) Object.assign(grid, {grid_line_color: line});
  });
  return {figure: made, show: () => Bokeh.Plotting.show(made, place)};
}

const source = (data) => new Bokeh.ColumnDataSource({data});

function lines(figure, width = 2.2) {  // a line a species, and a marker on it: where its threshold is
  return DATA.species.map(({colour}, s) => {
    const [line, dot] = [source({x: [], y: []}), source({x: [], y: []})], at = [{field: "x"}, {field: "y"}];
    const casing = figure.line(...at, {source: line, line_width: width + 1});  // bright colours on a bright ground
    figure.line(...at, {source: line, line_color: colour, line_width: width});
    const marker = figure.scatter(...at, {source: dot, size: 11, fill_color: colour, marker: shapeOf(s)[0]});
    paint(() => {
      Object.assign(casing.glyph, {line_color: ink("casing"), line_alpha: isLight() ? 0.4 : 0});
      marker.glyph.line_color = ink("text");
    });
    return {line, dot};
  });
}

const unit = () => new Bokeh.Range1d({start: -0.02, end: 1.03});
const charts = {};
if (there.truth) {
  charts.recall = chart("chart-recall", "recall", "precision", {x_range: unit(), y_range: unit()});
  charts.f4 = chart("chart-f4", "threshold", "F4", {y_range: unit()});
  charts.recall.lines = lines(charts.recall.figure);
  charts.f4.lines = lines(charts.f4.figure);
}
if (there.chance) {
  charts.rate = chart("chart-rate", "threshold", "expected false", {y_range: unit()});
  charts.rate.lines = lines(charts.rate.figure);
}

function drawCurves() {
  DATA.species.forEach((_, s) => {
    const set = (chart, points, x, y) => { chart.lines[s].line.data = {x: points.map(x), y: points.map(y)}; };
    const known = state.shown[s] && there.truth ? curve(s) : [], likely = state.shown[s] && there.chance ? rates(s) : [];
    if (there.truth) set(charts.recall, known, recall, precision);
    if (there.truth) set(charts.f4, known, ({threshold}) => threshold, f4);
    if (there.chance) set(charts.rate, likely, ({threshold}) => threshold, ({rate}) => rate);
  });
  drawDots();
}

function drawDots() {
  DATA.species.forEach((_, s) => {
    const n = counts(s), threshold = state.thresholds[s];
    const shown = state.shown[s] && Number.isFinite(threshold) && lowest[s] < Infinity;
    const set = (chart, x, y) => { chart.lines[s].dot.data = shown ? {x: [x], y: [y]} : {x: [], y: []}; };
    if (there.truth) set(charts.recall, recall(n), precision(n));
    if (there.truth) set(charts.f4, threshold, f4(n));
    if (there.chance) set(charts.rate, threshold, falseRate(s));
  });
}

function histogram(values, low, high, bins = 40) {  // {left, right, top}
  const top = new Array(bins).fill(0), width = (high - low) / bins || 1;
  for (const v of values) if (v >= low && v <= high) top[Math.min(bins - 1, Math.floor((v - low) / width))]++;
  return {left: top.map((_, i) => low + i * width), right: top.map((_, i) => low + (i + 1) * width), top};
}

function outline({left, right, top}) {  // of a histogram, for a line
  return {x: left.flatMap((l, i) => [l, right[i]]), y: top.flatMap((n) => [n, n])};
}

const viewed = DATA.runs.filter(({volume: seen}) => seen);
const inView = () => inScope().filter(({volume: seen}) => seen);

function nearest(points, n) {  // the distance of each of the first n points to the nearest of the others, in voxels
  if (n < 2) return [];
  const order = Uint32Array.from({length: n}, (_, i) => i).sort((a, b) => points[3 * a + 2] - points[3 * b + 2]);
  const [zs, ys, xs] = AXES.map((_, axis) => Float64Array.from(order, (i) => points[3 * i + axis]));
  return Array.from(order, (_, i) => {
    let least = Infinity;
    for (const step of [-1, 1]) {  // along x, as far as a nearer one may be
      for (let j = i + step; j >= 0 && j < n && (xs[j] - xs[i]) ** 2 < least; j += step) {
        const d = (zs[j] - zs[i]) ** 2 + (ys[j] - ys[i]) ** 2 + (xs[j] - xs[i]) ** 2;
        if (d < least) least = d;
      }
    }
    return Math.sqrt(least);
  });
}

if (there.picks && there.volume) {
  charts.distance = chart("chart-distance", "nm", "picks");
  charts.depth = chart("chart-depth", "z, nm", "picks");
  charts.distance.lines = lines(charts.distance.figure, 1.5);
  charts.depth.lines = lines(charts.depth.figure, 1.5);
}
if (there.picks) {
  charts.scores = chart("chart-scores", "score", "picks", {y_axis_type: "log"});
  charts.scores.bars = ["hit", "false"].map((kind) => {
    const bars = source({left: [], right: [], bottom: [], top: []});
    const {glyph} = charts.scores.figure.quad({field: "left"}, {field: "right"}, {field: "top"}, {field: "bottom"},
      {source: bars, fill_alpha: kind === "hit" ? 1 : 0.25, hatch_pattern: kind === "hit" ? null : "right_diagonal_line",
        hatch_scale: 8, hatch_alpha: 0.6});
    const colour = () => kind === "hit" ? DATA.species[state.focus].colour : ink("soft");
    paint(() => Object.assign(glyph, {fill_color: colour(), line_color: ink("soft"), hatch_color: ink("soft")}));
    return bars;
  });
}

function drawDistributions() {  // of the picks that pass, in the runs whose volumes are here
  if (!charts.distance) return;
  const far = 6 * Math.max(...DATA.species.map(({radius}) => radius)) / 10;
  const deepest = Math.max(...viewed.map(({volume: {shape, voxelSize, origin}}) => origin[0] + shape[0] * voxelSize)) / 10;
  DATA.species.forEach((_, s) => {
    const distances = [], depths = [];
    for (const {found, volume: {voxelSize, origin}} of state.shown[s] ? inView() : []) {
      const {zyx, score} = found[s], n = atLeast(state.thresholds[s], score);
      for (const d of nearest(zyx, n)) distances.push(d * voxelSize / 10);
      for (let i = 0; i < n; i++) depths.push((zyx[3 * i] * voxelSize + origin[0]) / 10);
    }
    for (const [{lines: drawn}, bars] of [[charts.distance, histogram(distances, 0, far)], [charts.depth, histogram(depths, 0, deepest, 24)]]) {
      const most = Math.max(...bars.top), at = bars.top.indexOf(most);
      drawn[s].line.data = outline(bars);
      drawn[s].dot.data = most ? {x: [(bars.left[at] + bars.right[at]) / 2], y: [most]} : {x: [], y: []};
    }
  });
}
