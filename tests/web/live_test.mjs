// The live page in a real browser, in front of a running server with the shipped models.
//
//   node live_test.mjs BIN_DIR SOURCE_DIR
import assert from 'node:assert/strict';
import {execFileSync, spawnSync} from 'node:child_process';
import {copyFileSync, readFileSync, readdirSync, rmSync, writeFileSync} from 'node:fs';
import {join} from 'node:path';
import test, {after, before} from 'node:test';
import {pathToFileURL} from 'node:url';

import {launch, openWatched, requireBrowser, temporaryFolder, violations} from './browser.mjs';
import {startServer} from './server.mjs';

requireBrowser();
const [bin, source] = process.argv.slice(2);
const DESK = {width: 1440, height: 900}, PHONE = {width: 390, height: 844};
const SHIPPED = readdirSync(join(source, 'checkpoints'));
const LEAF = join(source, 'checkpoints/leaves/examples/black-rot-00069.jpg');
const folder = temporaryFolder();
let browser, server, guarded;

before(async () => {
  writeFileSync(join(folder, 'tokens'), 'a-good-token\n');
  server = await startServer(bin, source, ['--web-port', '0']);
  guarded = await startServer(bin, source, ['--web-port', '0', '--token-file', join(folder, 'tokens')]);
  browser = await launch();
  await loaded(server.web);
});
after(async () => {
  if (browser) await browser.close();
  for (const one of [server, guarded]) if (one) await one.stop();
  rmSync(folder, {recursive: true, force: true});
});

