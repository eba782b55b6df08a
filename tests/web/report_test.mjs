// The report in a real browser: nothing is loaded, nothing fails, and what is there works.
//
//   node report_test.mjs BIN_DIR SOURCE_DIR [FOLDER]   # FOLDER: reports that exist, FOLDER/MODEL/report.html
import assert from 'node:assert/strict';
import {readFileSync, rmSync, statSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {after, before} from 'node:test';
import {pathToFileURL} from 'node:url';

import {launch, openWatched, requireBrowser, temporaryFolder, violations} from './browser.mjs';
import {explainExamples} from './served_report.mjs';

requireBrowser();
const [bin, source, existing] = process.argv.slice(2);
const MODELS = ['blood', 'leaves', 'fashion', 'drawn-faces'];
const PHONE = {width: 390, height: 844}, DESK = {width: 1440, height: 900};
const folder = existing || temporaryFolder();
const pathOf = (model) => join(folder, model, 'report.html');
const urlOf = (model) => pathToFileURL(pathOf(model)).href;
let browser;

before(async () => {
  if (!existing) await explainExamples(bin, source, folder, MODELS);
  browser = await launch();
});
after(async () => {
  if (browser) await browser.close();
  if (!existing) rmSync(folder, {recursive: true, force: true});
});

function elementOf(html, id) {
  const begin = html.indexOf('id="' + id + '">');
  assert.ok(begin > 0, 'there is no ' + id);
  return JSON.parse(html.slice(html.indexOf('>', begin) + 1, html.indexOf('</script>', begin)));
}

async function onPage(model, options, work) {
  const watched = await openWatched(browser, urlOf(model), options);
  try {
    await work(watched.page, watched.seen);
  } finally {
    await watched.close();
  }
}

for (const model of MODELS) {
  test(model + ': opens from a file without a message or a request', async () => {
    await onPage(model, {viewport: DESK}, async (page, seen) => {
      assert.ok(await page.locator('article.card').count() > 0);
      await page.locator('.others img').last().scrollIntoViewIfNeeded();
      assert.deepEqual(seen.messages, []);
      assert.deepEqual(seen.requests, [urlOf(model)]);
      const broken = await page.evaluate(() => [...document.images].filter(
        (image) => image.src && image.complete && image.naturalWidth === 0).length);
      assert.equal(broken, 0);
      const moves = await page.locator('.move .name span').allTextContents();
      assert.ok(moves.length > 0);
      assert.deepEqual(moves.filter((text) => !/^ \d+ % (of its range|to its (smallest|greatest)), /.test(text)), []);
    });
  });

  for (const width of [320, 390, 1440]) {
    for (const colorScheme of ['light', 'dark']) {
      test(`${model}: ${width} pixels, ${colorScheme}: axe finds nothing, and nothing overflows`, async () => {
        await onPage(model, {viewport: {width, height: 900}, colorScheme}, async (page) => {
          assert.deepEqual(await violations(page), []);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth));
        });
      });
    }
  }

  test(model + ': at most 6 pages of paper for 16 cards, with bars and strips', async () => {
    await onPage(model, {viewport: DESK}, async (page) => {
      const cards = await page.locator('article.card').count();
      const pdf = (await page.pdf({preferCSSPageSize: true})).toString('latin1');
      const pages = pdf.match(/\/Type\s*\/Page\b(?!s)/g).length;
      assert.ok(pages <= Math.ceil(6 * cards / 16), pages + ' pages for ' + cards + ' cards');
      await page.emulateMedia({media: 'print'});
      assert.ok(await page.locator('.bar svg').first().isVisible());
      assert.ok(await page.locator('.strip img').first().isVisible());
      assert.equal(await page.locator('.controls').isVisible(), false);
      const cut = await page.evaluate(() => [...document.querySelectorAll('article.card')].filter(
        (card) => getComputedStyle(card).breakInside !== 'avoid').length);
      assert.equal(cut, 0);
    });
  });

  test(model + ': every drawn picture in the file is marked as synthetic', () => {
    const html = readFileSync(pathOf(model), 'utf8');
    const overview = elementOf(html, 'overview');
    const drawn = [];
    const photographs = [];
    overview.photographs.forEach((facts, i) => {
      const {photograph, frames, ...others} = elementOf(html, 'pictures-' + i);
      photographs.push(photograph);
      drawn.push(...Object.values(others), ...frames.flat().map((frame) => frame.picture).filter(Boolean));
    });
    for (const attribute of overview.attributes.flatMap((entry) => entry.attributes)) {
      if (attribute.pair) drawn.push(attribute.pair.before, attribute.pair.after);
    }
    assert.ok(drawn.length > 4 * overview.photographs.length);
    const marked = (uri) => /Synthetic image.*StylEx model [\w-]+\/\d+.*stylex \d.*[0-9a-f]{64}/s.test(
      Buffer.from(uri.slice(uri.indexOf(',') + 1), 'base64').toString('latin1'));
    assert.equal(drawn.filter((uri) => !marked(uri)).length, 0);
    assert.equal(photographs.filter(marked).length, 0, 'photographs are not drawn');
  });

  test(model + ': every flipped card says what becomes what, and when', async () => {
    await onPage(model, {viewport: DESK}, async (page) => {
      const cards = await page.locator('article.card').all();
      for (const card of cards) {
        const sentence = await card.locator('.sentence').textContent();
        const outcome = await card.locator('.flags li').first().textContent();
        if (outcome !== 'not flipped') assert.match(sentence, /becomes .+ when .+: .+ % → .+ %/);
      }
    });
  });
}

