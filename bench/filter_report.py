"""What searches with WHERE have to reach, and the reports of it: below
bench/results/filters, <set>.json holds the figures, <set>.md and README.md show
them.  Run alone, it makes the reports anew: bench/filter_report.py [RESULTS]"""

import json
import os
import statistics
import sys

from checks import best_us, between, cell, cost, percent, row, server_us, speed, time_us, times
from report import CHECK_HEAD, check_cells, table, told, write_json

LEVEL = 0.95            # of recall, at which speeds are compared
RECALL = {'default': (0.93, 0.95), 0.97: (0.95, 0.97)}
# least share of the rows, words, (bar, aim) of queries/s against pgvector's fastest way
CLASSES = ((0.05, 'more than 5 % of the rows', (3, 10)), (0.005, '0.5 to 5 %', (1.5, 5)),
           (0, 'less than 0.5 %', (1, 2)))
TENANT_RECALL = (1, 1)
TENANT_BLOCKS = (60, 30)
TENANT_P99 = (1, 0.7)
PLANS = (0.95, 0.98)
FACTOR = 1.5            # a plan chosen is right if no other is faster by more
COLUMN_INSERTS = (0.8, 0.9)
COLUMN_SIZE = (1.15, 1.1)
ROWS = (0, 0)
LEAST_JUDGED = 10       # queries that a recall has to come from
UNCHANGED = (1.03, 1)   # costs of a plain index to those before filter columns


def worked(record, kind, way):
    return [p for p in record.get('points', []) if p['kind'] == kind and p['way'] == way and 'times' in p]


def ways_of(record):
    return list(dict.fromkeys((p['kind'], p['way']) for p in record.get('points', [])))


def at_level(record, kind, way, value):
    """The least value(point) with which this way reaches the recall; None if it never does."""
    points = sorted(worked(record, kind, way), key=lambda p: p['recall'])
    found = [value(p) for p in points if p['recall'] >= LEVEL]
    return min(found + [between(points, LEVEL, value)]) if found else None


def fastest_peer(record, value=time_us):
    """(us, way) of pgvector's ways."""
    found = [(at_level(record, k, w, value), w) for k, w in ways_of(record) if k == 'pgvector']
    return min([f for f in found if f[0] is not None], default=(None, None))


def class_of(record):
    return next(c for c in CLASSES if record['share'] >= c[0])


def set_of(record, kind, way, setting):
    """A plan that sorts is the same at every setting."""
    return next((p for p in record.get('points', []) if (p['kind'], p['way']) == (kind, way)
                 and (p['setting'] == setting or p.get('exact'))), None)


def recalls(record, setting):
    """Recall of vecx's ways at one setting, by table and way."""
    found = {}
    for kind in ('vecx', 'plain'):
        for way in ('as planned', 'index'):
            point = set_of(record, kind, way, setting)
            if point and point.get('queries', 0) >= LEAST_JUDGED:
                found[f'{kind}, {way}'] = point['recall']
    return found


# ---- checks ----

def is_bad(r):
    """Rows out of order are none: scans are in relaxed order."""
    return r.get('error') or r.get('short_queries') or r.get('strangers')


def row_check(figures):
    bad, total = [], 0
    for record in figures['filters']:
        for r in record.get('rows', []):
            total += 1
            if is_bad(r):
                bad.append(record['name'])
    if not total:
        return []
    return [row('rows: other than min(LIMIT, matches), or wrong ones', len(bad), total, len(bad), ROWS, '{:g}'.format, True,
                detail=', '.join(dict.fromkeys(bad)))]


def recall_checks(figures):
    rows = []
    for setting, limits in RECALL.items():
        found = [(r, f"{record['name']} ({where})") for record in figures['filters']
                 for where, r in recalls(record, setting).items()]
        if found:
            worst = min(found)
            nbelow = sum(r < limits[0] for r, _ in found)
            detail = worst[1] + (f'; {nbelow} of {len(found)} below the bar' if nbelow else '')
            rows.append(row(f"recall of the worst filter at target {'.95' if setting == 'default' else setting}", worst[0],
                            None, worst[0], limits, '{:.4f}'.format, digits=4, detail=detail))
    return rows