async function loaded(url) {
  for (const end = Date.now() + 60000; Date.now() < end;) {
    const {models = []} = await (await fetch(url + '/v1/models')).json();
    if (models.length === SHIPPED.length && models.every((model) => model.state === 'MODEL_STATE_READY')) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  throw new Error('the models are not loaded');
}

async function onPage(options, work, url = server.web) {
  const watched = await openWatched(browser, url, options);
  try {
    await work(watched.page, watched.seen);
    const elsewhere = watched.seen.requests.filter((one) => !one.startsWith(url + '/') && !one.startsWith('blob:'));
    assert.deepEqual(elsewhere, [], 'no request leaves for elsewhere');
  } finally {
    await watched.close();
  }
}

// As a person lets go of a file above the page.
async function drop(page, path, name, type) {
  const transfer = await page.evaluateHandle(([base64, fileName, fileType]) => {
    const bytes = Uint8Array.from(atob(base64), (c) => c.charCodeAt(0));
    const made = new DataTransfer();
    made.items.add(new File([bytes], fileName, {type: fileType}));
    return made;
  }, [readFileSync(path).toString('base64'), name, type]);
  await page.dispatchEvent('#drop', 'drop', {dataTransfer: transfer});
}

async function chooseModel(page, id) {
  await page.locator('#model:not([disabled])').waitFor();
  await page.selectOption('#model', id);
  await page.waitForFunction((name) => document.getElementById('card-title').textContent === 'Model ' + name, id);
}

async function decideLeaf(page) {
  await chooseModel(page, 'leaves/1');
  await drop(page, LEAF, 'black-rot-00069.jpg', 'image/jpeg');
  await page.locator('#decision').waitFor();
}

async function explainLeaf(page, target = 'healthy') {
  await decideLeaf(page);
  await page.getByRole('button', {name: 'Why not ' + target + '?'}).click();
  await page.locator('#answer').waitFor();
  await page.waitForFunction(() => document.querySelector('.stage .after').src.startsWith('data:image/png'));
}

const afterSource = (page) => page.locator('.stage .after').getAttribute('src');

test('a JPEG dropped is decided within a second', async () => {
  await onPage({viewport: DESK}, async (page, seen) => {
    await chooseModel(page, 'leaves/1');
    const took = [];
    for (let i = 0; i < 5; ++i) {
      await page.evaluate(() => {
        window.took = new Promise((resolve) => {
          const begin = performance.now();
          document.getElementById('decision').hidden = true;
          new MutationObserver(() => {
            if (!document.getElementById('decision').hidden) resolve(performance.now() - begin);
          }).observe(document.getElementById('decision'), {attributes: true});
        });
      });
      await drop(page, LEAF, 'black-rot-00069.jpg', 'image/jpeg');
      took.push(await page.evaluate(() => window.took));
    }
    console.log('  decided after ' + took.map((ms) => Math.round(ms)).join(', ') + ' ms');
    assert.ok(Math.max(...took) < 1000, String(took));
    assert.match(await page.textContent('#decided'), /^Decided sick .+%\.$/);
    assert.equal(await page.locator('#choices button').count(), 1, 'of two classes, one was not decided');
    assert.ok(await page.locator('#photograph').evaluate((image) => image.naturalWidth > 0));
    assert.deepEqual(seen.messages, []);
  });
});

test('why not: a counterfactual with its sentence, bars, map and cautions', async () => {
  await onPage({viewport: DESK}, async (page, seen) => {
    await explainLeaf(page);
    assert.match(await page.textContent('#sentence'), /^Decided sick\. It becomes healthy by this: .+ \(.+ → .+\)/);
    assert.match(await page.locator('#flags li').first().textContent(), /^(convincing|just flipped|not flipped)$/);
    const [before, after] = await page.locator('.stage img').evaluateAll((images) => images.map((image) => image.src));
    assert.notEqual(before, after);
    const marks = await page.locator('.stage img').evaluateAll((images) => images.map((image) => atob(image.src.split(',')[1])));
    for (const file of marks) assert.match(file, /[Ss]ynthetic/);
    const colors = await page.locator('#map').evaluate((map) => {
      const {data} = map.getContext('2d').getImageData(0, 0, map.width, map.height);
      return new Set(Array.from({length: data.length / 4}, (_, i) => data.slice(4 * i, 4 * i + 3).join())).size;
    });
    assert.ok(colors > 10, 'the map has ' + colors + ' colours');
    assert.equal(await page.locator('#answer .bar').count(), 2);
    assert.match(await page.textContent('#fidelity'), /^Reconstruction: (good|fair|poor)/);
    assert.deepEqual(seen.messages, []);
  });
});

test('a slider moved by keyboard alone: the picture changes within 300 ms (p95 of 20)', async () => {
  await onPage({viewport: DESK}, async (page, seen) => {
    await explainLeaf(page);
    await page.locator('#sentence').evaluate((one) => window.getSelection().collapse(one, 0));
    let reached = false;
    for (let i = 0; i < 60 && !reached; ++i) {
      await page.keyboard.press('Tab');
      reached = await page.evaluate(() => document.activeElement.id.startsWith('slide-'));
    }
    assert.ok(reached, 'Tab leads to the first slider');
    await page.keyboard.press('Home');
    await page.waitForTimeout(1000);
    await page.evaluate(() => {
      window.changes = [];
      let pressed = 0;
      document.addEventListener('keydown', () => pressed = performance.now(), true);
      new MutationObserver(() => window.changes.push(performance.now() - pressed))
        .observe(document.querySelector('.stage .after'), {attributeFilter: ['src']});
    });
    const sources = new Set([await afterSource(page)]);
    for (let i = 1; i <= 20; ++i) {
      await page.keyboard.press('ArrowRight');
      await page.waitForFunction((count) => window.changes.length >= count, i, {timeout: 5000});
      sources.add(await afterSource(page));
    }
    const changes = (await page.evaluate(() => window.changes)).sort((a, b) => a - b);
    console.log('  picture changed after: median ' + Math.round(changes[9]) + ' ms, p95 ' + Math.round(changes[18]) +
      ' ms, most ' + Math.round(changes[19]) + ' ms');
    assert.equal(sources.size, 21, 'each step is another picture');
    assert.ok(changes[18] <= 300, 'p95 is ' + changes[18]);
    assert.match(await page.evaluate(() => document.activeElement.getAttribute('aria-valuetext')), /^100\s% of its range$/);
    await page.getByRole('button', {name: 'Back to the answer'}).press('Enter');
    assert.deepEqual(seen.messages, []);
  });
});

test('sliders draw what the answer drew, to the byte', async () => {
  await onPage({viewport: DESK}, async (page) => {
    await decideLeaf(page);
    const same = await page.evaluate(async (data) => {
      const post = async (verb, body) => (await fetch('/v1/models/leaves/1:' + verb, {method: 'POST', body: JSON.stringify(body),
        headers: {'Content-Type': 'application/json'}})).json();
      const image = {data};
      const answer = await post('counterfactual', {image, targetClass: {label: 'healthy'}, local: true});
      const {styles} = await post('encode', {image});
      const drawn = await post('reconstruct', {styles, local: Boolean(answer.localApplied), edits: answer.applied.map((one) => (
        {index: one.attribute.index || 0, shift: one.shift, direction: one.attribute.direction}))});
      return [drawn.image.data, answer.counterfactual.data];
    }, readFileSync(LEAF).toString('base64'));
    assert.equal(same[0], same[1]);
  });
});

test('a text file dropped is refused in words, and the page goes on', async () => {
  writeFileSync(join(folder, 'notes.txt'), 'This is no photograph.\n');
  await onPage({viewport: DESK}, async (page) => {
    await chooseModel(page, 'leaves/1');
    for (const [name, type] of [['notes.txt', 'text/plain'], ['notes.jpg', 'image/jpeg']]) {
      await drop(page, join(folder, 'notes.txt'), name, type);
      await page.waitForFunction(() => document.getElementById('problem').textContent !== '');
      const said = await page.textContent('#problem');
      assert.match(said, new RegExp('^' + name.replace('.', '\\.') + ': .*(JPEG|PNG|WebP)'));
      assert.equal(await page.getAttribute('#problem', 'role'), 'alert');
      assert.equal(await page.locator('#decision').isVisible(), false);
    }
    await drop(page, LEAF, 'leaf.jpg', 'image/jpeg');
    await page.locator('#decision').waitFor();
    assert.equal(await page.textContent('#problem'), '');
  });
});

test('no token, no answer; a wrong one is asked for again', async () => {
  await onPage({viewport: DESK}, async (page) => {
    await page.locator('#token-dialog[open]').waitFor();
    await page.keyboard.press('Escape');
    await page.waitForFunction(() => document.getElementById('problem').textContent !== '');
    assert.match(await page.textContent('#problem'), /Without a token/);
    assert.equal(await page.locator('#model').isDisabled(), true);
    await page.reload();
    await page.locator('#token-dialog[open]').waitFor();
    assert.deepEqual(await violations(page), []);
    await page.keyboard.type('a-wrong-token');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => document.getElementById('token-why').textContent !== '');
    await page.fill('#token', 'a-good-token');
    await page.keyboard.press('Enter');
    await decideLeaf(page);
    assert.equal(await page.evaluate(() => localStorage.length + sessionStorage.length + document.cookie.length), 0);
  }, guarded.web);
});

