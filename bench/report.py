#!/usr/bin/env python3
"""Reports of the benchmark: bench/results/<set>.json holds the figures; this
makes <rowset>.md, <rowset>.svg and README.md of them.  Run alone, it makes the
reports anew: bench/report.py [RESULTS]"""

import json
import math
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
RECALLS = (0.95, 0.99)
FIXED_WIDTH = 100
PEERS = ('pgvector-64', 'pgvector-200')
LEAST_MISS = 1e-4       # stands for no miss at all where a logarithm is needed

# What vecx has to reach against pgvector, (bar, aim); a ratio of costs is to be
# at most the bar, one of speeds at least.
SPEED = (3, 8)
BUILD = (1, 1 / 4)
STATEMENT = (1 / 4, 1 / 6)
INDEX_BLOCKS = {'fmnist': (1 / 8, 1 / 12), 'sift200k': (1 / 12, 1 / 18), 'acl512': (1 / 12, 1 / 18)}
SIZE = {'sift200k': (1.5, 1.2), 'acl512': (1.1, 0.75), 'fmnist': (0.6, 0.4), 'bge1024': (0.4, 0.3)}
FIXED_RECALL = {'fmnist': 0.995, 'sift200k': 0.98, 'acl512': 0.97, 'acl512-title': 0.95}
HNSWLIB = (0.5, 1)
INSERTS = (3, 6)
INSERT_WAL = (1, 0.5)


def named(items, key, name):
    return next((i for i in items if i.get(key) == name), None)


def merge(figures, other):
    """Adds what only other has; entries of figures stay as they are."""
    for kind in ('engines', 'inserts'):
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
    for key, value in other.items():
        figures.setdefault(key, value)


def save(results, figures, run):
    """Writes the figures of one run, and below them what earlier runs had."""
    path = os.path.join(results, figures['set'] + '.json')
    for kind in ('engines', 'inserts'):
        for item in figures.get(kind, []):
            item['run'] = run['date']
    for rowset in figures['rowsets']:
        for curve in rowset['curves']:
            curve['run'] = run['date']
    figures['runs'] = [run]
    if os.path.exists(path):
        earlier = json.load(open(path))
        merge(figures, earlier)
        used = {c['run'] for r in figures['rowsets'] for c in r['curves']}
        used |= {i['run'] for kind in ('engines', 'inserts') for i in figures[kind]}
        figures['runs'] += [r for r in earlier['runs'] if r['date'] in used and r['date'] != run['date']]
    with open(path, 'w') as f:
        json.dump(figures, f, indent=1)
        f.write('\n')
    write_set(results, figures)


# ---- interpolation ----

def at_recall(curve, recall, value):
    """value(point) where the curve reaches the recall: linear in the logarithm
    of the miss rate between the two widths around it.  When the narrowest width
    is already better, its own value; None when no width is good enough."""
    before = None
    for point in curve['points']:
        if value(point) is None:
            return None
        if point['recall'] >= recall:
            if before is None or point['recall'] <= before['recall']:
                return value(point)
            miss = [math.log(max(1 - p['recall'], LEAST_MISS)) for p in (before, point)]
            goal = math.log(max(1 - recall, LEAST_MISS))
            share = (goal - miss[0]) / (miss[1] - miss[0]) if miss[0] != miss[1] else 1
            return value(before) + share * (value(point) - value(before))
        before = point
    return None


def time_us(point):
    return point['times']['mean_us']


def best_us(point):
    return point['times']['best_us']


def server_us(point):
    return point['times']['server_us']


def index_blocks(point):
    return point.get('index_blocks')


def statement_blocks(point):
    return point.get('statement_blocks')


def width(point):
    return point['width']


def best_peer(rowset, recall, value):
    """The lower cost of pgvector's two builds, and whose it is."""
    found = []
    for name in PEERS:
        curve = named(rowset['curves'], 'engine', name)
        cost = curve and at_recall(curve, recall, value)
        if cost is not None:
            found.append((cost, name))
    return min(found) if found else (None, None)


# ---- tables ----

def cell(value, digits=0):
    if value is None:
        return '-'
    return f'{value:,.{digits}f}'


def table(head, rows):
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '|'.join(['---'] + ['---:'] * (len(head) - 1)) + '|']
    return lines + ['| ' + ' | '.join(str(c) for c in row) + ' |' for row in rows] + ['']


def fraction(ratio):
    """A ratio as one reads it beside a bar such as 1/8."""
    if ratio is None:
        return '-'
    return f'1/{1 / ratio:.3g}' if 0 < ratio < 0.5 else f'{ratio:.2f}'


