"""Reports on codes alone, lists that grow and builds in little memory: below bench/results/codes,
<set>.json holds the figures, README.md shows them.  Run alone, it makes that anew:
bench/codes_report.py [RESULTS]"""

import json
import os
import sys

from checks import cell, cost, difference, row
from report import CHECK_HEAD, HERE, check_cells, table, told, write_json

# recall at K of RaBitQ without a look at the rows, by bits: (bar, aim)
RABITQ = {4: (0.87, 0.90), 5: (0.92, 0.95), 7: (0.96, 0.99)}
GROWN = (-0.02, -0.01)  # recall of lists that have grown, less that of the same built anew
MEMORY = (1, 0.9)
MIB = 1048576
# dimensions that share a bit of a code for a compression by 64
DIMS_A_BIT = 2
GAINS = (('kmeans', 'plain', 'OPQ over plain'), ('distill', 'kmeans', 'distill over OPQ'),
         ('balanced', 'kmeans', 'balanced over OPQ'))


def pq_of(figures, training):
    """The PQ code that takes a 64th of the floats."""
    m = figures['dim'] // 4 // DIMS_A_BIT
    return next((c for c in figures.get('codes', []) if (c['quantizer'], c['training'], c['pq_m']) == ('pq', training, m)), None)


def code_rows(figures):
    k = figures['k']
    rows = [row(f"RaBitQ of {c['bits']} bits: recall@{k} of the codes alone", c['recall'], None, c['recall'], RABITQ.get(c['bits']),
                '{:.4f}'.format, digits=4)
            for c in sorted(figures.get('codes', []), key=lambda c: c['bits']) if c['quantizer'] == 'rabitq']
    for training, over, words in GAINS:
        mine, peer = pq_of(figures, training), pq_of(figures, over)
        if mine and peer:
            rows.append(row(f"PQ in a 64th of the bytes, recall@{k} of the codes alone: {words}", mine['recall'], peer['recall'],
                            mine['recall'] - peer['recall'], None, difference, digits=4))
    return rows


def grown_rows(figures):
    rows = []
    for engine, grown in figures.get('grown', {}).items():
        for state, words in (('inserted', 'as the inserts left it'), ('vacuumed', 'after VACUUM')):
            mine, peer = grown[state]['recall'], grown['rebuilt']['recall']
            rows.append(row(f'{engine}, nine tenths inserted cluster by cluster, {words}: recall, the same built anew', mine, peer,
                            mine - peer, GROWN, difference, digits=4))
            rows.append(cost(f'{engine}, {words}: entries read a query, built anew', grown[state]['records'],
                             grown['rebuilt']['records'], None, 0))
    return rows


def bounded_rows(figures):
    bounded = figures.get('bounded')
    if not bounded:
        return []
    limit = int(bounded['memory'].removesuffix('MB'))
    return [cost(f"{engine}, {bounded['rows']:,} x {bounded['dim']}: private memory of the build, MiB, maintenance_work_mem",
                 cost_of['memory_bytes'] / MIB, limit, MEMORY, 0, f"{cost_of['seconds']:.0f} s, index of {cost_of['bytes'] / MIB:.0f} MiB")
            for engine, cost_of in bounded['builds'].items()]


def code_table(figures):
    codes = figures.get('codes', [])
    if not codes:
        return []
    return [f"All codes of {figures['samples']:,} rows against 200 queries, relative to the mean of the rows; bytes include 8 of factors.",
            ''] + \
        table(['code', 'bits', 'pq_m', 'training', 'bytes', f"recall@{figures['k']}", 'after rerank of ten times as many',
               'encode us', 'train s'],
              [[c['quantizer'], c['bits'], c['pq_m'] or '-', c['training'] or '-', c['bytes_per_vector'], cell(c['recall'], 4),
                cell(c['recall_reranked'], 4), cell(c['encode_us'], 2), cell(c['train_s'], 1)] for c in codes])


def save(results, figures, run):
    figures['run'] = run
    write_json(os.path.join(results, 'codes'), figures)


def write_overall(results):
    directory = os.path.join(results, 'codes')
    lines = ['# Codes alone, lists that grow, builds in little memory', '',
             'How they are produced: [bench/README.md](../../README.md).', '']
    for name in sorted(n for n in os.listdir(directory) if n.endswith('.json')):
        figures = json.load(open(os.path.join(directory, name)))
        rows = code_rows(figures) + grown_rows(figures) + bounded_rows(figures)
        lines += [f"## {figures['set']}", '', told(figures['run']), '']
        lines += table(CHECK_HEAD, [check_cells(r) for r in rows]) + code_table(figures)
    with open(os.path.join(directory, 'README.md'), 'w') as f:
        f.write('\n'.join(lines))
    return '\n'.join(lines)


if __name__ == '__main__':
    print(write_overall(sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, 'results')))
