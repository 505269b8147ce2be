// The tomogram in three planes that go through one voxel, with the particles near them.

const PLANES = {  // axes: 0 z, 1 y, 2 x
  xy: {across: 2, down: 1, through: 0},
  yz: {across: 0, down: 1, through: 2},
  xz: {across: 2, down: 0, through: 1},
};
const AXES = ["z", "y", "x"];
const GAP = 6;
const KINDS = ["false", "false", "hit"];  // a second pick of a particle is a false one

let volume = null;  // of the run shown: {shape, data (z, y, x), voxelSize, origin, mean, deviation}
let scale = 1;  // screen pixels a voxel
const start = [0, 0, 0];  // where along each axis what is seen begins, in voxels: zoomed in, it is a part

const place = (axis, v) => (v + 0.5 - start[axis]) * scale * state.zoom;  // voxel -> screen pixel, and back
const voxel = (axis, pixel) => pixel / (scale * state.zoom) + start[axis] - 0.5;
const seen = (axis) => volume.shape[axis] / state.zoom;

async function decoded({image, region, columns, shape, voxelSize, origin}) {
  const [data, inside] = await Promise.all([image, region].map((url) => url && voxels(url, columns, shape)));
  return {shape, data, inside, voxelSize, origin};
}

async function voxels(url, columns, [depth, height, width]) {  // (z, y, x), from the picture of all slices
  const picture = Object.assign(new Image(), {src: url});
  await picture.decode();
  const wide = columns * width, data = new Uint8Array(depth * height * width);
  const row = element("canvas", {width: wide, height}).getContext("2d", {willReadFrequently: true});
  for (let z = 0, n = 0; z < depth; z += columns) {  // a row of slices at a time
    row.drawImage(picture, 0, z / columns * height, wide, height, 0, 0, wide, height);
    const pixels = new Uint32Array(row.getImageData(0, 0, wide, height).data.buffer);
    for (let left = 0; left < wide && n < data.length; left += width) {
      for (let y = 0; y < height; y++) {
        for (let x = 0, at = y * wide + left; x < width; x++) data[n++] = pixels[at++] & 255;
      }
    }
  }
  return data;
}

const strides = ([, height, width]) => [height * width, width, 1];

function slab(plane, index) {  // the mean of the slices about index, row by row
  const {across, down, through} = PLANES[plane], {shape, data} = volume, by = strides(shape);
  const [from, to] = [Math.max(0, index - state.half), Math.min(shape[through] - 1, index + state.half)];
  const sums = new Float32Array(shape[across] * shape[down]);
  for (let k = from; k <= to; k++) {
    let n = 0;
    for (let j = 0; j < shape[down]; j++) {
      let at = k * by[through] + j * by[down];
      for (let i = 0; i < shape[across]; i++, at += by[across]) sums[n++] += data[at];
    }
  }
  return sums.map((sum) => sum / (to - from + 1));
}

function spread(values) {
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  return {mean, deviation: Math.sqrt(values.reduce((a, b) => a + (b - mean) ** 2, 0) / values.length) || 1};
}

