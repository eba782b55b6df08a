// The training page in a real browser: nothing is loaded, nothing fails, and what is there works.
//
//   node training_page_test.mjs BIN_DIR [FOLDER]   # FOLDER: as trainTwice has left it
import assert from 'node:assert/strict';
import {rmSync} from 'node:fs';
import {join} from 'node:path';
import test, {after, before} from 'node:test';
import {pathToFileURL} from 'node:url';

import {launch, openWatched, requireBrowser, temporaryFolder, violations} from './browser.mjs';
import {LOOKS, trainTwice} from './trained_run.mjs';

requireBrowser();
const [bin, existing] = process.argv.slice(2);
const DESK = {width: 1440, height: 900};
const folder = existing || temporaryFolder();
const PAGES = {alone: 'first/report.html', beside: 'both.html', classifier: 'classifier/report.html'};
const urlOf = (name) => pathToFileURL(join(folder, PAGES[name])).href;
let browser;

before(async () => {
  if (!existing) trainTwice(bin, folder);
  browser = await launch();
});
after(async () => {
  if (browser) await browser.close();
  if (!existing) rmSync(folder, {recursive: true, force: true});
});

async function open(name, options, work) {
  const {page, seen, close} = await openWatched(browser, urlOf(name), options);
  try {
    await work(page, seen);
  } finally {
    await close();
  }
}

for (const name of Object.keys(PAGES)) {
  test(name + ': opens from a file without a message or a request', async () => {
    await open(name, {viewport: DESK}, async (page, seen) => {
      assert.ok(await page.locator('.chart svg').count() > 1);
      const broken = await page.evaluate(() => [...document.images].filter((one) => one.complete && one.naturalWidth === 0).length);
      assert.equal(broken, 0);
      assert.deepEqual(seen.messages, []);
      assert.deepEqual(seen.requests, [urlOf(name)]);
    });
  });

  for (const width of [320, 390, 1440]) {
    for (const colorScheme of ['light', 'dark']) {
      test(`${name}: ${width} pixels, ${colorScheme}: axe finds nothing, and nothing overflows`, async () => {
        await open(name, {viewport: {width, height: 900}, colorScheme}, async (page) => {
          assert.deepEqual(await violations(page), []);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth));
        });
      });
    }
  }
}

test('one slider moves all pictures but the photographs, by keys alone', async () => {
  await open('alone', {viewport: DESK}, async (page) => {
    const slider = page.locator('#time');
    assert.equal(Number(await slider.getAttribute('max')), LOOKS - 1);
    const at = () => page.evaluate(() => [...document.querySelectorAll('#strips .photograph')].map(
      (one) => [...one.querySelectorAll('img')].map((image) => image.src)));
    const newest = await at();
    assert.equal(await page.textContent('#moment'), '480 images');
    await slider.focus();
    await page.keyboard.press('Home');
    assert.equal(await page.textContent('#moment'), '120 images');
    const first = await at();
    assert.equal(first.length, 8);
    first.forEach(([photograph, reconstruction, runnerUp], i) => {
      assert.equal(photograph, newest[i][0]);
      assert.notEqual(reconstruction, newest[i][1]);
      assert.notEqual(runnerUp, newest[i][2]);
    });
    await page.keyboard.press('End');
    assert.deepEqual(await at(), newest);
  });
});

test('the slider moves the line in every chart, and the figures beside the titles', async () => {
  await open('alone', {viewport: DESK}, async (page) => {
    const lines = () => page.evaluate(() => [...document.querySelectorAll('.chart .here')].map((one) => one.getAttribute('x1')));
    const l1 = () => page.locator('.chart', {hasText: 'Mean absolute difference'}).locator('.now').textContent();
    const [before, figure] = [await lines(), await l1()];
    assert.equal(before.length, await page.locator('.chart').count());
    await page.locator('#time').press('Home');
    (await lines()).forEach((x, i) => assert.notEqual(x, before[i]));
    assert.notEqual(await l1(), figure);
  });
});

