#!/usr/bin/env python3
"""Reports of the benchmark: bench/results/<set>.json holds the figures; this
makes <rowset>.md, <rowset>.svg and README.md of them.  Run alone, it makes the
reports anew: bench/report.py [RESULTS]"""

import json
import os
import shutil
import subprocess
import sys

from checks import (FIXED_WIDTH, RECALLS, at_recall, best_us, cell, fixed_recall, index_blocks, named, rows_of, seconds,
                    server_us, statement_blocks, time_us, width)

HERE = os.path.dirname(os.path.abspath(__file__))
BY_ENGINE = ('engines', 'inserts', 'builds', 'cold')    # lists with one entry an engine


def merge(figures, other):
    """Adds what only other has; entries of figures stay as they are."""
    for kind in BY_ENGINE:
        for item in other.get(kind, []):
            if not named(figures.setdefault(kind, []), 'engine', item['engine']):
                figures[kind].append(item)
    for rowset in other.get('rowsets', []):
        mine = named(figures.setdefault('rowsets', []), 'name', rowset['name'])
        if mine is None:
            figures['rowsets'].append(rowset)
            continue
        for curve in rowset['curves']:
            if not named(mine['curves'], 'engine', curve['engine']):
                mine['curves'].append(curve)
        mine['calibration'] = mine.get('calibration') or rowset.get('calibration', [])
    for key, value in other.items():
        if not figures.get(key):
            figures[key] = value


def write_json(directory, figures):
    """<set>.json of the directory, which is made if need be."""
    os.makedirs(directory, exist_ok=True)
    with open(os.path.join(directory, figures['set'] + '.json'), 'w') as f:
        json.dump(figures, f, indent=1)
        f.write('\n')


def told(run):
    """When, what and how a run measured, in a line."""
    return f"{run['date']}, commit {run['commit'] or 'unknown'}: `{run['command']}`"


def save(results, figures, run):
    """Writes the figures of one run, and below them what earlier runs had; returns all."""
    path = os.path.join(results, figures['set'] + '.json')
    entries = [i for kind in BY_ENGINE for i in figures.get(kind, [])]
    entries += [c for r in figures.get('rowsets', []) for c in r['curves']]
    for entry in entries:
        entry['run'] = run['date']
    earlier = json.load(open(path)) if os.path.exists(path) else {}
    merge(figures, earlier)
    used = {i['run'] for kind in BY_ENGINE for i in figures.get(kind, [])}
    used |= {c['run'] for r in figures['rowsets'] for c in r['curves']}
    figures['runs'] = [run] + [r for r in earlier.get('runs', []) if r['date'] in used and r['date'] != run['date']]
    write_json(results, figures)
    write_set(results, figures)
    return figures


# ---- tables ----

def table(head, rows):
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '|'.join(['---'] + ['---:'] * (len(head) - 1)) + '|']
    return lines + ['| ' + ' | '.join(str(c) for c in row) + ' |' for row in rows] + ['']


CHECK_HEAD = ['check', 'vecx', 'peer', 'ratio', 'bar', 'aim', '']


def check_cells(r):
    return [r.check + (f' ({r.detail})' if r.detail else ''), r.mine, r.peer, r.shown, r.bar, r.aim, r.verdict or '-']


def comparison(figures, rowset):
    rows = rows_of(figures, rowset)
    return table(CHECK_HEAD, [check_cells(r) for r in rows]) if rows else ['vecx was not measured: no comparison.', '']


def engine_table(figures):
    rows = []
    for e in figures['engines']:
        rows.append([e['engine'], e.get('version', '-'), f"`{e['options']}`" if e['options'] else 'defaults',
                     seconds(e['build_seconds']), seconds(e['build_cpu_seconds']),
                     cell(e['index_bytes'] / 1048576, 1),
                     cell(e['table_bytes'] / 1048576, 1) if 'table_bytes' in e else '-',
                     cell(e['build_wal_bytes'] / 1048576, 1) if 'build_wal_bytes' in e else '-', e['run']])
    return table(['engine', 'version', 'options', 'build s', 'of processor', 'index MiB', 'table MiB', 'WAL of the build MiB',
                  'run'], rows)


