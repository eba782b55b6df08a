// Debian's Chromium, driven by playwright-core. What is missing is said, and the test is skipped (77).
//
//   apt-get install chromium nodejs npm; npm install playwright-core axe-core   # and NODE_PATH to its node_modules
import {existsSync, mkdtempSync, readFileSync} from 'node:fs';
import {createRequire} from 'node:module';
import {tmpdir} from 'node:os';
import {join} from 'node:path';

const require = createRequire(import.meta.url);  // which heeds NODE_PATH
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);

function skip(reason) {
  console.log('skipped: ' + reason);
  process.exit(77);
}

function load(name) {
  try {
    return require(name);
  } catch {
    return skip('no npm package ' + name + ' (npm install ' + name + ', NODE_PATH=…/node_modules)');
  }
}

export function requireBrowser() {
  if (!CHROMIUM) skip('no /usr/bin/chromium (apt-get install chromium)');
  load('playwright-core');
  load('axe-core');
}

// A browser without any network of its own.
export async function launch() {
  return load('playwright-core').chromium.launch({
    executablePath: CHROMIUM,
    args: ['--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync'],
  });
}

// A page on which everything that is printed, fails or is asked for is written down.
export async function openWatched(browser, url, options = {}) {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  const seen = {messages: [], requests: []};
  page.on('console', (message) => seen.messages.push(message.type() + ': ' + message.text()));
  page.on('pageerror', (error) => seen.messages.push('error: ' + error));
  page.on('request', (request) => {
    if (!request.url().startsWith('data:')) seen.requests.push(request.url());
  });
  await page.goto(url);
  return {page, seen, close: () => context.close()};
}

// What axe-core finds, a line each.
export async function violations(page) {
  // The page's policy lets no script in, and axe is one: it is evaluated by the debugger instead.
  await page.evaluate(readFileSync(require.resolve('axe-core/axe.min.js'), 'utf8') + '\n0');
  const result = await page.evaluate('axe.run(document, {resultTypes: ["violations"]})');
  return result.violations.map((found) => found.id + ': ' + found.help + ' ' +
    found.nodes.slice(0, 3).map((node) => node.target.join(' ') + ' ' + node.failureSummary).join('; '));
}

export function temporaryFolder() {
  return mkdtempSync(join(tmpdir(), 'stylex-web-'));
}