def same_plan(record, peer):
    """Whether vecx's planner chose what pgvector's fastest way does, a sort: what they differ by is noise."""
    plans = {(p['kind'], p['way']): p['plan'] for p in record.get('plans', [])}
    mine = plans.get(('vecx', 'as planned'), '')
    return peer == 'exact' and mine.replace('_vecx', '_pgvector') == plans.get(('pgvector', 'exact'))


def speed_checks(figures):
    rows = []
    for c in CLASSES:
        ratios = []
        for record in figures['filters']:
            mine, (peer, way) = at_level(record, 'vecx', 'as planned', time_us), fastest_peer(record)
            if class_of(record) is c and peer:
                ratio = peer / mine if mine else 0
                ratios.append((max(ratio, 1) if same_plan(record, way) else ratio, record['name']))
        if ratios:
            worst = min(ratios)
            missed = [n for r, n in ratios if r < c[2][0]]
            detail = f'{worst[1]}; median {statistics.median(r for r, _ in ratios):.3g}x' + \
                (f"; below the bar: {', '.join(missed)}" if missed else '')
            rows.append(row(f"queries/s at recall {LEVEL}, pgvector's fastest way, worst filter of {c[1]}", None, None, worst[0],
                            c[2], times, detail=detail))
    return rows


def tenant_checks(figures):
    rows = []
    for name in dict.fromkeys(t['filter'] for t in figures.get('tenants', [])):
        mine, exact = (next((t for t in figures['tenants'] if t['filter'] == name and t['way'] == w and 'times' in t), {})
                       for w in ('index', 'exact'))
        p99 = [t.get('times', {}).get('p99_us') for t in (mine, exact)]
        rows += [row('small tenants: recall', mine.get('recall'), None, mine.get('recall'), TENANT_RECALL, '{:.4f}'.format,
                     digits=4, detail=name),
                 row('small tenants: index blocks a query', mine.get('index_blocks'), None, mine.get('index_blocks'),
                     TENANT_BLOCKS, '{:.1f}'.format, True, 1, name),
                 cost('small tenants: p99 us, btree and sort', *p99, TENANT_P99, detail=name)]
    return rows


def shape_ratio(shape):
    """Of the plan chosen to the fastest; one where it is the same plan."""
    us = shape['us']
    fastest = min(us, key=us.get)
    if shape['plans'].get('chosen') == shape['plans'].get(fastest):
        return 1
    return us['chosen'] / us[fastest]


def plan_checks(figures):
    shapes = figures.get('shapes', [])
    if not shapes:
        return []
    right = sum(shape_ratio(s) <= FACTOR for s in shapes)
    return [row(f'plans chosen that are within {FACTOR} of the fastest forced', right, len(shapes), right / len(shapes), PLANS,
                percent)]


def column_checks(figures):
    column = figures.get('column')
    if not column:
        return []
    plain, one = column['plain'], column['one']
    return [speed('one int4 filter column: inserts/s, plain index', *(c['rows'] / c['seconds'] for c in (one, plain)),
                  COLUMN_INSERTS),
            speed('one int4 filter column: inserts a second of processor', *(c['rows'] / c['cpu_seconds'] for c in (one, plain)),
                  None),
            cost('one int4 filter column: index, MiB', *(c['bytes'] / 1048576 for c in (one, plain)), COLUMN_SIZE),
            cost('one int4 filter column: WAL bytes a row', *(c['wal_bytes'] / c['rows'] for c in (one, plain)), None, 0),
            cost('one int4 filter column: build, s of processor', *(c['build_cpu_seconds'] for c in (one, plain)), None)]


def plain_index(figures):
    return next((i for i in figures['indexes'] if i['kind'] == 'plain'), None)


def plain_checks(figures):
    """Against the figures of an earlier commit, kept beside these."""
    before = figures.get('before')
    if not before or not figures.get('plain'):
        return []
    rows = [cost('plain index, MiB, before', *(plain_index(f)['bytes'] / 1048576 for f in (figures, before)), UNCHANGED)]
    for mine, earlier in zip(figures['plain'], before['plain']):
        if 'times' in mine and 'times' in earlier:
            detail = f"width {mine['setting']}, recall {mine['recall']:.4f}, before {earlier['recall']:.4f}"
            rows += [cost('plain index: blocks a query, before', mine['index_blocks'], earlier['index_blocks'], UNCHANGED,
                          detail=detail),
                     cost('plain index: processor us a query, before', server_us(mine), server_us(earlier), UNCHANGED,
                          detail=detail)]
    return rows


