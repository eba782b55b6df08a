"""Lets clang read sources with the commands of build/lint (preset lint), two at a time.

    clang_reads.py locks             -Wthread-safety as errors, on every file that includes base/mutex.h
    clang_reads.py tidy [BASE]       clang-tidy on the files that differ from the commit BASE, or on all
"""
import concurrent.futures
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import cpp_source

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = ROOT / 'build/lint'


def commands():
    """Source: (its compile command, the folder to run it in)."""
    found = {}
    for entry in json.loads((BUILD / 'compile_commands.json').read_text()):
        path = pathlib.Path(entry['directory'], entry['file']).resolve()
        if path.is_relative_to(ROOT) and not path.is_relative_to(ROOT / 'build'):
            found.setdefault(str(path.relative_to(ROOT)), (shlex.split(entry['command']), entry['directory']))
    return found


def project_includes(path, seen=None):
    """All files of the project that a file includes, directly or through others."""
    seen = set() if seen is None else seen
    text = cpp_source.without_comments((ROOT / path).read_text(), keep_literals=True)
    for name in re.findall(r'^[ \t]*#[ \t]*include "([^"]+)"', text, re.MULTILINE):
        if name not in seen and (ROOT / name).is_file():
            seen.add(name)
            project_includes(name, seen)
    return seen


def program(name):
    for candidate in [name] + [f'{name}-{version}' for version in range(21, 13, -1)]:
        if shutil.which(candidate):
            return candidate
    sys.exit(f'{name} is not installed (deploy/packages-check.txt)')


def run_all(lines):
    """Runs commands, (words, folder) by file; names what fails with its output."""
    workers = int(os.environ.get('CMAKE_BUILD_PARALLEL_LEVEL', os.cpu_count() or 1))
    failed = 0

    def run(item):
        path, (words, folder) = item
        return path, subprocess.run(words, cwd=folder, text=True, capture_output=True, check=False)

    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        for path, done in pool.map(run, sorted(lines.items())):
            if done.returncode != 0:
                failed += 1
                print(f'--- {path}\n{done.stdout}{done.stderr}', flush=True)
    print(f'{len(lines)} files read, {failed} with findings')
    return failed


def locks():
    lines = {}
    for path, (words, folder) in commands().items():
        if 'base/mutex.h' in project_includes(path):
            words = [word for word in words if not word.endswith('ccache')]
            lines[path] = ([*words, '-fsyntax-only', '-Wno-error', '-Wthread-safety', '-Werror=thread-safety'],
                           folder)
    return lines


def changed(base):
    listed = subprocess.run(['git', 'diff', '--name-only', '--diff-filter=d', base, '--', '*.cc', '*.h'],
                            cwd=ROOT, text=True, capture_output=True, check=True).stdout.split()
    listed += subprocess.run(['git', 'ls-files', '--others', '--exclude-standard', '*.cc', '*.h'],
                             cwd=ROOT, text=True, capture_output=True, check=True).stdout.split()
    return set(listed)


def tidy(base):
    """A changed header is read through its own source, or else through one that includes it."""
    all_commands = commands()
    chosen = set(all_commands)
    if base is not None:
        files = changed(base)
        chosen &= files
        for header in sorted(path for path in files if path.endswith('.h')):
            own = header[:-2] + '.cc'
            readers = [own] if own in all_commands else [
                path for path in sorted(all_commands) if header in project_includes(path)][:1]
            if not readers:
                print(f'no source of this build includes {header}: not read')
            chosen |= set(readers)
    return {path: ([program('clang-tidy'), '--quiet', '-p', str(BUILD), str(ROOT / path)], str(ROOT))
            for path in chosen}


if __name__ == '__main__':
    if sys.argv[1] == 'locks':
        sys.exit(run_all(locks()) > 0)
    sys.exit(run_all(tidy(sys.argv[2] if len(sys.argv) > 2 else None)) > 0)