test('a slider moves the picture and the probability, by keys alone', async () => {
  await onPage('leaves', {viewport: PHONE}, async (page) => {
    const move = page.locator('.move').filter({has: page.locator('.dial input')}).first();
    const dial = move.locator('input'), picture = move.locator('.frame'), output = move.locator('output');
    const at = async () => [await picture.getAttribute('src'), await output.textContent(), await picture.getAttribute('alt')];
    const end = await at();
    await dial.focus();
    await page.keyboard.press('Home');
    const start = await at();
    for (const i of [0, 1, 2]) assert.notEqual(start[i], end[i]);
    assert.match(start[1], /\s0\s% of the change$/);
    await page.keyboard.press('ArrowRight');
    assert.notEqual((await at())[1], start[1]);
    await page.keyboard.press('End');
    assert.deepEqual(await at(), end);
  });
});

test('before and after: the wipe follows its slider, and holding shows all of before', async () => {
  await onPage('leaves', {viewport: DESK}, async (page) => {
    const card = page.locator('article.card').first();
    const shown = () => card.locator('.after').evaluate((image) => getComputedStyle(image).clipPath + getComputedStyle(image).visibility);
    const half = await shown();
    await card.locator('.wipe').focus();
    await page.keyboard.press('Home');
    const all = await shown();
    assert.notEqual(all, half);
    const hold = card.locator('.hold');
    await hold.focus();
    await page.keyboard.down(' ');
    assert.match(await shown(), /hidden/);
    assert.equal(await hold.getAttribute('aria-pressed'), 'true');
    await page.keyboard.up(' ');
    assert.equal(await shown(), all);
    await hold.dispatchEvent('pointerdown');
    assert.match(await shown(), /hidden/);
    await hold.dispatchEvent('pointerup');
    assert.equal(await shown(), all);
  });
});

