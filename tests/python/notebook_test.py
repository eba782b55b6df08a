"""Runs the notebook from top to bottom against a server that it starts: notebook_test.py STYLEX_SERVER.

By nbclient where it is installed, as Jupyter would; else its cells one after the other, in one namespace, by this
Python. Exit code 77: skipped.
"""
import ast
import json
import os
import sys

import checkout

checkout.import_client()
NOTEBOOK = checkout.ROOT / 'python/explain.ipynb'


def run_by_nbclient(notebook):
    """The values that its cells show, a dictionary of representations each."""
    import nbclient
    import nbformat
    os.environ['PYTHONPATH'] = checkout.FOLDER.name
    parsed = nbformat.reads(json.dumps(notebook), as_version=4)
    nbformat.validate(parsed)
    nbclient.NotebookClient(parsed, timeout=120, kernel_name='python3',
                            resources={'metadata': {'path': str(NOTEBOOK.parent)}}).execute()
    return [output.data for cell in parsed.cells if cell.cell_type == 'code' for output in cell.outputs
            if output.output_type == 'execute_result']


def run_by_hand(notebook):
    os.chdir(NOTEBOOK.parent)
    space, shown = {'__name__': '__main__'}, []
    for number, cell in enumerate(notebook['cells']):
        if cell['cell_type'] != 'code':
            continue
        tree = ast.parse(''.join(cell['source']), f'cell {number}')
        last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, f'cell {number}', 'exec'), space)
        if last is not None:
            value = eval(compile(ast.Expression(last.value), f'cell {number}', 'eval'), space)
            if value is not None:
                shown.append({f'text/{kind}': getattr(value, f'_repr_{kind}_')() for kind in ('html',)
                              if hasattr(value, f'_repr_{kind}_')})
    return shown


def main():
    os.environ['STYLEX_SERVER'] = sys.argv[1]
    os.environ['STYLEX_ROOT'] = str(checkout.ROOT)
    notebook = json.loads(NOTEBOOK.read_text())
    for cell in notebook['cells']:
        assert not cell.get('outputs') and not cell.get('execution_count'), 'the notebook in git has no outputs'
    try:
        import ipykernel  # noqa: F401
        import nbclient  # noqa: F401
        run = run_by_nbclient
    except ImportError:
        run = run_by_hand
    shown = run(notebook)
    pictures = [value['text/html'].count('<img ') for value in shown if 'text/html' in value]
    print(f'{run.__name__}: {len(shown)} values shown, pictures in those that are HTML: {pictures}')
    # The explanation (photograph, before, after, difference, and on the photograph if it holds), five frames of a
    # traversal, one reconstruction.
    assert len(pictures) == 3 and pictures[0] in (4, 5) and pictures[1:] == [5, 1], pictures


main()
