'use strict';
// A page over a trace: everything is computed from the numbers in the element "data", which TracePage.cs wrote. Indices: t counts the tokens that are
// on the page from 0, t + run.first is the place in the sequence; c counts the channels that are on the page; s states. Arrays are flat, channels first:
// delta (c, t), h (c, t, s), C (t, s).

// ---- the data ---------------------------------------------------------------------------------------------------------------------------------

const page = JSON.parse(document.getElementById('data').textContent);
const run = page.run, other = page.against;
const $ = id => document.getElementById(id);

const decoded = new Map();
function array(layer, name) {               // the floats of an array; null where the trace has none
  if (!layer || !layer.arrays[name]) return null;
  if (!decoded.has(layer)) decoded.set(layer, {});
  return decoded.get(layer)[name] ??= new Float32Array(Uint8Array.from(atob(layer.arrays[name]), c => c.charCodeAt(0)).buffer);
}
const integers = (layer, name) => { const floats = array(layer, name); return floats && new Int32Array(floats.buffer); };

// What is looked at. A click pins a token; a mouse that hovers looks at another until it leaves.
const state = { layer: 0, channel: 0, pin: run.count - 1, hover: null, show: 'this', states: 'h', of: 'channel', rows: 'one', axis: 'linear' };
const at = () => state.hover ?? state.pin;
const layerOf = r => r && r.layers.find(layer => layer.layer === run.layers[state.layer].layer);
const channelOf = r => layerOf(r)?.channels.indexOf(run.layers[state.layer].channels[state.channel]) ?? -1;
const tokenOf = (r, t) => { const there = t + run.first - r.first; return there >= 0 && there < r.count ? there : -1; };    // the same place in a run
const place = () => `layer ${run.layers[state.layer].layer}, channel ${run.layers[state.layer].channels[state.channel] ?? '–'}`;
const shown = () => state.show === 'other' ? other : run;       // whose recurrence is played; a difference plays this run's

// The values of channel c of an array (…, width) at all tokens of the page, NaN where the run has none.
function values(r, name, width = 1) {
  const all = array(layerOf(r), name), c = channelOf(r);
  if (!all || c < 0) return null;
  const out = new Float64Array(run.count * width).fill(NaN);
  for (let t = 0; t < run.count; t++) {
    const from = tokenOf(r, t);
    if (from >= 0) out.set(all.subarray((c * r.count + from) * width, (c * r.count + from + 1) * width), t * width);
  }
  return out;
}

// One of two, or their difference, as the list "Show" says.
function chosen(mine, theirs) {
  if (state.show === 'this' || !other) return mine;
  if (state.show === 'other') return theirs;
  return mine && theirs && mine.length === theirs.length ? mine.map((value, i) => value - theirs[i]) : null;
}

const largest = list => { let max = 0; for (const x of list ?? []) if (Number.isFinite(x) && Math.abs(x) > max) max = Math.abs(x); return max; };
const scaleOf = (mine, theirs) => (state.show === 'difference' ? largest(chosen(mine, theirs)) : Math.max(largest(mine), largest(theirs))) || 1;

// ---- words ------------------------------------------------------------------------------------------------------------------------------------

const minus = text => text.replaceAll('-', '−');
const number = (x, digits = 5) => Number.isNaN(x) ? 'NaN' : !Number.isFinite(x) ? (x > 0 ? '∞' : '−∞') : x === 0 ? '0'
  : minus(Math.abs(x) < 1e-3 ? x.toExponential(digits - 1) : x.toPrecision(digits));
const whole = x => x.toLocaleString('en');
const percent = p => Number.isFinite(p) ? number(p * 100) + ' %' : number(p);
const visible = text => text === '' ? '∅' : text.replace(/\r?\n|[\r\u2028\u2029\u0085]/g, '⏎').replaceAll('\t', '⇥').replaceAll(' ', '␣')
  .replace(/[\u0000-\u001f]/g, c => String.fromCharCode(0x2400 + c.charCodeAt(0)))
  // what is not seen, or turns the letters that follow
  .replace(/[\u007f-\u009f\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]/g, c => '‹' + c.charCodeAt(0).toString(16) + '›');
const named = (r, id) => visible(r.texts[id] ?? '#' + id);
const label = (r, t) => r.tokens ? visible(r.tokens[t]) : '#' + r.ids[t];
const quoted = text => '“\u2068' + text + '\u2069”';            // isolated, so that right-to-left letters do not turn the sentence
const sub = n => String(n).replace(/\d/g, d => '₀₁₂₃₄₅₆₇₈₉'[d]);

