// The table of all runs of the project, sorted and filtered.

const shownAt = new Map(DATA.runs.flatMap((run, i) => run.volume ? [[run.name, i]] : []));
const total = ({picks}) => picks?.reduce((a, b) => a + b, 0) ?? NaN;

function lineRate({picks, false: wrong}) {  // expected, of the picks whose probabilities are known
  const known = picks?.map((n, s) => wrong[s] === null ? 0 : n).reduce((a, b) => a + b, 0);
  return known ? wrong.reduce((a, b) => a + (b ?? 0), 0) / known : NaN;
}

const lineState = ({picks, error}) => picks ? "picked" : error ? "failed" : "not picked";

const COLUMNS = [  // [heading, what a run is sorted by]
  ["Run", ({name}) => name],
  ...DATA.species.map(({name}, s) => [name, ({picks}) => picks?.[s] ?? NaN]),
  ["All", total],
  ...(DATA.lines.some((line) => !Number.isNaN(lineRate(line))) ? [["Expected false", lineRate]] : []),
  ["State", lineState],
];

function runName(line) {  // a link to its page, or a button that shows it here, or its name
  if (line.page) return element("a", {href: line.page, textContent: line.name});
  const at = shownAt.get(line.name);
  if (at === undefined) return line.name;
  const button = element("button", {className: "link", textContent: line.name, title: "Show it in the tomogram"});
  button.addEventListener("click", () => {
    const select = document.getElementById("run");
    select.value = at;
    select.dispatchEvent(new Event("change"));
    document.getElementById("viewer").scrollIntoView({behavior: "smooth"});
  });
  return button;
}

function lineRow(line) {
  const picture = line.picture ? element("img", {src: line.picture, alt: "", loading: "lazy"}) : "";
  const rate = lineRate(line), known = COLUMNS.some(([heading]) => heading === "Expected false");
  const state = lineState(line), error = line.error ? `: ${line.error}` : "";
  return element("tr", {className: state.replace(" ", "-")},
    element("td", {}, element("div", {className: "run"}, picture, element("span", {}, runName(line)))),
    ...DATA.species.map((_, s) => element("td", {textContent: line.picks?.[s] ?? "–"})),
    element("td", {textContent: line.picks ? total(line) : "–"}),
    ...(known ? [element("td", {textContent: inPercent(rate)})] : []),
    element("td", {textContent: state + error}));
}

const lineRows = DATA.lines.map((line) => ({line, row: lineRow(line)}));
let sorted = {column: 0, down: false};

function compare(a, b) {  // runs of which the column knows nothing come last
  const [x, y] = [a, b].map(({line}) => COLUMNS[sorted.column][1](line));
  if (Number.isNaN(x) || Number.isNaN(y)) return Number.isNaN(x) - Number.isNaN(y);
  const order = typeof x === "string" ? x.localeCompare(y, undefined, {numeric: true}) : x - y;
  return sorted.down ? -order : order;
}

function showLines() {
  const text = document.getElementById("filter").value.toLowerCase(), state = document.getElementById("state").value;
  const left = lineRows.filter(({line}) => line.name.toLowerCase().includes(text) && (!state || lineState(line) === state));
  document.querySelector("#lines tbody").replaceChildren(...left.sort(compare).map(({row}) => row));
  document.getElementById("listed").textContent = `${left.length} of ${plural(lineRows.length, "run")}`;
  headings.forEach((th, i) => th.setAttribute("aria-sort", i !== sorted.column ? "none" : sorted.down ? "descending" : "ascending"));
}

const headings = COLUMNS.map(([heading], column) => {
  const s = column - 1, button = element("button", {title: `Sort by ${heading}`}, DATA.species[s] && column ? key(s) : "", heading);
  button.addEventListener("click", () => {
    sorted = {column, down: sorted.column === column ? !sorted.down : column > 0 && heading !== "State"};
    showLines();
  });
  return element("th", {scope: "col"}, button);
});
if (there.lines) {
  document.querySelector("#lines thead tr").append(...headings);
  const found = DATA.lines.map(lineState);
  const states = [...new Set(found)].map((state) => [state, found.filter((other) => other === state)]);
  chooser("state", [["", "all"], ...states.map(([state, those]) => [state, `${state} (${those.length})`])], showLines);
  document.getElementById("filter").addEventListener("input", showLines);
  showLines();
}
