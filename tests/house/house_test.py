"""Holds the files that git tracks against docs/architecture.md and CONTRIBUTING.md, and prints the figures.

Skipped (77) where there is no git checkout.
"""
import collections
import pathlib
import re
import subprocess
import sys
import unittest

import cpp_source
import room_table

ROOT = pathlib.Path(__file__).resolve().parents[2]
MAX_UNITS = 20
MAX_FUNCTION_LINES = 60
MIN_DOCUMENTED = 0.9
# Below this, tests have been lost or code has come without them.
MIN_TEST_LINES = 0.95
# Tables, written as functions: each row is one line and stands alone.
LONG_TABLES = {
    ('server/telemetry/metrics.cc', 'Metrics::Metrics'),
    ('trainer/training/train_config.cc', 'CheckStylex'),
    ('tests/models/checkpoint/model_config_test.cc', 'Faults'),
    ('tests/models/checkpoint/safetensors_test.cc', 'CorruptFiles'),
}
NAMES_WITHOUT_SUBJECT = {'util', 'utils', 'common', 'helper', 'helpers', 'misc'}
THIRD_PARTY = {'absl'}  # whose includes are written with quotes
WITHOUT_LIBTORCH = {'base', 'image', 'client', 'server/http', 'server/scheduling', 'server/rpc', 'server/telemetry',
                    'server/web', 'trainer/report'}
WITHOUT_GRPC = {'base', 'image', 'models', 'explain', 'trainer'}


def tracked_files():
    try:
        listed = subprocess.run(['git', 'ls-files', '-z'], cwd=ROOT, capture_output=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f'skipped: no git checkout in {ROOT}: {error}')
        sys.exit(77)
    files = [path for path in listed.stdout.decode().split('\0') if path and (ROOT / path).is_file()]
    if not files:
        print(f'skipped: git tracks nothing in {ROOT}')
        sys.exit(77)
    return files


def is_cpp(path):
    return path.endswith(('.cc', '.h'))


def folder_of(path):
    return str(pathlib.PurePosixPath(path).parent)


FILES = tracked_files()
TABLE = room_table.RoomTable((ROOT / 'docs/architecture.md').read_text())
TEXT = {path: (ROOT / path).read_text() for path in FILES if is_cpp(path)}
# Rooms that are libraries: what ships.
SOURCES = [path for path in TEXT if TABLE.room_of(path) not in TABLE.unbound | {None}]


def project_includes(path):
    """The files of this project that a file includes."""
    code = cpp_source.without_comments(TEXT[path], keep_literals=True)
    for name in re.findall(r'^[ \t]*#[ \t]*include "([^"]+)"', code, re.MULTILINE):
        if name in TEXT:
            yield name


class RoomsTest(unittest.TestCase):
    def test_every_file_stands_in_a_room(self):
        homeless = [path for path in FILES if '/' in path and TABLE.room_of(path) is None]
        self.assertEqual(homeless, [], 'docs/architecture.md names no room for these')

    def test_sources_stand_in_a_room_itself_not_below_it(self):
        below = [path for path in SOURCES if folder_of(path) != TABLE.room_of(path)]
        self.assertEqual(below, [], 'these folders are missing from the table of docs/architecture.md')

    def test_every_room_is_inhabited(self):
        empty = [room for room in TABLE.rooms if not any(path.startswith(room + '/') for path in FILES)]
        self.assertEqual(empty, [], 'docs/architecture.md names these, but nothing stands in them')

    def test_no_room_is_crowded(self):
        units = collections.defaultdict(set)
        for path in TEXT:
            units[folder_of(path)].add(pathlib.PurePosixPath(path).stem)
        largest = max(units, key=lambda room: len(units[room]))
        print(f'largest room: {largest}, {len(units[largest])} units')
        self.assertEqual({room: len(of) for room, of in units.items() if len(of) > MAX_UNITS}, {},
                         f'more than {MAX_UNITS} units (a .cc with its .h)')

    def test_tests_mirror_the_tree(self):
        own = {'e2e', 'fuzz', 'house'}
        strangers = {folder_of(path) for path in FILES if re.match(r'tests/[^/]+/.*(?:\.cc|\.h|\.py)$', path)}
        strangers = {room for room in strangers if room.split('/')[1] not in own and
                     room.removeprefix('tests/') not in TABLE.rooms and room != 'tests/server'}
        self.assertEqual(strangers, set(), 'no room has that name')

    def test_names_have_a_subject(self):
        named = [path for path in FILES
                 if NAMES_WITHOUT_SUBJECT & set(re.split(r'[/._-]', path.lower()))]
        self.assertEqual(named, [], 'a name must tell what is in it')