function el(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties))
    if (name in node && name !== 'list') node[name] = value; else node.setAttribute(name, value);
  node.append(...children);
  return node;
}
function svgEl(tag, attributes) {
  const node = document.createElementNS('http://www.w3.org/2000/svg', tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  return node;
}
const cell = (text, kind = 'number') => el('td', { className: kind }, text);
const textCell = text => el('td', { className: 'text' }, el('bdi', {}, text));
const axis = (row, ...texts) => $(row).firstElementChild.replaceChildren(...texts.map(text => el('span', {}, text)));
const head = (text, kind = '') => el('th', { className: kind, scope: 'col' }, text);
function table(node, heads, rows) {
  const kinds = { 'this run': 'number mine', 'other run': 'number theirs' };
  const columns = heads.map(text => head(text, /^(token|layer|likeliest.*|kept.*|)$/.test(text) ? '' : kinds[text] ?? 'number'));
  node.replaceChildren(el('thead', {}, el('tr', {}, ...columns)), el('tbody', {}, ...rows));
}

// ---- colours ----------------------------------------------------------------------------------------------------------------------------------

const probe = document.body.appendChild(el('span', { hidden: true }));
function colour(name) {
  probe.style.color = `var(--${name})`;
  return getComputedStyle(probe).color.match(/[\d.]+/g).slice(0, 3).map(Number);
}
let colours;
const readColours = () => { colours = Object.fromEntries(['negative', 'zero', 'positive', 'lost'].map(name => [name, colour(name)])); };

// A heat map, one pixel a value, which CSS makes larger: blue below 0, the ground at 0, orange above; grey is not a number.
function heat(canvas, rows, columns, value, max) {
  canvas.width = Math.max(1, columns);
  canvas.height = Math.max(1, rows);
  const picture = new ImageData(canvas.width, canvas.height);
  for (let r = 0, p = 0; r < rows; r++)
    for (let c = 0; c < columns; c++, p += 4) {
      const x = value(r, c), part = Math.min(1, Math.abs(x) / max) || 0, end = x < 0 ? colours.negative : colours.positive;
      for (let k = 0; k < 3; k++) picture.data[p + k] = Number.isNaN(x) ? colours.lost[k] : colours.zero[k] + part * (end[k] - colours.zero[k]);
      picture.data[p + 3] = 255;
    }
  canvas.getContext('2d').putImageData(picture, 0, 0);
}
function legend(node, kind, low, high, words) {
  node.replaceChildren(el('span', {}, low), el('i', { className: kind }), el('span', {}, high), el('span', {}, words + '; grey: no number'));
}

// Bars around 0, a token each; the other run's as a line of steps. A logarithmic axis spans what is positive, eight decades of it at most.
function bars(svg, mine, theirs, width, height, logarithmic = false) {
  const all = [...(mine ?? []), ...(theirs ?? [])].filter(v => Number.isFinite(v) && (v > 0 || !logarithmic)), hi = Math.max(0, ...all);
  const lo = logarithmic ? Math.max(Math.min(hi, ...all) / 2, hi / 1e8) : Math.min(0, ...all), count = run.count;
  const share = v => logarithmic ? v > lo ? Math.log(v / lo) / Math.log(hi / lo) : 0 : (v - lo) / (hi - lo || 1), y = v => (1 - share(v)) * height;
  svg.replaceChildren();
  svg.setAttribute('viewBox', `0 0 ${count} ${height}`);
  svg.setAttribute('preserveAspectRatio', 'none');
  Object.assign(svg.style, { width: width + 'px', height: height + 'px' });
  const signed = lo < 0;
  mine?.forEach((v, t) => Number.isFinite(v) && svg.append(svgEl('rect', {
    x: t + .12, width: .76, y: Math.min(y(v), y(0)), height: Math.abs(y(v) - y(0)), class: signed ? v < 0 ? 'bar down' : 'bar up' : 'bar',
  })));
  if (!logarithmic) svg.append(svgEl('line', { x1: 0, x2: count, y1: y(0), y2: y(0), class: 'zero' }));
  if (theirs) {
    let path = '';
    theirs.forEach((v, t) => { if (Number.isFinite(v)) path += `${t && Number.isFinite(theirs[t - 1]) ? 'L' : 'M'}${t} ${y(v)}H${t + 1}`; });
    svg.append(svgEl('path', { d: path, class: 'other-line' }));
  }
  axis(svg.id + '-row', number(hi, 3), number(lo, 3));
}

// ---- along the sequence -----------------------------------------------------------------------------------------------------------------------

let tokenWidth = 14;
function axisWidth() { return parseFloat(getComputedStyle(document.documentElement).fontSize) * 4.6; }
const overlay = (mine, theirs) => state.show === 'difference' ? [chosen(mine, theirs), null] : [mine, theirs];

function drawSequence() {
  const count = run.count, room = $('sequence-scroll').clientWidth - axisWidth() - 2, layer = layerOf(shown()), grad = state.states === 'dh';
  tokenWidth = Math.min(44, Math.max(14, Math.floor(room / count)));
  const width = tokenWidth * count, where = place();
  const both = other && state.show !== 'difference' ? '; bars this run, line the other' : other ? '; this run − the other' : '';
  for (const [name, words] of [['delta', 'Step size Δ (no unit)'], ['ddelta', `Gradient dΔ of ${run.quantity ?? 'the quantity'}`]]) {
    const [mine, theirs] = overlay(values(run, name), other && values(other, name));
    const is = !!(mine || theirs) || name === 'delta';
    $(name + '-row').hidden = $(name + '-title').hidden = !is;
    if (!is) continue;
    $(name + '-title').textContent = mine || theirs ? `${words}, ${where}${both}` : `The trace has no ${name} of ${where}`;
    bars($(name), mine, theirs, width, name === 'delta' ? 96 : 64, name === 'delta' && state.axis === 'log' && state.show !== 'difference');
    $(name).setAttribute('aria-label', `${words} of ${count} tokens as bars. The numbers are in the table below.`);
  }
  const name = state.states, n = layer?.n ?? 0;
  const mine = values(run, name, n), theirs = other && values(other, name, layerOf(other)?.n), map = chosen(mine, theirs);
  const what = grad ? `Gradients dh of ${run.quantity ?? 'the quantity'}` : 'States h';
  $('states-title').textContent = map ? `${what} (rows 0 to ${n - 1}), ${where}${state.show === 'difference' ? '; this run − the other' : ''}` :
    state.show === 'difference' ? 'There are no states of both runs to subtract' : `The trace has no ${name} of ${where}`;
  $('states-row').hidden = $('states-legend').hidden = !map;
  if (map) {
    const max = scaleOf(mine, theirs);
    heat($('states'), n, count, (s, t) => map[t * n + s], max);
    Object.assign($('states').style, { width: width + 'px', height: Math.min(256, Math.max(48, n * 12)) + 'px' });
    $('states').setAttribute('aria-label', `${what}, ${n} states by ${count} tokens. The numbers of a token are in the table of the recurrence.`);
    axis('states-row', n > 1 ? 'state 0' : '', 'state ' + (n - 1));
    legend($('states-legend'), 'signed', number(-max), number(max), grad ? 'dh (quantity per state)' : 'h (no unit)');
  }
  drawGrowth(width);
  ticks($('ticks'), tokenWidth);
  drawSequenceNumbers();
}

function drawGrowth(width) {
  const layers = run.layers.filter(layer => layer.arrays.nextP), r = shown();
  $('growth-row').hidden = $('growth-title').hidden = $('growth-legend').hidden = layers.length === 0;
  if (layers.length === 0) return;
  const get = (from, layer, t) => {
    const there = from && tokenOf(from, t), p = from && array(from.layers.find(l => l.layer === layer.layer), 'nextP');
    return p && there >= 0 ? p[there] : NaN;
  };
  const gap = state.show === 'difference';
  heat($('growth'), layers.length, run.count, (i, t) => gap ? get(run, layers[i], t) - get(other, layers[i], t) : get(r, layers[i], t), 1);
  Object.assign($('growth').style, { width: width + 'px', height: Math.min(260, Math.max(28, layers.length * 14)) + 'px' });
  $('growth-title').textContent = `Probability of the token that really came next, read after each layer${gap ? '; this run − the other' : ''}`;
  $('growth').setAttribute('aria-label', 'Probability of the token that really came next. The numbers of a token are in the table Layer by layer.');
  axis('growth-row', ...[layers[0], ...(layers.length > 1 ? [layers.at(-1)] : [])].map(layer => 'layer ' + layer.layer));
  legend($('growth-legend'), gap ? 'signed' : 'share', gap ? '−1' : '0', '1', 'probability');
}

function ticks(node, width) {
  node.replaceChildren();
  if (width < 12) return;
  for (let t = 0; t < run.count; t++) {
    const span = el('span', {}, el('bdi', {}, label(run, t)));
    span.style.width = width + 'px';
    node.append(span);
  }
}

function drawSequenceNumbers() {
  if (!$('sequence-numbers').open) return;
  const names = ['delta', 'ddelta', 'u', 'y', 'z'], columns = [];
  for (const r of other ? [run, other] : [run])
    for (const name of names) { const v = values(r, name); if (v) columns.push([name + (r === other ? ', other run' : ''), v]); }
  table($('sequence-numbers').querySelector('table'), ['place', 'token', ...columns.map(c => c[0])], Array.from({ length: run.count }, (_, t) =>
    el('tr', {}, cell(t + run.first), textCell(label(run, t)), ...columns.map(c => cell(number(c[1][t]))))));
}

// ---- hidden attention -------------------------------------------------------------------------------------------------------------------------

// M_ij = C_i·S_ij with S_jj = B̄_j and S_ij = Ā_i S_{i−1,j}; a discretization that looks back adds B̄′_{j+1} to S_{j+1,j}. In float64, row-major.
function matrixOf(r, layer, c) {
  const alpha = array(layer, 'Abar'), input = array(layer, 'Bbar'), back = array(layer, 'Bback'), C = array(layer, 'C'), n = layer.n, l = r.count;
  if (!alpha || !input || !C) return null;
  const m = new Float64Array(l * l), s = new Float64Array(n);
  for (let j = 0; j < l; j++) {
    for (let k = 0; k < n; k++) s[k] = input[(c * l + j) * n + k];
    for (let i = j; i < l; i++) {
      let sum = 0;
      for (let k = 0; k < n; k++) {
        const p = (c * l + i) * n + k;
        if (i > j) s[k] *= alpha[p];
        if (i === j + 1 && back) s[k] += back[p];
        sum += C[i * n + k] * s[k];
      }
      m[i * l + j] = sum;
    }
  }
  return m;
}

const matrices = new Map();                 // of the layer looked at
function attentionOf(r) {
  const layer = layerOf(r), key = `${r === run}/${layer?.layer}/${state.of}/${state.of === 'channel' ? state.channel : ''}`;
  if (!layer) return null;
  if (matrices.has(key)) return matrices.get(key);
  let m = null;
  if (state.of === 'channel') m = channelOf(r) < 0 ? null : matrixOf(r, layer, channelOf(r));
  else if (state.of === 'shown') {
    layer.channels.forEach((_, c) => {
      const one = matrixOf(r, layer, c);
      if (!one) return;
      m ??= new Float64Array(one.length);
      for (let k = 0; k < m.length; k++) m[k] += Math.abs(one[k]) / layer.channels.length;
    });
  } else if (array(layer, 'attention')) {   // (l, l) without what is above the diagonal
    const rows = array(layer, 'attention');
    m = new Float64Array(r.count * r.count);
    for (let i = 0, p = 0; i < r.count; i++) for (let j = 0; j <= i; j++) m[i * r.count + j] = rows[p++];
  }
  if (matrices.size > 8) matrices.clear();
  matrices.set(key, m);
  return m;
}
// The same over the places of the page.
function placed(r) {
  const m = r && attentionOf(r), l = run.count;
  if (!m) return null;
  const out = new Float64Array(l * l).fill(NaN);
  for (let i = 0; i < l; i++)
    for (let j = 0; j < l; j++) { const [a, b] = [tokenOf(r, i), tokenOf(r, j)]; if (a >= 0 && b >= 0) out[i * l + j] = m[a * r.count + b]; }
  return out;
}

let attention = null, cellWidth = 2;
function drawAttention() {
  const layer = run.layers[state.layer], l = run.count, room = $('attention-scroll').clientWidth - axisWidth() - 2;
  const choices = [['channel', 'this channel'], ['shown', `the ${layer.channels.length} channels shown: average of |M|`]];
  if (layer.arrays.attention) choices.push(['all', `all ${whole(layer.d)} channels: average of |M|`]);
  if (!choices.some(c => c[0] === state.of)) state.of = 'channel';
  $('attention-of').replaceChildren(...choices.map(([value, text]) => el('option', { value, selected: value === state.of }, text)));
  const mine = placed(run), theirs = placed(other), m = chosen(mine, theirs), max = scaleOf(mine, theirs);
  const signed = state.of === 'channel' || state.show === 'difference';
  attention = { mine, theirs, m };
  $('attention-scroll').hidden = $('attention-legend').hidden = $('attention-numbers').hidden = !m;
  if (!m) { attentionWords(null); return; }
  cellWidth = Math.max(1, Math.min(28, Math.floor(room / l)));
  const width = cellWidth * l, each = state.rows === 'each';
  const most = Float64Array.from({ length: l }, (_, i) => each ? largest(m.subarray(i * l, i * l + i + 1)) || 1 : max);
  heat($('matrix'), l, l, (i, j) => j > i ? 0 : m[i * l + j] / most[i], 1);
  Object.assign($('matrix').style, { width: width + 'px', height: width + 'px' });
  $('matrix').setAttribute('aria-label', `Hidden attention, ${l} by ${l} tokens. The numbers of a row are in the table below.`);
  const name = signed ? 'M' : '|M|', last = run.first + l - 1;
  $('matrix-title').textContent = `${name} of row i, column j: how much of the input of token j is in the output of token i`;
  $('matrix-axis').replaceChildren(el('span', {}, `i = ${run.first}`), el('span', {}, `i = ${last}`));
  if (each) legend($('attention-legend'), signed ? 'signed' : 'share', signed ? '−1' : '0', '1', `${name}, of the largest of its row`);
  else legend($('attention-legend'), signed ? 'signed' : 'share', signed ? number(-max) : '0', number(max), `${name} (output per input)`);
  ticks($('attention-ticks'), cellWidth);
  if (cellWidth < 12) $('attention-ticks').append(el('span', { className: 'end' }, `j = ${run.first}`), el('span', { className: 'end' }, `j = ${last}`));
  $('attention-ticks').style.width = width + 'px';
}

function attentionWords(j) {
  const l = run.count, t = at(), m = attention.m;
  if (!m) {
    $('attention-words').textContent = state.show === 'difference' ? 'There is no attention of both runs to subtract.'
      : 'The trace lacks delta, B or C of this layer, so there is no hidden attention.';
    return;
  }
  let best = -1;
  for (let k = 0; k <= t; k++) if (Number.isFinite(m[t * l + k]) && (best < 0 || Math.abs(m[t * l + k]) > Math.abs(m[t * l + best]))) best = k;
  const of = k => `token ${k + run.first} ${quoted(label(run, k))}`;
  const value = k => `${state.of === 'channel' ? 'M' : '|M|'} = ${number(m[t * l + k])}`;
  const [from, most] = j !== null && j <= t ? [j, ''] : [best, ' most'];
  $('attention-words').textContent = from < 0 ? ''
    : state.show === 'difference' ? `what ${of(t)} takes differs${most} at ${of(from)}: ${value(from)}`
    : `${of(t)} takes${most} from ${of(from)}: ${value(from)}`;
}

function moveAttention() {
  const { m, mine, theirs } = attention, l = run.count, t = at();
  attentionWords(null);
  if (!m) return;
  Object.assign($('band').style, { top: t * cellWidth - 2 + 'px', height: cellWidth + 4 + 'px' });
  // values above the diagonal are no part of the row
  const row = of => of && of.slice(t * l, t * l + l).map((v, j) => j > t ? NaN : v), [first, second] = overlay(row(mine), row(theirs));
  bars($('profile'), first, second, cellWidth * l, 72);
  const sign = state.of === 'channel' ? 'M' : '|M|';
  $('profile-title').textContent = `Row ${t + run.first}: ${sign} of each earlier token${second && first ? '; bars this run, line the other' : ''}`;
  $('profile').setAttribute('aria-label', `Row ${t + run.first} of the hidden attention as bars. The numbers are in the table below.`);
  if (!$('attention-numbers').open) return;
  const columns = [[sign, mine], ...(theirs ? [[sign + ', other run', theirs]] : [])];
  table($('attention-numbers').querySelector('table'), ['place', 'token', ...columns.map(c => c[0])], Array.from({ length: t + 1 }, (_, j) =>
    el('tr', {}, cell(j + run.first), textCell(label(run, j)), ...columns.map(c => cell(c[1] ? number(c[1][t * l + j]) : '–')))));
}

// ---- next token -------------------------------------------------------------------------------------------------------------------------------

function likeliest(r, layer, t) {                 // [{ id, p }], the likeliest first
  const there = r ? tokenOf(r, t) : -1, ids = integers(layer, 'topIds'), p = array(layer, 'topP');
  return !ids || !p || there < 0 ? [] : Array.from({ length: layer.k }, (_, i) => ({ id: ids[there * layer.k + i], p: p[there * layer.k + i] }));
}
const nextP = (r, layer, t) => { const p = array(layer, 'nextP'), there = r ? tokenOf(r, t) : -1; return p && there >= 0 ? p[there] : NaN; };
const nextId = (r, t) => { const there = tokenOf(r, t); return there < 0 ? undefined : r.ids[there + 1]; };
const meter = (...shares) => el('td', { className: 'meter' }, ...shares.filter(Number.isFinite).map(share => {
  const b = el('b', { ariaHidden: 'true' });
  b.style.width = Math.min(1, Math.max(0, share) || 0) * 100 + '%';
  return b;
}));

function moveNext() {
  const t = at(), layer = run.layers[state.layer], real = nextId(run, t);
  const mine = likeliest(run, layer, t), theirs = other ? likeliest(other, layerOf(other), t) : [];
  const follows = real === undefined ? 'Nothing comes after this token.' : `Really came next: ${quoted(run.tokens ? label(run, t + 1) : named(run, real))}.`;
  $('next-words').textContent = (mine.length || theirs.length ? `After layer ${layer.layer}, with the norm and head of the model's end. `
    : `The trace has no probabilities after layer ${layer.layer}. `) + follows;
  const ids = [...new Set([...mine, ...theirs].map(x => x.id))], of = (list, id) => list.find(x => x.id === id)?.p;
  $('top').hidden = ids.length === 0;
  table($('top'), ['token', other ? 'this run' : 'probability', ...(other ? ['other run'] : []), ''], ids.map(id => {
    const row = el('tr', id === real ? { className: 'real' } : {}, textCell(named(mine.some(x => x.id === id) ? run : other, id)));
    const p = of(mine, id), q = of(theirs, id), text = x => x === undefined ? '–' : percent(x);
    row.append(cell(text(p)), ...(other ? [cell(text(q))] : []), meter(p, ...(other ? [q] : [])));
    return row;
  }));
  $('layers-title').textContent = real === undefined ? 'Layer by layer' : 'Layer by layer: the token that really came next';
  table($('layers'), ['layer', other ? 'this run' : 'probability', ...(other ? ['other run'] : []), '', 'likeliest there'], run.layers.map((one, i) => {
    const button = el('button', { type: 'button', ariaLabel: `Look at layer ${one.layer}` }, String(one.layer));
    button.onclick = () => { choose({ layer: i }); $('layers').querySelectorAll('button')[i]?.focus(); };
    const p = nextP(run, one, t), there = other?.layers.find(x => x.layer === one.layer), q = nextP(other, there, t), first = likeliest(run, one, t)[0];
    const shares = other ? [p, q] : [p];
    return el('tr', i === state.layer ? { className: 'here' } : {}, el('td', {}, button), ...shares.map(x => cell(Number.isNaN(x) ? '–' : percent(x))),
      meter(...shares), textCell(first ? named(run, first.id) : '–'));
  }));
}

// ---- the recurrence ---------------------------------------------------------------------------------------------------------------------------

// What is needed of token t: h_{t−1}, Ā_t, B̄_t, u_t, h_t, C_t, D; null where the trace lacks something.
function stepOf(r, t) {
  const layer = layerOf(r), c = channelOf(r), there = tokenOf(r, t), n = layer?.n, l = r.count;
  const [h, alpha, input, u] = ['h', 'Abar', 'Bbar', 'u'].map(name => array(layer, name));
  if (c < 0 || there < 0 || !h || !alpha || !input || !u) return null;
  const slice = (all, i, width) => all && all.subarray(i * width, (i + 1) * width), i = c * l + there;
  const before = there > 0 ? slice(h, i - 1, n) : slice(array(layer, 'hBefore'), c, n) ?? new Float32Array(n);
  const uBefore = there > 0 ? u[i - 1] : array(layer, 'uBefore')?.[c] ?? 0;
  return {
    n, before, uBefore, u: u[i], alpha: slice(alpha, i, n), input: slice(input, i, n), back: slice(array(layer, 'Bback'), i, n), h: slice(h, i, n),
    dh: slice(array(layer, 'dh'), i, n), C: slice(array(layer, 'C'), there, n), D: array(layer, 'D')?.[c], y: array(layer, 'y')?.[i], z: array(layer, 'z')?.[i],
  };
}

let stepScale = 1;
function drawSteps() {
  const r = shown(), step = Array.from({ length: run.count }, (_, t) => stepOf(r, t)).filter(x => x);
  stepScale = 0;                            // one scale for all tokens, so that bars can be compared while it plays
  for (const x of step) stepScale = Math.max(stepScale, largest(x.h), largest(x.before.map((v, s) => v * x.alpha[s])));
  const n = step[0]?.n ?? 0;
  $('steps').replaceChildren();
  if (n === 0) return;
  const heads = ['state', 'kept + added = hₜ', 'hₜ₋₁', 'Āₜ', 'Āₜ hₜ₋₁', 'B̄ₜ', 'added', 'hₜ', 'Cₜ', 'Cₜ hₜ', ...(step[0].dh ? ['dhₜ'] : [])];
  const rows = Array.from({ length: n }, (_, s) => el('tr', {}, cell(s),
    el('td', { className: 'sum' }, el('div', { ariaHidden: 'true' }, ...['kept', 'added', 'total'].map(className => el('b', { className })))),
    ...heads.slice(2).map(() => cell(''))));
  table($('steps'), heads, rows);
}

function moveSteps() {
  const t = at(), r = shown(), x = stepOf(r, t), where = place();
  $('recurrence-words').textContent = x ? `Token ${t + run.first} ${quoted(label(r, tokenOf(r, t)))}, ${where}${r === other ? ', the other run' : ''}.`
    : `The trace lacks h, u, delta or B of ${where}${other ? ', or this token is not in the run' : ''}: there is nothing to play.`;
  $('formula').hidden = $('steps').hidden = !x;
  $('step-note').hidden = true;
  if (!x) return;
  const i = sub(t + run.first), b = t + run.first > 0 ? sub(t + run.first - 1) : '₋₁', look = x.back ? ` + B̄′${i} u${b}` : '';
  const read = x.C ? x.h.reduce((sum, v, s) => sum + v * x.C[s], 0) : NaN, skip = x.D === undefined ? 0 : x.D * x.u;
  const D = x.D === undefined ? '0 (the trace has no D)' : `${number(x.D)} × ${number(x.u)}`, y = x.y === undefined ? 'there is no y' : number(x.y);
  const gate = x.z / (1 + Math.exp(-x.z)), gated = x.y * gate;
  const bars = [['kept', `Ā${i} h${b}, kept`], ['added', `B̄${i} u${i}${look}, added`], ['total', `h${i}, their sum`]];
  const line = (text, words) => el('div', {}, text + '  ', el('small', {}, words));
  $('formula').replaceChildren(
    line(`h${i} = Ā${i} h${b} + B̄${i} u${i}${look}`, `u${i} = ${number(x.u)}${x.back ? `, u${b} = ${number(x.uBefore)}` : ''}`),
    line(`y${i} = C${i} · h${i} + D u${i}`, x.C ? `= ${number(read)} + ${D} = ${number(read + skip)}; in the trace ${y}` : 'the trace has no C'),
    ...(Number.isNaN(gated) ? [] : [line(`y${i} · silu(z${i})`, `= ${y} × ${number(gate)} = ${number(gated)}, through the gate`)]),
    el('small', {}, 'bars:', ...bars.flatMap(([kind, text]) => [el('span', { className: 'key' }, el('b', { className: kind })), text])));
  let off = 0;
  for (let s = 0; s < x.n; s++) {
    const kept = x.alpha[s] * x.before[s], added = x.input[s] * x.u + (x.back ? x.back[s] * x.uBefore : 0), cells = $('steps').tBodies[0].rows[s].cells;
    const texts = [x.before[s], x.alpha[s], kept, x.input[s], added, x.h[s], x.C?.[s], x.C && x.C[s] * x.h[s], x.dh?.[s]];
    texts.forEach((v, k) => { if (cells[k + 2]) cells[k + 2].textContent = v === undefined || v === null ? '–' : number(v); });
    const [first, second, mark] = cells[1].firstElementChild.children, at = v => 50 + 49 * Math.max(-1, Math.min(1, v / stepScale || 0));
    const stretch = (node, from, to) => { node.style.left = Math.min(at(from), at(to)) + '%'; node.style.width = Math.abs(at(to) - at(from)) + '%'; };
    stretch(first, 0, kept);
    stretch(second, kept, kept + added);
    mark.style.left = at(x.h[s]) + '%';
    off = Math.max(off, Math.abs(kept + added - x.h[s]) || 0);
  }
  if (off > 1e-3 * stepScale) {
    $('step-note').hidden = false;
    const why = r.hooks.length ? ` (${r.hooks.join('; ')})` : ', or did not start from zero';
    $('step-note').textContent = `The states in the trace are not this sum, by up to ${number(off)}: they were changed${why}.`;
  }
}

let timer = null;
function play(on) {
  clearTimeout(timer);
  timer = null;
  if (on && state.pin >= run.count - 1) choose({ pin: 0 });
  $('play').textContent = on ? '❚❚ Pause' : '▶ Play';
  const next = () => {
    if (state.pin >= run.count - 1) return play(false);
    timer = setTimeout(next, 1000 / $('speed').value);
    choose({ pin: state.pin + 1 });
  };
  if (on) timer = setTimeout(next, 1000 / $('speed').value);
}

// ---- two runs ---------------------------------------------------------------------------------------------------------------------------------

function drawCompare() {
  const differ = [], here = Math.max(run.first, other.first), end = Math.min(run.first + run.count, other.first + other.count);
  for (let p = here; p < end; p++) if (run.ids[p - run.first] !== other.ids[p - other.first]) differ.push(p);
  const common = end - here, said = p => `token ${p}: ${quoted(label(run, p - run.first))} here, ${quoted(label(other, p - other.first))} there`;
  const words = [`This run: ${run.name}, ${whole(run.length)} tokens. The other: ${other.name}, ${whole(other.length)} tokens.`];
  if (other.hooks.length) words.push(`There was changed: ${other.hooks.join('; ')}.`);
  if (common <= 0) words.push('They have no place of the sequence in common here.');
  else if (differ.length === 0) words.push(`Their tokens are the same at all ${common} places that both have here.`);
  else words.push(`Their tokens differ at ${differ.length} of ${common} places: ${differ.slice(0, 3).map(said).join('; ')}${differ.length > 3 ? ' …' : ''}.`);
  const missing = run.layers.filter(a => !other.layers.some(b => b.layer === a.layer)).map(a => a.layer);
  if (missing.length) words.push(`The other run has no layer ${missing.join(', ')}.`);
  if (run.model !== other.model) words.push(`The models are not the same: the other is ${other.model || 'not named'}.`);
  if (run.discretization !== other.discretization) words.push(`The other run has the discretization ${other.discretization}.`);
  $('compare-words').textContent = words.join(' ');
  table($('compare-table'), ['layer', 'largest |difference| of Δ', 'of h', 'of y', 'of p(really next)'], run.layers.map(layer => {
    const there = other.layers.find(x => x.layer === layer.layer);
    return el('tr', {}, el('td', {}, String(layer.layer)), ...['delta', 'h', 'y', 'nextP'].map(name => cell(difference(layer, there, name))));
  }));
}
function difference(layer, there, name) {   // over the channels and places that both have
  const a = array(layer, name), b = array(there, name), width = name === 'h' ? layer.n : 1, perToken = name === 'nextP';
  if (!a || !b || (name === 'h' && layer.n !== there.n)) return '–';
  let worst = 0, place = -1;
  (perToken ? [0] : layer.channels).forEach((channel, c) => {
    const o = perToken ? 0 : there.channels.indexOf(channel);
    if (o < 0) return;
    for (let t = 0; t < run.count; t++) {
      const from = tokenOf(other, t);
      if (from < 0) continue;
      for (let s = 0; s < width; s++) {
        const gap = Math.abs(a[(c * run.count + t) * width + s] - b[(o * other.count + from) * width + s]);
        if (gap > worst) { worst = gap; place = t; }
      }
    }
  });
  return place < 0 ? '0' : `${number(worst)} at token ${place + run.first}`;
}

// ---- moving about -----------------------------------------------------------------------------------------------------------------------------

function say() {
  const t = at(), layer = run.layers[state.layer], best = likeliest(run, layer, t)[0];
  const delta = values(run, 'delta'), h = values(run, 'h', layer.n), y = values(run, 'y');
  const parts = [];
  if (delta) parts.push(`Δ = ${number(delta[t])}`);
  if (h && layer.n) {
    let s = 0;
    for (let k = 1; k < layer.n; k++) if (!(Math.abs(h[t * layer.n + k]) <= Math.abs(h[t * layer.n + s]))) s = k;
    parts.push(`largest state: h[${s}] = ${number(h[t * layer.n + s])}`);
  }
  if (y) parts.push(`y = ${number(y[t])}`);
  if (best) parts.push(`likeliest next: ${quoted(named(run, best.id))} with ${percent(best.p)}`);
  const where = `Token ${t + run.first} (of 0 to ${whole(run.length - 1)}), ${quoted(label(run, t))}; ${place()}.`;
  $('said').textContent = parts.length ? `${where} ${parts.join(', ')}.` : where;
}

function shade() {                          // under each token of the strip, its step size
  const delta = values(shown(), 'delta'), max = largest(delta) || 1;
  [...$('strip').children].forEach((option, t) => {
    const share = delta ? Math.round(100 * Math.abs(delta[t]) / max) : NaN;
    option.style.borderBottomColor = Number.isFinite(share) ? `color-mix(in srgb, var(--accent) ${share}%, transparent)` : 'transparent';
  });
}

let selected = null;
function move(scroll) {
  const t = at(), option = $('strip').children[t];
  $('said').setAttribute('aria-live', timer !== null || state.hover !== null ? 'off' : 'polite');     // nobody wants to hear a sentence for each of many
  selected?.setAttribute('aria-selected', 'false');
  option.setAttribute('aria-selected', 'true');
  selected = option;
  $('strip').setAttribute('aria-activedescendant', option.id);
  $('token').value = t;
  $('token').setAttribute('aria-valuetext', `${t + run.first}, ${label(run, t)}`);
  Object.assign($('cursor').style, { left: `calc(var(--axis) + ${t * tokenWidth - 2}px)`, width: tokenWidth + 4 + 'px' });
  for (const node of [$('ticks'), $('attention-ticks')]) {
    node.querySelector('.here')?.classList.remove('here');
    if (node.children.length === run.count) node.children[t].classList.add('here');
  }
  moveAttention();
  moveNext();
  moveSteps();
  say();
  if (!scroll) return;
  // what scrolls follows
  const strip = $('strip'), top = option.offsetTop;
  if (top < strip.scrollTop || top + option.offsetHeight > strip.scrollTop + strip.clientHeight) strip.scrollTop = top - strip.clientHeight / 2;
  for (const [node, width] of [[$('sequence-scroll'), tokenWidth], [$('attention-scroll'), cellWidth]]) {
    const left = t * width, room = node.clientWidth - axisWidth();
    if (left < node.scrollLeft || left + width > node.scrollLeft + room) node.scrollLeft = left - room / 2;
  }
}

function draw() {
  drawSequence();
  drawAttention();
  drawSteps();
  shade();
  move(true);
}

// The one way to change what is looked at.
function choose(change) {
  const before = { ...state };
  Object.assign(state, change);
  state.layer = Math.max(0, Math.min(run.layers.length - 1, state.layer));
  state.pin = Math.max(0, Math.min(run.count - 1, state.pin));
  if ('pin' in change) state.hover = null;
  if (state.layer !== before.layer) {
    const channel = run.layers[before.layer].channels[before.channel], same = run.layers[state.layer].channels.indexOf(channel);
    state.channel = Math.max(0, same);      // the same channel where the layer shows it
    fillChannels();
  }
  for (const name of ['layer', 'channel', 'show']) $(name).value = state[name];
  if (['layer', 'channel', 'show', 'states', 'of', 'rows', 'axis'].some(name => state[name] !== before[name])) draw();
  else if (state.pin !== before.pin || state.hover !== before.hover) move('pin' in change);
}

function fillChannels() {
  const layer = run.layers[state.layer];
  const options = layer.channels.map((channel, c) => el('option', { value: c }, `${channel}  (${layer.by} ${number(layer.sizes[c])})`));
  $('channel').replaceChildren(...(options.length ? options : [el('option', { value: 0 }, 'none')]));
}

function keys(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest('select, input, summary')) return;
  const inside = event.target.closest('#strip, .scroll') || event.target === document.body;
  const change = {
    ArrowLeft: () => ({ pin: state.pin - 1 }), ArrowRight: () => ({ pin: state.pin + 1 }), Home: () => ({ pin: 0 }), End: () => ({ pin: run.count - 1 }),
    ...(event.target.closest('#strip, #sequence-scroll, #attention-scroll') && {
      ArrowUp: () => ({ layer: state.layer - 1 }), ArrowDown: () => ({ layer: state.layer + 1 }),
      PageUp: () => ({ layer: 0 }), PageDown: () => ({ layer: run.layers.length - 1 }),
    }),
  }[event.key];
  if (!inside || !change) return;
  event.preventDefault();
  choose(change());
}

