// Seconds from opening a report until the pictures of its first card are drawn.
//
//   NODE_PATH=FOLDER/node_modules node report_page.mjs REPORT.html
import {resolve} from 'node:path';
import {pathToFileURL} from 'node:url';

import {launch, requireBrowser} from '../tests/web/browser.mjs';

requireBrowser();
const browser = await launch();
const page = await (await browser.newContext({viewport: {width: 1440, height: 900}})).newPage();
const began = performance.now();
await page.goto(pathToFileURL(resolve(process.argv[2])).href, {waitUntil: 'commit'});
await page.waitForFunction(() => {
  const pictures = [...document.querySelectorAll('article.card:first-of-type .stage img')];
  return pictures.length > 0 && pictures.every((picture) => picture.complete && picture.naturalWidth > 0);
}, undefined, {polling: 10});
console.log(((performance.now() - began) / 1000).toFixed(3));
await browser.close();