class IncludesTest(unittest.TestCase):
    def test_includes_follow_the_table(self):
        wrong = []
        for path in SOURCES:
            room = TABLE.room_of(path)
            allowed = TABLE.may_include(room)
            wrong += [f'{path} includes {included}' for included in project_includes(path)
                      if TABLE.room_of(included) not in allowed]
        self.assertEqual(wrong, [])

    def test_includes_are_written_from_the_root(self):
        """One beside the file, or with "..", would pass by the table and the include roots."""
        wrong = []
        for path in SOURCES:
            code = cpp_source.without_comments(TEXT[path], keep_literals=True)
            wrong += [f'{path} includes "{name}"'
                      for name in re.findall(r'^[ \t]*#[ \t]*include "([^"]+)"', code, re.MULTILINE)
                      if name not in TEXT and not re.search(r'\.pb\.h$', name)
                      and name.split('/')[0] not in THIRD_PARTY and not name.endswith('resources.h')]
        self.assertEqual(wrong, [])

    def test_libraries_stay_out_where_the_table_keeps_them_out(self):
        wrong = []
        for path in SOURCES:
            room = TABLE.room_of(path)
            if room in WITHOUT_LIBTORCH and re.search(r'#include <(torch|ATen|c10)/', TEXT[path]):
                wrong.append(f'{path} includes LibTorch')
            if room.split('/')[0] in WITHOUT_GRPC and re.search(r'#include <grpc', TEXT[path]):
                wrong.append(f'{path} includes gRPC')
        self.assertEqual(wrong, [])

    def test_no_files_include_each_other(self):
        state, circles = {}, []

        def visit(path, way):
            state[path] = 'open'
            for included in project_includes(path):
                if state.get(included) == 'open':
                    circles.append(' -> '.join(way[way.index(included):] + [included])
                                   if included in way else included)
                elif included not in state:
                    visit(included, way + [included])
            state[path] = 'done'

        for path in TEXT:
            if path not in state:
                visit(path, [path])
        self.assertEqual(circles, [])


class TypesTest(unittest.TestCase):
    def test_names_of_types_stand_once(self):
        """All types of headers share one namespace; a program that links two of one name is undefined."""
        headers = collections.defaultdict(list)
        for path in SOURCES:
            if path.endswith('.h'):
                for name in cpp_source.types_at_top(TEXT[path]):
                    headers[name].append(path)
        self.assertGreater(len(headers), 200)
        self.assertEqual({name: where for name, where in headers.items() if len(where) > 1}, {})


