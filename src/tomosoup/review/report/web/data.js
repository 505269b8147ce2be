// What the page knows (DATA), what is chosen in it (state), and how its parts hear of a change (on, tell).

const DATA = JSON.parse(document.getElementById("data").textContent);
const ARRAYS = {f4: Float32Array, f8: Float64Array, u1: Uint8Array};

function unpacked({kind, base64}) {
  const text = atob(base64), bytes = new Uint8Array(text.length);
  for (let i = 0; i < bytes.length; i++) bytes[i] = text.charCodeAt(i);  // ten times as fast as Uint8Array.from
  return new ARRAYS[kind](bytes.buffer);
}

for (const run of DATA.runs) {
  for (const found of run.found) {
    for (const [key, packed] of Object.entries(found)) found[key] = unpacked(packed);
    // Voxels (z, y, x) of the binned volume.
    for (const key of run.volume ? ["zyx", "truth"] : []) {
      found[key] = found[key].map((a, i) => (a - run.volume.origin[i % 3]) / run.volume.voxelSize);
    }
  }
  run.calibrations.forEach((known, s) => {
    if (!known) return;
    const [centre, steepness] = known, {score} = run.found[s], n = score.length;
    const chance = new Float64Array(n), wrong = new Float64Array(n + 1);
    for (let i = 0; i < n; i++) {
      chance[i] = score[i] > 0 ? 1 / (1 + (centre / score[i]) ** steepness) : 0;
      wrong[i + 1] = wrong[i] + 1 - chance[i];  // how many of the best 0, 1, 2, ... picks are expected to be false
    }
    Object.assign(run.found[s], {chance, wrong});
  });
}

const [lowest, highest] = [Infinity, -Infinity].map((worst, i) => DATA.species.map((_, s) =>
  DATA.runs.reduce((best, {found}) => {
    const {score} = found[s];  // best first
    return score.length ? [Math.min, Math.max][i](best, score[i ? 0 : score.length - 1]) : best;
  }, worst)));

const AS_PICKED = DATA.species.map(({threshold}, s) =>
  threshold === "inf" ? Infinity : threshold === "-inf" ? lowest[s] : threshold);

const state = {
  run: 0,
  at: [0, 0, 0],  // the voxel (z, y, x) that all three planes go through
  thresholds: [...AS_PICKED],
  shown: DATA.species.map(() => true),
  scope: "all",  // whose counts: of all runs, or of the one shown
  low: -2.5, high: 3.5,  // black and white, in standard deviations from the mean
  zoom: 1,
  half: 1,  // slices on either side that are averaged
  marks: {picks: true, hit: true, missed: true, false: true, region: true, names: false},
  focus: 0,  // the species whose particles are shown
};

const listeners = {};
function on(topics, listener) {
  for (const topic of topics.split(" ")) (listeners[topic] ??= []).push(listener);
}
function tell(topic) {
  for (const listener of listeners[topic] ?? []) listener();
}

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

function later(work, milliseconds = 120) {
  let waiting;
  return () => {
    clearTimeout(waiting);
    waiting = setTimeout(work, milliseconds);
  };
}

const there = {
  picks: DATA.species.some((_, s) => lowest[s] < Infinity),
  truth: DATA.runs.some(({scored}) => scored) && DATA.species.some((_, s) => lowest[s] < Infinity),
  volume: DATA.runs.some(({volume}) => volume),
  region: DATA.runs.some(({volume}) => volume?.region),
  chance: DATA.runs.some(({found}) => found.some(({chance}) => chance?.length)),
  runs: DATA.runs.length > 1 && DATA.species.some((_, s) => lowest[s] < Infinity),
  species: DATA.species.length > 0,
  lines: DATA.lines.length > 0,
  home: DATA.home !== "",
  learning: DATA.learning.length > 0,
  records: DATA.records.length > 0,
};
for (const part of document.querySelectorAll("[data-needs]")) part.hidden = !there[part.dataset.needs];
