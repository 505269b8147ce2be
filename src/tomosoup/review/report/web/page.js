// Puts the page together: headings, learning curves, records; then everything is drawn once.

document.querySelector("h1").textContent = DATA.title;
document.getElementById("summary").textContent = [
  plural(DATA.lines.length || DATA.runs.length, "run"),
  there.picks ? `${DATA.runs.reduce((n, {found}) => n + found.reduce((m, {score}) => m + score.length, 0), 0)} candidates` : "no picks",
  there.truth ? `${plural(DATA.runs.filter(({scored}) => scored).length, "run")} with known particles` : "",
].filter(Boolean).join(" · ");
document.getElementById("home").href = DATA.home;
const unlisted = DATA.lines.filter(({picks}) => picks).length - DATA.runs.length;
document.getElementById("counted").textContent = unlisted > 0 ? `Thresholds, curves and counts are those of ${plural(DATA.runs.length, "run")}. ` +
  `The other ${plural(unlisted, "picked run")} would make the page too large: they are in the table alone.` : "";
document.querySelector("footer").textContent = `tomosoup ${DATA.version}`;

function learningChart(id, yLabel, xLabel, curves, options) {
  const {figure, show} = chart(id, xLabel, yLabel, options);
  for (const [{x, y}, colour, marker, dash] of curves) {
    const data = source({x, y}), at = [{field: "x"}, {field: "y"}];
    const drawn = [figure.line(...at, {source: data, line_width: marker ? 2 : 1.2, line_dash: dash ?? []})];
    if (marker) drawn.push(figure.scatter(...at, {source: data, size: 8, marker, line_color: null}));
    paint(() => drawn.forEach(({glyph}, i) => { glyph[i ? "fill_color" : "line_color"] = colour(); }));
    if (yLabel === "loss") figure.left[0].formatter = new Bokeh.BasicTickFormatter({precision: 1});
  }
  show();
}

DATA.learning.forEach(({name, loss, byEpoch}, k) => {
  const speciesOf = (curve) => DATA.species.findIndex((s) => curve === `f4/${s.name}`);
  const accent = () => ink("accent"), wrong = () => ink("wrong");
  const held = Object.entries(byEpoch).filter(([key, {x}]) => (key === "f4" || key.startsWith("f4/")) && x.length);
  const losses = [["epoch_loss", accent, []], ["held_out_loss", wrong, [6, 3]]].filter(([key]) => byEpoch[key]?.x.length);
  const cards = [["Loss by update", `learning-${k}-loss`, loss.x.length], ["F4 on the held-out run", `learning-${k}-f4`, held.length],
    ["Loss by epoch: trained (solid), held out (dashed)", `learning-${k}-epochs`, losses.length]]
    .flatMap(([heading, id, known]) => known ? [element("div", {className: "card"}, element("h3", {textContent: heading}),
      element("div", {className: "chart", id}))] : []);
  document.getElementById("learning").append(element("h3", {textContent: name}), element("div", {className: "cards"}, ...cards));
  if (loss.x.length) learningChart(`learning-${k}-loss`, "loss", "update", [[loss, accent]], {y_axis_type: "log"});
  if (held.length) {
    learningChart(`learning-${k}-f4`, "F4", "epoch", held.map(([name, curve]) => {
      const s = speciesOf(name);
      return [curve, () => DATA.species[s]?.colour ?? ink("text"), shapeOf(Math.max(0, s))[0]];
    }), {y_range: unit()});
  }
  if (losses.length) {
    learningChart(`learning-${k}-epochs`, "loss", "epoch", losses.map(([name, colour, dash]) => [byEpoch[name], colour, "circle", dash]));
  }
});

function told(value) {  // a record as nested lists
  if (value === null || typeof value !== "object") return document.createTextNode(value === null ? "–" : String(value));
  if (Array.isArray(value) && value.every((v) => v === null || typeof v !== "object")) {
    return document.createTextNode(value.join(", ") || "–");
  }
  return element("dl", {}, ...Object.entries(value).flatMap(([key, v]) =>
    [element("dt", {textContent: key}), element("dd", {}, told(v))]));
}
for (const [heading, record] of DATA.records) {
  document.getElementById("records").append(element("details", {}, element("summary", {textContent: heading}), told(record)));
}

if (there.picks) {
  charts.scores.line = new Bokeh.Span({location: 0, dimension: "height", line_width: 1.5});
  paint(() => { charts.scores.line.line_color = ink("text"); });
  charts.scores.figure.add_layout(charts.scores.line);
}
on("threshold", drawDots);
on("scope look", drawCurves);
on("threshold scope run look", later(drawDistributions));
on("threshold focus volume", later(drawGallery, 60));
on("look slab", later(drawGallery));
on("threshold scope focus", drawScores);
on("focus", showFocus);
on("run", () => { if (state.scope === "run") tell("scope"); });

state.run = Math.max(0, DATA.runs.findIndex(({volume: seen}) => seen));
state.focus = Math.max(0, lowest.findIndex((score) => score < Infinity));
tell("focus");
tell("scope");
tell("threshold");
showRun().then(() => requestAnimationFrame(() => setTimeout(() => {  // once the tomogram is drawn
  performance.mark("tomogram");
  drawDistributions();
  for (const {show} of Object.values(charts)) show();
  performance.mark("charts");
})));
