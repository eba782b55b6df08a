// Work directories of two short trainings on drawn faces, made by the built program.
import {execFileSync} from 'node:child_process';
import {writeFileSync} from 'node:fs';
import {join} from 'node:path';

const CONFIG = {
  model: {
    resolution: 16,
    description: 'Drawn faces',
    generator: {channels: [8, 8, 8], latentSize: 8, mappingLayers: 1},
    encoder: {channels: [8, 8, 8]},
    discriminator: {channels: [8, 8, 8]},
    classifier: {widthMultiplier: 0.1},
  },
  classifier: {epochs: 2, batchSize: 8},
  stylex: {images: 480, batchSize: 4, pathLengthInterval: 2, saveIntervalImages: 240, sampleIntervalImages: 120},
};
export const LOOKS = 4;

// Trains into FOLDER/first and FOLDER/second, and writes FOLDER/both.html, which compares them.
export function trainTwice(bin, folder) {
  const train = (...words) => execFileSync(join(bin, 'stylex-train'), words,
    {encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], env: {...process.env, OMP_WAIT_POLICY: 'passive'}});
  const config = join(folder, 'config.json'), world = join(folder, 'world'), classifier = join(folder, 'classifier');
  writeFileSync(config, JSON.stringify(CONFIG));
  train('world', '--output', world, '--resolution', '16', '--train', '48', '--val', '24');
  const common = ['--data', world, '--config', config, '--device', 'cpu', '--threads', '1'];
  train('classifier', ...common, '--work-dir', classifier);
  for (const [name, seed] of [['first', '1'], ['second', '2']]) {
    train('stylex', ...common, '--classifier', classifier, '--work-dir', join(folder, name), '--seed', seed,
      '--output', join(folder, 'models'), '--name', name);
  }
  train('report', '--work-dir', classifier);
  train('report', '--work-dir', join(folder, 'first'), '--compare', join(folder, 'second'),
    '--output', join(folder, 'both.html'));
}
