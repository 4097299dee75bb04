-- Posting lists with something behind their rows: further bits of codes, copies of
-- vectors.  Complete through builds, inserts with splits, deletes, VACUUM and REINDEX; fewer
-- looks at the table.
\getenv abs_srcdir PG_ABS_SRCDIR
\set lists :abs_srcdir '/sql/shared/lists.sql'
\set good 9
\i :lists

-- looks at the table for distances, of some queries
CREATE FUNCTION looks_test(tab regclass, op text, queries int) RETURNS bigint AS $$
DECLARE
	q record;
	n bigint;
	looks bigint := 0;
BEGIN
	FOR q IN EXECUTE format('SELECT v FROM %s WHERE v IS NOT NULL ORDER BY id LIMIT %s', tab, queries) LOOP
		EXECUTE format('SELECT count(*) FROM (SELECT id FROM %s ORDER BY v %s $1 LIMIT 10) s', tab, op) INTO n USING q.v;
		looks := looks + (SELECT heap_fetches FROM vecx_last_scan());
	END LOOP;
	RETURN looks;
END $$ LANGUAGE plpgsql;

-- the whole life of an index with some options
CREATE FUNCTION life_test(options text, opclass text, op text, OUT quantizer text, OUT behind boolean, OUT sound boolean,
		OUT looks bigint) AS $$
DECLARE
	t record;
BEGIN
	DROP TABLE IF EXISTS life;
	CREATE TABLE life (id serial, v vector(100)) WITH (autovacuum_enabled = off);
	INSERT INTO life (v) SELECT made_vector(i, 100) FROM generate_series(1, 600) i;
	INSERT INTO life (v) VALUES (NULL);
	EXECUTE format('CREATE INDEX life_idx ON life USING vecx (v %s) WITH (structure = lists, list_rows = 40, %s)', opclass, options);
	PERFORM vecx_check('life_idx', true);
	SELECT i.quantizer, i.bytes_behind > 0 INTO quantizer, behind FROM vecx_info('life_idx') i;
	SELECT * INTO t FROM lists_test('life', op, 5);
	looks := looks_test('life', op, 5);
	sound := t.missing = 0 AND t.twice = 0 AND t.recall = 'good';
	INSERT INTO life (v) SELECT made_vector(i, 100) FROM generate_series(601, 1500) i;
	INSERT INTO life (v) SELECT made_vector(3, 100) FROM generate_series(1, 200) i;
	PERFORM vecx_check('life_idx', true);
	SELECT * INTO t FROM lists_test('life', op, 3);
	sound := sound AND t.missing = 0 AND t.twice = 0 AND t.recall = 'good';
END $$ LANGUAGE plpgsql;
CREATE FUNCTION later_test(op text, OUT sound boolean, OUT all_rows boolean) AS $$
DECLARE
	t record;
BEGIN
	PERFORM vecx_check('life_idx', true);
	SELECT i.rows = (SELECT count(*) FROM life) INTO all_rows FROM vecx_info('life_idx') i;
	SELECT * INTO t FROM lists_test('life', op, 3);
	sound := t.missing = 0 AND t.twice = 0 AND t.recall = 'good';
END $$ LANGUAGE plpgsql;

CREATE TEMP TABLE looks (rerank text, quantizer text, behind boolean, sound boolean, looks bigint);
INSERT INTO looks SELECT 'heap', * FROM life_test('rerank = heap', '', '<->') RETURNING rerank, quantizer, behind, sound;

-- with 4 bits
INSERT INTO looks SELECT 'bits', * FROM life_test('bits = 4', '', '<->') RETURNING rerank, quantizer, behind, sound;
DELETE FROM life WHERE id % 3 > 0;
VACUUM life;
SELECT * FROM later_test('<->');
INSERT INTO life (v) SELECT made_vector(i, 100) FROM generate_series(3001, 3600) i;
SELECT * FROM later_test('<->');
REINDEX INDEX life_idx;
SELECT * FROM later_test('<->');
DELETE FROM life;
VACUUM life;
VACUUM life;
SELECT bytes_behind, rows FROM vecx_info('life_idx');
INSERT INTO life (v) SELECT made_vector(i, 100) FROM generate_series(1, 100) i;
SELECT * FROM later_test('<->');

-- with copies in 8 bits, under cosine distance
INSERT INTO looks SELECT 'sq8', * FROM life_test('rerank = sq8', 'vector_cosine_ops', '<=>') RETURNING rerank, quantizer, behind, sound;
DELETE FROM life WHERE id % 5 > 0;
VACUUM life;
SELECT * FROM later_test('<=>');