def level_table(rowset):
    rows = []
    for c in rowset['curves']:
        row = [c['engine'], *(cell(c['floor'][k], 1) if 'floor' in c else '-' for k in ('mean_us', 'best_us'))]
        for recall in RECALLS:
            t = at_recall(c, recall, time_us)
            row += [cell(at_recall(c, recall, width)), cell(t and 1e6 / t), cell(at_recall(c, recall, best_us), 1),
                    cell(at_recall(c, recall, server_us), 1),
                    cell(at_recall(c, recall, index_blocks), 1), cell(at_recall(c, recall, statement_blocks), 1)]
        rows.append(row + [cell(fixed_recall(c), 4)])
    head = ['engine', 'floor us', 'best']
    for recall in RECALLS:
        head += [f'width at {recall}', 'queries/s', 'best us', 'processor us', 'index blocks', 'statement blocks']
    return table(head + [f'recall at width {FIXED_WIDTH}'], rows)


def point_table(rowset):
    rows = []
    for c in rowset['curves']:
        for p in c['points']:
            t = p['times']
            rows.append([c['engine'], p['width'], f"{p['recall']:.4f}", cell(t['qps']),
                         f"{min(p['round_qps']):,.0f} to {max(p['round_qps']):,.0f}" if p['round_qps'] else '-',
                         cell(t['p50_us'], 1), cell(t['p99_us'], 1),
                         cell(t['best_us'], 1), cell(t['server_us'], 1), cell(p.get('index_blocks'), 1),
                         cell(p.get('statement_blocks'), 1), p['missing_rows']])
    return table(['engine', 'width', 'recall', 'queries/s', 'rounds', 'p50 us', 'p99 us', 'best us', 'processor us', 'index blocks',
                  'statement blocks', 'missing rows'], rows)


def insert_table(figures):
    if not figures.get('inserts'):
        return []
    rows = []
    for i in figures['inserts']:
        first = i.get('first_pass')
        rows.append([i['engine'], cell(i['rows_before']), cell(i['rows_per_second']), cell(i.get('rows_per_second_each')),
                     cell(i['wal_per_row']), cell(i['wal_per_row_after_checkpoint']),
                     cell(i.get('first_pass_recall'), 4), cell(first and first['qps']), i['run']])
    return ['## Single-row inserts', '',
            '10,000 rows, one statement each, in one transaction and, into the same index, one a transaction. After the '
            f'former the first pass of the queries at width {FIXED_WIDTH}, if then every row is there; then a checkpoint and '
            'up to 1,000 more rows.', ''] + \
        table(['engine', 'rows before', 'rows/s', 'one a transaction', 'WAL bytes a row', 'right after a checkpoint',
               'recall after', 'queries/s after', 'run'], rows)


def build_table(figures):
    """vecx's builds: alone, by two processes, in little memory."""
    rows = []
    for b in figures.get('builds', []):
        for key, what in (('one', 'one process'), ('two', 'two processes'), ('tight', 'a tenth of the memory')):
            c = b.get(key)
            if c:
                rows.append([what, cell(c['seconds'], 1), cell(c['cpu_seconds'], 1), cell(c['workers_cpu_seconds'], 1),
                             cell(c['memory_bytes'] / 1048576, 1), c['threads']])
    return ['## Builds of vecx', ''] + table(['build', 's', 'processor s', 'of the other process',
                                              'private memory MiB', 'threads'], rows) if rows else []


