"""Measures codes alone, lists that grow, and builds of lists in little memory: bench/run
--codes calls measure() for each set.  The client is filter_bench.c, what has to be reached
is in codes_report.py."""

import json

from filters import Client, say

SETS = ('fmnist', 'sift200k', 'acl512', 'made1m')
BOUNDED_ONLY = ('made1m',)              # too large to compare every code with every row
TRAININGS = ('plain', 'kmeans', 'balanced', 'distill')
K = 100                 # neighbours that codes alone have to find
SAMPLES = 20000         # rows they are tried on; trainings are of all of them
GROWN_EVERY = 10        # one row in so many is there before the index is
CLUSTERS = 200          # that the others come by
QUERIES = 500
MEMORY = '256MB'
JOINED = ('sift200k', 6, 33333)         # this set's rows, so many on end, so far from each other: 768 dimensions
LISTS = {'lists': 'structure = lists', 'lists-pq': 'structure = lists, quantizer = pq'}


class Codes:
    def __init__(self, bench, name):
        self.name, self.bench = name, bench
        self.client = Client(bench.programs, bench.cluster.conninfo(), bench.data(name), name, 0)
        self.client.call('session', 'vecx', 'lists')
        self.rows, self.dim = self.client.about['rows'], self.client.about['dim']
        l2 = self.client.about['metric'] == 'L2'
        self.opclass, self.operator = ('vector_l2_ops', '<->') if l2 else ('vector_cosine_ops', '<=>')
        self.table, self.queries = f'bench.{name}_codes', f'bench.{name}_codes_queries'

    def sql(self, text):
        return self.client.sql('vecx', text)

    def load(self):
        if not self.sql(f"SELECT to_regclass('{self.table}')"):
            say(f'{self.name}: loading')
            for table, what in ((self.table, ('copy', self.table, 0, self.rows)), (self.queries, ('queries', self.queries))):
                self.sql(f'CREATE TABLE {table} (id int, embedding vector({self.dim})) WITH (autovacuum_enabled = off)')
                self.client.call(*what)
                self.sql(f'VACUUM (ANALYZE, FREEZE) {table}')

    # ---- codes alone ----

    def measure_codes(self):
        """vecx_compress_report: what each code finds without a look at the rows themselves."""
        trainings = '{' + ','.join(TRAININGS) + '}'
        return json.loads(self.sql(
            "SELECT json_agg(r) FROM (SELECT quantizer, bits, pq_m, training, bytes_per_vector, recall, recall_reranked, encode_us, "
            f"train_s FROM vecx_compress_report('{self.table}', 'embedding', '{self.opclass}', k => {K}, samples => {min(SAMPLES, self.rows)}, "
            f"queries => '{self.queries}', pq_training => '{trainings}') WHERE structure = 'lists') r"))

    # ---- lists that grow ----

    def found(self, index):
        """Recall at the defaults, and what a query reads for it."""
        recall = float(self.sql(f"SET enable_seqscan = off; SELECT vecx_recall('{index}', samples => {QUERIES}, "
                                f"queries => '{self.queries}', query_column => 'embedding')"))
        self.sql("DO $$ DECLARE q record; n bigint := 0; BEGIN "
                 f"FOR q IN SELECT embedding FROM {self.queries} LIMIT 100 LOOP "
                 f"PERFORM id FROM bench.grown ORDER BY embedding {self.operator} q.embedding LIMIT 10; "
                 "n := n + (SELECT records FROM vecx_last_scan()); END LOOP; "
                 "PERFORM set_config('bench.records', (n / 100)::text, false); END $$")
        return {'recall': recall, 'records': int(self.sql("SELECT current_setting('bench.records')")),
                'lists': int(self.sql(f"SELECT lists FROM vecx_info('{index}')")),
                'bytes': int(self.sql(f"SELECT pg_relation_size('{index}')"))}

    def order_by_cluster(self):
        self.sql('DROP TABLE IF EXISTS bench.centres, bench.by_cluster; '
                 f'CREATE TABLE bench.centres AS SELECT row_number() OVER () AS c, embedding FROM {self.table} '
                 f'WHERE id % {self.rows // CLUSTERS} = 1; '
                 f'CREATE TABLE bench.by_cluster AS SELECT t.id, (SELECT c FROM bench.centres m ORDER BY m.embedding {self.operator} '
                 f't.embedding LIMIT 1) AS c FROM {self.table} t')

    def measure_grown(self, options):
        """A tenth of the rows, the index, then the rest cluster by cluster."""
        index = 'bench.grown_idx'
        self.sql('DROP TABLE IF EXISTS bench.grown; '
                 f'CREATE TABLE bench.grown (id int, embedding vector({self.dim})) WITH (autovacuum_enabled = off); '
                 f'INSERT INTO bench.grown SELECT * FROM {self.table} WHERE id % {GROWN_EVERY} = 0; '
                 f'CREATE INDEX grown_idx ON bench.grown USING vecx (embedding {self.opclass}) WITH ({options}); '
                 f'INSERT INTO bench.grown SELECT t.* FROM {self.table} t JOIN bench.by_cluster USING (id) '
                 f'WHERE t.id % {GROWN_EVERY} <> 0 ORDER BY c, t.id')
        grown = {'inserted': self.found(index)}
        self.sql('VACUUM bench.grown')
        grown['vacuumed'] = self.found(index)
        self.sql('REINDEX INDEX bench.grown_idx')
        grown['rebuilt'] = self.found(index)
        self.sql(f"SELECT vecx_check('{index}')")
        self.sql('DROP TABLE bench.grown')
        return grown

    # ---- builds in little memory ----

    def measure_bounded(self, table):
        """What builds take with maintenance_work_mem = MEMORY."""
        found = {}
        for engine, options in LISTS.items():
            say(f'{self.name}: {engine} of {table} in {MEMORY}')
            self.client.call('session', engine, 'lists')        # of its own: memory is counted from where it begins
            self.client.sql(engine, f"SET maintenance_work_mem = '{MEMORY}'")
            sql = f'USING vecx (embedding {self.opclass}) WITH ({options})'
            found[engine] = self.client.call('watch', engine, f'CREATE INDEX bounded_idx ON {table} {sql}')
            found[engine]['bytes'] = int(self.sql("SELECT pg_relation_size('bench.bounded_idx')"))
            self.sql('DROP INDEX bench.bounded_idx')
        return {'rows': int(self.sql(f'SELECT count(*) FROM {table}')),
                'dim': int(self.sql(f'SELECT vector_dims(embedding) FROM {table} LIMIT 1')), 'memory': MEMORY, 'builds': found}

    def measure_joined(self):
        """A larger set of longer vectors: rows of this one, several on end."""
        _, parts, step = JOINED
        joined = ' || '.join(f't{i}.embedding' for i in range(parts))
        tables = f'{self.table} t0' + ''.join(f' JOIN {self.table} t{i} ON t{i}.id = (t0.id + {i * step}) % {self.rows}'
                                              for i in range(1, parts))
        self.sql('DROP TABLE IF EXISTS bench.joined; '
                 f"SET work_mem = '1GB'; CREATE TABLE bench.joined AS SELECT t0.id, ({joined})::vector({parts * self.dim}) AS embedding "
                 f'FROM {tables}; RESET work_mem')
        self.sql('VACUUM (ANALYZE, FREEZE) bench.joined')
        bounded = self.measure_bounded('bench.joined')
        self.sql('DROP TABLE bench.joined')
        return bounded

    def measure(self):
        self.load()
        figures = {'set': self.name, 'rows': self.rows, 'dim': self.dim, 'metric': self.client.about['metric'], 'k': K,
                   'samples': min(SAMPLES, self.rows)}
        if self.name not in BOUNDED_ONLY:
            say(f'{self.name}: codes')
            figures['codes'] = self.measure_codes()
            self.order_by_cluster()
            figures['grown'] = {}
            for engine, options in LISTS.items():
                say(f'{self.name}: {engine} that grow')
                figures['grown'][engine] = self.measure_grown(options)
            self.sql('DROP TABLE bench.centres, bench.by_cluster')
        if self.name == JOINED[0]:
            figures['bounded'] = self.measure_joined()
        elif self.name in BOUNDED_ONLY:
            figures['bounded'] = self.measure_bounded(self.table)
        self.client.close()
        return figures


def measure(bench, name):
    return Codes(bench, name).measure()
