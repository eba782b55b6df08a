// A built stylex-server with the shipped models, for a test.
import {spawn} from 'node:child_process';
import {join} from 'node:path';

function addressesOf(server, count) {
  return new Promise((resolve, reject) => {
    let text = '';
    const read = (chunk) => {
      text += chunk;
      const found = [...text.matchAll(/^(listening|web) on (.+)$/gm)];
      if (found.length >= count) resolve(Object.fromEntries(found.map(([, what, where]) => [what, where])));
    };
    server.stdout.on('data', read);
    server.stderr.on('data', read);
    server.on('exit', (code) => reject(new Error('stylex-server ended with ' + code + ': ' + text)));
  });
}

// {address: of the gRPC port, web: of the page if `flags` ask for one, stop}
export async function startServer(bin, source, flags = []) {
  const server = spawn(join(bin, 'stylex-server'),
    ['--models', join(source, 'checkpoints'), '--port', '0', '--drain-delay', '0', ...flags],
    {env: {...process.env, OMP_WAIT_POLICY: 'passive'}});
  const {listening, web} = await addressesOf(server, flags.includes('--web-port') ? 2 : 1);
  const stop = async () => {
    server.removeAllListeners('exit');
    const ended = new Promise((resolve) => server.once('exit', resolve));
    server.kill('SIGTERM');
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 10000))]);
  };
  return {address: listening.replace(/^.*:/, '127.0.0.1:'), web, stop};
}
