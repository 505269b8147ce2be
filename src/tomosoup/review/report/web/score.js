// Counts at any threshold, as `tomosoup score --threshold` counts them.

function atLeast(threshold, descending) {
  let [from, to] = [0, descending.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if (descending[middle] >= threshold) from = middle + 1; else to = middle;
  }
  return from;
}

function joined(arrays) {
  const all = new Float64Array(arrays.reduce((n, a) => n + a.length, 0));
  let n = 0;
  for (const a of arrays) { all.set(a, n); n += a.length; }
  return all.sort().reverse();
}

const pools = {};
function pool(s) {  // scores, best first: of all picks, of those in runs whose truth is known, of true particles when hit
  return pools[[state.scope, state.scope === "run" && state.run, s]] ??= (() => {
    const runs = inScope(), scored = runs.filter((run) => run.scored);
    const of = (some, key) => joined(some.map((run) => run.found[s][key]));
    return {picks: of(runs, "score"), scored: of(scored, "score"), hits: of(scored, "hitAt")};
  })();
}

function counts(s, threshold = state.thresholds[s]) {
  const {picks, scored, hits} = pool(s), hit = atLeast(threshold, hits), found = atLeast(threshold, scored);
  return {picks: atLeast(threshold, picks), hit, false: found - hit, missed: hits.length - hit};
}

const inScope = () => state.scope === "all" ? DATA.runs : [DATA.runs[state.run]];

function expectedFalse(s, threshold = state.thresholds[s]) {  // NaN where a pick passes whose probability is not known
  return inScope().reduce((sum, {found}) => {
    const {score, wrong} = found[s], n = atLeast(threshold, score);
    return n ? sum + (wrong ? wrong[n] : NaN) : sum;
  }, 0);
}

// The fraction of the picks that is expected to be false; NaN without picks.
const falseRate = (s, threshold = state.thresholds[s]) => expectedFalse(s, threshold) / atLeast(threshold, pool(s).picks);

function thresholdFor(s, rate) {  // the lowest score at which at most this fraction is expected to be false
  const {picks} = pool(s);
  let [from, to] = [0, picks.length];
  while (from < to) {
    const n = (from + to + 1) >> 1;
    if (falseRate(s, picks[n - 1]) <= rate) from = n; else to = n - 1;
  }
  return from ? picks[from - 1] : Infinity;
}

const BETA2 = 16;
function f4({hit, missed, false: wrong}) {
  const whole = (1 + BETA2) * hit + BETA2 * missed + wrong;
  return whole ? (1 + BETA2) * hit / whole : 0;
}
const precision = (n) => n.hit + n.false ? n.hit / (n.hit + n.false) : NaN;
const recall = (n) => n.hit + n.missed ? n.hit / (n.hit + n.missed) : NaN;

function weighted() {  // species that occur nowhere do not count
  let [sum, total] = [0, 0];
  DATA.species.forEach(({weight}, s) => {
    const n = counts(s);
    if (n.hit + n.false + n.missed) { sum += weight * f4(n); total += weight; }
  });
  return total ? sum / total : 0;
}

function curve(s, most = 250) {  // counts from the highest score down: at even steps, and where particles are hit
  const {scored, hits} = pool(s), [high, low] = [scored[0], scored[scored.length - 1]];
  const steps = scored.length ? Array.from({length: most}, (_, i) => high - (high - low) * i / (most - 1)) : [];
  const every = Math.ceil(hits.length / most);
  const ends = [...steps, ...hits.filter((t, i) => t > -Infinity && i % every === 0)].sort((a, b) => b - a);
  return ends.map((threshold) => ({threshold, ...counts(s, threshold)}));
}

function rates(s, most = 250) {  // the fraction expected to be false at even steps of the score
  const {picks} = pool(s), [high, low] = [picks[0], picks[picks.length - 1]];
  const ends = picks.length ? Array.from({length: most}, (_, i) => high - (high - low) * i / (most - 1)) : [];
  return ends.map((threshold) => ({threshold, rate: falseRate(s, threshold)})).filter(({rate}) => !Number.isNaN(rate));
}

function shortest(s, threshold, least = 2) {  // the fewest decimals that pass the same picks of all runs
  const passing = (t) => DATA.runs.reduce((n, {found}) => n + atLeast(t, found[s].score), 0);
  for (let digits = least; digits < 16 && Number.isFinite(threshold); digits++) {
    const rounded = Number(threshold.toFixed(digits));
    if (passing(rounded) === passing(threshold)) return rounded;
  }
  return threshold;
}

function bestThreshold(s) {
  const {hits} = pool(s);
  const ends = [...new Set(hits)].filter((t) => t > -Infinity);
  return ends.reduce((best, t) => f4(counts(s, t)) > f4(counts(s, best)) ? t : best, ends[0] ?? state.thresholds[s]);
}
