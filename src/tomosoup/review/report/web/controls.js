// Everything beside the planes: species with their sliders and counts, runs, contrast.

const percent = (value) => Number.isNaN(value) ? "–" : value.toFixed(3);
const inPercent = (value) => Number.isNaN(value) ? "–" : `${(100 * value).toFixed(value < 0.1 ? 1 : 0)} %`;
const allFalse = () => DATA.species.reduce((sum, _, s) => sum + expectedFalse(s), 0);
const decimals = (s) => Math.max(0, 3 - Math.round(Math.log10(Math.max(highest[s] - lowest[s], 1e-6))));

function setThreshold(s, value) {
  state.thresholds[s] = value;
  tell("threshold");
}

const rows = DATA.species.map(({name}, s) => {
  const box = element("input", {type: "checkbox", checked: true});
  box.addEventListener("change", () => { state.shown[s] = box.checked; tell("look"); });
  const step = 10 ** -decimals(s), empty = !(lowest[s] < Infinity);
  const slider = element("input", {
    type: "range", step: "any", disabled: empty, min: empty ? 0 : lowest[s], max: empty ? 1 : highest[s] + step,
  });
  slider.setAttribute("aria-label", `Threshold of ${name}`);
  const number = element("input", {type: "number", step: "any", disabled: empty});
  number.setAttribute("aria-label", `Threshold of ${name} as a number`);
  slider.addEventListener("input", () => setThreshold(s, Number(Number(slider.value).toFixed(decimals(s)))));
  slider.addEventListener("keydown", (event) => {
    const by = {ArrowLeft: -step, ArrowDown: -step, ArrowRight: step, ArrowUp: step}[event.key];
    if (!by) return;
    event.preventDefault();
    setThreshold(s, Number((state.thresholds[s] + by).toFixed(decimals(s))));
  });
  number.addEventListener("change", () => { if (number.value !== "") setThreshold(s, Number(number.value)); });
  const cells = ["picks", "chance", "truth", "truth", "truth"].map((needs) => element("td", {hidden: !there[needs]}));
  const row = element("tr", {},
    element("td", {}, element("label", {}, box, key(s), element("span", {textContent: name, title: name}))),
    element("td", {className: "threshold", hidden: !there.picks}, element("div", {}, slider, number)),
    ...cells);
  return {row, slider, box: number, cells};
});
document.querySelector("#species tbody").append(...rows.map(({row}) => row));

function showCounts() {
  rows.forEach(({slider, box, cells}, s) => {
    const n = counts(s), threshold = state.thresholds[s];
    slider.value = Number.isFinite(threshold) ? threshold : slider.max;
    if (document.activeElement !== box) box.value = Number.isFinite(threshold) ? threshold.toFixed(decimals(s)) : "";
    const texts = [n.picks, inPercent(falseRate(s)), percent(precision(n)), percent(recall(n)), f4(n).toFixed(3)];
    cells.forEach((cell, i) => { cell.textContent = texts[i]; });
    cells[0].title = there.truth ? `${n.hit} hit, ${n.false} false, ${n.missed} missed` : "";
  });
  const all = DATA.species.map((_, s) => counts(s)), sum = (key) => all.reduce((total, n) => total + n[key], 0);
  const figures = [[sum("picks"), "picks"]];
  if (there.chance) figures.push([inPercent(allFalse() / sum("picks")), "expected to be false"]);
  if (there.truth) {
    figures.unshift([weighted().toFixed(3), "weighted F4"]);
    figures.push([sum("hit"), "hit"], [sum("false"), "false"], [sum("missed"), "missed"]);
  }
  document.getElementById("figures").replaceChildren(...figures.map(([value, what]) =>
    element("div", {}, element("b", {textContent: value}), element("span", {textContent: what}))));
  document.getElementById("command").value = command();
}

function quoted(word) {  // as a shell takes it
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'"'"'`)}'`;
}

function command() {
  const words = DATA.species.flatMap(({name}, s) => {
    const threshold = state.thresholds[s];
    if (!(lowest[s] < Infinity)) return [];
    return [quoted(`${name}=${threshold === Infinity ? "inf" : shortest(s, threshold, 3)}`)];
  });
  return ["--threshold", ...words].join(" ");
}