def rows_of(figures):
    return row_check(figures) + recall_checks(figures) + speed_checks(figures) + tenant_checks(figures) + \
        plan_checks(figures) + column_checks(figures) + plain_checks(figures)


# ---- tables ----

def shown_share(share):
    return f'{100 * share:.3g} %'


def filter_table(figures):
    rows = []
    for record in figures['filters']:
        if 'points' not in record:
            continue
        peer, way = fastest_peer(record)
        mine = at_level(record, 'vecx', 'as planned', time_us)
        ratios = [at_level(record, 'vecx', 'as planned', v) for v in (best_us, server_us)]
        ratios = [fastest_peer(record, v)[0] / m if m and fastest_peer(record, v)[0] else None
                  for v, m in zip((best_us, server_us), ratios)]
        others = [at_level(record, k, w, time_us) for k, w in
                  (('vecx', 'index'), ('vecx', 'exact'), ('plain', 'as planned'), ('plain', 'index'))]
        rows.append([record['name'], f"`{record['condition']}`", record['kind'], cell(record['matches']),
                     shown_share(record['share']), way or '-', cell(peer and 1e6 / peer), cell(mine and 1e6 / mine),
                     times(peer / mine) if peer and mine else '-', *(times(r) if r else '-' for r in ratios),
                     *(cell(o and 1e6 / o) for o in others)])
    head = ['filter', 'condition', 'kind', 'rows', 'share', "pgvector's fastest way", 'its queries/s', 'vecx queries/s', 'ratio',
            'of best rounds', 'of processor', 'index forced', 'exact plan', 'no filter columns', 'index forced']
    return [f'## Queries a second at recall {LEVEL}', ''] + table(head, rows) if rows else []


def recall_table(figures):
    rows = []
    for record in figures['filters']:
        cells = []
        for setting in RECALL:
            found = recalls(record, setting)
            cells += [cell(found.get(f'{k}, {w}'), 4) for k in ('vecx', 'plain') for w in ('as planned', 'index')]
        if 'points' in record:
            rows.append([record['name'], shown_share(record['share'])] + cells)
    head = ['filter', 'share'] + [f'{w}, {s}' for s in ('default', '.97') for w in
                                  ('as planned', 'index forced', 'no filter columns', 'index forced')]
    return ['## Recall', ''] + table(head, rows) if rows else []


def point_table(figures):
    rows = []
    for record in figures['filters']:
        for p in record.get('points', []):
            t = p.get('times', {})
            rows.append([record['name'], p['kind'], p['way'], p.get('setting', ''), cell(p.get('recall'), 4),
                         cell(p.get('worst_recall'), 1), p.get('queries', '-'), p.get('short_queries', '-'),
                         cell(t.get('qps')), cell(t.get('p50_us')), cell(t.get('p99_us')), cell(t.get('best_us')),
                         cell(t.get('server_us')), cell(p.get('index_blocks'), 1), p.get('error', '')[:80].replace('\n', ' ')])
    head = ['filter', 'table', 'way', 'setting', 'recall', 'the worst', 'queries', 'with other than 10 rows', 'queries/s',
            'p50 us', 'p99 us', 'best us', 'processor us', 'index blocks', 'error']
    return ['## All ways', ''] + table(head, rows) if rows else []


def bad_rows_table(figures):
    rows = []
    for record in figures['filters']:
        for r in record.get('rows', []):
            if is_bad(r):
                rows.append([record['name'], r['kind'], r['way'], r['limit'], cell(r.get('wanted')), cell(r.get('returned')),
                             r.get('short_queries', '-'), r.get('strangers', '-'), r.get('unordered', '-'),
                             r.get('error', '')[:80].replace('\n', ' ')])
    head = ['filter', 'table', 'way', 'LIMIT', 'wanted', 'returned', 'queries with other numbers', 'wrong rows',
            'queries out of order', 'error']
    return ['## Rows that were missing or wrong', ''] + table(head, rows) if rows else []


