'use strict';
// What the report and the live page share: small parts of a page, and how they behave.
const Page = (() => {
const find = (id) => document.getElementById(id);

// Never 0 % or 100 % of what is not.
function percent(share) {
  const value = 100 * share;
  if (value > 0 && value < 0.1) return 'under 0.1\u00a0%';
  if (value < 100 && value > 99.9) return 'over 99.9\u00a0%';
  const fine = value > 0 && value < 100 && (value < 1 || value > 99);
  return value.toFixed(fine ? 1 : 0) + '\u00a0%';
}

function element(name, text, className) {
  const made = document.createElement(name);
  if (text !== undefined) made.textContent = text;
  if (className) made.className = className;
  return made;
}

function fromTemplate(id) {
  return find(id).content.firstElementChild.cloneNode(true);
}

function decisionText(decision) {
  return decision.label + ' ' + percent(decision.probability);
}

function picture(of, source, caption, decision) {
  const figure = fromTemplate('picture-template');
  const image = figure.querySelector('img');
  image.alt = of;
  image.src = source;
  const text = figure.querySelector('figcaption');
  text.append(caption);
  if (decision) text.append(element('b', decision));
  return figure;
}

// Before and after in one place, under a slider and a button that shows all of before while it is held. Each has a
// source and a decision; called again for new ones, it changes the pictures alone.
function compare(card, name, was, is) {
  const before = card.querySelector('.before'), after = card.querySelector('.after');
  before.src = was.source;
  before.alt = name + ' before: as the generator draws it, decided ' + decisionText(was.decision);
  after.src = is.source;
  after.alt = name + ' after the change: decided ' + decisionText(is.decision);
  const [left, right] = card.querySelectorAll('.ends span');
  left.textContent = 'before: ' + decisionText(was.decision);
  right.textContent = 'after: ' + decisionText(is.decision);
  const wipe = card.querySelector('.wipe');
  wipe.setAttribute('aria-label', 'How much of ' + name + ' is shown before the change');
  if (!wipe.hasAttribute('aria-valuetext')) hearCompare(card);
}

function hearCompare(card) {
  const after = card.querySelector('.after'), edge = card.querySelector('.edge');
  const wipe = card.querySelector('.wipe'), hold = card.querySelector('.hold');
  const show = () => {
    after.style.clipPath = 'inset(0 0 0 ' + wipe.value + '%)';
    edge.style.left = wipe.value + '%';
    wipe.setAttribute('aria-valuetext', wipe.value + ' % before, the rest after');
  };
  const holding = (held) => {
    after.style.visibility = held ? 'hidden' : '';
    edge.style.visibility = held ? 'hidden' : '';
    hold.setAttribute('aria-pressed', String(held));
  };
  wipe.addEventListener('input', show);
  for (const event of ['pointerup', 'pointercancel', 'pointerleave', 'keyup', 'blur']) {
    hold.addEventListener(event, () => holding(false));
  }
  hold.addEventListener('pointerdown', () => holding(true));
  hold.addEventListener('keydown', (event) => {
    if (event.key === ' ' || event.key === 'Enter') holding(true);
  });
  hold.addEventListener('contextmenu', (event) => event.preventDefault());
  show();
  holding(false);
}

// A row for each bar: label, before and after as shares of 1.
function fillBars(card, bars) {
  const rows = bars.map((bar) => {
    const row = fromTemplate('bar-template');
    row.querySelector('.class').textContent = bar.label;
    row.querySelector('.was').setAttribute('width', String(100 * bar.before));
    row.querySelector('.is').setAttribute('width', String(100 * bar.after));
    row.querySelector('.figures').textContent = percent(bar.before) + ' → ' + percent(bar.after);
    return row;
  });
  card.querySelector('.bars').replaceChildren(...rows);
}

// Pictures are enlarged by whole factors, so that no pixel is wider than another.
function setSizes(resolution) {
  const width = document.documentElement.clientWidth;
  const inner = Math.min(width, 1240) - (width <= 560 ? 46 : 78);
  const side = (target) => resolution <= target ? Math.floor(target / resolution) * resolution
    : resolution / Math.ceil(resolution / target);
  const narrow = width <= 560;
  const set = (name, target) => document.documentElement.style.setProperty(name, side(target) + 'px');
  set('--stage-size', Math.min(320, inner));
  set('--thumb-size', narrow ? Math.min(132, (inner - 10) / 2) : 132);
  set('--walk-size', narrow ? Math.min(132, (inner - 8) / 2) : 132);
}

return {compare, decisionText, element, fillBars, find, fromTemplate, percent, picture, setSizes};
})();