def target_table(rowset):
    rows = []
    for c in rowset['curves']:
        for p in c.get('targets', []):
            rows.append([p.get('target', 'defaults'), f"{p['recall']:.4f}", p['poor_queries'], f"{p['worst_recall']:.1f}",
                         cell(p['times']['qps']), cell(p['times']['p50_us'], 1), cell(p['times']['p99_us'], 1),
                         cell(p['index_blocks'], 1)])
    return ['## Width left to the index', ''] + \
        table(['target_recall', 'recall', 'queries below .5', 'the worst', 'queries/s', 'p50 us', 'p99 us', 'index blocks'],
              rows) if rows else []


def cold_table(figures):
    rows = []
    for e in figures.get('cold', []):
        for p in e['points']:
            rows.append([e['engine'], e['shared_buffers'], p['width'], f"{p['recall']:.4f}", cell(p['reads_empty'], 1),
                         cell(p.get('runs_empty'), 1), cell(p['reads_steady'], 1)])
    return ['## Cold', ''] + table(['engine', 'shared_buffers', 'width', 'recall', 'index pages read by the first query',
                                    'in runs', 'after other queries'], rows) if rows else []


def circumstances(figures):
    lines = ['## Circumstances', '']
    for r in figures['runs']:
        lines += [f"- Run of {r['date']}: commit {r['commit'] or 'unknown'}, {r['cpu']}, {r['cores']} cores, "
                  f"{r['memory_gib']} GiB, load {r['load_average']:.1f} before, {r['system']}",
                  f"  `{r['command']}`"]
    if 'server' in figures:
        lines += [f"- {figures['server']}",
                  '- ' + ', '.join(f'{k} = {v}' for k, v in figures['settings'].items())]
    for rowset in figures['rowsets']:
        for c in rowset['curves']:
            if 'generic_plans' in c:
                lines.append(f"- {rowset['name']}, {c['engine']}: {c['generic_plans']:,} executions with the generic "
                             f"plan, {c['custom_plans']:,} with custom ones")
    return lines + [f'- {n}' for n in figures.get('notes', [])] + ['']


# ---- files ----

PLOT = '''set terminal svg size 760,480 font "sans-serif,12" background "white"
set output "{out}"
set title "{title}"
set xlabel "recall at 10"
set ylabel "queries a second"
set logscale y
set logscale x
set xrange [0.3:0.0008]
set xtics (".7" 0.3, ".8" 0.2, ".9" 0.1, ".95" 0.05, ".98" 0.02, ".99" 0.01, ".995" 0.005, ".999" 0.001)
set grid xtics ytics lc rgb "#dddddd"
set key top right
plot {curves}
'''


def write_plot(results, figures, rowset):
    """Recall against speed, by gnuplot; without gnuplot there is no plot."""
    if not shutil.which('gnuplot'):
        return False
    blocks, curves = [], []
    for i, c in enumerate(rowset['curves']):
        points = ''.join(f"{max(1 - p['recall'], 0.001)} {p['times']['qps']}\n"
                         for p in c['points'] if p['times']['qps'])
        blocks.append(f'$d{i} << END\n{points}END\n')
        curves.append(f'$d{i} using 1:2 with linespoints lw 2 pt 7 ps 0.6 title "{c["engine"]}"')
    title = f"{rowset['name']}: {figures['rows']:,} rows of {figures['dim']}, {figures['metric']}"
    script = ''.join(blocks) + PLOT.format(out=os.path.join(results, rowset['name'] + '.svg'), title=title,
                                           curves=', '.join(curves))
    subprocess.run(['gnuplot'], input=script, text=True, check=True)
    return True


