(() => {
const {compare, decisionText, element, fillBars, find, fromTemplate, percent, picture, setSizes} = Page;
const settings = document.body.dataset;
const CHOICES_SHOWN = 12;  // further classes are in a list to choose from
const BARS_SHOWN = 5;
const SLIDERS_MORE = 8;
const ATTRIBUTES_SHOWN = 8;
const CLASSES_OPEN = 3;
const PINNED = 2;
// As in the report: colours of the map at equal steps of difference, and the difference of the last.
const MAP_COLORS = [[20, 22, 40], [84, 44, 128], [190, 58, 106], [244, 130, 64], [254, 236, 150]];
const BRIGHTEST = 30, JUST_SEEN = 2.3, FAINT_MEAN = 2, HARDLY_ANY = 0.005;

let token = '';       // in memory only
let asking = null;    // for a token, which several calls may wait for
let model = null;     // as GetModel describes it; none while another is asked for
let choosing = null;  // what ends that call
let chosen = Promise.resolve();  // its end
let photo = null;     // {name, data, shown, prediction, encoded, controller}
let answer = null;    // to the last "why not ...?": {photo, request, response, sliders, before, now}
let pins = [];

// ---- Asking the server.

class Refused extends Error {}

function askForToken(why) {
  if (asking) return asking;
  const dialog = find('token-dialog'), form = find('token-form'), input = find('token');
  find('token-why').textContent = why;
  input.value = '';
  asking = new Promise((resolve, reject) => {
    form.onsubmit = (event) => {
      event.preventDefault();
      const given = input.value.trim();
      if (!/^[\x20-\x7e]+$/.test(given)) {  // fetch would fail at every call, as if there were no server
        find('token-why').textContent = 'A token has ASCII characters only.';
        return;
      }
      token = given;
      input.value = '';
      dialog.close('given');
    };
    find('token-cancel').onclick = () => dialog.close('');
    dialog.onclose = () => {
      asking = null;
      if (dialog.returnValue === 'given') resolve();
      else reject(new Refused('Without a token the server does not answer.'));
    };
    dialog.returnValue = '';
    dialog.showModal();
  });
  return asking;
}

async function call(path, body, signal) {
  for (;;) {
    const headers = {};
    if (body) headers['Content-Type'] = 'application/json';
    if (token) headers.Authorization = 'Bearer ' + token;
    const used = token;
    let response;
    try {
      response = await fetch(path, {method: body ? 'POST' : 'GET', body: body && JSON.stringify(body), headers, signal,
        credentials: 'omit', cache: 'no-store', redirect: 'error'});
    } catch (error) {
      if (error.name === 'AbortError') throw error;
      throw new Refused('The server cannot be reached.');
    }
    const told = await response.json().catch((error) => {
      if (error.name === 'AbortError') throw error;
      if (response.ok) throw new Refused('The answer broke off.');
      return {};
    });
    if (response.ok) return told;
    if (response.status !== 401) throw new Refused(told.message || 'The server answered with code ' + response.status + '.');
    if (used === token) await askForToken(used ? 'The server does not know that token.' : '');
  }
}

function nameOfModel() {
  return model.summary.name + '/' + model.summary.version;
}

function ask(verb, body, signal) {
  return call('/v1/models/' + nameOfModel().split('/').map(encodeURIComponent).join('/') + ':' + verb, body, signal);
}

// ---- What is said.

function say(text) {
  find('status').textContent = text;
}

function complain(text) {
  say('');
  find('problem').textContent = text;
}

// Runs what a person asked for; says in words what went wrong.
async function attempt(what, work) {
  find('problem').textContent = '';
  try {
    await work();
  } catch (error) {
    if (error.name === 'AbortError') return;
    complain((what ? what + ': ' : '') + error.message);
    // A fault of this page is for its console, not for who waits for the end of this work.
    if (!(error instanceof Refused)) setTimeout(() => { throw error; });
  }
}

function megabytes(bytes) {
  return (bytes / 1048576).toFixed(bytes < 10485760 ? 1 : 0).replace(/\.0$/, '') + '\u00a0MB';
}

function pngSource(image) {
  return 'data:image/png;base64,' + image.data;
}

function decisionOf(prediction) {
  return {label: prediction.label, probability: probabilityOf(prediction, prediction.classId || 0)};
}

function probabilityOf(prediction, classId) {
  return (prediction.probabilities || [])[classId] || 0;
}

function toOf(attribute) {
  return attribute.direction === 'DIRECTION_TO_MIN' ? 'min' : 'max';
}

function wordsOf(attribute) {
  return attribute.name || attribute.description ||
    'attribute ' + (attribute.index || 0) + ' moves to its ' + (toOf(attribute) === 'min' ? 'smallest' : 'greatest');
}

function sourceOf(attribute) {
  return attribute.name ? 'named by a person' : attribute.description ? 'measured on held-out pictures' : 'without a name';
}

function fidelityOf(quality) {
  if (quality.unlikeTraining || !quality.sameClass) return 'poor';
  const known = quality.percentile !== undefined;
  const good = known ? quality.percentile <= 50 : quality.ssim >= 0.8;
  const fair = known ? quality.percentile <= 90 : quality.ssim >= 0.5;
  return good ? 'good' : fair ? 'fair' : 'poor';
}

// ---- Colours.

function labOf(red, green, blue) {
  const linear = (value) => value <= 10.31475 ? value / 3294.6 : ((value / 255 + 0.055) / 1.055) ** 2.4;
  const [r, g, b] = [linear(red), linear(green), linear(blue)];
  const bent = (value) => value > 216 / 24389 ? Math.cbrt(value) : (24389 / 27 * value + 16) / 116;
  const x = bent((0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047);
  const y = bent(0.2126729 * r + 0.7151522 * g + 0.0721750 * b);
  const z = bent((0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883);
  return [116 * y - 16, 500 * (x - y), 200 * (y - z)];
}

function mapColor(difference) {
  const place = Math.min(difference / BRIGHTEST, 1) * (MAP_COLORS.length - 1);
  const lower = Math.min(Math.floor(place), MAP_COLORS.length - 2);
  return MAP_COLORS[lower].map((value, i) => Math.round(value + (MAP_COLORS[lower + 1][i] - value) * (place - lower)));
}

async function pixelsOf(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = element('canvas');
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  const context = canvas.getContext('2d', {willReadFrequently: true});
  context.drawImage(image, 0, 0);
  return context.getImageData(0, 0, canvas.width, canvas.height);
}

// Draws where two pictures of one size differ; returns by how much.
function drawMap(before, after) {
  const map = find('map');
  map.width = after.width;
  map.height = after.height;
  const drawn = new ImageData(after.width, after.height);
  const change = {mean: 0, greatest: 0, visible: 0};
  for (let i = 0; i < drawn.data.length; i += 4) {
    const from = labOf(...before.data.subarray(i, i + 3)), to = labOf(...after.data.subarray(i, i + 3));
    const difference = Math.hypot(from[0] - to[0], from[1] - to[1], from[2] - to[2]);
    change.mean += difference;
    change.greatest = Math.max(change.greatest, difference);
    if (difference >= JUST_SEEN) ++change.visible;
    drawn.data.set([...mapColor(difference), 255], i);
  }
  map.getContext('2d').putImageData(drawn, 0, 0);
  const pixels = after.width * after.height;
  change.mean /= pixels;
  change.visible /= pixels;
  return change;
}

function drawScale() {
  const scale = find('scale');
  scale.width = 120;
  scale.height = 1;
  const drawn = new ImageData(scale.width, 1);
  for (let x = 0; x < scale.width; ++x) drawn.data.set([...mapColor(BRIGHTEST * x / (scale.width - 1)), 255], 4 * x);
  scale.getContext('2d').putImageData(drawn, 0, 0);
  find('scale-text').textContent = '0, dark, to ' + BRIGHTEST + ' and more; about 2 is just visible';
}

// ---- The photograph.

function readBase64(file) {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.onload = () => resolve(reader.result.slice(reader.result.indexOf(',') + 1));
    reader.onerror = () => reject(new Refused('the browser cannot read it'));
    reader.readAsDataURL(file);
  });
}

// The middle square that the model sees, upright and not too large, as a browser can show it and a report can hold it.
async function squareOf(file, crop) {
  const bitmap = await createImageBitmap(file);
  const whole = Math.min(bitmap.width, bitmap.height), side = crop > 0 && crop <= whole ? crop : whole;
  const canvas = element('canvas');
  canvas.width = canvas.height = Math.min(side, 512);
  canvas.getContext('2d').drawImage(bitmap, (bitmap.width - side) / 2, (bitmap.height - side) / 2, side, side, 0, 0,
    canvas.width, canvas.height);
  bitmap.close();
  return canvas.toDataURL('image/png');
}

async function take(file) {
  if (photo) photo.controller.abort();
  photo = null;
  answer = null;
  find('decision').hidden = find('answer').hidden = true;
  await attempt(file.name || 'The picture', async () => {
    for (let seen; seen !== chosen;) await (seen = chosen);  // another may be chosen meanwhile
    if (!model) throw new Refused('no model is ready');
    if (file.size > Number(settings.most)) {
      throw new Refused('it has ' + megabytes(file.size) + '; this server takes at most ' + megabytes(Number(settings.most)));
    }
    const mine = photo = {name: file.name || 'pasted picture', controller: new AbortController()};
    const {cropPixels = 0} = model.preprocessing || {};
    say('Asking the classifier …');
    mine.data = await readBase64(file);
    if (photo !== mine) return;
    const signal = mine.controller.signal;
    const classified = await ask('classify', {image: {data: mine.data}}, signal);
    mine.prediction = classified.prediction;
    mine.shown = await squareOf(file, cropPixels).catch(() => '');
    if (photo !== mine) return;
    encode(mine);
    showDecision();
    say('');
  });
}

// For the sliders: what is encoded once need not be sent again. What failed is asked for again when it is wanted.
function encode(mine) {
  mine.encoded = ask('encode', {image: {data: mine.data}}, mine.controller.signal);
  mine.encoded.catch(() => { mine.encoded = null; });
  return mine.encoded;
}

function showDecision() {
  const decided = decisionOf(photo.prediction);
  find('photograph').src = photo.shown;
  find('photograph').alt = 'Photograph ' + photo.name + ', decided ' + decisionText(decided);
  find('file-name').textContent = photo.name;
  find('decided').textContent = 'Decided ' + decisionText(decided) + '.';
  const labels = model.summary.labels;
  const order = labels.map((label, k) => k).sort((a, b) =>
    probabilityOf(photo.prediction, b) - probabilityOf(photo.prediction, a) || a - b);
  find('choices').replaceChildren(...order.slice(0, CHOICES_SHOWN).map((k) => {
    const row = fromTemplate('choice-template'), probability = probabilityOf(photo.prediction, k);
    row.querySelector('.class').textContent = labels[k];
    row.querySelector('.is').setAttribute('width', String(100 * probability));
    const figures = row.querySelector('.figures'), button = row.querySelector('button');
    figures.textContent = percent(probability);
    figures.classList.toggle('wide', figures.textContent.length > 7);
    button.textContent = 'Why not ' + labels[k] + '?';
    button.setAttribute('aria-pressed', 'false');
    button.dataset.label = labels[k];
    button.addEventListener('click', () => whyNot(labels[k]));
    if (labels[k] === decided.label) button.replaceWith(element('b', 'the decision'));
    return row;
  }));
  find('other').hidden = labels.length <= CHOICES_SHOWN;
  find('other-class').replaceChildren(...order.slice(CHOICES_SHOWN).map((k) => element('option', labels[k])));
  find('decision').hidden = false;
}

// ---- The answer.

async function whyNot(label) {
  const mine = photo;
  if (mine.search) mine.search.abort();
  const search = mine.search = new AbortController();
  mine.controller.signal.addEventListener('abort', () => search.abort());
  for (const button of find('choices').querySelectorAll('button')) {
    button.setAttribute('aria-pressed', String(button.dataset.label === label));
  }
  document.body.classList.add('busy');
  await attempt(mine.name, async () => {
    say('Searching for the smallest change towards ' + label + ' …');
    const request = {targetClass: {label}, local: true, includeOnPhotograph: true};
    const response = await ask('counterfactual', {image: {data: mine.data}, ...request}, search.signal);
    const encoded = await (mine.encoded || encode(mine));
    const before = {source: pngSource(response.reconstruction), decision: decisionOf(response.reconstructionPrediction)};
    const pixels = await pixelsOf(before.source);
    if (search.signal.aborted) return;
    answer = {photo: mine, request, response, styles: encoded.styles, before, pixels, drawn: 0, asked: 0};
    await showAnswer();
    say('');
  });
  if (mine.search === search) document.body.classList.remove('busy');
}

function changesOf(response) {
  return (response.applied || []).map((applied) => wordsOf(applied.attribute));
}

function sentenceOf(response) {
  const target = response.targetClassId || 0, what = response.targetLabel;
  const decided = response.originalPrediction.label, drawn = response.reconstructionPrediction.label;
  const start = 'Decided ' + decided + (decided === drawn ? '.' : ' (its reconstruction: ' + drawn + ').');
  const change = percent(probabilityOf(response.reconstructionPrediction, target)) + ' → ' +
    percent(probabilityOf(response.counterfactualPrediction, target));
  if (!response.flipped) {
    return start + ' It does not become ' + what + ': ' + (response.reason || '').replace(/[. ]+$/, '') + ' (' + change + ').';
  }
  return start + ' It becomes ' + what + ' by this: ' + [...new Set(changesOf(response))].join('; ') + ' (' + change +
    (response.convincing ? ').' : '), which does not convince.');
}

function showFlags(change) {
  const response = answer.response, quality = response.quality || {};
  const flags = [[response.convincing ? 'convincing' : response.flipped ? 'just flipped' : 'not flipped', response.convincing]];
  if (response.flipped && response.onPhotograph) {
    flags.push(response.holdsOnPhotograph ? ['holds on the photograph', true] : ['does not hold on the photograph', false]);
  }
  if (response.flipped && change.mean < FAINT_MEAN && change.visible < HARDLY_ANY) flags.push(['cannot be seen', false]);
  if (quality.unlikeTraining) flags.push(['unlike training', false]);
  if (!quality.sameClass) flags.push(['reconstruction decided otherwise', false]);
  else if (fidelityOf(quality) === 'poor') flags.push(['poor reconstruction', false]);
  find('flags').replaceChildren(...flags.map(([text, good]) => element('li', text, good ? 'good' : 'warn')));
}

function showNotes() {
  const response = answer.response, quality = response.quality || {}, notes = [];
  if (!quality.sameClass) {
    notes.push('The reconstruction is decided otherwise than the photograph: this explains the reconstruction.');
  }
  if (quality.unlikeTraining) {
    notes.push('It is reconstructed worse than 99 % of the held-out images: probably unlike anything that the model was trained ' +
      'on. Do not trust this explanation.');
  }
  if (response.flipped && !response.convincing && response.reason) notes.push('Flipped, but not convincing: ' + response.reason);
  find('notes').replaceChildren(...notes.map((note) => element('li', note)));
  find('fidelity').textContent = 'Reconstruction: ' + fidelityOf(quality) +
    (quality.percentile === undefined ? '' : ', worse than ' + quality.percentile.toFixed(0) + ' % of the held-out images') +
    '; structural similarity ' + (quality.ssim || 0).toFixed(2) + '.';
}

function showOnPhotograph() {
  const old = find('on-photograph');
  if (old) old.remove();
  const response = answer.response;
  if (!response.flipped || !response.holdsOnPhotograph) return;
  const decision = decisionText(decisionOf(response.onPhotographPrediction));
  const figure = picture('Photograph ' + answer.photo.name + ' with the change, decided ' + decision,
    pngSource(response.onPhotograph), 'the change on the photograph', decision);
  figure.id = 'on-photograph';
  find('others').prepend(figure);
}

async function showAnswer() {
  const mine = answer, response = mine.response;
  find('sentence').textContent = sentenceOf(response);
  showOnPhotograph();
  showNotes();
  makeSliders();
  find('code').hidden = true;
  find('answer').hidden = false;
  const change = await show(pngSource(response.counterfactual), response.counterfactualPrediction);
  if (answer === mine) showFlags(change);
}

// Puts a drawn picture into the place of "after".
async function show(source, prediction) {
  const mine = answer;
  mine.now = {source, prediction};
  const after = await pixelsOf(source);
  if (answer !== mine || mine.now.source !== source) return {};
  compare(find('answer'), mine.photo.name, mine.before, {source, decision: decisionOf(prediction)});
  showBars(prediction);
  const change = drawMap(mine.pixels, after);
  find('map').setAttribute('aria-label', 'Where ' + mine.photo.name + ' changes: mean difference ' + change.mean.toFixed(1) +
    ', visible in ' + percent(change.visible) + ' of the picture');
  find('seen').textContent = 'Change of colour: mean ΔE ' + change.mean.toFixed(1) + ', greatest ' + change.greatest.toFixed(0) +
    ', visible in ' + percent(change.visible) + ' of the picture.';
  const target = mine.response.targetClassId || 0;
  find('now').textContent = 'Now decided ' + decisionText(decisionOf(prediction)) + ((prediction.classId || 0) === target ? '.'
    : '; ' + mine.response.targetLabel + ' ' + percent(probabilityOf(prediction, target)) + '.');
  return change;
}

function showBars(prediction) {
  const before = answer.response.reconstructionPrediction, target = answer.response.targetClassId || 0;
  const weight = (k) => Math.max(probabilityOf(before, k), probabilityOf(answer.response.counterfactualPrediction, k));
  const order = model.summary.labels.map((label, k) => k).sort((a, b) =>
    (b === target) - (a === target) || weight(b) - weight(a) || a - b).slice(0, BARS_SHOWN);
  order.sort((a, b) => weight(b) - weight(a) || a - b);
  fillBars(find('answer'), order.map((k) => ({label: model.summary.labels[k], before: probabilityOf(before, k),
    after: probabilityOf(prediction, k)})));
}

// ---- Sliders, which ask the server while they move.

function attributesOf(classId) {
  const classes = (model.attributes && model.attributes.classes) || [];
  const found = classes.find((entry) => (entry.classId || 0) === classId);
  return (found && found.attributes) || [];
}

function makeSlider(attribute, shift, effect) {
  const row = fromTemplate('slider-template');
  const input = row.querySelector('input'), label = row.querySelector('label'), output = row.querySelector('output');
  input.id = 'slide-' + (attribute.index || 0) + '-' + toOf(attribute);
  input.max = String(Math.max(1.5, Math.ceil(2 * shift) / 2));
  input.step = '0.05';
  label.htmlFor = input.id;
  label.textContent = wordsOf(attribute);
  row.querySelector('p').textContent = sourceOf(attribute) + ' (attribute ' + (attribute.index || 0) + ':' + toOf(attribute) + ')' + effect;
  const slider = {attribute, input, answer: shift, exact: shift};
  // The answer's own shift lies between two steps, mostly.
  slider.tell = () => {
    output.textContent = percent(slider.exact) + ' of its range';
    input.setAttribute('aria-valuetext', output.textContent);
  };
  slider.set = (value) => {
    input.value = String(value);
    slider.exact = value;
    slider.tell();
  };
  input.addEventListener('input', () => {
    slider.exact = Number(input.value);
    slider.tell();
    redraw();
  });
  slider.set(shift);
  return [row, slider];
}

function makeSliders() {
  const applied = answer.response.applied || [];
  const made = applied.map((one) => makeSlider(one.attribute, one.shift || 0,
    '; the answer moves it by ' + percent(one.shift || 0)));
  const used = new Set(applied.map((one) => one.attribute.index || 0)), others = [];
  for (const attribute of attributesOf(answer.response.targetClassId || 0)) {
    if (used.has(attribute.index || 0) || others.length === SLIDERS_MORE) continue;
    used.add(attribute.index || 0);
    others.push(makeSlider(attribute, 0, ''));
  }
  find('sliders').replaceChildren(...made.map(([row]) => row));
  find('more-sliders').replaceChildren(...others.map(([row]) => row));
  find('more').hidden = others.length === 0;
  find('more').open = made.length === 0;
  answer.sliders = [...made, ...others].map(([, slider]) => slider);
}

function editsOf(sliders) {
  return sliders.filter((slider) => slider.exact !== 0).map((slider) => (
    {index: slider.attribute.index || 0, shift: slider.exact, direction: slider.attribute.direction}));
}

// One picture is asked for at a time, and then the newest that is wanted: while a slider is drawn along, pictures follow it. To
// give each up for the next would show none until it rests.
async function redraw() {
  const mine = answer;
  ++mine.asked;
  if (mine.drawing) return;
  mine.drawing = true;
  await attempt('', async () => {
    while (answer === mine && mine.drawn < mine.asked) {
      const number = mine.asked;
      const drawn = await ask('reconstruct', {styles: mine.styles, edits: editsOf(mine.sliders),
        local: Boolean(mine.response.localApplied)}, mine.photo.controller.signal);
      if (number < mine.drawn) continue;  // the answer's own picture has come back meanwhile
      mine.drawn = number;
      if (answer === mine) await show(pngSource(drawn.image), drawn.reconstruction);
    }
  });
  mine.drawing = false;
}

function toAnswer() {
  for (const slider of answer.sliders) slider.set(slider.answer);
  ++answer.asked;
  answer.drawn = answer.asked;
  attempt('', () => show(pngSource(answer.response.counterfactual), answer.response.counterfactualPrediction));
}

function toZero() {
  for (const slider of answer.sliders) slider.set(0);
  redraw();
}

// ---- Pins.

function shiftsText() {
  const moved = answer.sliders.filter((slider) => slider.exact !== 0);
  return moved.length === 0 ? 'nothing moved'
    : moved.map((slider) => wordsOf(slider.attribute) + ' ' + percent(slider.exact)).join('; ');
}

function pin() {
  const decision = decisionText(decisionOf(answer.now.prediction));
  pins.push({name: answer.photo.name, source: answer.now.source, decision, moved: shiftsText()});
  pins = pins.slice(-PINNED);
  showPins();
  say('Pinned: ' + decision + '.');
}

function showPins() {
  find('pins').hidden = pins.length === 0;
  find('pinned').replaceChildren(...pins.map((one, i) => {
    const figure = picture('Pinned ' + (i + 1) + ': ' + one.name + ', ' + one.moved + ', decided ' + one.decision, one.source,
      one.name + ': ' + one.moved, one.decision);
    const button = element('button', 'Remove');
    button.type = 'button';
    button.setAttribute('aria-label', 'Remove pinned picture ' + (i + 1));
    button.addEventListener('click', () => {
      pins = pins.filter((other) => other !== one);
      showPins();
    });
    figure.append(button);
    return figure;
  }));
}

// ---- What can be taken along.

function download(name, type, text) {
  const link = element('a');
  link.href = URL.createObjectURL(new Blob([text], {type}));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

async function digestOf(base64) {
  if (!window.crypto.subtle) return '';
  const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return [...digest].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

function reportPictures() {
  const before = answer.before, now = answer.now, response = answer.response, name = answer.photo.name;
  const row = element('div', undefined, 'pinned');
  const add = (of, source, caption, decision) => {
    if (source) row.append(picture(of, source, caption, decision));
  };
  add('Photograph ' + name, answer.photo.shown, 'photograph', decisionText(decisionOf(response.originalPrediction)));
  add(name + ' as the generator draws it', before.source, 'before: reconstruction, synthetic', decisionText(before.decision));
  add(name + ' after the change', now.source, 'after, synthetic: ' + shiftsText(), decisionText(decisionOf(now.prediction)));
  add('Where they differ', find('map').toDataURL(), 'difference: ΔE from 0, dark, to ' + BRIGHTEST + ' and more');
  if (response.flipped && response.holdsOnPhotograph) {
    add(name + ' with the change', pngSource(response.onPhotograph), 'the change on the photograph, synthetic in part',
      decisionText(decisionOf(response.onPhotographPrediction)));
  }
  return row;
}

async function makeReport() {
  const page = document.implementation.createHTMLDocument('Why not ' + answer.response.targetLabel + '? ' + answer.photo.name);
  const policy = page.createElement('meta');
  policy.httpEquiv = 'Content-Security-Policy';
  policy.content = "default-src 'none'; img-src data:; style-src " + settings.styleHash;
  const charset = page.createElement('meta');
  charset.setAttribute('charset', 'utf-8');
  page.head.prepend(charset, policy);
  page.head.append(element('style', document.querySelector('style').textContent));
  page.documentElement.lang = 'en';
  const card = element('main', undefined, 'card');
  const clone = (id) => {
    const copy = find(id).cloneNode(true);
    copy.removeAttribute('id');
    return copy;
  };
  card.append(element('h1', page.title), element('p', find('sentence').textContent, 'sentence'), clone('flags'), reportPictures());
  card.append(element('h2', 'What the classifier says, before and after'),
    find('answer').querySelector('.bars').cloneNode(true), clone('fidelity'), clone('seen'), clone('notes'));
  card.append(element('h2', 'What this model can do, and what not'), clone('limits'));
  const digest = await digestOf(answer.photo.data);
  const facts = ['Model ' + answer.response.model + ', trained on ' + ((model.provenance || {}).dataset || 'data that it does not name') +
    '; stylex ' + settings.version + '; ' + new Date().toISOString() + '.',
    'Photograph ' + answer.photo.name + (digest ? ', SHA-256 ' + digest : '') + '.',
    'Asked with ' + JSON.stringify(answer.request) + '. ' + (answer.response.evaluations || 0) + ' evaluations of the classifier.',
    'Reconstruction and changed pictures are synthetic: drawn by a generative model. Attributes explain the classifier, not the world.'];
  card.append(...facts.map((fact) => element('p', fact, 'small')));
  page.body.append(card);
  return '<!DOCTYPE html>\n' + page.documentElement.outerHTML;
}

async function downloadReport() {
  const stem = answer.photo.name.replace(/\.[a-z0-9]+$/i, '').replace(/[^\w-]+/g, '-') || 'photograph';
  download(stem + '-why-not-' + answer.response.targetLabel.replace(/[^\w-]+/g, '-') + '.html', 'text/html', await makeReport());
  say('The report is one file that needs nothing else.');
}

function grpcAddress() {
  return settings.grpc.replace(/^(0\.0\.0\.0|\[::\])(?=:)/, location.hostname);
}

// The shell's own printf, as a photograph may be longer than an argument of a program.
function grpcurlText() {
  const quoted = (text) => "'" + text.replaceAll("'", "'\\''") + "'";
  const request = JSON.stringify({model: nameOfModel(), ...answer.request}).replaceAll('\\', '\\\\').replaceAll('%', '%%');
  const withImage = request.slice(0, -1) + ',"image":{"data":"%s"}}';
  return 'printf ' + quoted(withImage) + ' "$(base64 -w0 -- ' + quoted(answer.photo.name) + ')" |\n  grpcurl ' +
    (settings.grpcTls === 'true' ? '' : '-plaintext ') + (token ? '-H "authorization: Bearer $STYLEX_TOKEN" ' : '') +
    '-d @ ' + quoted(grpcAddress()) + ' stylex.v1.ExplanationService/Counterfactual';
}

function pythonText() {
  const literal = JSON.stringify;  // Python reads such strings, too
  const request = '{"targetClass": {"label": ' + literal(answer.request.targetClass.label) + '}, "local": True, ' +
    '"includeOnPhotograph": True}';
  return ['import base64, json, ' + (token ? 'os, ' : '') + 'urllib.request', '', 'page = ' + literal(location.origin),
    'request = ' + request,
    'request["image"] = {"data": base64.b64encode(open(' + literal(answer.photo.name) + ', "rb").read()).decode()}',
    'headers = {"Content-Type": "application/json", "Origin": page}',
    ...(token ? ['headers["Authorization"] = "Bearer " + os.environ["STYLEX_TOKEN"]'] : []),
    'call = urllib.request.Request(page + ' + literal('/v1/models/' + nameOfModel() + ':counterfactual') + ',',
    '                              json.dumps(request).encode(), headers)',
    'answer = json.load(urllib.request.urlopen(call))',
    'print(answer["counterfactualPrediction"]["label"], answer.get("convincing", False))',
    'open("counterfactual.png", "wb").write(base64.b64decode(answer["counterfactual"]["data"]))'].join('\n');
}

async function copy(text) {
  find('code').textContent = text;
  find('code').hidden = false;
  try {
    await navigator.clipboard.writeText(text);
    say('Copied.');
  } catch {
    getSelection().selectAllChildren(find('code'));
    find('code').focus();
    say('Selected: copy it with the keyboard.');
  }
}

// ---- The other two tabs.

function attributeBlock(attribute) {
  const block = element('div', undefined, 'attribute'), pair = element('div', undefined, 'pair'), text = element('div');
  pair.hidden = true;
  text.append(element('b', wordsOf(attribute)), element('p', 'effect ' + ((attribute.meanEffect || 0) < 0 ? '−' : '+') +
    Math.abs(attribute.meanEffect || 0).toFixed(2) + ', flips ' + percent(attribute.flipRate || 0) + ' by itself (attribute ' +
    (attribute.index || 0) + ':' + toOf(attribute) + '; ' + sourceOf(attribute) + ')', 'small'));
  block.append(pair, text);
  block.attribute = attribute;
  return block;
}

function showClasses() {
  const classes = ((model.attributes || {}).classes || []).filter((entry) => (entry.attributes || []).length > 0);
  find('classes').replaceChildren(...classes.map((entry) => {
    const details = fromTemplate('class-template');
    details.querySelector('h3').textContent = 'Towards ' + model.summary.labels[entry.classId || 0];
    details.querySelector('.classes-row').append(...entry.attributes.slice(0, ATTRIBUTES_SHOWN).map(attributeBlock));
    details.open = classes.length <= CLASSES_OPEN;
    details.addEventListener('toggle', fillPairs);
    return details;
  }));
  if (classes.length === 0) find('classes').textContent = 'This model has no index of attributes.';
}

let filling = null;

// Draws the attributes of the open classes on the photograph, one after another.
async function fillPairs() {
  const mine = photo;
  if (find('attributes').hidden || filling) return;
  const decided = mine && mine.prediction;
  find('attributes-hint').textContent = decided
    ? 'Each on your photograph ' + mine.name + ', as the generator draws it: without, and moved as far as it goes in the data.'
    : 'Drop a photograph on the first tab to see each of them on it.';
  if (!decided) return;
  filling = mine;
  await attempt('', async () => {
    const styles = (await (mine.encoded || encode(mine))).styles, signal = mine.controller.signal;
    for (;;) {
      const block = [...find('classes').querySelectorAll('details[open] .attribute')].find((one) => one.of !== mine);
      if (!block || find('attributes').hidden || photo !== mine) break;
      mine.plain = mine.plain || await ask('reconstruct', {styles}, signal);
      const moved = await ask('reconstruct', {styles, edits: [{index: block.attribute.index || 0, shift: 1,
        direction: block.attribute.direction}]}, signal);
      block.of = mine;
      const pair = block.querySelector('.pair');
      pair.replaceChildren(...[[mine.plain, 'without'], [moved, 'with']].map(([drawn, how]) => {
        const image = element('img');
        image.alt = mine.name + ' ' + how + ' attribute ' + (block.attribute.index || 0) + ', towards ' +
          block.closest('details').querySelector('h3').textContent.replace(/^Towards /, '') + ': ' + wordsOf(block.attribute);
        image.src = pngSource(drawn.image);
        return image;
      }));
      pair.hidden = false;
    }
  });
  filling = null;
  if (photo !== mine) fillPairs();
}

const LIMITS = [['classifier_accuracy', 'of its decisions are right'],
  ['agreement', 'of reconstructions are decided like their photographs'],
  ['flip_rate_joint_3', 'of decisions flip with at most 3 attributes'],
  ['flip_rate_joint_10', 'of decisions flip with at most 10 attributes'],
  ['flip_rate_random_10', 'flip by 10 random coordinates: what chance does'],
  ['served_oracles_follow', 'of its counterfactuals are followed by other classifiers'],
  ['served_on_photograph', 'of changes hold on the photograph itself']];

function showLimits() {
  const metrics = model.metrics || {};
  const limits = LIMITS.filter(([name]) => metrics[name] !== undefined)
    .map(([name, meaning]) => (100 * metrics[name]).toFixed(1) + ' % ' + meaning + '.');
  if (metrics.ssim !== undefined) {
    limits.push('Reconstructions are ' + (metrics.ssim >= 0.9 ? 'close' : metrics.ssim >= 0.7 ? 'fair' : 'rough') +
      ': structural similarity ' + metrics.ssim.toFixed(2) + ', where 1 is the photograph itself.');
  }
  if (limits.length === 0) limits.push('No figures are recorded in this model.');
  limits.push('It tells what this classifier goes by, not what is true of the world.');
  limits.push('It knows ' + model.summary.labels.length + ' classes and decides for one of them whatever the picture shows.');
  find('limits').replaceChildren(...limits.map((limit) => element('li', limit)));
}

function fillTable(id, rows) {
  find(id).replaceChildren(...rows.map(([name, value]) => {
    const row = element('tr'), head = element('th', name);
    head.scope = 'row';
    row.append(head, element('td', value));
    return row;
  }));
}

function showTruth() {
  const truth = model.truth;
  find('truth').hidden = !truth;
  if (!truth) return;
  const share = (value) => value === undefined ? 'none' : percent(value);
  const lines = ['The classifier decides ' + percent(truth.accuracy || 0) + ' of ' + truth.images + ' held-out images as they are labelled.'];
  for (const entry of truth.classes || []) {
    lines.push('Towards ' + model.summary.labels[entry.classId || 0] + ': ' + share(entry.recall) + ' of what the label depends on is among ' +
      'the attributes; ' + percent(entry.precision || 0) + ' of these attributes are such, ' + percent(entry.falseDiscoveries || 0) +
      ' are something that it does not depend on.');
  }
  find('truths').replaceChildren(...lines.map((line) => element('li', line)));
}

function showCard() {
  const from = model.provenance || {}, summary = model.summary;
  find('card-title').textContent = 'Model ' + nameOfModel();
  showLimits();
  showTruth();
  const rows = [['Classes', summary.labels.join(', ')], ['Pictures', summary.resolution + ' × ' + summary.resolution + ' pixels, ' +
    (model.imageChannels === 1 ? 'grey' : 'colour')], ['Data', from.dataset || 'not named'],
    ['Training images', from.trainingImages], ['Images shown in training', from.imagesShown],
    ['Classifier', (model.classifier || {}).architecture], ['Style coordinates', model.numStyles],
    ['Parameters', model.numParameters], ['Perceptual loss', from.perceptualLoss], ['Arithmetic', from.precision],
    ['Made', from.created], ['Code', from.codeVersion]];
  fillTable('origin', rows.filter(([, value]) => value));
  fillTable('figures', Object.entries(model.metrics || {}).sort(([a], [b]) => a < b ? -1 : 1)
    .map(([name, value]) => [name, String(Number(value.toPrecision(4)))]));
}

// ---- The page itself.

function chooseTab(chosen, focus) {
  for (const tab of document.querySelectorAll('[role=tab]')) {
    const selected = tab === chosen;
    tab.setAttribute('aria-selected', String(selected));
    tab.tabIndex = selected ? 0 : -1;
    find(tab.getAttribute('aria-controls')).hidden = !selected;
  }
  if (focus) chosen.focus();
  say('');
  fillPairs();
}

function hearTabs() {
  const tabs = [...document.querySelectorAll('[role=tab]')];
  tabs.forEach((tab, i) => {
    tab.addEventListener('click', () => chooseTab(tab));
    tab.addEventListener('keydown', (event) => {
      const to = {ArrowRight: i + 1, ArrowDown: i + 1, ArrowLeft: i - 1, ArrowUp: i - 1, Home: 0, End: tabs.length - 1}[event.key];
      if (to === undefined) return;
      event.preventDefault();
      chooseTab(tabs[(to + tabs.length) % tabs.length], true);
    });
  });
}

function hearPhotographs() {
  find('most').textContent = megabytes(Number(settings.most));
  find('file').addEventListener('change', () => {
    if (find('file').files.length > 0) take(find('file').files[0]);
  });
  const over = (is) => find('drop').classList.toggle('over', is);
  window.addEventListener('dragover', (event) => {
    event.preventDefault();
    over(true);
  });
  window.addEventListener('dragleave', () => over(false));
  window.addEventListener('drop', (event) => {
    event.preventDefault();
    over(false);
    chooseTab(find('tab-explain'));
    const [file] = event.dataTransfer.files;
    find('file').files = event.dataTransfer.files;
    if (file) take(file);
    else complain('What was dropped is no file: save the picture first, then drop it.');
  });
  window.addEventListener('paste', (event) => {
    const [file] = event.clipboardData.files;
    if (file) take(file);
  });
}

async function chooseModel(id) {
  if (photo) photo.controller.abort();
  if (choosing) choosing.abort();
  const {signal} = choosing = new AbortController();
  photo = answer = model = null;
  find('decision').hidden = find('answer').hidden = true;
  chosen = attempt(id, async () => {
    const path = '/v1/models/' + id.split('/').map(encodeURIComponent).join('/');
    model = (await call(path, undefined, signal)).model;
    setSizes(model.summary.resolution);
    showClasses();
    showCard();
    fillPairs();
  });
  await chosen;
}

async function start() {
  hearTabs();
  hearPhotographs();
  drawScale();
  find('other').addEventListener('submit', (event) => {
    event.preventDefault();
    whyNot(find('other-class').value);
  });
  find('to-answer').addEventListener('click', toAnswer);
  find('to-zero').addEventListener('click', toZero);
  find('pin').addEventListener('click', pin);
  find('download').addEventListener('click', () => attempt('', downloadReport));
  find('as-grpcurl').addEventListener('click', () => copy(grpcurlText()));
  find('as-python').addEventListener('click', () => copy(pythonText()));
  find('model').addEventListener('change', () => chooseModel(find('model').value));
  window.addEventListener('resize', () => model && setSizes(model.summary.resolution));
  await attempt('', async () => {
    const listed = (await call('/v1/models?pageSize=1000')).models || [];
    const ready = listed.filter((entry) => entry.state === 'MODEL_STATE_READY');
    if (ready.length === 0) throw new Refused('No model is ready yet. Load this page again in a moment.');
    find('model').replaceChildren(...ready.map((entry) => element('option', entry.name + '/' + entry.version)));
    find('model').disabled = false;
    await chooseModel(find('model').value);
  });
}

start();
})();