test('it says how far the run is, and what was decided on each picture', async () => {
  await open('alone', {viewport: DESK}, async (page) => {
    assert.equal(await page.textContent('.sentence'), 'Finished: 480 images.');
    assert.match(await page.textContent('#what'), /^Drawn faces; 16 × 16 pixels; /);
    assert.match(await page.textContent('#written'), /^Written .* ago\.$/);
    const captions = await page.locator('#strips figcaption b').allTextContents();
    assert.equal(captions.length, 3 * 8);
    for (const caption of captions) assert.match(caption, /^(no|yes) \d+\.\d\s%$/);
    assert.ok(await page.locator('#alarms p').count() >= 1);
    const bad = page.locator('#worst .photograph');
    assert.equal(await bad.count(), 8);
    const errors = (await bad.locator('.name').allTextContents()).map((text) => Number(text.match(/L1 ([\d.]+)$/)[1]));
    assert.deepEqual(errors, [...errors].sort((a, b) => b - a));
  });
});

test('a wanted band stands in the charts that have one, and the table says whether it is met', async () => {
  await open('alone', {viewport: DESK}, async (page) => {
    const agreement = page.locator('#checks .chart').first();
    assert.match(await agreement.locator('h3').textContent(), /^agreement /);
    assert.equal(await agreement.locator('.wanted').count(), 1);
    assert.match(await agreement.locator('svg').getAttribute('aria-label'), /^agreement: from .+ to .+; wanted at least 97\.0/);
    assert.equal(await page.locator('#losses .wanted').count(), 0);
    const cell = page.locator('#table tbody tr').first().locator('td').last();
    const reached = Number((await cell.textContent()).replace(/\s%/, ''));
    assert.equal(await cell.getAttribute('class'), reached >= 97 ? 'met' : 'missed');
  });
});

test('runs stand side by side', async () => {
  await open('beside', {viewport: DESK}, async (page) => {
    assert.deepEqual(await page.locator('.strip h3').allTextContents(), ['first, after 480 images', 'second, after 480 images']);
    assert.equal(await page.locator('.strip').last().locator('.photograph').count(), 8);
    assert.equal(await page.locator('#checks .chart').first().locator('.line').count(), 2);
    assert.equal(await page.locator('#table thead th').count(), 2);
    await page.locator('#time').press('Home');
    assert.deepEqual(await page.locator('.strip h3').allTextContents(), ['first, after 120 images', 'second, after 120 images']);
  });
});

test('a classifier has curves, and no slider', async () => {
  await open('classifier', {viewport: DESK}, async (page) => {
    assert.equal(await page.locator('#over-time').isVisible(), false);
    assert.match(await page.textContent('#strips'), /A classifier draws nothing/);
    assert.match(await page.textContent('.sentence'), /^Finished: 2 epochs/);
    assert.match(await page.textContent('#checks'), /accuracy/);
  });
});

test('light and dark follow the system', async () => {
  for (const [colorScheme, fits] of [['light', (value) => value > 200], ['dark', (value) => value < 60]]) {
    await open('alone', {viewport: DESK, colorScheme}, async (page) => {
      const color = await page.evaluate(() => getComputedStyle(document.body).backgroundColor);
      assert.ok(color.match(/\d+/g).map(Number).every(fits), color);
    });
  }
});

test('pictures are enlarged by whole factors, and three fit on a phone', async () => {
  for (const width of [320, 390, 1440]) {
    await open('alone', {viewport: {width, height: 844}}, async (page) => {
      const factors = await page.evaluate(() => [...document.images].map((one) => one.getBoundingClientRect().width / one.naturalWidth));
      assert.deepEqual(factors.filter((factor) => factor !== Math.round(factor) || factor < 1), []);
      const tops = await page.locator('#strips .photograph').first().locator('img').evaluateAll(
        (images) => images.map((one) => one.getBoundingClientRect().top));
      assert.equal(new Set(tops).size, 1);
    });
  }
});

test('alternative texts differ', async () => {
  await open('beside', {viewport: DESK}, async (page) => {
    const texts = await page.evaluate(() => [...document.images].map((image) => image.alt));
    assert.equal(new Set(texts).size, texts.length);
    assert.ok(texts.every((text) => text.length > 10));
  });
});

test('without JavaScript the page says where else its figures stand', async () => {
  await open('alone', {viewport: DESK, javaScriptEnabled: false}, async (page) => {
    assert.match(await page.textContent('noscript'), /log\.jsonl/);
  });
});