function start() {
  const facts = [run.name, run.model && `model ${run.model}`, `${whole(run.length)} tokens`, `discretization ${run.discretization}`,
    run.quantity && `gradients of ${run.quantity}${run.value ? ' = ' + run.value : ''}`, run.hooks.length && `changed: ${run.hooks.join('; ')}`];
  document.title = `${run.name}, inside a Mamba model`;
  $('about').textContent = facts.filter(x => x).join(' · ');
  $('left-out').hidden = page.notes.length === 0;
  $('left-out').querySelector('summary').textContent = `What of the trace is not on this page (${page.notes.length})`;
  $('left-out').querySelector('ul').append(...page.notes.map(text => el('li', {}, text)));
  $('layer').append(...run.layers.map((layer, i) => el('option', { value: i }, String(layer.layer))));
  fillChannels();
  $('token').max = run.count - 1;
  for (let t = 0; t < run.count; t++) {
    const option = el('div', { id: 'token-' + t, title: `token ${t + run.first}` }, el('bdi', {}, label(run, t))), there = other ? tokenOf(other, t) : -1;
    option.setAttribute('role', 'option');
    option.setAttribute('aria-selected', 'false');
    if (there >= 0 && other.ids[there] !== run.ids[t]) { option.classList.add('differs'); option.title += `, in the other run ${label(other, there)}`; }
    $('strip').append(option);
  }
  $('states-switch').hidden = ![run, other].some(r => r?.layers.some(layer => layer.arrays.dh));
  $('compare').hidden = $('show-label').hidden = !other;
  if (other) drawCompare();

  $('layer').onchange = () => choose({ layer: +$('layer').value });
  $('channel').onchange = () => choose({ channel: +$('channel').value });
  $('show').onchange = () => choose({ show: $('show').value });
  $('token').oninput = () => choose({ pin: +$('token').value });
  $('axis').onchange = () => choose({ axis: $('axis').value });
  $('attention-rows-of').onchange = () => choose({ rows: $('attention-rows-of').value });
  $('attention-of').onchange = () => choose({ of: $('attention-of').value });
  for (const button of $('states-switch').children)
    button.onclick = () => { for (const b of $('states-switch').children) b.ariaPressed = String(b === button); choose({ states: button.dataset.states }); };
  $('back').onclick = () => { play(false); choose({ pin: state.pin - 1 }); };
  $('forward').onclick = () => { play(false); choose({ pin: state.pin + 1 }); };
  $('play').onclick = () => play(timer === null);
  $('sequence-numbers').ontoggle = drawSequenceNumbers;
  $('attention-numbers').ontoggle = moveAttention;
  document.onkeydown = keys;

  // the mouse: over the strip, a figure's column, a row of the matrix
  const follow = (node, find) => {
    node.onpointermove = event => { const t = find(event); if (t !== null && timer === null && event.pointerType === 'mouse') choose({ hover: t }); };
    node.onpointerleave = () => choose({ hover: null });
    node.onclick = event => { const t = find(event); if (t !== null) choose({ pin: t }); };
  };
  const inRange = t => t >= 0 && t < run.count ? t : null;
  follow($('strip'), event => { const option = event.target.closest('[role=option]'); return option && +option.id.slice(6); });
  for (const name of ['delta', 'ddelta', 'states', 'growth']) follow($(name), event => inRange(Math.floor(event.offsetX / tokenWidth)));
  $('growth').onclick = event => {            // a cell of this map is a token and a layer
    const layers = run.layers.filter(layer => layer.arrays.nextP), i = Math.floor(event.offsetY / $('growth').clientHeight * layers.length);
    const t = inRange(Math.floor(event.offsetX / tokenWidth));
    if (t !== null) choose({ pin: t, layer: run.layers.indexOf(layers[i] ?? layers.at(-1)) });
  };
  follow($('matrix'), event => {
    if (timer === null) queueMicrotask(() => attentionWords(inRange(Math.floor(event.offsetX / cellWidth))));      // after the row is drawn
    return inRange(Math.floor(event.offsetY / cellWidth));
  });

  const system = matchMedia('(prefers-color-scheme: dark)');
  const dark = () => (document.documentElement.dataset.theme ?? (system.matches ? 'dark' : 'light')) === 'dark';
  const look = () => { $('theme').textContent = dark() ? 'Light colours' : 'Dark colours'; readColours(); draw(); };
  $('theme').onclick = () => { document.documentElement.dataset.theme = dark() ? 'light' : 'dark'; look(); };
  system.onchange = look;
  let width = innerWidth;
  window.onresize = () => { if (innerWidth !== width) { width = innerWidth; draw(); } };
  look();
  $('strip').focus({ preventScroll: true });
}
start();
