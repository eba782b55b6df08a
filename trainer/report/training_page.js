'use strict';
(() => {
const find = (id) => document.getElementById(id);
const data = JSON.parse(find('data').textContent);
const runs = data.runs;
const main = runs[0];
const SVG = 'http://www.w3.org/2000/svg';
const HEIGHT = 170, LEFT = 46, RIGHT = 10, TOP = 8, BOTTOM = 24;
const RUN_STYLES = 4;

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function drawn(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, String(value));
  return made;
}

const whole = (value) => Math.round(value).toLocaleString('en-US');
const styleOf = (run) => 'run-' + runs.indexOf(run) % RUN_STYLES;

// Three digits that count; shares in percent.
function told(value, share) {
  if (share) return (100 * value).toFixed(1) + '\u00a0%';
  const size = Math.abs(value);
  if (size !== 0 && (size < 0.001 || size >= 1e6)) return value.toExponential(1);
  return size >= 100 ? whole(value) : value.toPrecision(3);
}

function duration(seconds) {
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 90) return minutes + (minutes === 1 ? ' minute' : ' minutes');
  const hours = seconds / 3600;
  return hours < 48 ? hours.toFixed(1) + ' hours' : (hours / 24).toFixed(1) + ' days';
}

const curveOf = (run, name, check) => run.curves.find((curve) => curve.name === name && curve.check === check);

// ---- Status and alarms.

function fact(list, value, meaning) {
  const row = element('div');
  row.append(element('dt', meaning), element('dd', value));
  list.append(row);
}

function stateBlock(run) {
  const block = element('div', undefined, 'state');
  block.append(element('p', (runs.length > 1 ? run.name + ': ' : '') + run.sentence, 'sentence'));
  if (run.of > 0) {
    const bar = element('div', undefined, 'bar');
    const svg = drawn('svg', {viewBox: '0 0 100 8', preserveAspectRatio: 'none', 'aria-hidden': 'true'});
    svg.append(drawn('rect', {width: 100 * Math.min(1, run.at / run.of), height: 8, class: 'dot ' + styleOf(run)}));
    bar.append(svg);
    block.append(bar);
  }
  const list = element('dl');
  if (run.rate > 0 && run.unit === 'images') fact(list, run.rate.toFixed(run.rate < 10 ? 1 : 0), 'images a second');
  if (run.left > 0) fact(list, duration(run.left), 'left');
  for (const curve of run.curves.filter((one) => one.check && (one.wanted || one.name === 'l1' || one.name === 'accuracy'))) {
    fact(list, told(curve.last, curve.share), curve.label + ', last look');
  }
  if (list.childElementCount > 0) block.append(list);
  return block;
}

function showWritten() {
  const written = new Date(data.written);
  const age = Math.max(0, (Date.now() - written) / 1000);
  let text = 'Written ' + written.toLocaleString('en-GB', {dateStyle: 'medium', timeStyle: 'short'}) +
    (age < 3600 * 24 * 365 ? ', ' + duration(Math.max(60, age)) + ' ago' : '') + '.';
  if (main.state === 'running') {
    const every = main.rate > 0 && main.look_every > 0 ? main.look_every / main.rate : 0;
    text += every > 0 ? ' A new page is due every ' + duration(every) + '; reload to see it.' : ' Reload to see a newer one.';
    if (every > 0 && age > 3 * every + 120) text += ' This one is older than that: the run has stopped, or this is a copy.';
  }
  find('written').textContent = text;
}

function showAlarms() {
  let count = 0;
  for (const run of runs) {
    for (const alarm of run.alarms) {
      const block = element('p', undefined, 'alarm');
      block.append(element('b', (runs.length > 1 ? run.name + ': ' : '') + alarm.words), element('span', alarm.advice));
      find('alarms').append(block);
      ++count;
    }
  }
  if (count === 0) {
    const judged = main.curves.some((curve) => curve.check);
    find('alarms').append(element('p', judged ? 'None: nothing in the figures asks for attention.'
      : 'None yet: the run has not been looked at.', 'calm'));
  }
}

// ---- Pictures over time.

let moment = 0;

// The newest look of a run that is not after the moment, or its first.
function lookAt(run) {
  const before = run.looks.filter((look) => look.at <= moment);
  return before.length > 0 ? before[before.length - 1] : run.looks[0];
}

function decisionCaption(caption, decision, expected) {
  if (!decision) return;
  caption.append(element('b', decision.label + ' ' + told(decision.probability, true),
    expected !== undefined && decision.label !== expected ? 'otherwise' : ''));
}

function tile(source, alt, title, decision, expected) {
  const figure = element('figure');
  const image = element('img');
  image.src = source;
  image.alt = alt;
  const caption = element('figcaption', title);
  decisionCaption(caption, decision, expected);
  figure.append(image, caption);
  return figure;
}

