// The keyboard: what no button or field takes for itself.

const isField = (at) => at.matches?.("select, textarea, input:not([type=checkbox]), #lines, #lines *");
const help = document.getElementById("help");
document.getElementById("ask").addEventListener("click", () => help.showModal());

function toPick(by) {  // to the next or previous pick of the species in focus, best first
  if (!volume || !there.picks) return;
  const s = state.focus, {zyx, score} = DATA.runs[state.run].found[s], n = atLeast(state.thresholds[s], score);
  if (!n) return;
  state.pick = ((state.pick ?? (by > 0 ? -1 : 0)) + by + n) % n;
  position(zyx, state.pick).forEach((v, axis) => moveTo(axis, v));
  tell("position");
  const run = DATA.runs[state.run], kind = run.scored && there.truth ? KINDS[run.found[s].kind[state.pick]] : "pick";
  document.getElementById("pointed").textContent = `${state.pick + 1} of ${n}, ${about({s, i: state.pick, kind})}`;
}
on("focus run threshold", () => { state.pick = null; });

function toRun(by) {
  const select = document.getElementById("run"), next = select.selectedIndex + by;
  if (!select.options[next]) return;
  select.selectedIndex = next;
  select.dispatchEvent(new Event("change"));
}

function flip(id) {
  document.getElementById(id)?.click();
}

const KEYS = {
  n: () => toPick(1), p: () => toPick(-1), "]": () => toRun(1), "[": () => toRun(-1),
  "+": () => zoomBy(0.5), "=": () => zoomBy(0.5), "-": () => zoomBy(-0.5),
  a: () => flip("mark-names"), m: () => flip("mark-region"), o: () => flip("mark-picks"),
  t: switchTheme, "?": () => help.showModal(),
};

function zoomBy(step) {
  const {slider} = look[2];
  slider.value = Number(slider.value) + step;
  slider.dispatchEvent(new Event("input"));
}

document.addEventListener("keydown", (event) => {
  const {key: pressed, ctrlKey, metaKey, altKey} = event;
  if (ctrlKey || metaKey || altKey || help.open || (isField(event.target) && event.target.type !== "range")) return;
  if (/^[1-9]$/.test(pressed) && tabs[pressed - 1]) tabs[pressed - 1].click();
  KEYS[pressed]?.();
});

const STEPS = {ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1, PageUp: 10, PageDown: -10, Home: -1e6, End: 1e6};
document.addEventListener("keydown", (event) => {
  const plane = PLANES[document.activeElement.id] ?? (!isField(document.activeElement) && PLANES.xy);
  const taken = event.ctrlKey || event.metaKey || event.altKey || help.open;
  if (!volume || !plane || !(event.key in STEPS) || taken) return;
  event.preventDefault();
  moveTo(plane.through, state.at[plane.through] + STEPS[event.key] * (event.shiftKey ? 5 : 1));
  tell("position");
});

function sayPosition() {  // to those who hear the page
  for (const [name, {through}] of Object.entries(PLANES)) {
    const nm = (volume.origin[through] + state.at[through] * volume.voxelSize) / 10;
    const said = {valuemin: 0, valuemax: volume.shape[through] - 1, valuenow: state.at[through],
      valuetext: `${AXES[through]} ${nm.toFixed(1)} nm`};
    for (const [key, value] of Object.entries(said)) document.getElementById(name).setAttribute(`aria-${key}`, value);
  }
}
on("volume position", sayPosition);