function picture(greys, width, height, {mean, deviation}) {  // a canvas of these greys, in the contrast chosen
  const canvas = element("canvas", {width, height}), context = canvas.getContext("2d");
  const image = context.createImageData(width, height), pixels = new Uint32Array(image.data.buffer);
  const [black, white] = [mean + state.low * deviation, mean + state.high * deviation];
  const gain = 255 / Math.max(white - black, 1e-6);
  for (let i = 0; i < greys.length; i++) {
    const grey = Math.max(0, Math.min(255, (greys[i] - black) * gain)) | 0;
    pixels[i] = 0xff000000 | grey << 16 | grey << 8 | grey;
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

function layout() {  // all planes at one scale, within the column and the window
  const planes = document.getElementById("planes"), across = planes.parentElement.clientWidth - GAP;
  if (!volume || across <= 0) return;  // a page that is not shown has no width
  const [depth, height, width] = volume.shape, down = Math.max(420, innerHeight * 0.8) - GAP;
  scale = Math.min(across / (width + depth), down / (height + depth));
  for (const [name, {across, down}] of Object.entries(PLANES)) {
    const canvas = document.getElementById(name);
    const [w, h] = [volume.shape[across] * scale, volume.shape[down] * scale];
    Object.assign(canvas.style, {width: `${w}px`, height: `${h}px`});
    Object.assign(canvas, {width: Math.round(w * devicePixelRatio), height: Math.round(h * devicePixelRatio)});
  }
  planes.style.width = `${(width + depth) * scale + GAP}px`;
  draw();
}

let planned = false;
function centre() {  // about the position, as far as the edges allow
  for (const axis of [0, 1, 2]) {
    start[axis] = Math.max(0, Math.min(volume.shape[axis] - seen(axis), state.at[axis] + 0.5 - seen(axis) / 2));
  }
  draw();
}

function follow() {  // what is seen moves only where the position would leave it
  if (state.at.some((v, axis) => v < start[axis] || v > start[axis] + seen(axis))) centre(); else draw();
}

function draw() {  // once before the next picture on the screen, however often it is asked for
  if (planned || !volume) return;
  planned = true;
  requestAnimationFrame(() => {
    planned = false;
    Object.keys(PLANES).forEach(drawPlane);
  });
}

function drawPlane(name) {
  const {across, down, through} = PLANES[name], {shape} = volume, canvas = document.getElementById(name);
  const context = canvas.getContext("2d");
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.imageSmoothingQuality = "high";
  const greys = picture(slab(name, state.at[through]), shape[across], shape[down], volume);
  context.drawImage(greys, start[across], start[down], seen(across), seen(down), 0, 0, canvas.width, canvas.height);
  context.setTransform(devicePixelRatio, 0, 0, devicePixelRatio, 0, 0);
  context.strokeStyle = "rgba(255, 255, 255, 0.28)";
  context.lineWidth = 1;
  context.beginPath();
  context.moveTo(place(across, state.at[across]), 0);
  context.lineTo(place(across, state.at[across]), shape[down] * scale);
  context.moveTo(0, place(down, state.at[down]));
  context.lineTo(shape[across] * scale, place(down, state.at[down]));
  context.stroke();
  if (volume.inside && state.marks.region) drawRegion(context, name);
  for (const mark of marks(name)) drawMark(context, {...mark, x: place(across, mark.x), y: place(down, mark.y)});
  if (name === "xy") drawScaleBar(context, shape[down] * scale);
}

function drawRegion(context, name) {  // the edge of the part that was searched, between voxels
  const {across, down, through} = PLANES[name], {shape, inside} = volume, by = strides(shape), edge = new Path2D();
  const at = (i, j) => inside[state.at[through] * by[through] + j * by[down] + i * by[across]] > 0;
  const line = (i, j, k, l) => {
    edge.moveTo(place(across, i - 0.5), place(down, j - 0.5));
    edge.lineTo(place(across, k - 0.5), place(down, l - 0.5));
  };
  for (let j = 0; j < shape[down]; j++) {
    for (let i = 0; i < shape[across]; i++) {
      if (i && at(i, j) !== at(i - 1, j)) line(i, j, i, j + 1);
      if (j && at(i, j) !== at(i, j - 1)) line(i, j, i + 1, j);
    }
  }
  for (const [colour, width] of [["rgba(0, 0, 0, 0.6)", 4], ["white", 1.5]]) {
    Object.assign(context, {strokeStyle: colour, lineWidth: width});
    context.stroke(edge);
  }
}

function marks(name) {  // the particles that reach a plane: {x, y, size, off (0 centre, 1 rim), kind, colour, s, i}
  const {across, down, through} = PLANES[name], run = DATA.runs[state.run], made = [];
  DATA.species.forEach(({radius, colour}, s) => {
    if (!state.shown[s] || !state.marks.picks) return;
    const {zyx, score, kind, truth, hitAt} = run.found[s], size = radius / volume.voxelSize;
    const add = (points, i, what) => {
      const off = Math.abs(points[3 * i + through] - state.at[through]) / size;
      if (off < 1) made.push({x: points[3 * i + across], y: points[3 * i + down], size, off, kind: what, colour, s, i});
    };
    for (let i = 0, n = atLeast(state.thresholds[s], score); i < n; i++) {
      const what = run.scored && there.truth ? KINDS[kind[i]] : "pick";
      if (what === "pick" || state.marks[what]) add(zyx, i, what);
    }
    if (!run.scored || (there.truth && !state.marks.missed)) return;
    hitAt.forEach((t, i) => { if (!(t >= state.thresholds[s])) add(truth, i, there.picks ? "missed" : "true"); });
  });
  return made;
}

function drawMark(context, {x, y, size, off, kind, colour, s}) {
  const wide = size * scale * state.zoom;
  context.globalAlpha = Math.max(0.15, 1 - off);
  context.strokeStyle = colour;
  context.lineWidth = 1.6;
  context.setLineDash(kind === "missed" ? [4, 4] : []);
  context.beginPath();
  context.arc(x, y, wide * Math.sqrt(1 - off * off), 0, 2 * Math.PI);
  if (kind === "false") {
    const arm = Math.min(5, wide / 2);
    for (const side of [-1, 1]) { context.moveTo(x - arm, y - side * arm); context.lineTo(x + arm, y + side * arm); }
  }
  context.stroke();
  context.setLineDash([]);
  if (state.marks.names && off < 0.6) {
    Object.assign(context, {fillStyle: "white", shadowColor: "black", shadowBlur: 4, font: "11px system-ui, sans-serif"});
    context.fillText(DATA.species[s].name, x + wide * 0.7 + 2, y - wide * 0.7);
    context.shadowBlur = 0;
  }
  context.globalAlpha = 1;
}

function drawScaleBar(context, bottom) {
  const room = seen(2) * volume.voxelSize / 40;  // nm in a quarter of the width
  const ten = 10 ** Math.floor(Math.log10(room)), length = ten * [5, 2, 1].find((n) => n * ten <= room);
  context.fillStyle = "white";
  context.shadowColor = "black";
  context.shadowBlur = 4;
  context.fillRect(12, bottom - 14, length * 10 / volume.voxelSize * scale * state.zoom, 3);
  context.font = "12px system-ui, sans-serif";
  context.fillText(`${length} nm`, 12, bottom - 20);
  context.shadowBlur = 0;
}

function about({s, i, kind}) {  // a mark in words
  const {score, chance} = DATA.runs[state.run].found[s], {name} = DATA.species[s];
  if (kind === "missed" || kind === "true") return `${name}: ${kind === "missed" ? "missed particle" : "true particle"}`;
  return [`${name}: score ${score[i].toFixed(3)}`, chance ? `${inPercent(chance[i])} likely` : "", kind === "pick" ? "" : kind]
    .filter(Boolean).join(", ");
}

function pointAt(name, {offsetX, offsetY}) {  // say which mark is there, the nearest to its centre
  const {across, down} = PLANES[name];
  const off = ({x, y, size}) => Math.hypot(x - voxel(across, offsetX), y - voxel(down, offsetY)) / size;
  const near = marks(name).filter((mark) => off(mark) < 1).sort((a, b) => off(a) - off(b));
  document.getElementById("pointed").textContent = near.slice(0, 3).map(about).join(" · ");
}

function moveTo(axis, index) {
  state.at[axis] = Math.max(0, Math.min(volume.shape[axis] - 1, Math.round(index)));
}

for (const [name, {across, down, through}] of Object.entries(PLANES)) {
  const canvas = document.getElementById(name);
  const point = ({offsetX, offsetY}) => {
    moveTo(across, voxel(across, offsetX));
    moveTo(down, voxel(down, offsetY));
    tell("position");
    pointAt(name, {offsetX, offsetY});
  };
  canvas.addEventListener("pointerdown", point);
  canvas.addEventListener("pointermove", (event) => {
    if (event.buttons && event.pointerType === "mouse") point(event);
    if (volume) pointAt(name, event);
  });
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault();
    moveTo(through, state.at[through] + Math.sign(event.deltaY) * (event.shiftKey ? 5 : 1));
    tell("position");
  }, {passive: false});
}

async function showRun() {
  const run = state.run, {volume: packed, remark} = DATA.runs[run];
  document.getElementById("remark").textContent = remark;
  const unpacked = packed && await (packed.decoded ??= decoded(packed));
  if (state.run !== run) return;  // another run was chosen meanwhile
  volume = unpacked;
  if (!volume) return;
  state.at = volume.shape.map((n) => n >> 1);
  Object.assign(volume, spread(slab("xy", state.at[0])));
  tell("volume");
  layout();
}

on("run", showRun);
on("position", follow);
on("threshold look", draw);
on("zoom volume", centre);
on("slab", () => { Object.assign(volume, spread(slab("xy", volume.shape[0] >> 1))); draw(); });
addEventListener("resize", layout);
