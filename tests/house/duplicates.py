"""Finds code that stands twice: six equal lines in a row, whatever their indentation.

    duplicates.py [--lines N]

Comments, blank lines, includes and lines without a letter or digit do not count. C++, Python and JavaScript of
the whole tree, as git tracks it. What may stand twice is told in duplicates_allowed.txt: two files a line, then why.
"""
import argparse
import collections
import pathlib
import re
import subprocess
import sys

import cpp_source

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALLOWED = pathlib.Path(__file__).with_name('duplicates_allowed.txt')


def is_python(path, text):
    return path.endswith('.py') or re.match(r'#!\S*(\s|/)python3?\b', text) is not None


def is_read(path, text):
    return path.endswith(('.cc', '.h', '.js', '.mjs')) or is_python(path, text)


def counted_lines(path, text):
    """(number, line without whitespace) of the lines that count."""
    python = is_python(path, text)
    if not python:
        text = cpp_source.without_comments(text, keep_literals=True)
    for number, line in enumerate(text.split('\n'), 1):
        if python:
            line = re.sub(r'(^|\s)#.*', '', line)
        line = re.sub(r'\s+', '', line)
        if re.search(r'\w', line) and not re.match(r'#include|import\w|from\w+import|namespace|using', line):
            yield number, line


def longest_runs(files, least):
    """Pairs of equal stretches of at least `least` lines: (lines, path, first line, path, first line)."""
    windows = collections.defaultdict(list)
    lines = {path: list(counted_lines(path, text)) for path, text in files.items()}
    for path, of_file in lines.items():
        for i in range(len(of_file) - least + 1):
            windows[tuple(line for _, line in of_file[i:i + least])].append((path, i))
    pairs = {(first, second) for places in windows.values() if len(places) > 1
             for n, first in enumerate(places) for second in places[n + 1:]}
    for (path, i), (other, j) in sorted(pairs):
        if ((path, i - 1), (other, j - 1)) in pairs or path == other and j < i + least:
            continue
        length = least
        while ((path, i + length - least + 1), (other, j + length - least + 1)) in pairs:
            length += 1
        yield length, path, lines[path][i][0], other, lines[other][j][0]


def allowed_pairs(text):
    pairs = set()
    for line in text.split('\n'):
        if line.strip() and not line.startswith('#'):
            first, second, reason = line.split(maxsplit=2)
            assert reason
            pairs.add(frozenset((first, second)))
    return pairs


def main():
    parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('--lines', type=int, default=6)
    least = parser.parse_args().lines
    listed = subprocess.run(['git', 'ls-files', ':!*.png', ':!*.jpg', ':!*.safetensors', ':!*.pt'], cwd=ROOT,
                            text=True, capture_output=True, check=True)
    texts = {path: (ROOT / path).read_text(errors='replace') for path in listed.stdout.split()
             if (ROOT / path).is_file()}
    files = {path: text for path, text in texts.items() if is_read(path, text)}
    allowed, used, found = allowed_pairs(ALLOWED.read_text()), set(), 0
    for length, path, line, other, other_line in longest_runs(files, least):
        pair = frozenset((path, other))
        if pair in allowed:
            used.add(pair)
            continue
        found += 1
        print(f'{path}:{line}: {length} lines as in {other}:{other_line}')
    for pair in allowed - used:
        found += 1
        print(f'{ALLOWED.relative_to(ROOT)}: {" ".join(sorted(pair))} have no {least} equal lines any more')
    if found:
        sys.exit(f'{found} times {least} or more equal lines: let one call the other')


if __name__ == '__main__':
    main()
