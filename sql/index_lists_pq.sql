-- Posting lists coded by product quantisation: every training, complete and in order
-- through inserts with splits, deletes, VACUUM and REINDEX; options that do not go together.
\getenv abs_srcdir PG_ABS_SRCDIR
\set lists :abs_srcdir '/sql/shared/lists.sql'
\set good 9
\i :lists

CREATE TABLE made (id serial, v vector(64)) WITH (autovacuum_enabled = off);
INSERT INTO made (v) SELECT made_vector(i, 64) FROM generate_series(1, 2000) i;
INSERT INTO made (v) VALUES (NULL);
CREATE TABLE queries AS SELECT made_vector(i, 64) AS q FROM generate_series(5001, 5300) i;

-- the default, and what becomes of it
CREATE INDEX made_pq ON made USING vecx (v) WITH (structure = lists, quantizer = pq);
SELECT structure, quantizer, lists > 3 AS has_lists, rows, null_rows FROM vecx_info('made_pq');
SELECT vecx_check('made_pq', true);
SELECT * FROM lists_test('made', '<->', 10);
SELECT vecx_recall('made_pq', queries => 'queries', query_column => 'q', samples => 50) > 0.75 AS good;
INSERT INTO made (v) SELECT made_vector(i, 64) FROM generate_series(2001, 4000) i;
INSERT INTO made (v) SELECT made_vector(7, 64) FROM generate_series(1, 400) i;
SELECT vecx_check('made_pq', true);
SELECT * FROM lists_test('made', '<->', 5);
DELETE FROM made WHERE id % 3 = 0;
VACUUM made;
SELECT closed_lists, rows = (SELECT count(*) FROM made) AS all_rows FROM vecx_info('made_pq');
SELECT vecx_check('made_pq', true);
SELECT * FROM lists_test('made', '<->', 5);
REINDEX INDEX made_pq;
SELECT vecx_check('made_pq', true);
SELECT * FROM lists_test('made', '<->', 5);
DROP INDEX made_pq;

-- every training, each metric, 8 bits, fewer and more numbers
CREATE FUNCTION pq_test(options text, opclass text, op text, OUT quantizer text, OUT missing bigint, OUT twice bigint, OUT recall text) AS $$
BEGIN
	EXECUTE format('CREATE INDEX made_try ON made USING vecx (v %s) WITH (structure = lists, quantizer = pq, %s)', opclass, options);
	PERFORM vecx_check('made_try', true);
	SELECT i.quantizer INTO quantizer FROM vecx_info('made_try') i;
	SELECT t.* INTO missing, twice, recall FROM lists_test('made', op, 5) t;
	DROP INDEX made_try;
END $$ LANGUAGE plpgsql;
SELECT t, r.* FROM unnest('{kmeans,balanced,anisotropic,distill,query_aware,plain}'::text[]) t,
	pq_test('pq_training = ' || t, 'vector_l2_ops', '<->') r;
SELECT * FROM pq_test($$pq_training = distill, pq_queries = 'public.queries.q'$$, 'vector_ip_ops', '<#>');
SELECT * FROM pq_test($$pq_training = query_aware, pq_queries = 'public.queries.q', pq_m = 32$$, 'vector_cosine_ops', '<=>');
SELECT * FROM pq_test('bits = 8, pq_m = 8', 'vector_l2_ops', '<->');
SELECT * FROM pq_test('pq_m = 64', 'vector_l2_ops', '<->');

-- an index on an empty table has random codebooks until it is built anew
CREATE TABLE grown (id serial, v vector(64)) WITH (autovacuum_enabled = off);
CREATE INDEX grown_pq ON grown USING vecx (v) WITH (structure = lists, quantizer = pq);
SELECT count(*) FROM (SELECT id FROM grown ORDER BY v <-> made_vector(1, 64)) s;
INSERT INTO grown (v) SELECT made_vector(i, 64) FROM generate_series(1, 1500) i;
SELECT vecx_check('grown_pq', true);
SELECT * FROM lists_test('grown', '<->', 5);
CREATE UNLOGGED TABLE volatile (id serial, v vector(64));
CREATE INDEX ON volatile USING vecx (v) WITH (structure = lists, quantizer = pq);
INSERT INTO volatile (v) SELECT made_vector(i, 64) FROM generate_series(1, 100) i;
SELECT * FROM lists_test('volatile', '<->', 2);

