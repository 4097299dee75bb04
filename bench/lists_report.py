"""Report on posting lists: what bench/results/lists has to show beside the tables that
report.py makes of each set.  Run alone, it makes the reports anew:
bench/lists_report.py [RESULTS]"""

import json
import math
import os
import sys

import report
from checks import (RECALLS, at_recall, at_recall_somehow, cold_reads, cost, difference, in_process_rows, named, row, server_us,
                    speed, speed_rows, time_us)

CODES = ('lists', 'lists-pq')
GRAPH = 'pgvector-64'
LONG = 512              # dimensions from which on the size is judged

# (bar, aim) by code where they differ
BUILD = {'lists': (1 / 10, 1 / 30), 'lists-pq': (1 / 5, 1 / 10)}
SIZE = (1 / 15, 1 / 30)
IVFFLAT = (8, 15)
HNSW = (2, 5)
FAISS = (0.3, 1)
INSERTS = (8, 15)
INSERT_WAL = (0.3, 0.1)
COLD = (math.inf, 1)    # to be reported; fewer than the graph


def place(results):
    """Where the results of lists are."""
    directory = os.path.join(results, 'lists')
    os.makedirs(directory, exist_ok=True)
    return directory


def build_rows(figures, code):
    mine, peer = (named(figures['engines'], 'engine', e) or {} for e in (code, GRAPH))
    mib = [e['index_bytes'] / 1048576 if e else None for e in (mine, peer)]
    return [cost('build by one process, s of processor, pgvector HNSW', mine.get('build_cpu_seconds'),
                 peer.get('build_cpu_seconds'), BUILD[code]),
            cost('index, MiB, pgvector HNSW', *mib, SIZE if figures['dim'] >= LONG else None)]


def search_rows(rowset, code):
    rows = []
    for peer, whose, limits in (('ivfflat', 'pgvector IVFFlat', IVFFLAT), (GRAPH, 'pgvector HNSW', HNSW)):
        for recall in RECALLS:
            rows += speed_rows(rowset, recall, time_us, 'mean_us', 'queries/s', limits, code, (peer,), whose)
            rows += speed_rows(rowset, recall, server_us, 'server_us', 'queries/s of processor time', None, code, (peer,), whose)
    for recall in RECALLS:
        rows += in_process_rows(rowset, recall, 'faiss', FAISS, code)
    own = named(rowset['curves'], 'engine', code)
    for point in own.get('targets', []) if own else []:
        target = point.get('target', 0.95)
        rows.append(row(f"{'target_recall ' + str(target) if 'target' in point else 'defaults'}: recall",
                                     point['recall'], target, point['recall'] - target, None, difference, digits=4))
    return rows


def insert_rows(figures, code):
    mine, peer = (named(figures.get('inserts'), 'engine', e) for e in (code, GRAPH))
    if not mine or not peer:
        return []
    rows = [speed('inserts/s in one transaction, pgvector HNSW', mine.get('rows_per_second'), peer.get('rows_per_second'), INSERTS),
            cost('WAL bytes an inserted row, the table included, pgvector HNSW', mine['wal_per_row'], peer['wal_per_row'], None, 0)]
    bare = named(figures['inserts'], 'engine', 'no index')
    if bare:
        # the table and its TOAST log .4 of what pgvector's do with their index, so that the bar is for the index
        rows.append(cost('WAL bytes an inserted row, above a table without an index, pgvector HNSW',
                         *(e['wal_per_row'] - bare['wal_per_row'] for e in (mine, peer)), INSERT_WAL, 0))
    return rows


def cold_rows(figures, graph, code):
    """graph has the figures of vecx's graph of the same set."""
    if not named(figures.get('cold'), 'engine', code):
        return []
    return [cost(f'cold: {what} a query at recall {recall}, the graph', cold_reads(figures, code, recall, key),
                 cold_reads(graph, 'vecx', recall, key), COLD if key == 'reads_empty' else None)
            for recall in RECALLS
            for key, what in (('reads_empty', 'distinct index pages'), ('runs_empty', 'runs of these, seeks at most,'))]


def rows_of(figures, graph, rowset, code):
    if not named(rowset['curves'], 'engine', code):
        return []
    return build_rows(figures, code) + search_rows(rowset, code) + insert_rows(figures, code) + \
        (cold_rows(figures, graph, code) if rowset['name'] == figures['set'] else [])


def write_overall(results):
    """README.md: the checks of each set of queries and code."""
    directory = place(results)
    lines = ['# Posting lists', '', 'How they are produced: [bench/README.md](../../README.md). '
             '`lists` has one bit a dimension, `lists-pq` product quantisation; each with its defaults.', '']
    for name in sorted(os.listdir(directory)):
        if not name.endswith('.json'):
            continue
        figures = json.load(open(os.path.join(directory, name)))
        of_graph = os.path.join(results, name)
        graph = json.load(open(of_graph)) if os.path.exists(of_graph) else {}
        report.write_set(directory, figures)
        for rowset in figures['rowsets']:
            for code in CODES:
                rows = rows_of(figures, graph, rowset, code)
                if rows:
                    lines += [f"## [{rowset['name']}]({rowset['name']}.md), {code}", '']
                    lines += report.table(report.CHECK_HEAD, [report.check_cells(r) for r in rows])
        lines += [report.told(r) for r in figures['runs']] + ['']
    path = os.path.join(directory, 'README.md')
    with open(path, 'w') as f:
        f.write('\n'.join(lines))
    return '\n'.join(lines)


if __name__ == '__main__':
    print(write_overall(sys.argv[1] if len(sys.argv) > 1 else os.path.join(report.HERE, 'results')))