test('filters filter, sorting sorts, and pages turn', async () => {
  const facts = elementOf(readFileSync(pathOf('fashion'), 'utf8'), 'overview').photographs;
  await onPage('fashion', {viewport: DESK}, async (page) => {
    const names = () => page.locator('article.card').evaluateAll((cards) => cards.map((card) => card.getAttribute('aria-label')));
    assert.deepEqual(await names(), facts.slice(0, 16).map((one) => one.name));
    const label = facts[0].decided.label;
    await page.selectOption('#by-decided', label);
    assert.deepEqual(await names(), facts.filter((one) => one.decided.label === label).map((one) => one.name));
    await page.selectOption('#by-decided', '');
    for (const outcome of ['convincing', 'not flipped']) {
      await page.selectOption('#by-outcome', outcome);
      assert.deepEqual(await names(), facts.filter((one) => one.outcome === outcome).map((one) => one.name));
    }
    await page.selectOption('#by-outcome', '');
    await page.fill('#by-name', 'no such name');
    assert.deepEqual(await names(), []);
    assert.match(await page.textContent('#shown'), /No photograph/);
    await page.fill('#by-name', '');
    await page.selectOption('#sort', 'change');
    const changes = (await names()).map((name) => facts.find((one) => one.name === name).change.mean_delta_e);
    assert.deepEqual(changes, [...changes].sort((a, b) => a - b));
    await page.selectOption('#sort', 'order');
    await page.selectOption('#size', '8');
    assert.equal((await names()).length, 8);
    await page.click('#next');
    assert.deepEqual(await names(), facts.slice(8, 16).map((one) => one.name));
    assert.equal(await page.isDisabled('#next'), facts.length <= 16);
  });
});

// The same report with other facts, and as many photographs as wanted: its own, again and again.
function rewritten(model, count, change) {
  const html = readFileSync(pathOf(model), 'utf8');
  const overview = elementOf(html, 'overview');
  const pictures = overview.photographs.map((facts, i) => JSON.stringify(elementOf(html, 'pictures-' + i)));
  const facts = overview.photographs;
  overview.photographs = Array.from({length: count}, (_, i) => ({...facts[i % facts.length], name: 'copy-' + i}));
  overview.counts.photographs = count;
  change(overview);
  const data = (id, text) => `<script type="application/json" id="${id}">${text.replaceAll('<', '\\u003c')}</script>\n`;
  const before = html.slice(0, html.indexOf('<script type="application/json" id="overview">'));
  const script = html.slice(html.indexOf('<script>'), html.indexOf('</script>', html.indexOf('<script>')) + 9);
  const parts = overview.photographs.map((_, i) => data('pictures-' + i, pictures[i % pictures.length]));
  const path = join(folder, 'rewritten-' + model + '-' + count + '.html');
  writeFileSync(path, before + data('overview', JSON.stringify(overview)) + parts.slice(0, 16).join('') + script + parts.slice(16).join('') +
    '</body></html>');
  return path;
}

test('of a thousand photographs one page is in the document at a time, and it is there soon', async () => {
  const path = rewritten('fashion', 1000, () => {});
  const watched = await openWatched(browser, pathToFileURL(path).href, {viewport: DESK});
  const {page} = watched;
  const first = await page.evaluate(() => performance.getEntriesByType('paint').find((entry) => entry.name === 'first-contentful-paint').startTime);
  console.log('  first paint of 1000 photographs after ' + Math.round(first) + ' ms, ' + Math.round(statSync(path).size / 1e6) + ' MB');
  assert.equal(await page.locator('article.card').count(), 16);
  assert.match(await page.textContent('#page'), /Page 1 of 63/);
  for (let i = 0; i < 62; ++i) await page.click('#next');
  assert.equal(await page.locator('article.card').count(), 8);
  assert.equal(await page.locator('article.card').last().getAttribute('aria-label'), 'copy-999');
  assert.ok(await page.isDisabled('#next'));
  assert.ok(await page.locator('.stage img').last().evaluate((image) => image.decode().then(() => image.naturalWidth > 0)));
  assert.deepEqual(watched.seen.messages, []);
  await watched.close();
  rmSync(path);
});