-- as many dimensions as RaBitQ's blocks have no room for
CREATE TABLE wide AS SELECT i AS id, made_vector(i, 3000)::halfvec(3000) AS v FROM generate_series(1, 200) i;
CREATE INDEX ON wide USING vecx (v halfvec_l2_ops) WITH (structure = lists);
CREATE INDEX wide_pq ON wide USING vecx (v halfvec_l2_ops) WITH (structure = lists, quantizer = pq);
SELECT quantizer FROM vecx_info('wide_pq');
SELECT vecx_check('wide_pq', true);
CREATE INDEX wide_short ON wide USING vecx (v halfvec_l2_ops) WITH (structure = lists, quantizer = pq, pq_m = 64, list_rows = 20);
SELECT lists BETWEEN 6 AND 15 AS of_twenty_rows FROM vecx_info('wide_short');
CREATE INDEX ON wide USING vecx (v halfvec_l2_ops) WITH (structure = lists, quantizer = pq, pq_m = 512);

-- Queries are read with the rights of the table's owner; where that is not possible, or there are none yet, as while
-- a dump is restored, the index is built without.
CREATE ROLE regress_vecx_pq;
CREATE SCHEMA asked;
CREATE TABLE asked.queries AS TABLE queries;
CREATE MATERIALIZED VIEW asked.unread AS TABLE queries WITH NO DATA;
CREATE TABLE asked.other (q vector);
INSERT INTO asked.other VALUES ('[1,2]');
ALTER TABLE grown OWNER TO regress_vecx_pq;
ALTER INDEX grown_pq SET (pq_queries = 'asked.queries.q', pq_training = query_aware);
REINDEX INDEX grown_pq;
GRANT USAGE ON SCHEMA asked TO regress_vecx_pq;
-- a table that may not be read is not locked
BEGIN;
REINDEX INDEX grown_pq;
SELECT count(*) FROM pg_locks WHERE relation = 'asked.queries'::regclass;
COMMIT;
GRANT SELECT (q) ON asked.queries TO regress_vecx_pq;
BEGIN;
REINDEX INDEX grown_pq;
SELECT mode FROM pg_locks WHERE relation = 'asked.queries'::regclass;
COMMIT;
SELECT * FROM lists_test('grown', '<->', 5);
ALTER TABLE asked.queries ENABLE ROW LEVEL SECURITY;
SET row_security = off;
REINDEX INDEX grown_pq;
RESET row_security;
REINDEX INDEX grown_pq;
ALTER TABLE grown OWNER TO CURRENT_USER;
ALTER INDEX grown_pq SET (pq_queries = 'asked.unread.q');
REINDEX INDEX grown_pq;
ALTER INDEX grown_pq SET (pq_queries = 'asked.other.q');
REINDEX INDEX grown_pq;
ALTER INDEX grown_pq SET (pq_queries = 'asked.nowhere.q');
REINDEX INDEX CONCURRENTLY grown_pq;
SELECT vecx_check('grown_pq', true);
SELECT * FROM lists_test('grown', '<->', 5);
BEGIN;
TRUNCATE grown;
ROLLBACK;
DROP SCHEMA asked CASCADE;
DROP ROLE regress_vecx_pq;
CREATE INDEX ON grown USING vecx (v) WITH (structure = lists, quantizer = pq, pq_training = distill, pq_queries = 'asked.queries.q');

-- bounds hold where codes are all but exact
CREATE TABLE grid AS SELECT i AS id, array(SELECT abs(hashint8(i * 65536 + d)) % 4 FROM generate_series(1, 8) d)::vector(8) AS v
	FROM generate_series(1, 2000) i;
CREATE INDEX grid_pq ON grid USING vecx (v) WITH (structure = lists, list_rows = 1000, quantizer = pq, pq_m = 8, bits = 8);
SET enable_seqscan = off;
SET vecx.probes = 100;
-- three of a hundred rows may come late, on average: one query alone is up to chance
SELECT sum(late) <= 3 * count(*) AS in_order
FROM (SELECT (SELECT array_agg((hashint4(i * 8 + d) & 1023) * 3 / 1024.0 ORDER BY d) FROM generate_series(1, 8) d)::vector AS q
	FROM generate_series(1, 50) i) queries,
	LATERAL (SELECT count(*) FILTER (WHERE d < before) AS late
	FROM (SELECT d, lag(d) OVER () AS before FROM (SELECT v <-> q AS d FROM grid ORDER BY 1 LIMIT 100) s) s) s;