def verdict(ratio, bar, low):
    """low: the ratio is one of costs."""
    if ratio is None or bar is None:
        return '-'
    met = [ratio <= b if low else ratio >= b for b in bar]
    return 'aim met' if met[1] else 'met' if met[0] else 'missed'


def ratio_row(what, mine, peer, bar, low=True, digits=1):
    ratio = mine / peer if mine is not None and peer else None
    shown = fraction(ratio) if low else cell(ratio, 2)
    limits = [fraction(b) if low else f'{b:g}x' for b in bar] if bar else ['-', '-']
    return [what, cell(mine, digits), cell(peer, digits), shown, *limits, verdict(ratio, bar, low)]


def speed_rows(rowset, mine, recall, value, key, what, bar):
    """Queries per second; above the floor of SQL where that is most of the time."""
    own = at_recall(mine, recall, value)
    peer, name = best_peer(rowset, recall, value)
    if own is None or peer is None:
        return [[f'{what} at recall {recall}', cell(own and 1e6 / own), cell(peer and 1e6 / peer),
                 '-', '-', '-', '-']]
    floors = [named(rowset['curves'], 'engine', n)['floor'][key] for n in ('vecx', name)]
    above = [own - floors[0], peer - floors[1]]
    # Noise alone must not invoke the rule of the floor: best rounds have to agree.
    applies = bar and floors[0] > own / 2 and \
        named(rowset['curves'], 'engine', 'vecx')['floor']['best_us'] > at_recall(mine, recall, best_us) / 2
    plain = ratio_row(f'{what} at recall {recall} ({name})', 1e6 / own, 1e6 / peer,
                      None if applies else bar, low=False, digits=0)
    over = ratio_row('the same, us above the floor of SQL', above[0], above[1], None)
    over[3] = cell(above[1] / above[0], 2) + 'x' if above[0] > 0 else '-'
    if applies:
        over[4:] = [f'{bar[0]:g}x', f'{bar[1]:g}x',
                    verdict(above[1] / above[0] if above[0] > 0 else math.inf, bar, False)]
    return [plain, over]


def block_rows(rowset, mine, recall):
    own = [at_recall(mine, recall, v) for v in (index_blocks, statement_blocks)]
    peer = [best_peer(rowset, recall, v)[0] for v in (index_blocks, statement_blocks)]
    judged = recall == RECALLS[-1]
    return [ratio_row(f'index blocks a query at recall {recall}', own[0], peer[0],
                      INDEX_BLOCKS.get(rowset['name']) if judged else None),
            ratio_row(f'statement blocks a query at recall {recall}', own[1], peer[1],
                      STATEMENT if judged else None)]


def size_rows(figures):
    vecx = named(figures['engines'], 'engine', 'vecx')
    small = named(figures['engines'], 'engine', PEERS[0])
    if not vecx or not small:
        return []
    mib = [e['index_bytes'] / 1048576 for e in (vecx, small)]
    return [ratio_row('index, MiB', *mib, SIZE.get(figures['set'])),
            ratio_row('build, s (ef_construction 64)', vecx['build_seconds'], small['build_seconds'], BUILD),
            ratio_row('build, s of processor', vecx['build_cpu_seconds'], small['build_cpu_seconds'], BUILD)]


def fixed_recall(curve):
    point = named(curve['points'], 'width', FIXED_WIDTH)
    return point['recall'] if point else None


def comparison(figures, rowset):
    mine = named(rowset['curves'], 'engine', 'vecx')
    if not mine:
        return ['vecx was not measured: no comparison.', '']
    rows = []
    for recall in RECALLS:
        rows += speed_rows(rowset, mine, recall, time_us, 'mean_us', 'queries/s', SPEED)
        rows += speed_rows(rowset, mine, recall, best_us, 'best_us', "queries/s, each query's best round,", None)
        rows += speed_rows(rowset, mine, recall, server_us, 'server_us', 'queries/s of processor time', None)
        rows += block_rows(rowset, mine, recall)
        yardstick = named(rowset['curves'], 'engine', 'hnswlib')
        times = [c and at_recall(c, recall, time_us) for c in (mine, yardstick)]
        rows.append(ratio_row(f'queries/s at recall {recall} (hnswlib in process)',
                              *(t and 1e6 / t for t in times), HNSWLIB, low=False, digits=0))
    rows += size_rows(figures)
    lines = table(['vecx against pgvector', 'vecx', 'peer', 'ratio', 'bar', 'aim', ''], rows)
    bar = FIXED_RECALL.get(rowset['name'])
    recall = fixed_recall(mine)
    if recall is not None:
        judged = f'; the bar is {bar}: {"met" if recall >= bar else "missed"}' if bar else ''
        lines += [f'Recall of vecx at `ef_search` = {FIXED_WIDTH}: {recall:.4f}{judged}.', '']
    return lines