test('what failed, what was not reached and what was decided wrongly is said', async () => {
  const path = rewritten('leaves', 4, (overview) => {
    overview.failed = [{path: 'photos/<b>.jpg', error: 'a GIF file'}];
    Object.assign(overview.counts, {failed: 1, not_reached: 7});
    overview.photographs.forEach((facts, i) => {
      facts.folder_label = i < 3 ? facts.decided.label : overview.model.labels.find((label) => label !== facts.decided.label);
      facts.flags = i === 1 ? ['cannot be seen'] : [];
    });
  });
  const watched = await openWatched(browser, pathToFileURL(path).href, {viewport: PHONE});
  const {page} = watched;
  const names = () => page.locator('article.card').evaluateAll((cards) => cards.map((card) => card.getAttribute('aria-label')));
  assert.equal(await page.textContent('#failures'), 'photos/<b>.jpg: a GIF file');
  assert.match(await page.textContent('#interrupted'), /7 more files/);
  assert.match(await page.textContent('#counts'), /1 of 4/);
  await page.selectOption('#by-label', 'wrong');
  assert.deepEqual(await names(), ['copy-3']);
  assert.match(await page.textContent('.file'), /its folder says/);
  await page.selectOption('#by-label', 'right');
  assert.deepEqual(await names(), ['copy-0', 'copy-1', 'copy-2']);
  await page.selectOption('#by-flag', 'cannot be seen');
  assert.deepEqual(await names(), ['copy-1']);
  assert.match(await page.textContent('.flags'), /cannot be seen/);
  await page.selectOption('#by-flag', 'none');
  assert.deepEqual(await names(), ['copy-0', 'copy-2']);
  assert.deepEqual(await violations(page), []);
  await watched.close();
  rmSync(path);
});

test('probabilities are bars as long as they say', async () => {
  const facts = elementOf(readFileSync(pathOf('fashion'), 'utf8'), 'overview').photographs;
  await onPage('fashion', {viewport: DESK}, async (page) => {
    const bars = await page.locator('article.card').first().locator('.bar').evaluateAll((rows) => rows.map((row) => ({
      label: row.querySelector('.class').textContent,
      track: row.querySelector('.track').getBoundingClientRect().width,
      before: row.querySelector('.was').getBoundingClientRect().width,
      after: row.querySelector('.is').getBoundingClientRect().width})));
    assert.equal(bars.length, facts[0].bars.length);
    bars.forEach((bar, i) => {
      assert.equal(bar.label, facts[0].bars[i].label);
      for (const when of ['before', 'after']) {
        assert.ok(Math.abs(bar[when] / bar.track - facts[0].bars[i][when]) < 0.01, bar.label + ' ' + when);
      }
    });
  });
});

test('the matrix and the counts are those of the photographs', async () => {
  const facts = elementOf(readFileSync(pathOf('fashion'), 'utf8'), 'overview').photographs;
  await onPage('fashion', {viewport: DESK}, async (page) => {
    const cells = await page.locator('#matrix tbody td').allTextContents();
    const flipped = cells.filter(Boolean).map((text) => text.match(/^(\d+) of (\d+)/).slice(1).map(Number));
    assert.equal(flipped.reduce((sum, [some]) => sum + some, 0), facts.filter((one) => one.outcome !== 'not flipped').length);
    assert.equal(flipped.reduce((sum, [, all]) => sum + all, 0), facts.length);
    const counts = await page.locator('#counts div').evaluateAll((rows) => Object.fromEntries(
      rows.map((row) => [row.querySelector('dt').textContent, row.querySelector('dd').textContent])));
    assert.equal(counts.photographs, String(facts.length));
    assert.equal(counts['flipped, convincing'], String(facts.filter((one) => one.outcome === 'convincing').length));
    assert.equal(counts['just flipped'], String(facts.filter((one) => one.outcome === 'just flipped').length));
  });
});

test('attributes of a class open by keys and show their pairs', async () => {
  await onPage('fashion', {viewport: PHONE}, async (page) => {
    const first = page.locator('#classes details').first();
    assert.equal(await first.getAttribute('open'), null, 'ten classes are folded away');
    await first.locator('summary').focus();
    await page.keyboard.press('Enter');
    assert.equal(await first.getAttribute('open'), '');
    assert.ok(await first.locator('.pair img').first().isVisible());
    const [without, having] = await first.locator('.pair').first().locator('img').evaluateAll((images) => images.map((image) => image.alt));
    assert.notEqual(without, having);
    assert.match(await first.locator('.attribute').first().textContent(), /effect [+−]\d+\.\d\d/);
    assert.deepEqual(await violations(page), []);
  });
  await onPage('leaves', {viewport: DESK}, async (page) => {
    assert.equal(await page.locator('#classes details:not([open])').count(), 0, 'two are not');
  });
});

