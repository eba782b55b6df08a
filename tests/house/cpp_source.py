"""Finds functions in this project's C++, which clang-format has laid out: definitions with their length,
and the public declarations of a header with whether they have a doc comment.

Not a C++ parser. It relies on the layout: a body's brace follows a space, an initialiser's does not.
"""
import dataclasses
import re

_LITERAL_OR_COMMENT = re.compile(
    r'//[^\n]*(?:\\\n[^\n]*)*'
    r'|/\*.*?\*/'
    r'|R"(?P<mark>[^()\\\s]*)\(.*?\)(?P=mark)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9A-Fa-f])'(?:\\.|[^'\\\n])*'",
    re.DOTALL)
_DIRECTIVE = re.compile(r'^[ \t]*#(?:[^\n\\]|\\.|\\\n)*', re.MULTILINE)
_TYPE = re.compile(r'\b(?:class|struct|union)\b(?!.*[()=])')
_NOT_A_FUNCTION = re.compile(
    r'\s*(?:using|typedef|static_assert|friend|extern "C"|enum|class|struct|namespace|union)\b')
_GETTER = re.compile(r'\w+\(\)\s*const\s*\{\s*return [*&]?\w+_(?:\.get\(\))?;\s*\}$')
_ACCESS = re.compile(r'\b(public|protected|private)\s*:(?!:)')


def _spaces(match):
    return re.sub(r'[^\n]', ' ', match.group())


def without_comments(text, keep_literals=False):
    """The text with comments (and literals, if not kept) blanked out; lines and columns stay."""
    def replace(match):
        token = match.group()
        if token.startswith('/'):
            return _spaces(match)
        return token if keep_literals else '"' + _spaces(match)[1:-1] + '"'
    return _LITERAL_OR_COMMENT.sub(replace, text)


def bare(text):
    """Code alone: no comments, literals, preprocessor lines."""
    return _DIRECTIVE.sub(_spaces, without_comments(text))


_TEST = re.compile(r'(?:TYPED_)?TEST(?:_[FP])?\((\w+),\s*(\w+)\)')


def _function_name(head):
    """The name before the first parenthesis outside <>, () and macros, "Suite.Case" of a test; None if
    there is none."""
    test = _TEST.match(head)
    if test:
        return f'{test.group(1)}.{test.group(2)}'
    depth = 0
    for i, c in enumerate(head):
        if c == '<' and not re.search(r'operator<?\s*$', head[:i]):
            depth += 1
        elif c == '>' and depth and head[i - 1] != '-':
            depth -= 1
        elif c == '=' and depth == 0 and not re.search(r'operator[=!<>+\-*/]*$', head[:i]):
            return None
        elif c == '(' and depth == 0:
            match = re.search(r'(~?[A-Za-z_][\w:]*|operator\s*\S+)\s*$', head[:i])
            if match is None:
                return None
            name = match.group(1)
            if not re.fullmatch(r'[A-Z][A-Z0-9_]+', name):
                return name
            if re.match(r'\s*$', head[:match.start()]):
                return None  # a macro call
            return None
    return None


@dataclasses.dataclass
class Function:
    name: str
    line: int  # of its first line, from 1
    lines: int
    documented: bool = False


def types_at_top(text):
    """Names of the classes and structs that are defined (not only declared) in a namespace, as this project
    indents them."""
    for match in re.finditer(r'^(?:class|struct)\b([^;{}()]*(?:\([^)]*\)[^;{}()]*)*)\{', bare(text), re.MULTILINE):
        head = re.sub(r'\([^)]*\)', '', match.group(1))  # of attributes
        yield re.findall(r'[\w:]+', re.sub(r'(?<!:):(?!:).*', '', head, flags=re.DOTALL).replace(' final', ''))[-1]


@dataclasses.dataclass
class _Scope:
    kind: str  # 'namespace', 'type', 'function', 'other'
    access: str
    start: int = 0  # of its head
    name: str = ''


def _kind(head):
    stripped = head.strip()
    if re.match(r'(inline\s+)?namespace\b|extern\s+"', stripped):
        return 'namespace'
    if not head or head[-1] not in ' \n' or stripped.endswith(('=', ',', '(', 'return')):
        return 'other'
    without_template = re.sub(r'^template\s*<[^{]*?>\s*(?=class|struct)', '', stripped)
    if _TYPE.match(without_template):
        return 'type'
    if stripped.startswith('enum'):
        return 'other'
    return 'function' if _function_name(stripped) else 'other'


def _walk(text):
    """Yields (what, head's start, end, scope): 'declaration' or 'definition' of something at the scope of
    a namespace or a type."""
    code = bare(text)
    scopes = [_Scope('namespace', 'public')]
    start, parentheses = 0, 0
    for i, c in enumerate(code):
        scope = scopes[-1]
        if c in '([':
            parentheses += 1
        elif c in ')]':
            parentheses -= 1
        elif c == '{':
            if scope.kind in ('function', 'other') or parentheses:
                scopes.append(_Scope('other', 'private', start))
                continue
            kind = _kind(code[start:i])
            access = 'public' if kind == 'namespace' or re.match(
                r'\s*(?:template\s*<.*?>\s*)?struct\b', code[start:i]) else 'private'
            if scope.access != 'public' or re.fullmatch(r'\s*namespace\s*', code[start:i]):
                access = 'hidden'
            scopes.append(_Scope(kind, access, start))
            if kind in ('namespace', 'type'):
                start = i + 1
        elif c == '}':
            closed = scopes.pop()
            if not scopes:
                raise ValueError('a brace too many')
            if closed.kind == 'function':
                yield 'definition', closed.start, i + 1, scopes[-1]
                start = i + 1
            elif closed.kind in ('namespace', 'type'):
                start = i + 1
            elif (scopes[-1].kind in ('namespace', 'type') and not parentheses and
                  not re.match(r'\s*[;,({\[.]', code[i + 1:])):
                start = i + 1  # an enumeration, or the body behind a macro
        elif c == ';' and scope.kind in ('namespace', 'type') and not parentheses:
            yield 'declaration', start, i + 1, scope
            start = i + 1
        elif c == ':' and scope.kind == 'type' and not parentheses:
            match = _ACCESS.search(code[start:i + 1])
            if match and match.end() == i + 1 - start:
                if scope.access != 'hidden':
                    scope.access = match.group(1)
                start = i + 1
    if len(scopes) != 1:
        raise ValueError('a brace is missing')


def _position(code, start, end):
    """Line numbers (from 0) of the first and last line with code of a stretch."""
    first = start + len(code[start:end]) - len(code[start:end].lstrip())
    return code.count('\n', 0, first), code.count('\n', 0, end - 1)


def definitions(text):
    """All function definitions, signature and body counted; lambdas belong to the function around."""
    code = bare(text)
    for what, start, end, _ in _walk(text):
        if what == 'definition':
            first, last = _position(code, start, end)
            yield Function(_function_name(code[start:end].strip()) or '?', first + 1, last - first + 1)


def public_functions(text):
    """The functions that a header offers: declared or defined in it, at namespace scope or public, without
    destructors, overrides, what is defaulted or deleted, and getters that return a member of their name.
    Documented: with a comment that ends on the line above or stands behind the declaration."""
    code = bare(text)
    lines = text.split('\n')
    for what, start, end, scope in _walk(text):
        if scope.access not in ('public',):
            continue
        statement = code[start:end]
        head = statement.split('{')[0].strip()
        name = _function_name(re.sub(r'^(?:\[\[\w+\]\]|template\s*<.*?>(?=\s*[\w\[]))\s*', '', head,
                                     flags=re.DOTALL))
        if (not name or name.startswith('~') or _NOT_A_FUNCTION.match(head) or
                re.search(r'\boverride\b|\bfinal\b|=\s*(?:default|delete)\s*;', statement)):
            continue
        if _GETTER.search(statement) and f'{name}_' in statement:
            continue
        first, last = _position(code, start, end)
        above = lines[first - 1].strip() if first else ''
        documented = above.startswith('//') or any('//' in line for line in lines[first:last + 1])
        yield Function(name, first + 1, last - first + 1, documented)
