// Colours of the theme for what is not styled by CSS, and a key for each species that does without colour.

const probe = document.body.appendChild(element("i", {hidden: true}));

let inks = {};
function ink(name) {  // a colour of page.css, as the theme has it
  return inks[name] ??= (() => {
    probe.style.color = `var(--${name})`;
    return getComputedStyle(probe).color;
  })();
}
on("theme", () => { inks = {}; });

const isLight = () => (document.documentElement.style.colorScheme ||
  (matchMedia("(prefers-color-scheme: light)").matches ? "light" : "dark")) === "light";

function switchTheme() {
  const chosen = isLight() ? "dark" : "light";
  document.documentElement.style.colorScheme = chosen;
  try { localStorage.setItem(THEME, chosen); } catch { /* it holds until the page is closed */ }
  tell("theme");
}
document.getElementById("theme").addEventListener("click", switchTheme);
matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => tell("theme"));

const SHAPES = [  // Bokeh's name of a marker, and the same as a path about 0, 0
  ["circle", "M-4 0a4 4 0 1 0 8 0a4 4 0 1 0 -8 0z"],
  ["square", "M-3.6 -3.6h7.2v7.2h-7.2z"],
  ["triangle", "M0 -4.4L4.4 3.6H-4.4z"],
  ["diamond", "M0 -5L4 0L0 5L-4 0z"],
  ["inverted_triangle", "M0 4.4L4.4 -3.6H-4.4z"],
  ["hex", "M0 -4.6L4 -2.3V2.3L0 4.6L-4 2.3V-2.3z"],
  ["star", "M0 -5L1.5 -1.5H5L2.2 .8L3.2 4.6L0 2.4L-3.2 4.6L-2.2 .8L-5 -1.5H-1.5z"],
];
const shapeOf = (s) => SHAPES[s % SHAPES.length];

function key(s) {  // of a species, as charts draw it
  const svg = (tag, attributes) => {
    const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
    return made;
  };
  const {colour} = DATA.species[s], made = svg("svg", {class: "key", viewBox: "-15 -6 30 12", "aria-hidden": "true"});
  made.append(svg("path", {d: "M-15 0H15", class: "casing"}),
    svg("path", {d: "M-15 0H15", stroke: colour, "stroke-width": 2.2}),
    svg("path", {d: shapeOf(s)[1], fill: colour, class: "marker"}));
  return made;
}