for (const width of [320, 390, 1440]) {
  for (const colorScheme of ['light', 'dark']) {
    test(`${width} pixels, ${colorScheme}: axe finds nothing in any tab, and nothing overflows`, async () => {
      await onPage({viewport: {width, height: 900}, colorScheme}, async (page) => {
        const check = async (where) => {
          assert.deepEqual(await violations(page), [], where);
          assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= window.innerWidth), where + ' overflows');
        };
        await check('empty');
        await explainLeaf(page);
        await page.evaluate(() => document.getElementById('more').open = true);
        await page.click('#pin');
        await page.click('#as-python');
        await check('answer');
        await page.click('#tab-attributes');
        await page.locator('.pair img').first().waitFor();
        await check('attributes');
        await page.click('#tab-card');
        await check('card');
        await chooseModel(page, 'drawn-faces/1');
        await check('card with known truth');
      });
    });
  }
}

test('tabs are chosen by keys, and show attributes and card of the model', async () => {
  await onPage({viewport: DESK}, async (page) => {
    await decideLeaf(page);
    await page.focus('#tab-explain');
    await page.keyboard.press('ArrowRight');
    assert.ok(await page.locator('#attributes').isVisible());
    assert.equal(await page.locator('#explain').isVisible(), false);
    assert.match(await page.locator('#classes h3').first().textContent(), /^Towards /);
    assert.match(await page.locator('.attribute p').first().textContent(), /effect [+−]\d+\.\d\d, flips /);
    await page.locator('details[open] .pair img').nth(1).waitFor();
    const pair = await page.locator('.pair').first().locator('img').evaluateAll((images) => images.map((image) => [image.src, image.alt]));
    assert.notEqual(pair[0][0], pair[1][0]);
    assert.notEqual(pair[0][1], pair[1][1]);
    await page.keyboard.press('End');
    assert.ok(await page.locator('#card').isVisible());
    assert.match(await page.textContent('#limits'), /% of its decisions are right/);
    assert.match(await page.textContent('#origin'), /Training images/);
    await page.keyboard.press('Home');
    assert.ok(await page.locator('#explain').isVisible());
  });
});

