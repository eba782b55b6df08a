(() => {
const {compare, decisionText, element, fillBars, find, fromTemplate, percent, picture, setSizes} = Page;
const data = JSON.parse(find('overview').textContent);
const photographs = data.photographs;
const model = data.model;
const FRAMES_PRINTED = 5;
const CLASSES_OPEN = 3;  // of more than these a person opens what is wanted

// ---- The part above the photographs.

function showCounts() {
  const counts = data.counts;
  const facts = [
    [counts.photographs, counts.photographs === 1 ? 'photograph' : 'photographs'],
    [counts.convincing, 'flipped, convincing'], [counts.just_flipped, 'just flipped'],
    [counts.not_flipped, 'not flipped'], [counts.unlike_training, 'unlike the training images'],
    [counts.poor_reconstruction, 'poorly reconstructed'], [counts.cannot_be_seen, 'flipped by a change that cannot be seen'],
    [counts.attributes_moved_median ?? '–', 'attributes moved, median']];
  const labelled = photographs.filter((one) => one.folder_label);
  if (labelled.length > 0) {
    facts.push([labelled.filter((one) => one.folder_label !== one.decided.label).length + ' of ' + labelled.length,
      'decided otherwise than their folder is called']);
  }
  if (counts.failed > 0) facts.push([counts.failed, counts.failed === 1 ? 'file failed' : 'files failed']);
  for (const [value, meaning] of facts) {
    const row = element('div');
    row.append(element('dt', meaning), element('dd', value));
    find('counts').append(row);
  }
  if (counts.not_reached > 0) {
    find('interrupted').hidden = false;
    find('interrupted').textContent = 'Not complete: ' + counts.not_reached +
      ' more files were to be explained. The same command goes on where it stopped.';
  }
  find('what').textContent = counts.photographs + (counts.photographs === 1 ? ' photograph' : ' photographs') +
    ' and the smallest change found that makes the model ' + model.name + '/' + model.version + ' decide otherwise (' +
    model.labels.length + ' classes, ' + model.resolution + ' × ' + model.resolution + ' pixels). Each card says what changes; ' +
    'compare before, the photograph as the generator draws it, with after.';
  find('origin').textContent = 'Model ' + model.name + '/' + model.version + ', ' + model.style_coordinates +
    ' style coordinates, trained on ' + (model.dataset || 'data that it does not name') + ', code ' +
    (model.code_version || 'unknown') + '. Page by ' + data.program + '.';
}

function showMatrix() {
  const of = (key) => model.labels.filter((label) => data.matrix.some((cell) => cell[key] === label));
  const rows = of('from'), columns = of('to');
  const head = element('tr');
  head.append(element('td', 'decided ↓ aimed at →'));
  for (const to of columns) {
    const cell = element('th', to);
    cell.scope = 'col';
    head.append(cell);
  }
  const thead = element('thead'), tbody = element('tbody');
  thead.append(head);
  for (const from of rows) {
    const row = element('tr'), title = element('th', from);
    title.scope = 'row';
    row.append(title);
    for (const to of columns) {
      const cell = data.matrix.find((entry) => entry.from === from && entry.to === to);
      const text = !cell ? '' : cell.flipped + ' of ' + cell.tried +
        (cell.convincing < cell.flipped ? ' (' + cell.convincing + ')' : '');
      row.append(element('td', text, !cell ? '' : cell.flipped > 0 ? 'some' : 'none'));
    }
    tbody.append(row);
  }
  find('matrix').append(thead, tbody);
}

function showLimits() {
  for (const limit of data.limits) find('limits').append(element('li', limit));
  if (data.limits.length === 0) find('limits').append(element('li', 'No figures are recorded in this model.'));
}

function attributeBlock(attribute) {
  const block = element('div', undefined, 'attribute');
  if (attribute.pair) {
    const pair = element('div', undefined, 'pair');
    for (const [key, how] of [['before', 'without'], ['after', 'with']]) {
      const picture = element('img');
      picture.alt = attribute.pair.of + ' ' + how + ' attribute ' + attribute.attribute + ': ' + attribute.words;
      picture.src = attribute.pair[key];
      pair.append(picture);
    }
    block.append(pair);
  }
  const text = element('div');
  text.append(element('b', attribute.words));
  const source = attribute.source === 'without a name' ? '' : '; ' + attribute.source;
  text.append(element('p', 'effect ' + (attribute.mean_effect < 0 ? '−' : '+') +
    Math.abs(attribute.mean_effect).toFixed(2) + ', flips ' + percent(attribute.flip_rate) + ' by itself (attribute ' +
    attribute.attribute + ':' + attribute.to + source + ')', 'small'));
  block.append(text);
  return block;
}

function showClasses() {
  const classes = data.attributes.filter((entry) => entry.attributes.length > 0);
  find('attributes').hidden = classes.length === 0;
  for (const entry of classes) {
    const details = fromTemplate('class-template');
    details.open = classes.length <= CLASSES_OPEN;
    details.querySelector('h3').textContent = 'Towards ' + entry.class;
    details.querySelector('.classes-row').append(...entry.attributes.map(attributeBlock));
    find('classes').append(details);
  }
}

function showFailures() {
  find('failed').hidden = data.failed.length === 0;
  for (const file of data.failed) find('failures').append(element('li', file.path + ': ' + file.error));
}

// ---- A card.

function fillCompare(card, facts, pictures) {
  compare(card, facts.name, {source: pictures.reconstruction, decision: facts.reconstruction},
    {source: pictures.counterfactual, decision: facts.counterfactual});
}

function fillOthers(card, facts, pictures) {
  const others = card.querySelector('.others');
  others.append(picture('Photograph ' + facts.name + ', decided ' + decisionText(facts.decided), pictures.photograph,
    'photograph', decisionText(facts.decided)));
  if (pictures.on_photograph) {
    others.append(picture('Photograph ' + facts.name + ' with the change, decided ' + decisionText(facts.on_photograph),
      pictures.on_photograph, 'the change on the photograph', decisionText(facts.on_photograph)));
  }
  others.append(picture('Where ' + facts.name + ' changes: mean difference ' + facts.change.mean_delta_e.toFixed(1) +
    ', visible in ' + percent(facts.change.visible_share) + ' of the picture', pictures.difference,
    'difference (ΔE, see the scale above)'));
}

function fillWalk(item, facts, move, frames, first) {
  const sourceOf = (frame) => frame.picture || first;
  const last = frames.length - 1;
  const told = (frame) => percent(last > 0 ? frame.shift / (frames[last].shift || 1) : 0) + ' of the change';
  const from = item.querySelector('.from'), shown = item.querySelector('.frame');
  const dial = item.querySelector('input'), output = item.querySelector('output');
  from.src = first;
  from.alt = facts.name + ' without this: ' + move.words;
  dial.max = String(last);
  dial.value = String(last);
  dial.setAttribute('aria-label', move.words + ', ' + facts.name);
  const show = () => {
    const frame = frames[Number(dial.value)];
    shown.src = sourceOf(frame);
    shown.alt = facts.name + ', ' + move.words + ': ' + told(frame);
    output.textContent = facts.target + ' ' + percent(frame.probability) + ' at ' + told(frame);
    dial.setAttribute('aria-valuetext', output.textContent);
  };
  dial.addEventListener('input', show);
  show();
  const strip = item.querySelector('.strip');
  const printed = Math.min(FRAMES_PRINTED, frames.length);
  for (let i = 0; i < printed; ++i) {
    const frame = frames[Math.round(i * last / Math.max(1, printed - 1))];
    const figure = picture(facts.name + ', ' + move.words + ', printed at ' + told(frame), sourceOf(frame), percent(frame.probability));
    strip.append(figure);
  }
}

function fillMoves(card, facts, pictures) {
  card.querySelector('.moved').hidden = facts.moves.length === 0;
  facts.moves.forEach((move, i) => {
    const item = fromTemplate('move-template');
    const name = item.querySelector('.name');
    name.append(move.words);
    const together = facts.moves.length > 1 && i > 0
      ? '; with those above ' + facts.target + ' ' + percent(move.probability) +
        (facts.moved_everywhere_in_steps ? ', changed everywhere' : '')
      : '';
    // Of one without words it already says to which end.
    const far = move.how_far.endsWith('%') ? move.how_far + ' of its range' : move.how_far;
    name.append(element('span', ' ' + far + ', ' + move.source + ' (attribute ' + move.attribute + ':' +
      move.to + ')' + together));
    const frames = (pictures && pictures.frames && pictures.frames[i]) || [];
    if (frames.length > 1) {
      fillWalk(item, facts, move, frames, pictures.reconstruction);
    } else {
      item.querySelector('.walk').remove();
      item.querySelector('.strip').remove();
    }
    card.querySelector('.moves').append(item);
  });
}

function fillWords(card, facts) {
  card.querySelector('.sentence').textContent = facts.sentence;
  card.querySelector('.file').textContent = facts.path +
    (facts.folder_label && facts.folder_label !== facts.decided.label ? ' – its folder says ' + facts.folder_label : '');
  const flags = card.querySelector('.flags');
  flags.append(element('li', facts.outcome, facts.outcome === 'convincing' ? 'good' : 'warn'));
  if (facts.on_photograph && facts.on_photograph.holds && facts.outcome !== 'not flipped') {
    flags.append(element('li', 'holds on the photograph', 'good'));
  }
  for (const flag of facts.flags) flags.append(element('li', flag, 'warn'));
  if (facts.folder_label && facts.folder_label !== facts.decided.label) flags.append(element('li', 'decided wrongly', 'warn'));
  card.querySelector('.fidelity').textContent = facts.quality.sentence;
  card.querySelector('.seen').textContent = 'Change of colour: mean ΔE ' + facts.change.mean_delta_e.toFixed(1) + ', greatest ' +
    facts.change.greatest_delta_e.toFixed(0) + ', visible in ' + percent(facts.change.visible_share) + ' of the picture.';
  for (const note of facts.notes) card.querySelector('.notes').append(element('li', note));
}

// Its pictures stand in an element of their own, which is read when the card is shown.
function makeCard(index) {
  const card = fromTemplate('card-template');
  const facts = photographs[index];
  const stored = find('pictures-' + index);
  const pictures = stored ? JSON.parse(stored.textContent) : null;
  card.setAttribute('aria-label', facts.name);
  fillWords(card, facts);
  fillBars(card, facts.bars);
  fillMoves(card, facts, pictures);
  if (pictures) {
    fillCompare(card, facts, pictures);
    fillOthers(card, facts, pictures);
  }
  return [card, pictures !== null];
}

// ---- Which cards, and in which order.

function fillChoices() {
  const add = (id, values) => {
    for (const value of values) find(id).append(element('option', value));
  };
  const used = (get) => model.labels.filter((label) => photographs.some((facts) => get(facts) === label));
  add('by-decided', used((facts) => facts.decided.label));
  add('by-target', used((facts) => facts.target));
  add('by-flag', [...new Set(photographs.flatMap((facts) => facts.flags))].sort());
  find('label-control').hidden = !photographs.some((facts) => facts.folder_label);
}

function chosen() {
  const value = (id) => find(id).value;
  const name = value('by-name').trim().toLowerCase();
  const flag = value('by-flag'), moves = value('by-moves'), label = value('by-label');
  const keep = (facts) =>
    (!value('by-decided') || facts.decided.label === value('by-decided')) &&
    (!value('by-target') || facts.target === value('by-target')) &&
    (!value('by-outcome') || facts.outcome === value('by-outcome')) &&
    (!flag || (flag === 'none' ? facts.flags.length === 0 : facts.flags.includes(flag))) &&
    (!value('by-quality') || facts.quality.words === value('by-quality')) &&
    (!moves || (moves === '3' ? facts.moves.length >= 3 : facts.moves.length === Number(moves))) &&
    (!label || (facts.folder_label && (facts.folder_label === facts.decided.label) === (label === 'right'))) &&
    (!name || facts.path.toLowerCase().includes(name));
  const worst = (facts) => facts.quality.percentile ?? 100 * (1 - facts.quality.ssim);
  const orders = {
    order: () => 0,
    after: (a, b) => b.probability_after - a.probability_after,
    quality: (a, b) => worst(a) - worst(b),
    moves: (a, b) => a.moves.length - b.moves.length,
    change: (a, b) => a.change.mean_delta_e - b.change.mean_delta_e,
  };
  const order = orders[value('sort')];
  return photographs.map((facts, index) => index).filter((index) => keep(photographs[index]))
    .sort((a, b) => order(photographs[a], photographs[b]) || a - b);
}

let page = 0;
let waiting = false;

function showCards() {
  const indices = chosen();
  const size = Number(find('size').value);
  const pages = Math.max(1, Math.ceil(indices.length / size));
  page = Math.min(page, pages - 1);
  const shown = indices.slice(page * size, (page + 1) * size).map(makeCard);
  find('cards').replaceChildren(...shown.map(([card]) => card));
  find('shown').textContent = indices.length === 0 ? 'No photograph is like that.'
    : 'Showing ' + (page * size + 1) + ' to ' + (page * size + shown.length) + ' of ' + indices.length +
      (indices.length < photographs.length ? ' that are like that, of ' + photographs.length + ' in all.' : '.');
  find('pages').hidden = pages === 1;
  find('page').textContent = 'Page ' + (page + 1) + ' of ' + pages;
  find('previous').disabled = page === 0;
  find('next').disabled = page === pages - 1;
  if (!waiting && shown.some(([, complete]) => !complete) && document.readyState === 'loading') {
    waiting = true;  // the rest of the file is still being read
    document.addEventListener('DOMContentLoaded', showCards, {once: true});
  }
}

function turn(by) {
  page += by;
  showCards();
  find('photographs').scrollIntoView();
  find('photographs').focus({preventScroll: true});
}

function start() {
  showCounts();
  showMatrix();
  showLimits();
  showClasses();
  showFailures();
  fillChoices();
  find('scale').src = data.legend.picture;
  find('legend').textContent = data.legend.text;
  for (const region of document.querySelectorAll('.scroll:not([tabindex])')) {
    region.tabIndex = 0;
    region.setAttribute('role', 'region');
    region.setAttribute('aria-label', region.previousElementSibling ? region.previousElementSibling.textContent : 'Table');
  }
  setSizes(model.resolution);
  window.addEventListener('resize', () => setSizes(model.resolution));
  const again = (event) => {
    if (event.target.id === 'smooth') return;
    page = 0;
    showCards();
  };
  find('controls').addEventListener('input', again);
  find('controls').addEventListener('submit', (event) => event.preventDefault());
  find('smooth').addEventListener('change', () => document.body.classList.toggle('smooth', find('smooth').checked));
  find('previous').addEventListener('click', () => turn(-1));
  find('next').addEventListener('click', () => turn(1));
  showCards();
}

start();
})();