class FunctionsTest(unittest.TestCase):
    def test_functions_are_short(self):
        found = [(function.lines, path, function.name, function.line)
                 for path, text in TEXT.items() for function in cpp_source.definitions(text)]
        self.assertGreater(len(found), 1000, 'functions are not recognised any more')
        plain = [entry for entry in found if (entry[1], entry[2]) not in LONG_TABLES]
        lines, path, name, line = max(plain)
        print(f'longest function: {lines} lines, {name} ({path}:{line}), besides {len(LONG_TABLES)} tables')
        self.assertEqual([entry for entry in plain if entry[0] > MAX_FUNCTION_LINES], [],
                         f'longer than {MAX_FUNCTION_LINES} lines')

    def test_exceptions_are_needed(self):
        long = {(path, function.name) for path, text in TEXT.items()
                for function in cpp_source.definitions(text) if function.lines > MAX_FUNCTION_LINES}
        self.assertEqual(LONG_TABLES - long, set(), 'no longer long, or no longer there')

    def test_public_functions_are_documented(self):
        functions = [(path, function) for path in SOURCES if path.endswith('.h')
                     for function in cpp_source.public_functions(TEXT[path])]
        bare = [f'{path}:{function.line}: {function.name}'
                for path, function in functions if not function.documented]
        share = 1 - len(bare) / len(functions)
        print(f'public functions with a doc comment: {len(functions) - len(bare)} of {len(functions)} '
              f'({share:.1%}); without:', *bare, sep='\n  ')
        self.assertGreaterEqual(share, MIN_DOCUMENTED)


class TestLinesTest(unittest.TestCase):
    def test_share_of_test_lines(self):
        source = sum(TEXT[path].count('\n') for path in SOURCES)
        tests = sum((ROOT / path).read_text().count('\n') for path in FILES
                    if path.startswith('tests/') and path.endswith(('.cc', '.h', '.py', '.mjs')))
        print(f'lines of tests (C++, Python and JavaScript below tests/): {tests}; of sources (C++ in the rooms): '
              f'{source}; {tests / source:.2f} a line')
        self.assertGreaterEqual(tests / source, MIN_TEST_LINES)

    def test_headers_without_a_test(self):
        """Not a rule: a list of what to test next."""
        tested = {included for path in TEXT if path.startswith('tests/') for included in project_includes(path)}
        untested = sorted(path for path in SOURCES if path.endswith('.h') and path not in tested)
        print(f'{len(untested)} headers that no test includes:', *untested, sep='\n  ')
        self.assertTrue(tested)


class CoresTest(unittest.TestCase):
    def test_cores_are_counted_in_one_place(self):
        """The others see the machine's cores, not those that the process may use."""
        counts = r'\bhardware_concurrency\b|\b_SC_NPROCESSORS_|\bomp_get_num_procs\b|\bget_nprocs\b'
        found = {path for path in SOURCES
                 if re.search(counts, cpp_source.without_comments(TEXT[path]))}
        self.assertEqual(found, {'base/cores.cc'}, 'call AvailableCores() of base/cores.h')


class NoticeTest(unittest.TestCase):
    def test_pictures_are_named(self):
        """Whose data a picture shows, and under which licence, stands in NOTICE. Charts show none."""
        notice = (ROOT / 'NOTICE').read_text()
        pictures = [path for path in FILES if path.startswith('docs/') and path.endswith(('.png', '.jpg', '.gif'))]
        self.assertEqual([path for path in pictures if path not in notice], [], 'not named in NOTICE')


class VersionTest(unittest.TestCase):
    def test_version_stands_in_one_place(self):
        version, = re.findall(r'^project\(stylex VERSION ([\d.]+) ', (ROOT / 'CMakeLists.txt').read_text(),
                              re.MULTILINE)
        newest = re.search(r'^## \[([\d.]+)\]', (ROOT / 'CHANGELOG.md').read_text(), re.MULTILINE)
        self.assertEqual(newest.group(1), version, "CHANGELOG.md's newest entry is of another version")
        copies = []
        for path in FILES:
            if path not in ('CMakeLists.txt', 'CHANGELOG.md') and not path.startswith('checkpoints/'):
                text = (ROOT / path).read_bytes().decode(errors='replace')
                if re.search(rf'(?<![\w.]){re.escape(version)}(?![\w.])', text):
                    copies.append(path)
        self.assertEqual(copies, [], f'{version} belongs into CMakeLists.txt alone')


if __name__ == '__main__':
    unittest.main(verbosity=2)