test('two pictures are pinned beside each other, and removed', async () => {
  await onPage({viewport: DESK}, async (page) => {
    await explainLeaf(page);
    await page.click('#pin');
    const pinned = await afterSource(page);
    await page.click('#to-zero');
    await page.waitForFunction((old) => document.querySelector('.stage .after').src !== old, pinned);
    await page.click('#pin');
    const boxes = await page.locator('#pinned img').evaluateAll((images) => images.map((image) => {
      const {x, y} = image.getBoundingClientRect();
      return {x, y, source: image.src, text: image.alt};
    }));
    assert.equal(boxes.length, 2);
    assert.equal(boxes[0].y, boxes[1].y);
    assert.notEqual(boxes[0].x, boxes[1].x);
    assert.notEqual(boxes[0].source, boxes[1].source);
    assert.notEqual(boxes[0].text, boxes[1].text);
    await page.getByRole('button', {name: 'Remove pinned picture 1'}).click();
    assert.equal(await page.locator('#pinned img').count(), 1);
  });
});

test('the downloaded report opens by itself, and says the same', async () => {
  const path = join(folder, 'report.html');
  let sentence;
  await onPage({viewport: DESK}, async (page) => {
    await explainLeaf(page);
    sentence = await page.textContent('#sentence');
    const [download] = await Promise.all([page.waitForEvent('download'), page.click('#download')]);
    assert.equal(download.suggestedFilename(), 'black-rot-00069-why-not-healthy.html');
    await download.saveAs(path);
  });
  const watched = await openWatched(browser, pathToFileURL(path).href, {viewport: PHONE});
  assert.deepEqual(watched.seen.messages, []);
  assert.deepEqual(watched.seen.requests, [pathToFileURL(path).href]);
  assert.equal(await watched.page.textContent('.sentence'), sentence);
  assert.match(await watched.page.textContent('body'), /SHA-256 [0-9a-f]{64}.*synthetic/s);
  const broken = await watched.page.evaluate(() => [...document.images].filter((image) => image.naturalWidth === 0).length);
  assert.equal(broken, 0);
  assert.ok(await watched.page.locator('img').count() >= 4);
  assert.deepEqual(await violations(watched.page), []);
  await watched.close();
});

test('what is copied asks the same outside of the page', async () => {
  const named = join(folder, 'black-rot-00069.jpg');
  copyFileSync(LEAF, named);
  const permissions = ['clipboard-read', 'clipboard-write'];
  const copied = {};
  let shown, wanted;
  await onPage({viewport: DESK, permissions}, async (page) => {
    await explainLeaf(page);
    for (const how of ['grpcurl', 'python']) {
      await page.click('#as-' + how);
      await page.waitForFunction(() => document.getElementById('status').textContent === 'Copied.');
      copied[how] = await page.evaluate(() => navigator.clipboard.readText());
      assert.equal(await page.textContent('#code'), copied[how]);
      await page.evaluate(() => document.getElementById('status').textContent = '');
    }
    shown = (await afterSource(page)).split(',')[1];
    wanted = (await page.textContent('.ends span:last-child')).replace(/^after: /, '');
  });
  writeFileSync(join(folder, 'ask.py'), copied.python);
  const printed = execFileSync('python3', ['ask.py'], {cwd: folder, encoding: 'utf8'});
  assert.ok(wanted.startsWith(printed.split(' True')[0].split(' False')[0].trim()), printed + ' is not ' + wanted);
  assert.equal(readFileSync(join(folder, 'counterfactual.png')).toString('base64'), shown);
  assert.equal(spawnSync('bash', ['-n', '-c', copied.grpcurl]).status, 0);
  assert.match(copied.grpcurl, new RegExp("-plaintext -d @ '" + server.address.replace(/^.*:/, '.*:') + "'"));
  const found = spawnSync('grpcurl', ['--version']);
  if (found.error) {
    console.log('  grpcurl is not installed: its command is not run');
    return;
  }
  const answer = JSON.parse(execFileSync('bash', ['-c', copied.grpcurl], {cwd: folder, encoding: 'utf8', maxBuffer: 1e8}));
  assert.equal(answer.counterfactual.data, shown);
});

test('a class of many is explained, by the list of classes too', async () => {
  await onPage({viewport: PHONE}, async (page) => {
    await chooseModel(page, 'fashion/2');
    const path = join(source, 'checkpoints/fashion/examples/sneaker-6261.jpg');
    await drop(page, path, 'sneaker.jpg', 'image/jpeg');
    await page.locator('#decision').waitFor();
    assert.equal(await page.locator('#choices li').count(), 10);
    await page.locator('#choices button').first().click();
    await page.locator('#answer').waitFor();
    assert.match(await page.textContent('#sentence'), /^Decided /);
    const factors = await page.evaluate(() => [...document.querySelectorAll('.stage img')].map(
      (image) => image.getBoundingClientRect().width / image.naturalWidth));
    assert.deepEqual(factors.filter((factor) => factor !== Math.round(factor)), []);
  });
});

