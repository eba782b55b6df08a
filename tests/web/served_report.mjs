// A report of a shipped model's examples, made by the built programs.
import {execFileSync} from 'node:child_process';
import {join} from 'node:path';

import {startServer} from './server.mjs';

// Explains the examples of each model into OUTPUT/MODEL.
export async function explainExamples(bin, source, output, models) {
  const {address, stop} = await startServer(bin, source);
  const client = (...words) => execFileSync(join(bin, 'stylex'), ['--server', address, ...words], {encoding: 'utf8'});
  const deadline = Date.now() + 60000;
  const ready = (model) => new RegExp('^' + model + '/.* ready ', 'm').test(client('models'));
  try {
    for (const model of models) {
      while (!ready(model) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 200));
      client('--model', model, 'explain', join(source, 'checkpoints', model, 'examples'), '--output', join(output, model));
    }
  } finally {
    await stop();
  }
}
