"""Tries includes against the table of docs/architecture.md with the compilers' commands of this build:
a wrong one must not be found, a right one must compile.

    wrong_include_test.py BUILD_FOLDER
"""
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile
import unittest

BUILD = pathlib.Path(sys.argv.pop(1))

# Room: (a header that it may include, one that it may not).
INCLUDES = {
    'trainer/data': ('image/bitmap.h', 'trainer/commands/commands.h'),
    'models/networks': ('models/checkpoint/safetensors.h', 'models/cpu/each_cpu.h'),
    'server/rpc': ('server/scheduling/batch_queue.h', 'explain/metrics.h'),
    'image': ('base/file.h', 'models/pixels.h'),
    'trainer/study': ('trainer/data/csv.h', 'trainer/training/losses.h'),
    'client': ('image/canvas.h', 'server/options.h'),
}


def command_of(room):
    """How a file of the room's library is compiled, up to the file and without the precompiled header."""
    target = f'{room}/CMakeFiles/stylex_{room.replace("/", "_")}.dir/'
    for entry in json.loads((BUILD / 'compile_commands.json').read_text()):
        words = shlex.split(entry['command'])
        if not any(word.startswith(target) for word in words):
            continue
        kept, skip = [], 0
        for word in words:
            if skip:
                skip -= 1
            elif word in ('-o', '-c', '-MF', '-MT', '-include') or word.startswith('-Xclang'):
                skip = 1
            elif not word.endswith('ccache') and word != '-MD' and not word.startswith('-Winvalid-pch'):
                kept.append(word)
        return kept, entry['directory']
    return None


class WrongIncludeTest(unittest.TestCase):
    def compile(self, room, header):
        found = command_of(room)
        if found is None:
            self.skipTest(f'{room} is not part of this build')
        command, directory = found
        with tempfile.TemporaryDirectory() as folder:
            source = pathlib.Path(folder) / 'try.cc'
            source.write_text(f'#include "{header}"\n')
            return subprocess.run([*command, '-fsyntax-only', str(source)], cwd=directory, text=True,
                                  capture_output=True, check=False, env={'LC_ALL': 'C', 'PATH': '/usr/bin:/bin'})


def add_test(room, right, wrong):
    def test_right(self):
        done = self.compile(room, right)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_wrong(self):
        root = pathlib.Path(__file__).resolve().parents[2]
        self.assertTrue((root / wrong).is_file(), f'{wrong} is gone: this would prove nothing')
        done = self.compile(room, wrong)
        self.assertNotEqual(done.returncode, 0, f'{room} can include {wrong}')
        self.assertRegex(done.stderr, f"{wrong}: No such file|'{wrong}' file not found")

    name = room.replace('/', '_')
    setattr(WrongIncludeTest, f'test_{name}_may_include_{pathlib.Path(right).stem}', test_right)
    setattr(WrongIncludeTest, f'test_{name}_may_not_include_{pathlib.Path(wrong).stem}', test_wrong)


for a_room, (a_right, a_wrong) in INCLUDES.items():
    add_test(a_room, a_right, a_wrong)

if __name__ == '__main__':
    unittest.main(verbosity=2)