function photographBlock(run, look, i) {
  const known = look.facts && look.facts[i];
  const name = known ? known.name : 'Photograph ' + (i + 1);
  const when = ' after ' + whole(look.at) + ' images, ' + run.name;
  const block = element('div', undefined, 'photograph');
  block.append(element('p', name, 'name'));
  const tiles = element('div', undefined, 'tiles');
  tiles.append(
    tile(run.photographs[i], name + ', the photograph, ' + run.name, 'photograph', known && known.photograph),
    tile(look.reconstructions[i], name + ', reconstruction' + when, 'reconstruction', known && known.reconstruction,
      known && known.photograph.label),
    tile(look.runners_up[i], name + ', drawn as its runner-up' + when,
      known ? 'as ' + known.runner_up : 'runner-up', known && known.drawn_otherwise, known && known.runner_up));
  block.append(tiles);
  return block;
}

function stripOf(run) {
  const strip = element('div', undefined, 'strip');
  const look = lookAt(run);
  if (runs.length > 1) strip.append(element('h3', run.name + (look ? ', after ' + whole(look.at) + ' images' : '')));
  if (!look) {
    strip.append(element('p', run.kind === 'classifier' ? 'A classifier draws nothing.' : 'No look yet.', 'small'));
    return strip;
  }
  const row = element('div', undefined, look.samples ? 'photographs samples' : 'photographs');
  if (look.samples) {
    look.samples.forEach((source, i) => row.append(tile(source, 'Sample ' + (i + 1) + ' after ' + whole(look.at) +
      ' images, ' + run.name, '')));
  } else {
    look.reconstructions.forEach((_, i) => row.append(photographBlock(run, look, i)));
  }
  strip.append(row);
  return strip;
}

function showMoment() {
  const looks = main.looks;
  if (looks.length > 0) {
    const look = looks[Number(find('time').value)];
    moment = look.at;
    find('moment').textContent = whole(look.at) + ' images';
    find('time').setAttribute('aria-valuetext', find('moment').textContent);
  }
  find('strips').replaceChildren(...runs.map(stripOf));
  for (const show of atMoment) show();
}

function startSlider() {
  const slider = find('time');
  find('over-time').hidden = main.looks.length === 0;
  slider.max = String(Math.max(0, main.looks.length - 1));
  slider.value = slider.max;
  slider.addEventListener('input', showMoment);
  find('looks-note').textContent = main.looks.length === 1 ? 'One look so far.' : main.looks.length +
    (main.looks_in_all > main.looks.length ? ' of ' + main.looks_in_all + ' looks' : ' looks') + '; arrow keys go from one to the next.';
  if (runs.some((run) => run.looks.length > 0 && run.heeds === false)) {
    find('looks-note').textContent += ' Where a generator heeds no class condition, the third picture is the second again.';
  }
  if (main.looks.length > 0 && main.looks[0].samples) {
    find('pictures-title').textContent = 'Pictures of the same random z over time';
  }
}

function showWorst() {
  for (const run of runs.filter((one) => one.worst)) {
    find('worst').hidden = false;
    const worst = run.worst;
    if (runs.length > 1) find('worst-rows').append(element('h3', run.name));
    const row = element('div', undefined, 'photographs pairs');
    worst.facts.forEach((known, i) => {
      const block = element('div', undefined, 'photograph');
      block.append(element('p', known.name + ', L1 ' + told(known.l1), 'name'));
      const tiles = element('div', undefined, 'tiles');
      tiles.append(tile(worst.photographs[i], known.name + ', photograph, ' + run.name + ', badly reconstructed', 'photograph', known.photograph),
        tile(worst.reconstructions[i], known.name + ', its bad reconstruction, ' + run.name, 'reconstruction', known.reconstruction,
          known.photograph.label));
      block.append(tiles);
      row.append(block);
    });
    find('worst-rows').append(row);
  }
}

// Pictures are enlarged by whole factors, so that no pixel is wider than another.
function setTile() {
  const image = document.querySelector('#strips img');
  const side = main.resolution || (image && image.naturalWidth) || 64;
  const width = document.documentElement.clientWidth;
  const narrow = width <= 560;
  const most = narrow ? Math.floor((width - 46 - 8) / 3) : 132;
  const factor = side <= most ? Math.floor(most / side) * side : side / Math.ceil(side / most);
  document.documentElement.style.setProperty('--tile', factor + 'px');
}

// ---- Curves.

const atMoment = [];

// Up to five round numbers within [from, to].
function ticks(from, to) {
  const raw = (to - from) / 4;
  const power = Math.pow(10, Math.floor(Math.log10(raw)));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= raw);
  const made = [];
  for (let value = Math.ceil(from / step) * step; value <= to + step * 1e-9; value += step) made.push(value);
  return made;
}