RESET vecx.probes;
RESET enable_seqscan;
DROP TABLE grid;

-- what does not go together says so, also to ALTER INDEX
CREATE VIEW queries_view AS SELECT q FROM queries;
CREATE INDEX made_wrong ON made USING vecx (v) WITH (quantizer = pq);
CREATE INDEX made_wrong ON made USING vecx (v) WITH (pq_m = 8);
CREATE INDEX made_wrong ON made USING vecx (v) WITH (structure = lists, pq_m = 8);
CREATE INDEX made_wrong ON made USING vecx (v) WITH (structure = lists, pq_queries = 'public.queries.q');
CREATE INDEX made_wrong ON made USING vecx (v) WITH (structure = lists, quantizer = pq, pq_queries = 'public.queries.q');
CREATE INDEX made_wrong ON made USING vecx (v) WITH (structure = lists, quantizer = pq, bits = 5);
CREATE INDEX made_wrong ON made USING vecx (v) WITH (structure = lists, quantizer = pq, pq_m = 65);
CREATE INDEX made_wrong ON made USING vecx (v) WITH (structure = lists, quantizer = pq, pq_training = magic);
CREATE INDEX made_wrong ON made USING vecx (v) WITH (structure = lists, quantizer = pq, pq_queries = 'queries.q');
ALTER INDEX grown_pq RESET (structure);
ALTER INDEX grown_pq RESET (quantizer);
ALTER INDEX grown_pq RESET (pq_training);
ALTER INDEX grown_pq SET (bits = 5);

-- queries that are not there
ALTER INDEX grown_pq SET (pq_queries = 'public.queries.nothing');
REINDEX INDEX grown_pq;
ALTER INDEX grown_pq SET (pq_queries = 'public.wide.v');
REINDEX INDEX grown_pq;
ALTER INDEX grown_pq SET (pq_queries = 'public.queries_view.q');
REINDEX INDEX grown_pq;

DROP VIEW queries_view;
DROP TABLE made, queries, grown, volatile, wide;
-- the longest vectors: too long for blocks of one bit a dimension
CREATE TABLE longest AS SELECT i AS id, made_vector(i, 16000)::vector(16000) AS v FROM generate_series(1, 60) i;
SET client_min_messages = warning;
CREATE INDEX ON longest USING vecx (v) WITH (structure = lists);
CREATE INDEX longest_pq ON longest USING vecx (v) WITH (structure = lists, quantizer = pq, pq_m = 200);
RESET client_min_messages;
INSERT INTO longest SELECT i, made_vector(i, 16000)::vector FROM generate_series(61, 64) i;
SET enable_seqscan = off;
SET vecx.probes = 100;
SELECT bool_or(near = made_vector(62, 16000)::vector) AS itself FROM
	(SELECT v AS near FROM longest ORDER BY v <-> made_vector(62, 16000)::vector LIMIT 10) s;
RESET vecx.probes;
SELECT count(*) FROM (SELECT FROM longest ORDER BY v <-> made_vector(3, 16000)::vector) s;
RESET enable_seqscan;
DELETE FROM longest WHERE id % 2 = 0;
VACUUM longest;
SELECT vecx_check('longest_pq', true);
DROP TABLE longest;

DROP FUNCTION lists_test, pq_test, made_vector;
-- vectors of any length: what codes err by is in the unit of a squared distance
CREATE TABLE long_ones AS SELECT i AS id, (SELECT array_agg((hashint4(i * 40 + d) / 429496.7296)::real) FROM generate_series(1, 40) d)::vector(40) AS v
	FROM generate_series(1, 2000) i;
ALTER TABLE long_ones ALTER v TYPE vector(40);
CREATE INDEX long_ones_v ON long_ones USING vecx (v) WITH (structure = lists, quantizer = pq);
SELECT vecx_recall('long_ones_v', 10, 100) > 0.9 AS found;
DROP TABLE long_ones;
