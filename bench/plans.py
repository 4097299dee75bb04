#!/usr/bin/env python3
"""The planner's choice against the fastest plan.

    bench/plans.py --data DIR [--rows N] [--load] [--only TEXT] [--markdown FILE]

Works in the server that psql finds by its environment, with vecx installed, in tables
plans_f (fmnist) and plans_a (acl512).  Each query of a list is planned freely and with
plans forced by settings: a sequential scan and a sort, a bitmap and a sort, the vecx index
without and with a bitmap of others.  Of each the backend's processor time is taken (from
/proc, so that it must run on the same machine), the median over some query vectors, by a
generic plan, so that planning does not count.  The last line says in how many
the planner's plan takes at most 1.5 times as long as the fastest.
"""

import argparse
import csv
import gzip
import os
import statistics
import struct
import subprocess
import sys

VECTORS = 7		# query vectors of a query
ROUNDS = 2		# each is run so many times, and the fastest counts

FORCED = {
    'seq': 'SET enable_indexscan = off; SET enable_bitmapscan = off;',
    'bitmap': 'SET enable_indexscan = off; SET enable_seqscan = off;',
    'vecx': 'SET enable_seqscan = off; SET enable_sort = off; SET vecx.enable_bitmap_filter = off;',
    'filter': 'SET enable_seqscan = off; SET enable_sort = off; SET cpu_tuple_cost = 1000;',
}
RESET = ('SET jit = off; RESET enable_indexscan; RESET enable_bitmapscan; RESET enable_seqscan; RESET enable_sort; '
         'RESET vecx.enable_bitmap_filter; RESET cpu_tuple_cost;')


