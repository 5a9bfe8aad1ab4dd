"""Self-contained HTML page: no script, no external file, light and dark, readable on a phone."""

from __future__ import annotations

from tables.layout import TableLayout

PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{ "NOT comparable — " if layout.warning }}{{ layout.title }}</title>
<style>
:root { color-scheme: light dark; --ink: #1b1b1f; --paper: #ffffff; --soft: #5a5a66; --line: #d5d5dd;
  --warn-ink: #6b1a00; --warn: #ffe9dd; --gain: #f4f4f8; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8e8ee; --paper: #17171b; --soft: #a5a5b2;
  --line: #3b3b45; --warn-ink: #ffd9c7; --warn: #4a2413; --gain: #202027; } }
body { margin: 0 auto; padding: 1rem; max-width: 85rem; color: var(--ink); background: var(--paper);
  font: 1rem/1.5 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { font-size: 1.35rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.warning { padding: .75rem 1rem; font-weight: 600; color: var(--warn-ink); background: var(--warn);
  border-left: .3rem solid currentColor; }
dl { display: grid; grid-template-columns: minmax(7rem, max-content) 1fr; gap: .15rem 1rem; }
dt { color: var(--soft); } dd { margin: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums;
  overflow-wrap: normal; }
th, td { padding: .3rem .6rem; text-align: right; white-space: nowrap; }
thead th { vertical-align: bottom; border-bottom: 1px solid var(--line); }
thead th.long { white-space: normal; min-width: 6rem; }
th[scope=row] { text-align: left; font-weight: 400; position: sticky; left: 0; background: var(--paper); }
th[scope=colgroup] { text-align: center; }
tr.baseline > * { border-top: 1px solid var(--line); }
tr.gain > * { background: var(--gain); }
.name { text-align: left; }
td.state { color: var(--soft); font-style: italic; }
</style>
</head>
<body>
{% if layout.warning %}<p class="warning" role="note">{{ layout.warning }}</p>
{% endif %}<h1>{{ layout.title }}</h1>
<dl>
{% for label, text in layout.header %}<dt>{{ label }}</dt><dd>{{ text }}</dd>
{% endfor %}</dl>
{% if layout.main %}<div class="scroll" role="region" aria-label="{{ layout.title }}" tabindex="0">
<table>
<thead>
<tr><th scope="col" rowspan="2">Backbone and method</th>
{%- for name, width in layout.main.groups %}<th scope="colgroup" colspan="{{ width }}">{{ name }}</th>{% endfor %}</tr>
<tr>
{%- for column in layout.main.columns %}<th scope="col"
{%- if column.heading | length > 12 %} class="long"{% endif %}>{{ column.heading }}</th>{% endfor %}</tr>
</thead>
<tbody>
{% for row in layout.main.rows %}<tr class="{{ row.kind }}"><th scope="row">{{ row.labels | join(" ") }}</th>
{%- for cell in row.cells %}<td{% if cell.is_state %} class="state"{% endif %}>{{ cell.text }}</td>
{%- endfor %}</tr>
{% endfor %}</tbody>
</table>
</div>
{% endif %}{% for side in layout.side_tables %}<h2>{{ side.title }}</h2>
<div class="scroll" role="region" aria-label="{{ side.title }}" tabindex="0">
<table>
<thead><tr>{% for heading in side.headings %}<th scope="col" class="
{{- "name" if side.align[loop.index0] == "l" }}{{ " long" if heading | length > 12 }}">{{ heading }}</th>{% endfor %}
</tr></thead>
<tbody>
{% for texts in side.texts %}<tr>{% for text in texts %}<td
{%- if side.align[loop.index0] == "l" %} class="name"{% endif %}>{{ text }}</td>{% endfor %}</tr>
{% endfor %}</tbody>
</table>
</div>
{% endfor %}{% for title, lines in layout.lists %}<h2>{{ title }}</h2>
<ul>
{% for line in lines %}<li>{{ line }}</li>
{% endfor %}</ul>
{% endfor %}</body>
</html>
"""


def render(layout: TableLayout) -> str:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, keep_trailing_newline=True)
    return environment.from_string(PAGE).render(layout=layout)
