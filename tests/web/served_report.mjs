// A report of a shipped model's examples, made by the built programs.
import {execFileSync, spawn} from 'node:child_process';
import {join} from 'node:path';

function listening(server) {
  return new Promise((resolve, reject) => {
    let text = '';
    const read = (chunk) => {
      text += chunk;
      const found = /listening on .*:(\d+)/.exec(text);
      if (found) resolve('127.0.0.1:' + found[1]);
    };
    server.stdout.on('data', read);
    server.stderr.on('data', read);
    server.on('exit', (code) => reject(new Error('stylex-server ended with ' + code + ': ' + text)));
  });
}

// Explains the examples of each model into OUTPUT/MODEL.
export async function explainExamples(bin, source, output, models) {
  const server = spawn(join(bin, 'stylex-server'),
    ['--models', join(source, 'checkpoints'), '--port', '0', '--drain-delay', '0'],
    {env: {...process.env, OMP_WAIT_POLICY: 'passive'}});
  const address = await listening(server);
  const client = (...words) => execFileSync(join(bin, 'stylex'), ['--server', address, ...words], {encoding: 'utf8'});
  const deadline = Date.now() + 60000;
  const ready = (model) => new RegExp('^' + model + '/.* ready ', 'm').test(client('models'));
  try {
    for (const model of models) {
      while (!ready(model) && Date.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 200));
      client('--model', model, 'explain', join(source, 'checkpoints', model, 'examples'), '--output', join(output, model));
    }
  } finally {
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.removeAllListeners('exit');
    server.once('exit', () => {});
    server.kill('SIGTERM');
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 10000))]);
  }
}