-- in half precision behind PQ, under inner product, and behind RaBitQ
INSERT INTO looks SELECT 'pq', * FROM life_test('quantizer = pq, rerank = half', 'vector_ip_ops', '<#>') RETURNING rerank, quantizer, behind, sound;
DELETE FROM life WHERE id % 2 = 0;
VACUUM life;
SELECT * FROM later_test('<#>');
INSERT INTO looks SELECT 'half', * FROM life_test('rerank = half, replicas = 1', '', '<->') RETURNING rerank, quantizer, behind, sound;
SELECT a.rerank, a.looks < b.looks AS fewer_looks FROM looks a, looks b WHERE a.rerank IN ('bits', 'half') AND b.rerank = 'heap' ORDER BY 1;

-- every number of bits; an index that begins empty; filter columns; an unlogged table; strict order; a range
CREATE TABLE few (id int, kind int, v vector(70));
INSERT INTO few SELECT i, i % 7, made_vector(i, 70) FROM generate_series(1, 400) i;
ANALYZE few;
CREATE FUNCTION bits_test(b int, OUT quantizer text, OUT missing bigint, OUT twice bigint, OUT recall text) AS $$
BEGIN
	EXECUTE format('CREATE INDEX few_idx ON few USING vecx (v) WITH (structure = lists, bits = %s)', b);
	PERFORM vecx_check('few_idx', true);
	SELECT i.quantizer INTO quantizer FROM vecx_info('few_idx') i;
	SELECT t.missing, t.twice, t.recall INTO missing, twice, recall FROM lists_test('few', '<->', 3) t;
	DROP INDEX few_idx;
END $$ LANGUAGE plpgsql;
SELECT r.* FROM generate_series(1, 8) b, bits_test(b) r;
CREATE UNLOGGED TABLE grown (id int, kind int, v vector(70));
CREATE INDEX grown_idx ON grown USING vecx (v, kind) WITH (structure = lists, bits = 5, list_rows = 30);
INSERT INTO grown SELECT * FROM few;
SELECT vecx_check('grown_idx', true);
SELECT count(*), count(DISTINCT id), bool_and(kind = 3) FROM (SELECT * FROM grown WHERE kind = 3 ORDER BY v <-> made_vector(5, 70)) s;
SELECT (SELECT count(*) FROM grown WHERE v <-> made_vector(5, 70) < 9) =
	(SELECT count(*) FROM grown WHERE (v <-> made_vector(5, 70)) + 0 * random() < 9) AS same;
SET vecx.scan_order = strict;
SELECT bool_and(d >= before) AS in_order FROM
	(SELECT d, lag(d, 1, 0) OVER () AS before FROM
		(SELECT v <-> made_vector(1, 70) AS d FROM grown ORDER BY v <-> made_vector(1, 70) LIMIT 100) s) t;
RESET vecx.scan_order;

-- sizes that are foretold grow with what is kept
SELECT bool_and(bytes >= before) AND max(bytes) > min(bytes) AS grows FROM (SELECT n, bytes, lag(bytes, 1, 0::bigint) OVER (ORDER BY n) AS before
	FROM unnest('{"{structure=lists,quantizer=pq,pq_m=8,pq_training=distill,pq_queries=a.b.c}","{structure=lists,quantizer=pq,bits=8}","{structure=lists,bits=5}","{structure=lists,rerank=half}"}'::text[])
		WITH ORDINALITY AS o (options, n), LATERAL (SELECT index_bytes AS bytes FROM vecx_estimate('few', 'v', options::text[])) e) s;
SELECT * FROM vecx_estimate('few', 'v', '{quantizer=pq}');

-- what does not go together says so
CREATE INDEX few_wrong ON few USING vecx (v) WITH (structure = lists, bits = 4, rerank = half);
CREATE INDEX few_wrong ON few USING vecx (v) WITH (rerank = sq8);
CREATE INDEX few_wrong ON few USING vecx (v) WITH (replicas = 2);
SELECT * FROM vecx_estimate('few', 'v', '{replicas=1}');
CREATE INDEX few_wrong ON few USING vecx (v) WITH (structure = lists, rerank = index);
CREATE TABLE wide (v halfvec(4090));
CREATE INDEX wide_wrong ON wide USING vecx (v halfvec_l2_ops) WITH (structure = lists, quantizer = pq, rerank = half);
CREATE INDEX wide_idx ON wide USING vecx (v halfvec_l2_ops) WITH (structure = lists, quantizer = pq, rerank = sq8);

DROP TABLE life, few, grown, wide, looks;
DROP FUNCTION lists_test, looks_test, life_test, later_test, bits_test, made_vector;
