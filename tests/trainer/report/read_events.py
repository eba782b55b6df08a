"""Prints what TensorBoard's own reader finds in a folder of event files: read_events.py FOLDER."""
import sys

from tensorboard.backend.event_processing import event_accumulator

accumulator = event_accumulator.EventAccumulator(sys.argv[1], purge_orphaned_data=True)
accumulator.Reload()
tags = accumulator.Tags()
for tag in tags['scalars']:
    values = ' '.join(f'{event.step}={event.value:g}' for event in accumulator.Scalars(tag))
    print(f'scalar {tag}: {values}')
for tag in tags['images']:
    pictures = ' '.join(f'{event.step}={event.width}x{event.height}' for event in accumulator.Images(tag))
    print(f'image {tag}: {pictures}')
