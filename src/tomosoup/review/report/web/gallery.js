// The particles of one species in the run shown: a few one by one, and the mean of all that pass.

const TILE = 44;  // samples a side
const WIDE = 3.2;  // a tile is so many radii wide

function sample(centre, plane, offset, step, sums) {  // add the values on a plane near `centre`; false beyond the volume
  const {across, down, through} = PLANES[plane], {shape, data} = volume;
  const [ny, nx] = [shape[1], shape[2]], at = [0, 0, 0], reach = step * (TILE - 1) / 2;
  if ([across, down].some((k) => centre[k] - reach < 0 || centre[k] + reach > shape[k] - 1)) return false;
  at[through] = Math.max(0, Math.min(shape[through] - 1.001, centre[through] + offset));
  for (let j = 0, n = 0; j < TILE; j++) {
    at[down] = Math.min(shape[down] - 1.001, centre[down] - reach + j * step);
    for (let i = 0; i < TILE; i++, n++) {
      at[across] = Math.min(shape[across] - 1.001, centre[across] - reach + i * step);
      const z = at[0] | 0, y = at[1] | 0, x = at[2] | 0, fz = at[0] - z, fy = at[1] - y, fx = at[2] - x;
      const p = (z * ny + y) * nx + x, q = p + ny * nx;
      const near = (data[p] * (1 - fx) + data[p + 1] * fx) * (1 - fy) + (data[p + nx] * (1 - fx) + data[p + nx + 1] * fx) * fy;
      const far = (data[q] * (1 - fx) + data[q + 1] * fx) * (1 - fy) + (data[q + nx] * (1 - fx) + data[q + nx + 1] * fx) * fy;
      sums[n] += near * (1 - fz) + far * fz;
    }
  }
  return true;
}

const step = (s) => WIDE * DATA.species[s].radius / volume.voxelSize / (TILE - 1);
const position = (points, i) => [points[3 * i], points[3 * i + 1], points[3 * i + 2]];
// A volume one voxel thick has nothing to interpolate.
const solid = () => volume && volume.shape.every((n) => n > 1);

function shownPicture(greys, contrast) {
  return picture(greys, TILE, TILE, contrast ?? spread(greys));
}

function tile(s, i) {
  const {zyx, score, kind, chance, maskDistance} = DATA.runs[state.run].found[s], sums = new Float32Array(TILE * TILE);
  const at = position(zyx, i), thick = DATA.species[s].radius / volume.voxelSize / 3;
  if (!sample(at, "xy", -thick, step(s), sums)) return null;
  for (const offset of [0, thick]) sample(at, "xy", offset, step(s), sums);
  const known = DATA.runs[state.run].scored && there.truth, what = known ? ["false", "repeat", "hit"][kind[i]] : "pick";
  const button = element("button", {className: `tile ${what}`, title: "Show it in the tomogram"}, shownPicture(sums),
    element("span", {textContent: score[i].toFixed(3)}), element("em", {textContent: what === "pick" ? "" : what}));
  if (chance) {
    button.append(element("small", {title: "Probability that it is a particle", textContent: `${inPercent(chance[i])} likely`}));
  }
  const distance = maskDistance?.[i] ?? NaN;
  if (Number.isFinite(distance)) {
    button.append(element("small", {title: "Distance to the surface of the mask",
      textContent: `${Math.abs(distance).toFixed(0)} Å ${distance < 0 ? "outside" : "inside"}`}));
  }
  button.addEventListener("click", () => {
    at.forEach((v, axis) => moveTo(axis, v));
    tell("position");
    document.getElementById("viewer").scrollIntoView({behavior: "smooth"});
  });
  return button;
}

function rank(s) {  // what the gallery shows: [heading, the picks]
  const {score} = DATA.runs[state.run].found[s], n = atLeast(state.thresholds[s], score);
  const up = Array.from({length: n}, (_, i) => i), down = Array.from({length: score.length - n}, (_, i) => n + i);
  return [["Best", up], ["Last above the threshold", up.toReversed()], ["First below the threshold", down]];
}

function drawGallery() {
  if (!there.picks || !volume) return;
  const s = state.focus, wide = innerWidth < 600 ? 84 : 104, gallery = document.getElementById("gallery");
  const most = Math.max(8, Math.floor((gallery.clientWidth + 8) / wide));  // a row, on telephones two
  gallery.replaceChildren(...(solid() ? rank(s) : []).map(([heading, picks]) => {
    const tiles = [];
    for (let k = 0; k < picks.length && k < 200 && tiles.length < most; k++) {
      const made = tile(s, picks[k]);
      if (made) tiles.push(made);
    }
    const nothing = element("p", {className: "hint", textContent: "No such pick is far enough from the edges of the tomogram."});
    return element("div", {}, element("h3", {textContent: heading}),
      tiles.length ? element("div", {className: "tiles"}, ...tiles) : nothing);
  }));
  averageSoon();
}

const averageSoon = later(() => { if (volume) drawAverage(state.focus); }, 30);

function drawAverage(s) {
  const {zyx, score} = DATA.runs[state.run].found[s], n = atLeast(state.thresholds[s], score);
  const figures = (solid() ? Object.keys(PLANES) : []).map((plane) => {
    const sums = new Float32Array(TILE * TILE);
    let used = 0;
    for (let i = 0; i < n; i++) used += sample(position(zyx, i), plane, 0, step(s), sums);
    return used ? element("figure", {}, shownPicture(sums), element("figcaption", {textContent: `${plane}, ${used} picks`})) : "";
  });
  const side = (WIDE * DATA.species[s].radius / 10).toFixed(0);
  document.getElementById("average").replaceChildren(...figures,
    element("p", {className: "hint", textContent: `Mean of the picks above the threshold in ${DATA.runs[state.run].name}, without alignment; ` +
      `each side is ${side} nm.`}));
}

function drawScores() {
  if (!there.picks) return;
  const s = state.focus, {picks, hits} = pool(s), {colour} = DATA.species[s];
  const [low, high] = [lowest[s], highest[s]], known = there.truth;
  const bars = (values) => histogram(values, low, high, 50), from = 0.5;  // the axis is logarithmic
  const good = bars(known ? hits : picks), all = bars(picks), raised = (tops) => tops.map((n) => Math.max(n, from));
  const [first, second] = charts.scores.bars;
  first.data = {...good, bottom: good.top.map(() => from), top: raised(good.top)};
  second.data = {...all, bottom: raised(good.top), top: raised(all.top)};
  charts.scores.figure.renderers[0].glyph.fill_color = colour;
  charts.scores.line.location = Number.isFinite(state.thresholds[s]) ? state.thresholds[s] : high;
}

const tabs = DATA.species.map(({name}, s) => {
  const tab = element("button", {}, key(s), name);
  tab.addEventListener("click", () => { state.focus = s; tell("focus"); });
  return tab;
});
document.getElementById("tabs").append(...tabs);
function showFocus() {
  tabs.forEach((tab, s) => tab.setAttribute("aria-pressed", s === state.focus));
}