def engine_table(figures):
    rows = []
    for e in figures['engines']:
        rows.append([e['engine'], e.get('version', '-'), f"`{e['options']}`" if e['options'] else 'defaults',
                     cell(e['build_seconds'], 1), cell(e['build_cpu_seconds'], 1),
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
        rows.append([i['engine'], cell(i['rows_before']), cell(i['rows_per_second']), cell(i['wal_per_row']),
                     cell(i['wal_per_row_after_checkpoint']), cell(i.get('first_pass_recall'), 4),
                     cell(first and first['qps'])])
    lines = ['## Single-row inserts', '',
             '10,000 rows, one statement each, in one transaction; then the first pass of the queries at '
             f'width {FIXED_WIDTH}; then a checkpoint and up to 1,000 more rows.', '']
    lines += table(['engine', 'rows before', 'rows/s', 'WAL bytes a row', 'right after a checkpoint',
                    'recall after', 'queries/s after'], rows)
    mine = named(figures['inserts'], 'engine', 'vecx')
    peer = named(figures['inserts'], 'engine', PEERS[0])
    if mine and peer:
        lines += table(['vecx against pgvector', 'vecx', 'peer', 'ratio', 'bar', 'aim', ''], [
            ratio_row('rows/s', mine['rows_per_second'], peer['rows_per_second'], INSERTS, low=False, digits=0),
            ratio_row('WAL bytes a row', mine['wal_per_row'], peer['wal_per_row'], INSERT_WAL, digits=0),
            ratio_row('right after a checkpoint', mine['wal_per_row_after_checkpoint'],
                      peer['wal_per_row_after_checkpoint'], INSERT_WAL, digits=0)])
    return lines


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
                 f"{rowset['queries']:,} queries, k = {figures['k']}, one client, caches warm.", '']
        lines += comparison(figures, rowset)
        if write_plot(results, figures, rowset):
            lines += [f"![recall and speed]({rowset['name']}.svg)", '']
        lines += ['## Indexes', ''] + engine_table(figures)
        lines += ['## At the levels of recall', ''] + level_table(rowset)
        lines += ['## All widths', ''] + point_table(rowset)
        lines += insert_table(figures) if i == 0 else []
        lines += circumstances(figures)
        with open(os.path.join(results, rowset['name'] + '.md'), 'w') as f:
            f.write('\n'.join(lines))


def write_overall(results):
    """README.md of the results: one line per rowset and engine, then the ratios."""
    sets = [json.load(open(os.path.join(results, n))) for n in sorted(os.listdir(results)) if n.endswith('.json')]
    rows, ratios = [], []
    for figures in sets:
        for rowset in figures['rowsets']:
            for c in rowset['curves']:
                e = named(figures['engines'], 'engine', c['engine'])
                times = [at_recall(c, r, time_us) for r in RECALLS]
                rows.append([f"[{rowset['name']}]({rowset['name']}.md)", c['engine'], cell(e['build_seconds'], 1),
                             cell(e['index_bytes'] / 1048576, 1), cell(c['floor']['mean_us'], 1) if 'floor' in c else '-',
                             *(cell(t and 1e6 / t) for t in times),
                             *(cell(at_recall(c, r, index_blocks), 1) for r in RECALLS),
                             cell(at_recall(c, RECALLS[-1], statement_blocks), 1), cell(fixed_recall(c), 4)])
            if named(rowset['curves'], 'engine', 'vecx'):
                ratios += [f"## {rowset['name']}", ''] + comparison(figures, rowset)
    lines = ['# Results', '', 'How they are produced: [bench/README.md](../README.md).', '']
    lines += table(['queries', 'engine', 'build s', 'index MiB', 'floor us', 'queries/s at .95', 'at .99',
                    'index blocks at .95', 'at .99', 'statement blocks at .99', f'recall at {FIXED_WIDTH}'], rows)
    with open(os.path.join(results, 'README.md'), 'w') as f:
        f.write('\n'.join(lines + ratios))


def main():
    results = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, 'results')
    for name in sorted(os.listdir(results)):
        if name.endswith('.json'):
            write_set(results, json.load(open(os.path.join(results, name))))
    write_overall(results)


if __name__ == '__main__':
    main()