test('what goes wrong while a slider moves is said', async () => {
  await onPage({viewport: DESK}, async (page) => {
    await explainLeaf(page);
    await page.route('**/*:reconstruct', (route) => route.abort());
    await page.locator('#sliders input').first().focus();
    await page.keyboard.press('ArrowLeft');
    await page.waitForFunction(() => document.getElementById('problem').textContent !== '');
    assert.equal(await page.textContent('#problem'), 'The server cannot be reached.');
    await page.unroute('**/*:reconstruct');
    const old = await afterSource(page);
    await page.keyboard.press('ArrowLeft');
    await page.waitForFunction((source) => document.querySelector('.stage .after').src !== source, old);
    assert.equal(await page.textContent('#problem'), '');
  });
});

test('of two models chosen in a row the later one counts, whichever answers first', async () => {
  await onPage({viewport: DESK}, async (page, seen) => {
    await chooseModel(page, 'leaves/1');
    let answerNow;
    const held = new Promise((resolve) => { answerNow = resolve; });
    await page.route('**/v1/models/drawn-faces/1', async (route) => {
      await held;
      await route.continue().catch(() => {});  // the page has given it up
    });
    await page.selectOption('#model', 'drawn-faces/1');
    await chooseModel(page, 'fashion/2');
    answerNow();
    await page.waitForTimeout(500);
    assert.equal(await page.textContent('#card-title'), 'Model fashion/2');
    await drop(page, join(source, 'checkpoints/fashion/examples/sneaker-6261.jpg'), 'sneaker.jpg', 'image/jpeg');
    await page.locator('#decision').waitFor();
    assert.equal(await page.locator('#choices li').count(), 10, 'the classes are those of the model that was asked');
    assert.deepEqual(seen.messages, []);
  });
});

test('an answer that breaks off is said, and the next one counts', async () => {
  await onPage({viewport: DESK}, async (page, seen) => {
    await decideLeaf(page);
    await page.route('**/*:counterfactual', (route) => route.fulfill({contentType: 'application/json', body: '{"flipped": tr'}),
      {times: 1});
    await page.getByRole('button', {name: 'Why not healthy?'}).click();
    await page.waitForFunction(() => document.getElementById('problem').textContent !== '');
    assert.equal(await page.textContent('#problem'), 'black-rot-00069.jpg: The answer broke off.');
    await page.getByRole('button', {name: 'Why not healthy?'}).click();
    await page.locator('#answer').waitFor();
    assert.equal(await page.textContent('#problem'), '');
    assert.deepEqual(seen.messages, []);
  });
});

test('an encoding that failed is asked for again', async () => {
  await onPage({viewport: DESK}, async (page) => {
    await page.route('**/*:encode', (route) => route.abort(), {times: 1});
    await explainLeaf(page);
    assert.equal(await page.textContent('#problem'), '');
  });
});

test('a token that no header can hold is refused in words', async () => {
  await onPage({viewport: DESK}, async (page) => {
    await page.locator('#token-dialog[open]').waitFor();
    await page.fill('#token', 'a\u2013good\u2013token');
    await page.keyboard.press('Enter');
    await page.waitForFunction(() => /ASCII/.test(document.getElementById('token-why').textContent));
    await page.fill('#token', 'a-good-token');
    await page.keyboard.press('Enter');
    await chooseModel(page, 'leaves/1');
  }, guarded.web);
});

test('without motion where that is wanted, light and dark', async () => {
  const colors = {};
  for (const colorScheme of ['light', 'dark']) {
    await onPage({viewport: DESK, colorScheme, reducedMotion: 'reduce'}, async (page) => {
      colors[colorScheme] = await page.evaluate(() => getComputedStyle(document.body).backgroundColor.match(/\d+/g).map(Number));
      const timed = await page.evaluate(() => [...document.querySelectorAll('*')].filter(
        (one) => getComputedStyle(one).transitionDuration !== '0s').length);
      assert.equal(timed, 0);
    });
  }
  assert.ok(colors.light.every((value) => value > 200) && colors.dark.every((value) => value < 60));
});