class Session:
    """One psql, whose backend's processor time can be read."""

    def __init__(self):
        self.psql = subprocess.Popen(['psql', '-XAtq', '-v', 'ON_ERROR_STOP=1'], text=True,
                                     stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.pid = int(self.run('SELECT pg_backend_pid();')[0])

    def run(self, sql):
        self.psql.stdin.write(sql + '\n\\echo @@end\n')
        self.psql.stdin.flush()
        lines = []
        for line in self.psql.stdout:
            line = line.rstrip('\n')
            if line == '@@end':
                return lines
            lines.append(line)
        sys.exit('psql ended at: ' + sql[:200])

    def milliseconds(self, sql):
        def spent():
            with open('/proc/%d/schedstat' % self.pid) as stat:
                return int(stat.read().split()[0])
        before = spent()
        self.run(sql)
        return (spent() - before) / 1e6


def records(path, kind, limit):
    """Vectors of a file, as text."""
    opener = gzip.open if path.endswith('.gz') else open
    size, code = {'b': (1, 'B'), 'f16': (2, 'e')}[kind]
    with opener(path, 'rb') as file:
        for _ in range(limit):
            head = file.read(4)
            if not head:
                return
            dim = struct.unpack('<i', head)[0]
            values = struct.unpack('<%d%s' % (dim, code), file.read(dim * size))
            yield '[' + ','.join('%g' % value for value in values) + ']'


def copy(session, table, rows):
    session.psql.stdin.write('COPY %s FROM STDIN;\n' % table)
    for row in rows:
        session.psql.stdin.write('\t'.join(map(str, row)) + '\n')
    session.psql.stdin.write('\\.\n')
    session.run('')


def load(session, data, rows):
    session.run('''
DROP TABLE IF EXISTS plans_f, plans_a;
CREATE TABLE plans_f (id int, label int, v vector(784));
CREATE TABLE plans_a (id int, year int, venue text, collection text, authors int, words int, v vector(512));''')
    with open(data + '/fmnist/labels.csv') as file:
        labels = [row[-1] for row in csv.reader(file)][1:]
    copy(session, 'plans_f', ((i, labels[i], v) for i, v in
                              enumerate(records(data + '/fmnist/base.bvecs.gz', 'b', rows))))
    with gzip.open(data + '/acl512/attrs.csv.gz', 'rt') as file:
        attrs = list(csv.reader(file))[1:]
    copy(session, 'plans_a', ([i] + attrs[i] + [v] for i, v in
                              enumerate(records(data + '/acl512/base.f16vecs.gz', 'f16', rows))))
    session.run('''
SELECT setseed(0.5);
-- in the index: u, flag, tags; with a btree: u, b, label; nowhere: c
CREATE TABLE n AS SELECT id, label, (random() * 10000)::int AS u, (random() * 10000)::int AS b, (random() * 10000)::int AS c,
	random() < 0.2 AS flag, ARRAY[(random() * 1000)::int, label] AS tags, v FROM plans_f;
DROP TABLE plans_f;
ALTER TABLE n RENAME TO plans_f;
ALTER TABLE plans_f ALTER v TYPE vector(784);
CREATE INDEX ON plans_f (u);
CREATE INDEX ON plans_f (b);
CREATE INDEX ON plans_f (label);
CREATE INDEX ON plans_f USING gin (tags);
CREATE INDEX ON plans_a (year);
CREATE INDEX ON plans_a (venue);
CREATE INDEX ON plans_a (collection);
CREATE INDEX ON plans_a (words);
CREATE INDEX plans_f_v ON plans_f USING vecx (v vector_l2_ops, label, u, flag, tags);
CREATE INDEX plans_a_v ON plans_a USING vecx (v vector_cosine_ops, year, venue, authors);
CREATE STATISTICS plans_a_s ON year, venue, collection FROM plans_a;
VACUUM ANALYZE plans_f, plans_a;''')


def shapes():
    """Names and queries; $1 is the vector."""
    def fmnist(where, limit, name=None):
        return (name or 'f: ' + where + ' limit %s' % limit,
                'SELECT id FROM plans_f %s ORDER BY v <-> $1 LIMIT %s' %
                ('WHERE ' + where if where else '', limit), 'f')

    def acl(where, limit, name=None):
        return (name or 'a: ' + where + ' limit %s' % limit,
                'SELECT id FROM plans_a %s ORDER BY v <=> $1 LIMIT %s' %
                ('WHERE ' + where if where else '', limit), 'a')

    result = []
    for limit in (1, 10, 100, 1000, 'ALL'):
        result += [fmnist('', limit), acl('', limit)]
    for column in ('u', 'b', 'c'):
        for below in (1, 10, 100, 1000, 5000):
            result.append(fmnist('%s < %d' % (column, below), 10))
    for column in ('u', 'b'):
        for below in (10, 1000):
            result += [fmnist('%s < %d' % (column, below), 100), fmnist('%s < %d' % (column, below), 1)]
    result += [
        fmnist('label = 3', 10), fmnist('label = 3', 100), fmnist('label IN (3, 5)', 10),
        fmnist('label = 3 OR label = 5', 10), fmnist('label <> 3', 10), fmnist('flag', 10),
        fmnist('NOT flag', 10), fmnist('77 = ANY (tags)', 10), fmnist("tags @> '{3}'", 10),
        fmnist("tags && '{77,78,79}'", 10), fmnist('label = 3 AND u < 1000', 10),
        fmnist('label = 3 AND b < 1000', 10), fmnist('label = 3 AND c < 1000', 10),
        fmnist('u IN (1, 2, 3, 4, 5)', 10), fmnist('b IN (1, 2, 3, 4, 5)', 10),
        fmnist('b < 100 OR u < 100', 10), fmnist('u + 0 < 100', 10),
        fmnist('label = 3 AND id % 100 = 7', 10),
        acl('year >= 2023', 10), acl('year >= 2023', 100), acl("venue = 'coling'", 10),
        acl("collection = 'E17'", 10), acl('year BETWEEN 2021 AND 2022 AND authors = 1', 10),
        acl("venue = 'coling' AND year = 2020", 10), acl("venue IN ('acl', 'emnlp')", 10),
        acl("year = 2017 AND collection = 'E17'", 10), acl('words < 50', 10), acl('words < 50', 100),
        acl('words > 100', 10), acl('authors > 20', 10), acl('year < 1990', 10),
        acl('year < 1990 OR year > 2022', 10), acl("venue LIKE 'co%'", 10),
        ('f: two keys', 'SELECT id FROM plans_f WHERE u < 1000 ORDER BY v <-> $1, id LIMIT 10', 'f'),
        ('f: offset', 'SELECT id FROM plans_f WHERE u < 1000 ORDER BY v <-> $1 LIMIT 10 OFFSET 100', 'f'),
        ('f: distance', 'SELECT id, v <-> $1 AS d FROM plans_f WHERE b < 1000 ORDER BY d LIMIT 10', 'f'),
        ('a: form', 'SELECT id FROM plans_a WHERE year > 2020 ORDER BY 1 - (v <=> $1) DESC NULLS LAST LIMIT 10', 'a'),
        ('f: join', 'SELECT f.id FROM plans_f f JOIN plans_a a USING (id) WHERE f.u < 1000 ORDER BY f.v <-> $1 LIMIT 10', 'f'),
        ('f: lateral', 'SELECT l, n.id FROM generate_series(0, 9) l, LATERAL (SELECT id FROM plans_f '
                       'WHERE label = l ORDER BY v <-> $1 LIMIT 5) n', 'f'),
    ]
    return result


def kind(plan):
    text = '\n'.join(plan)
    if 'Vecx Bitmap Filter' in text:
        return 'filter'
    if 'Order By: (' in text:
        return 'vecx'
    return 'bitmap' if 'Bitmap' in text else 'index' if 'Index' in text else 'seq'


def measure(session, sql, vectors, settings):
    """What a plan is, its cost, and its median time."""
    session.run(RESET + settings)
    session.run("DEALLOCATE ALL; SET plan_cache_mode = force_generic_plan; "
                "SET statement_timeout = '20s'; PREPARE s(vector) AS " + sql + ';')
    plan = session.run("EXPLAIN EXECUTE s('%s');" % vectors[0])
    cost = float(plan[0].split('..')[1].split()[0])
    session.run("EXECUTE s('%s');" % vectors[0])
    times = []
    for vector in vectors[1:]:
        times.append(min(session.milliseconds("EXECUTE s('%s');" % vector)
                         for _ in range(ROUNDS)))
    session.run(RESET)
    return kind(plan), cost, statistics.median(times)


def main():
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument('--data', required=True)
    options.add_argument('--rows', type=int, default=20000)
    options.add_argument('--load', action='store_true')
    options.add_argument('--only', default='')
    options.add_argument('--markdown')
    args = options.parse_args()
    session = Session()
    if args.load:
        load(session, args.data, args.rows)
    vectors = {'f': list(records(args.data + '/fmnist/query.bvecs.gz', 'b', VECTORS)),
               'a': list(records(args.data + '/acl512/query.f16vecs', 'f16', VECTORS))}
    floor = {name: statistics.median(session.milliseconds("SELECT '%s'::vector IS NULL;" % v)
                                     for v in vectors[name]) for name in vectors}
    table = ['| query | chosen | ms | fastest | ms | ratio | others |', '|---|---|---|---|---|---|---|']
    good = total = 0
    for name, sql, set_name in shapes():
        if args.only not in name:
            continue
        ways = {}
        free = measure(session, sql, vectors[set_name], '')
        for forced in FORCED.values():
            way = measure(session, sql, vectors[set_name], forced)
            if way[0] not in ways or way[2] < ways[way[0]][2]:
                ways[way[0]] = way
        # the same plan measured twice
        if free[0] in ways:
            ways[free[0]] = free = min(free, ways[free[0]], key=lambda way: way[2])
        else:
            ways[free[0]] = free
        best = min(ways.values(), key=lambda way: way[2])
        least = floor[set_name]
        ratio = max(free[2] - least, 0.02) / max(best[2] - least, 0.02)
        total += 1
        good += ratio <= 1.5
        table.append('| %s | %s | %.2f | %s | %.2f | %s | %s |' % (
            name.replace('|', '\\|'), free[0], free[2], best[0], best[2],
            '%.2f' % ratio if ratio <= 1.5 else '**%.2f**' % ratio,
            ', '.join('%s %.2f (cost %.0f)' % (way[0], way[2], way[1]) for way in ways.values())))
        print(table[-1], flush=True)
    summary = '%d of %d within 1.5 (%.1f %%)' % (good, total, 100 * good / max(total, 1))
    print(summary)
    if args.markdown:
        with open(args.markdown, 'w') as file:
            file.write('\n'.join(table) + '\n\n' + summary + '\n')


if __name__ == '__main__':
    main()