test('the first key leads past what stands above the photographs', async () => {
  await onPage('leaves', {viewport: DESK}, async (page) => {
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), 'Skip to the photographs');
    await page.keyboard.press('Enter');
    assert.ok(await page.locator('#photographs-title').evaluate((title) => title.getBoundingClientRect().top < 200));
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'by-decided');
  });
});

test('light and dark follow the system', async () => {
  const colors = {};
  for (const colorScheme of ['light', 'dark']) {
    await onPage('leaves', {viewport: DESK, colorScheme}, async (page) => {
      colors[colorScheme] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
    });
  }
  assert.ok(colors.light.every((value) => value > 200), String(colors.light));
  assert.ok(colors.dark.every((value) => value < 60), String(colors.dark));
});

test('on a phone pictures use the width', async () => {
  for (const width of [320, 390]) {
    await onPage('leaves', {viewport: {width, height: 800}}, async (page) => {
      const stage = await page.locator('.stage').first().evaluate((one) => one.getBoundingClientRect().width);
      assert.ok(stage >= 0.6 * width && stage <= width, stage + ' of ' + width);
      const card = await page.locator('article.card').first().evaluate((one) => one.getBoundingClientRect().width);
      assert.ok(card >= width - 24);
    });
  }
});

test('the change on the photograph is shown where it holds, and nowhere else', async () => {
  const facts = elementOf(readFileSync(pathOf('leaves'), 'utf8'), 'overview').photographs;
  const holding = facts.filter((one) => one.on_photograph && one.on_photograph.holds).map((one) => one.name);
  assert.ok(holding.length > 0 && holding.length < facts.length, 'the examples have both');
  await onPage('leaves', {viewport: DESK}, async (page) => {
    const shown = await page.locator('article.card').evaluateAll((cards) => cards
      .filter((card) => [...card.querySelectorAll('figcaption')].some((text) => text.textContent.startsWith('the change on the photograph')))
      .map((card) => card.getAttribute('aria-label')));
    assert.deepEqual(shown, holding);
    const said = await page.locator('article.card').evaluateAll((cards) => cards
      .filter((card) => card.querySelector('.flags').textContent.includes('does not hold on the photograph')).length);
    assert.equal(said, facts.length - holding.length);
  });
});

test('without JavaScript the page says where else its facts stand', async () => {
  const watched = await openWatched(browser, urlOf('leaves'), {javaScriptEnabled: false});
  assert.match(await watched.page.textContent('noscript'), /report\.csv/);
  await watched.close();
});

test('pictures are enlarged by whole factors, crisp or smooth', async () => {
  for (const viewport of [PHONE, DESK]) {
    await onPage('leaves', {viewport}, async (page) => {
      const factors = await page.evaluate(() => [...document.querySelectorAll('.card .stage img, .card .others img, .card .walk img')]
        .filter((image) => image.naturalWidth > 0).map((image) => image.getBoundingClientRect().width / image.naturalWidth));
      assert.ok(factors.length > 0);
      assert.deepEqual(factors.filter((factor) => factor !== Math.round(factor)), []);
      const rendering = () => page.locator('.card img').first().evaluate((image) => getComputedStyle(image).imageRendering);
      assert.equal(await rendering(), 'pixelated');
      await page.check('#smooth');
      assert.equal(await rendering(), 'auto');
    });
  }
});

test('alternative texts differ, the legend is one, and nothing moves for who wants that', async () => {
  await onPage('leaves', {viewport: DESK, reducedMotion: 'reduce'}, async (page) => {
    const texts = await page.evaluate(() => [...document.querySelectorAll('.card img')].map((image) => image.alt));
    assert.equal(new Set(texts).size, texts.length);
    assert.ok(texts.every((text) => text.length > 10));
    assert.equal(await page.locator('#legend').count(), 1);
    assert.match(await page.textContent('#legend'), /ΔE/);
    assert.equal(await page.evaluate(() => document.getAnimations().length), 0);
    const timed = await page.evaluate(() => [...document.querySelectorAll('*')].filter(
      (one) => getComputedStyle(one).transitionDuration !== '0s').length);
    assert.equal(timed, 0);
  });
});
