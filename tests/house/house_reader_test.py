"""The readers that house_test.py trusts: do they see what is there?"""
import textwrap
import unittest

import cpp_source
import room_table

TABLE = """
| folder | holds | may include |
| --- | --- | --- |
| `base/` | few | Abseil |
| `image/` | pixels | `base` |
| `trainer/` | runs | `image` (and `models` one day) |
| `trainer/data/` | data | `image`; not `trainer` |
| `trainer/commands/` | commands | all of `trainer` |
| `tests/` | tests | everything |
"""

HEADER = """
// A file's comment.
#ifndef A_H_
#define A_H_
#define MACRO(x) { x
namespace stylex {

// Documented; a brace in a comment { and a "quote.
int Documented(int a, const std::vector<int>& b = {1, 2});
int Bare(std::function<void(int)> f = nullptr);

int Behind();  // documented behind

struct Open {
  Open() : a_{1}, b_(2) {}
  // Documented.
  virtual int Method() const = 0;
  int field = 0;
  std::function<void(int done)> callback = nullptr;
  char brace = '{';
  const char* text = R"(} " {)";
};

class Closed : public Open {
 public:
  ~Closed() override;
  Closed(const Closed&) = delete;
  int Method() const override { return 1; }
  int value() const { return value_; }
  int other() const { return value_ + 1; }

 private:
  int Hidden();
  int value_ ABSL_GUARDED_BY(mutex_) = 0;
};

template <class T>
T Generic(T t) {
  if (t > 0) {
    return [&] { return t; }();
  }
  return -t;
}

enum class Kind { kA, kB };
constexpr int kTable[] = {1, 2, 3};
namespace {
int Anonymous();
}  // namespace
}  // namespace stylex
#endif
"""


class RoomTableTest(unittest.TestCase):
    def setUp(self):
        self.table = room_table.RoomTable(TABLE)

    def test_rooms_of_files(self):
        self.assertEqual(self.table.room_of('trainer/data/csv.h'), 'trainer/data')
        self.assertEqual(self.table.room_of('trainer/state.h'), 'trainer')
        self.assertIsNone(self.table.room_of('trainers/state.h'))

    def test_what_may_be_included(self):
        self.assertEqual(self.table.may_include('trainer/data'), {'trainer/data', 'image', 'base'})
        self.assertEqual(self.table.may_include('trainer/commands'),
                         {'trainer/commands', 'trainer', 'trainer/data', 'image', 'base'})
        self.assertEqual(self.table.may_include('base'), {'base'})
        self.assertEqual(self.table.unbound, {'tests'})

    def test_a_row_that_names_no_room_is_refused(self):
        with self.assertRaisesRegex(ValueError, 'lets `stairs` be included'):
            room_table.RoomTable(TABLE + '| `attic/` | old | `stairs` |\n')
        with self.assertRaisesRegex(ValueError, 'was not found'):
            room_table.RoomTable('no table')


class CppSourceTest(unittest.TestCase):
    def test_public_functions(self):
        found = {function.name: function.documented for function in cpp_source.public_functions(HEADER)}
        self.assertEqual(found, {'Documented': True, 'Bare': False, 'Behind': True, 'Open': False,
                                 'Method': True, 'other': False, 'Generic': False})

    def test_definitions_with_their_length(self):
        found = {function.name: function.lines for function in cpp_source.definitions(HEADER)}
        self.assertEqual(found, {'Open': 1, 'Method': 1, 'value': 1, 'other': 1, 'Generic': 7})

    def test_types_at_top(self):
        text = ('class Declared;\nstruct Plain {\n  struct Inner {};\n};\nclass CAPABILITY("mutex") Lock {};\n'
                'class Last final : public ns::Base<int> {};\nstruct Made MadeOf(int x);\nclass Plain::Other : public Lock {};\nclass Own;\n')
        self.assertEqual(list(cpp_source.types_at_top(text)), ['Plain', 'Lock', 'Last', 'Plain::Other'])

    def test_tests_and_what_follows_them_are_functions(self):
        code = """
namespace stylex {
TEST_F(SuiteTest, DoesIt) {
  const int a[] = {1, 2};
}

MATCHER_P(IsLike, other, "") {
  return arg == other;
}

void After(int a) {
}

std::ostream& operator<<(std::ostream& out, const Thing& thing) {
  return out;
}

constexpr int kTable[] = {1, 2};
int Last() { return 1; }
}  // namespace stylex
"""
        found = [(function.name, function.lines) for function in cpp_source.definitions(code)]
        self.assertEqual([name for name, _ in found], ['SuiteTest.DoesIt', 'After', 'operator<<', 'Last'])
        self.assertEqual([lines for _, lines in found], [3, 2, 3, 1])

    def test_length_counts_from_the_signature_to_the_brace(self):
        text = textwrap.dedent("""\
            // Not counted.
            int Class::Long(int a,
                            int b) const {

              return a + b;
            }
            """)
        function, = cpp_source.definitions(text)
        self.assertEqual((function.name, function.line, function.lines), ('Class::Long', 2, 5))

    def test_includes_survive_the_removal_of_comments(self):
        text = '#include "a/b.h"\n// #include "c/d.h"\n/* #include "e/f.h" */\n'
        self.assertEqual(cpp_source.without_comments(text, keep_literals=True).split(),
                         ['#include', '"a/b.h"'])

    def test_unbalanced_text_is_refused(self):
        with self.assertRaises(ValueError):
            list(cpp_source.definitions('int F() {'))
        with self.assertRaises(ValueError):
            list(cpp_source.definitions('}\n'))


if __name__ == '__main__':
    unittest.main(verbosity=2)