document.getElementById("copy").addEventListener("click", async ({target}) => {
  const field = document.getElementById("command");
  field.select();
  try { await navigator.clipboard.writeText(field.value); } catch { document.execCommand("copy"); }
  target.textContent = "Copied";
  setTimeout(() => { target.textContent = "Copy"; }, 1500);
});
if (DATA.apply) {
  const {project, session} = DATA.apply;
  document.getElementById("apply").textContent =
    `Add them to: tomosoup threshold ${quoted(project)} --session ${quoted(session)}. The commands pick and score accept them, too.`;
}
document.getElementById("reset").addEventListener("click", () => {
  state.thresholds = [...AS_PICKED];
  tell("threshold");
});
document.getElementById("best").addEventListener("click", () => {
  state.thresholds = state.thresholds.map((_, s) => shortest(s, bestThreshold(s)));
  tell("threshold");
});

if (there.chance) {
  const rate = slideRow("False", {min: 1, max: 60, step: 1}, (v) => `at most ${v} %`, (v) => {
    state.thresholds = state.thresholds.map((now, s) =>
      DATA.runs.some(({found}) => found[s].chance) ? shortest(s, thresholdFor(s, v / 100), 3) : now);
    tell("threshold");
  });
  rate.slider.setAttribute("aria-label", "Largest fraction of picks of a species that is expected to be false");
  rate.show(10);
  document.getElementById("rate").prepend(rate.label);
}

function chooser(id, choices, listener) {
  const select = document.getElementById(id);
  select.append(...choices.map(([value, text]) => element("option", {value, textContent: text})));
  select.addEventListener("change", () => listener(select.value));
}
chooser("run", DATA.runs.flatMap((run, i) => run.volume || !there.volume ? [[i, run.name]] : []), (value) => {
  state.run = Number(value);
  tell("run");
});
chooser("scope", [["all", `all ${DATA.runs.length} runs`], ["run", "the run shown"]], (value) => {
  state.scope = value;
  tell("scope");
});

const MARKS = [["picks", "particles", "species"], ["hit", "○ hit", "truth"], ["missed", "◌ missed", "truth"],
  ["false", "⊗ false", "truth"], ["region", "▭ mask", "region"], ["names", "names", "species"]];
for (const [key, text] of MARKS.filter(([, , needs]) => there[needs])) {
  const box = element("input", {type: "checkbox", checked: state.marks[key], id: `mark-${key}`});
  box.addEventListener("change", () => { state.marks[key] = box.checked; tell("look"); });
  document.getElementById("marks").append(element("label", {className: "chip"}, box, text));
}

function slideRow(text, properties, value, listener) {
  const slider = element("input", {type: "range", ...properties}), shown = element("output");
  const show = (now) => { slider.value = now; shown.textContent = value(now); };
  slider.addEventListener("input", () => { show(Number(slider.value)); listener(Number(slider.value)); });
  return {label: element("label", {className: "slide"}, element("span", {textContent: text}), slider, shown), slider, show};
}

const sigma = (v) => `${v > 0 ? "+" : v < 0 ? "−" : ""}${Math.abs(v).toFixed(1)} σ`;
const look = [
  ["Black", {min: -6, max: 6, step: 0.1}, sigma, "low", "look"],
  ["White", {min: -6, max: 6, step: 0.1}, sigma, "high", "look"],
  ["Zoom", {min: 1, max: 8, step: 0.5}, (v) => `${v} ×`, "zoom", "zoom"],
  ["Slab", {min: 0, max: 10, step: 1}, (v) => `${2 * v + 1} slices`, "half", "slab"],
].map(([text, properties, value, key, topic]) => {
  const row = slideRow(text, properties, value, (now) => { state[key] = now; tell(topic); });
  row.show(state[key]);
  document.getElementById("look").append(row.label);
  return row;
});

const axes = AXES.map((axis, i) => slideRow(axis, {min: 0, step: 1},
  (v) => volume ? `${((volume.origin[i] + v * volume.voxelSize) / 10).toFixed(1)} nm` : "",
  (now) => { moveTo(i, now); tell("position"); }));
document.getElementById("axes").append(...axes.map(({label}) => label));
on("volume", () => axes.forEach(({slider}, i) => { slider.max = volume.shape[i] - 1; }));
on("volume position", () => axes.forEach(({show}, i) => show(state.at[i])));
on("threshold scope run", showCounts);