// The range of what is drawn. Single extreme values of early steps would flatten the rest: of the veil only what is near
// the means is shown.
function rangeOf(curves) {
  const means = curves.flatMap((curve) => curve.points.map((point) => point[1]));
  let low = Math.min(...means), high = Math.max(...means);
  const sorted = [...means].sort((a, b) => a - b);
  const most = sorted[Math.floor(0.98 * (sorted.length - 1))], least = sorted[Math.ceil(0.02 * (sorted.length - 1))];
  if (means.length > 40) {
    const room = Math.max(most - least, 1e-12);
    high = Math.min(high, most + room);
    low = Math.max(low, least - room);
  }
  if (curves[0].share) {
    high = 1;
    low = Math.min(low, curves[0].wanted ? curves[0].wanted.from : low) - 0.02;
    return [Math.max(0, low), high];
  }
  if (curves[0].wanted && curves[0].wanted.to !== null) high = Math.max(high, curves[0].wanted.to * 1.15);
  if (low >= 0 && low < 0.6 * high) low = 0;
  const margin = 0.05 * (high - low) || Math.abs(high) * 0.1 || 1;
  return [low === 0 ? 0 : low - margin, high + margin];
}

function wantedText(curve) {
  const wanted = curve.wanted;
  if (!wanted) return '';
  return curve.share || wanted.to === null ? 'at least ' + round(wanted.from, curve.share) : 'at most ' + round(wanted.to, curve.share);
}

// Without the zeros that say how fine a figure is.
function round(value, share) {
  return share ? told(value, true) : String(Number(value.toPrecision(3)));
}

const meets = (curve, value) => (curve.wanted.from === null || value >= curve.wanted.from) &&
  (curve.wanted.to === null || value <= curve.wanted.to);

function altOf(name, of) {
  return name + ': ' + of.map(({run, curve}) => (runs.length > 1 ? run.name + ' ' : '') + 'from ' +
    told(curve.points[0][1], curve.share) + ' to ' + told(curve.last, curve.share)).join('; ') +
    (of[0].curve.wanted ? '; wanted ' + wantedText(of[0].curve) : '');
}

function drawChart(svg, of, last) {
  const width = Math.max(200, svg.getBoundingClientRect().width || 340);
  const [low, high] = rangeOf(of.map(({curve}) => curve));
  const x = (at) => LEFT + (width - LEFT - RIGHT) * (last > 0 ? at / last : 0);
  const clamp = (value) => Math.min(high, Math.max(low, value));
  const y = (value) => TOP + (HEIGHT - TOP - BOTTOM) * (1 - (clamp(value) - low) / (high - low));
  svg.replaceChildren();
  svg.setAttribute('viewBox', '0 0 ' + width + ' ' + HEIGHT);
  const wanted = of[0].curve.wanted;
  if (wanted) {
    const top = y(wanted.to === null ? high : wanted.to), bottom = y(wanted.from === null ? low : wanted.from);
    svg.append(drawn('rect', {x: LEFT, width: width - LEFT - RIGHT, y: top, height: Math.max(1, bottom - top), class: 'wanted'}));
  }
  for (const value of ticks(low, high)) {
    svg.append(drawn('line', {x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value), class: 'grid'}));
    const text = drawn('text', {x: LEFT - 6, y: y(value) + 4, 'text-anchor': 'end'});
    text.textContent = of[0].curve.share ? Math.round(100 * value) + '%' : String(Number(value.toPrecision(3)));
    svg.append(text);
  }
  for (const at of ticks(0, last)) {
    const text = drawn('text', {x: x(at), y: HEIGHT - 6, 'text-anchor': at === 0 ? 'start' : at > 0.95 * last ? 'end' : 'middle'});
    text.textContent = at >= 1000 ? at / 1000 + 'k' : String(at);
    svg.append(text);
  }
  for (const {run, curve} of of) {
    const points = curve.points;
    if (points.some((point) => point[2] !== point[3])) {
      const upper = points.map((point) => x(point[0]) + ' ' + y(point[3]));
      const lower = points.map((point) => x(point[0]) + ' ' + y(point[2])).reverse();
      svg.append(drawn('path', {d: 'M' + upper.concat(lower).join('L') + 'Z', class: 'veil ' + styleOf(run)}));
    }
    svg.append(drawn('path', {d: 'M' + points.map((point) => x(point[0]) + ' ' + y(point[1])).join('L'), class: 'line ' + styleOf(run)}));
    if (points.length <= 40) {
      for (const point of points) svg.append(drawn('circle', {cx: x(point[0]), cy: y(point[1]), r: 3, class: 'dot ' + styleOf(run)}));
    }
  }
  if (main.looks.length > 0) svg.append(drawn('line', {x1: x(moment), x2: x(moment), y1: TOP, y2: HEIGHT - BOTTOM, class: 'here'}));
}