def tenant_table(figures):
    rows = [[t['filter'], 'btree and sort' if t['way'] == 'exact' else t['way'], cell(t.get('recall'), 4),
             cell(t.get('index_blocks'), 1), *(cell(t.get('times', {}).get(k)) for k in ('p50_us', 'p99_us', 'best_us'))]
            for t in figures.get('tenants', [])]
    return ['## Small tenants', ''] + table(['filter', 'way', 'recall', 'index blocks', 'p50 us', 'p99 us', 'best us'], rows) \
        if rows else []


def shape_table(figures):
    rows = []
    ordered = sorted(figures.get('shapes', []), key=shape_ratio, reverse=True)
    for s in ordered:
        us = s['us']
        first = (s['plans'].get('chosen') or 'none').strip().split('\n')
        rows.append([s['shape'], s['kind'], ' / '.join(line.strip(' ->') for line in first[:3]),
                     *(cell(us.get(w)) for w in ('chosen', 'index', 'exact', 'bitmap')), f'{shape_ratio(s):.2f}',
                     '; '.join(s.get('errors', []))[:80].replace('\n', ' ')])
    head = ['shape', 'table', 'plan chosen', 'chosen us', 'index us', 'exact us', 'bitmap us', 'to the fastest', 'error']
    return ['## Plans', '', 'The worst choices first.', ''] + table(head, rows) if rows else []


def index_table(figures):
    rows = [[i['index'], f"`{i['sql'].split(' USING ')[1]}`", cell(i['seconds'], 1), cell(i['cpu_seconds'], 1),
             cell(i['bytes'] / 1048576, 1), i['at']] for i in figures['indexes']]
    return ['## Indexes', ''] + table(['index', 'definition', 'build s', 'of processor', 'MiB', 'built'], rows)


def circumstances(figures):
    r = figures['run']
    lines = ['## Circumstances', '',
             f"- Run of {r['date']}: commit {r['commit'] or 'unknown'}, {r['cpu']}, {r['cores']} cores, {r['memory_gib']} GiB, "
             f"load {r['load_average']:.1f} before, {r['system']}", f"  `{r['command']}`", f"- {figures['server']}",
             '- ' + ', '.join(f'{k} = {v}' for k, v in figures['settings'].items())]
    return lines + [f'- {n}' for n in figures.get('notes', [])] + ['']


# ---- files ----

def comparison(figures):
    return table(CHECK_HEAD, [check_cells(r) for r in rows_of(figures)])


def write_set(directory, figures):
    lines = [f"# Filters: {figures['set']}", '',
             f"{figures['rows']:,} rows of {figures['dim']} dimensions, {figures['metric']}, {figures['queries']:,} queries, "
             'k = 10, one client, caches warm.', ''] + comparison(figures)
    for part in (filter_table, recall_table, bad_rows_table, tenant_table, shape_table, index_table, point_table, circumstances):
        lines += part(figures)
    with open(os.path.join(directory, figures['set'] + '.md'), 'w') as f:
        f.write('\n'.join(lines))


def save(results, figures, run, before):
    """before is another directory of results."""
    path = os.path.join(before or '', 'filters', figures['set'] + '.json')
    if before and os.path.exists(path):
        earlier = json.load(open(path))
        figures['before'] = {key: earlier[key] for key in ('indexes', 'plain', 'run')}
    directory = os.path.join(results, 'filters')
    figures['run'] = run
    write_json(directory, figures)
    write_set(directory, figures)


def write_overall(results):
    directory = os.path.join(results, 'filters')
    lines = ['# Filters', '', 'How they are produced: [bench/README.md](../../README.md).', '']
    if os.path.isdir(directory):
        for name in sorted(n for n in os.listdir(directory) if n.endswith('.json')):
            figures = json.load(open(os.path.join(directory, name)))
            write_set(directory, figures)
            lines += [f"## [{figures['set']}]({figures['set']}.md)", '', told(figures['run']), ''] + comparison(figures)
        with open(os.path.join(directory, 'README.md'), 'w') as f:
            f.write('\n'.join(lines))
    return '\n'.join(lines)


if __name__ == '__main__':
    write_overall(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), 'results'))