def write_set(results, figures):
    for i, rowset in enumerate(figures['rowsets']):
        lines = [f"# {rowset['name']}", '',
                 f"{figures['rows']:,} rows of {figures['dim']} dimensions, {figures['metric']}, "
                 f"{rowset['queries']:,} queries ({rowset.get('timed_queries', rowset['queries']):,} of them timed), "
                 f"k = {figures['k']}, one client, caches warm.", '']
        lines += comparison(figures, rowset)
        if write_plot(results, figures, rowset):
            lines += [f"![recall and speed]({rowset['name']}.svg)", '']
        lines += ['## Indexes', ''] + engine_table(figures)
        lines += ['## At the levels of recall', ''] + level_table(rowset)
        lines += ['## All widths', ''] + point_table(rowset)
        lines += target_table(rowset)
        if i == 0:
            lines += build_table(figures) + insert_table(figures) + cold_table(figures)
        lines += circumstances(figures)
        with open(os.path.join(results, rowset['name'] + '.md'), 'w') as f:
            f.write('\n'.join(lines))


VERDICTS = ('missed', 'not measured', 'not available', 'met', 'aim met', '')      # the worst first


def overall_rows(checked):
    """One row a check: its bar, what each set of queries shows, and the worst verdict."""
    merged = {}
    for name, rows in checked.items():
        for r in rows:
            if r.verdict:
                merged.setdefault(r.check, {})[name] = r
    lines = []
    for check, found in merged.items():
        limits = [(r.bar, r.aim) for r in found.values()]
        worst = min((r.verdict for r in found.values()), key=VERDICTS.index)
        lines.append([check, *('; '.join(dict.fromkeys(x[i] for x in limits)) for i in (0, 1)),
                      *(found[n].shown + ('' if found[n].verdict != 'missed' else ' (missed)') if n in found else ''
                        for n in checked), worst])
    return lines


def write_overall(results):
    """README.md of the results: one row a check, then one per set and engine, then all rows of each set."""
    sets = [json.load(open(os.path.join(results, n))) for n in sorted(os.listdir(results)) if n.endswith('.json')]
    rows, pages, checked, commands = [], [], {}, {}
    for figures in sets:
        for r in figures['runs']:
            commands.setdefault(r['command'], '- ' + told(r))
        for rowset in figures['rowsets']:
            link = f"[{rowset['name']}]({rowset['name']}.md)"
            checked[link] = rows_of(figures, rowset)
            for c in rowset['curves']:
                e = named(figures['engines'], 'engine', c['engine'])
                speeds = [at_recall(c, r, time_us) for r in RECALLS]
                rows.append([link, c['engine'], seconds(e['build_seconds']),
                             cell(e['index_bytes'] / 1048576, 1), cell(c['floor']['mean_us'], 1) if 'floor' in c else '-',
                             *(cell(t and 1e6 / t) for t in speeds),
                             *(cell(at_recall(c, r, index_blocks), 1) for r in RECALLS),
                             cell(at_recall(c, RECALLS[-1], statement_blocks), 1), cell(fixed_recall(c), 4)])
            pages += [f"## {rowset['name']}", ''] + comparison(figures, rowset)
            if os.path.exists(os.path.join(results, rowset['name'] + '.svg')):
                pages += [f"![recall and speed]({rowset['name']}.svg)", '']
    lines = ['# Results', '', 'How they are produced: [bench/README.md](../README.md). Ratios are vecx to its peer, at equal '
             'recall, or what the check says; each set has one vecx index.', '']
    lines += table(['check', 'bar', 'aim', *checked, 'worst'], overall_rows(checked))
    lines += ['Commands:', ''] + list(commands.values()) + ['']
    lines += table(['queries', 'engine', 'build s', 'index MiB', 'floor us', 'queries/s at .95', 'at .99',
                    'index blocks at .95', 'at .99', 'statement blocks at .99', f'recall at {FIXED_WIDTH}'], rows)
    with open(os.path.join(results, 'README.md'), 'w') as f:
        f.write('\n'.join(lines + pages))


def main():
    results = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, 'results')
    for name in sorted(os.listdir(results)):
        if name.endswith('.json'):
            write_set(results, json.load(open(os.path.join(results, name))))
    write_overall(results)


if __name__ == '__main__':
    main()