// The point that is nearest to the moment.
function valueAt(curve) {
  return curve.points.reduce((best, point) => Math.abs(point[0] - moment) < Math.abs(best[0] - moment) ? point : best);
}

function chartOf(name, check, last) {
  const of = runs.map((run) => ({run, curve: curveOf(run, name, check)})).filter(({curve}) => curve);
  const chart = element('div', undefined, 'chart');
  const title = element('h3', of[0].curve.label + ' ');
  const now = element('span', '', 'now');
  title.append(now);
  const svg = drawn('svg', {role: 'img', 'aria-label': altOf(of[0].curve.label, of)});
  chart.append(title, svg);
  const meaning = of[0].curve.meaning + (of[0].curve.wanted ? ' Wanted: ' + wantedText(of[0].curve) + ' (' + of[0].curve.wanted.source + ').' : '');
  if (meaning) chart.append(element('p', meaning, 'small'));
  atMoment.push(() => {
    drawChart(svg, of, last);
    now.textContent = of.map(({curve}) => told(main.looks.length > 0 ? valueAt(curve)[1] : curve.last, curve.share)).join(' | ');
  });
  return chart;
}

function showCharts(id, check) {
  const names = [...new Set(runs.flatMap((run) => run.curves.filter((curve) => curve.check === check).map((curve) => curve.name)))];
  const last = Math.max(...runs.map((run) => run.at), 1);
  find(id).append(...names.map((name) => chartOf(name, check, last)));
  if (names.length === 0) find(id).append(element('p', check ? 'No look at held-out photographs yet.' : 'No step in the log yet.', 'small'));
  return names;
}

function showTable(names) {
  const head = element('tr');
  head.append(element('td', ''), element('td', 'wanted'));
  for (const run of runs) {
    const cell = element('th', runs.length > 1 ? '' : 'last look');
    cell.scope = 'col';
    if (runs.length > 1) {
      const key = drawn('svg', {viewBox: '0 0 34 10', class: 'key', 'aria-hidden': 'true'});
      key.append(drawn('path', {d: 'M0 5L34 5', class: 'line ' + styleOf(run)}));
      cell.append(key, run.name);
    }
    head.append(cell);
  }
  const body = element('tbody');
  for (const name of names) {
    const curves = runs.map((run) => curveOf(run, name, true));
    const first = curves.find((curve) => curve);
    const row = element('tr');
    const title = element('th', first.label);
    title.scope = 'row';
    row.append(title, element('td', wantedText(first) || '–'));
    for (const curve of curves) {
      const judged = curve && curve.wanted ? (meets(curve, curve.last) ? 'met' : 'missed') : '';
      row.append(element('td', curve ? told(curve.last, curve.share) : '–', judged));
    }
    body.append(row);
  }
  const thead = element('thead');
  thead.append(head);
  find('table').append(thead, body);
}

function showLog() {
  for (const run of runs) {
    if (runs.length > 1) find('log').append(element('h3', run.name));
    for (const [kind, lines] of [['warnings', [...run.warnings, ...run.unreadable]], ['notes', run.notes]]) {
      if (lines.length === 0) continue;
      const list = element('ul', undefined, 'log-list ' + kind);
      list.append(...lines.slice(-20).map((line) => element('li', line)));
      if (lines.length > 20) list.prepend(element('li', (lines.length - 20) + ' earlier ones stand in log.jsonl.'));
      find('log').append(list);
    }
    if (run.warnings.length + run.unreadable.length + run.notes.length === 0) find('log').append(element('p', 'None.', 'small'));
  }
}

function start() {
  document.title = main.name + ', a training of StylEx';
  find('title').textContent = runs.map((run) => run.name).join(' beside ');
  find('what').textContent = [main.description, main.resolution ? main.resolution + ' × ' + main.resolution + ' pixels' : '',
    {stylex: 'generator and encoder around a classifier', stylegan2: 'a plain StyleGAN2', classifier: 'a classifier'}[main.kind] || main.kind]
    .filter((text) => text).join('; ') + '.';
  find('tensorboard').textContent = 'tensorboard --logdir ' + main.name + '/tensorboard';
  find('states').append(...runs.map(stateBlock));
  showWritten();
  showAlarms();
  startSlider();
  showWorst();
  showTable(showCharts('checks', true));
  showCharts('losses', false);
  showLog();
  const fit = () => {
    setTile();
    for (const show of atMoment) show();
  };
  showMoment();
  fit();
  window.addEventListener('resize', fit);
}

start();
})();
