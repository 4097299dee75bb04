-- Faults that were found and mended: each statement failed once.
SET client_min_messages = warning;

-- a table of queries that does not exist crashed the server
CREATE TABLE mended (id int, v vector(2));
CREATE INDEX mended_idx ON mended USING vecx (v);
SELECT vecx_recall('mended_idx', queries => 4000000000::oid::regclass);

-- DISTINCT and GROUP BY took a relaxed scan for sorted, and gave a distance twice
INSERT INTO mended SELECT i, ARRAY[i % 40, i % 7]::vector FROM generate_series(1, 4000) i;
ANALYZE mended;
SET enable_seqscan = off;
SET vecx.ef_search = 10;
SELECT count(*) = count(DISTINCT d) AS once FROM
	(SELECT DISTINCT v <-> '[3,3]' AS d FROM mended ORDER BY 1 LIMIT 100) s;
SELECT count(*) = count(DISTINCT d) AS once FROM
	(SELECT v <-> '[3,3]' AS d, count(*) FROM mended GROUP BY 1 ORDER BY 1 LIMIT 100) s;

-- the first batch held far records that the search had met on its way in
CREATE TABLE mended_order AS SELECT i AS id, ARRAY[i]::vector(1) AS v FROM generate_series(1, 3000) i;
CREATE INDEX mended_order_idx ON mended_order USING vecx (v);
SELECT count(*) AS near FROM
	(SELECT id FROM mended_order ORDER BY v <-> '[0]' LIMIT 40) s WHERE id <= 60;

-- rows of one vector coming and going made its chain of rows longer every time
CREATE TABLE mended_rows (id int, v vector(2));
CREATE INDEX mended_rows_idx ON mended_rows USING vecx (v);
INSERT INTO mended_rows SELECT i, '[1,1]' FROM generate_series(1, 2000) i;
INSERT INTO mended_rows SELECT i, '[1,1]' FROM generate_series(2001, 4000) i;
DELETE FROM mended_rows WHERE id <= 2000;
VACUUM mended_rows;
SELECT pg_relation_size('mended_rows_idx') AS size \gset
INSERT INTO mended_rows SELECT i, '[1,1]' FROM generate_series(4001, 6000) i;
DELETE FROM mended_rows WHERE id <= 4000;
VACUUM mended_rows;
INSERT INTO mended_rows SELECT i, '[1,1]' FROM generate_series(6001, 8000) i;
SELECT pg_relation_size('mended_rows_idx') <= :size AS no_longer;
SELECT vecx_check('mended_rows_idx', true);
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM mended_rows ORDER BY v <-> '[0,0]') s;

-- dead rows of one vector made a build take time by their number cubed
CREATE TABLE mended_dead AS SELECT i AS id, '[1,2,3]'::vector(3) AS v FROM generate_series(1, 3000) i;
BEGIN;
DELETE FROM mended_dead;
INSERT INTO mended_dead VALUES (0, '[1,2,3]'), (1, '[1,2,3]'), (2, '[3,2,1]');
SET LOCAL statement_timeout = '60s';
CREATE INDEX mended_dead_idx ON mended_dead USING vecx (v);
COMMIT;
SELECT id FROM mended_dead ORDER BY v <-> '[1,2,3]', id;
SELECT vecx_check('mended_dead_idx', true);

-- all deleted, and inserted again while nothing alive was to be found
DELETE FROM mended_order;
INSERT INTO mended_order SELECT i, ARRAY[i]::vector FROM generate_series(1, 500) i;
VACUUM mended_order;
INSERT INTO mended_order SELECT i, ARRAY[i]::vector FROM generate_series(501, 600) i;
SELECT array_agg(id) FROM (SELECT id FROM mended_order ORDER BY v <-> '[0]' LIMIT 5) s;
SELECT vecx_check('mended_order_idx', true);

-- bit strings of any length were cut to their first bit
CREATE TABLE mended_bits AS SELECT hashint8extended(i, 1)::bit(64) AS b FROM generate_series(1, 1000) i;
CREATE INDEX mended_bits_idx ON mended_bits USING vecx (b bit_hamming_ops);
CREATE TABLE mended_asked AS SELECT hashint8extended(i, 2)::bit(64)::bit varying AS b FROM generate_series(1, 40) i;
SELECT vecx_recall('mended_bits_idx', queries => 'mended_asked') > 0.9 AS good;

-- a model was trained on no vectors where there were rows without
CREATE TABLE mended_first (id int, v vector(8)) WITH (autovacuum_enabled = off);
CREATE INDEX mended_first_idx ON mended_first USING vecx (v);
INSERT INTO mended_first SELECT i FROM generate_series(1, 200000) i;
VACUUM mended_first;
SELECT trained_rows, vertices FROM vecx_info('mended_first_idx');
INSERT INTO mended_first SELECT i, ARRAY[i % 7, i % 11, i % 13, 0, i % 17, 1, i % 19, i]::vector FROM generate_series(1, 3000) i;
SELECT trained_rows > 0 AS trained, vertices FROM vecx_info('mended_first_idx');

DROP TABLE mended_first, mended, mended_order, mended_rows, mended_dead, mended_bits, mended_asked;

-- rows that a partial index leaves out were given to its expression, which may fail for them
CREATE TABLE mended_models (id int, model int, cat int, v vector) WITH (autovacuum_enabled = off);
INSERT INTO mended_models SELECT i, i % 2, i / 2 % 50,
	CASE WHEN i % 2 = 0 THEN ARRAY[i, 1, 2]::real[]::vector ELSE ARRAY[i, 1, 2, 3]::real[]::vector END FROM generate_series(1, 6000) i;
CREATE INDEX ON mended_models USING vecx ((v::vector(3)) vector_l2_ops) WHERE model = 0;
CREATE INDEX ON mended_models (cat);
ANALYZE mended_models;
SET enable_sort = off;
SET cpu_tuple_cost = 1000;
SET jit = off;
EXPLAIN (COSTS OFF) SELECT id FROM mended_models WHERE model = 0 AND cat = 7 ORDER BY v::vector(3) <-> '[5,1,2]' LIMIT 3;
SELECT id FROM mended_models WHERE model = 0 AND cat = 7 ORDER BY v::vector(3) <-> '[5,1,2]' LIMIT 3;
RESET cpu_tuple_cost;

-- a bound on the distance that has NaN first left out where it is NaN
CREATE TABLE mended_zero (id int, v vector(3) NOT NULL);
INSERT INTO mended_zero SELECT i, ARRAY[i, 1, 2]::vector FROM generate_series(1, 2000) i;
INSERT INTO mended_zero VALUES (0, '[0,0,0]');
CREATE INDEX ON mended_zero USING vecx (v vector_cosine_ops);
EXPLAIN (COSTS OFF) SELECT id FROM mended_zero WHERE v <=>^ '[0,0,1]' < 0.0001;
SELECT id FROM mended_zero WHERE v <=>^ '[0,0,1]' < 0.0001;

-- products that floats cannot sum up were NaN by some kernels
SELECT '[3e38,3e38]'::vector <#> '[10,-10]', '[3e38,3e38]'::vector <#> '[10,-9]', '[3e38,3e38,-2e38]'::vector <#> '[10,-9,1]';

-- strict scans returned vectors too long for the graph, and all rows for a too long query, in no order
CREATE TABLE mended_long (v vector(2));
INSERT INTO mended_long SELECT (CASE WHEN i % 2 = 0 THEN '[1e19,0]' ELSE '[1.5e19,0]' END)::vector FROM generate_series(1, 200) i;
INSERT INTO mended_long SELECT ARRAY[i % 3, 1]::vector FROM generate_series(1, 200) i;
CREATE INDEX ON mended_long USING vecx (v vector_l2_ops);
ANALYZE mended_long;
SET vecx.scan_order = strict;
SET enable_hashagg = off;
SELECT count(*) = count(DISTINCT d) AS once FROM (SELECT v <-> '[0,0]' AS d FROM mended_long GROUP BY 1) s;
SELECT count(*) = count(DISTINCT d) AS once FROM (SELECT v <-> '[1e19,0]' AS d FROM mended_long GROUP BY 1) s;
CREATE TABLE mended_short (id int, v vector(2) NOT NULL);
INSERT INTO mended_short SELECT i, ARRAY[i % 10, 1]::vector FROM generate_series(1, 500) i;
INSERT INTO mended_short VALUES (0, '[1e-20,0]');
CREATE INDEX ON mended_short USING vecx (v vector_cosine_ops);
SELECT bool_and(d >= before) AS ordered FROM (SELECT d, lag(d, 1, d) OVER () AS before FROM
	(SELECT v <=>^ '[1,0]' AS d FROM mended_short ORDER BY v <=>^ '[1,0]') s) s;
RESET vecx.scan_order;
RESET enable_hashagg;
RESET enable_sort;

-- an array of many elements that all are asked for took a square of them, without an interrupt
CREATE TABLE mended_tags (v vector(2), tags int[]);
INSERT INTO mended_tags SELECT ARRAY[i, 1]::vector, ARRAY[i % 10, i % 20] FROM generate_series(1, 500) i;
INSERT INTO mended_tags SELECT ARRAY[n, n]::vector, array_agg(i) FROM generate_series(99, 100) n, generate_series(1, n) i GROUP BY n;
CREATE INDEX ON mended_tags USING vecx (v, tags);
SET statement_timeout = '10s';
SELECT count(*) FROM (SELECT FROM mended_tags WHERE tags @> (SELECT array_agg(i) FROM generate_series(1, 300000) i) ORDER BY v <-> '[1,1]' LIMIT 5) s;
RESET statement_timeout;
SELECT count(*) FROM (SELECT FROM mended_tags WHERE tags @> '{3,13}' ORDER BY v <-> '[1,1]' LIMIT 5) s;
SELECT v FROM mended_tags WHERE tags @> (SELECT array_agg(i) FROM generate_series(1, 100) i) ORDER BY v <-> '[1,1]' LIMIT 5;

-- VACUUM kept a copy of each number that it looked at
CREATE TABLE mended_numbers (id int, v vector(2), n numeric) WITH (autovacuum_enabled = off);
INSERT INTO mended_numbers SELECT i, '[1,2]', i + 0.25 FROM generate_series(1, 20000) i;
CREATE INDEX ON mended_numbers USING vecx (v, n);
DELETE FROM mended_numbers WHERE id % 2 = 0;
CREATE FUNCTION mended_peak() RETURNS int LANGUAGE sql AS
$$ SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s*(\d+)')::int / 1024 $$;
SELECT mended_peak() AS before \gset
VACUUM mended_numbers;
SELECT mended_peak() - :before < 32 AS bounded;
DROP TABLE mended_numbers;
DROP FUNCTION mended_peak;

DROP TABLE mended_models, mended_zero, mended_long, mended_short, mended_tags;

-- the curve of posting lists was measured whatever memory that took
CREATE TABLE mended_lists (id int, v vector(1024)) WITH (autovacuum_enabled = off);
CREATE FUNCTION mended_vector(i int) RETURNS vector LANGUAGE sql AS
$$ SELECT array_agg(sin(i * j))::vector FROM generate_series(1, 1024) j $$;
INSERT INTO mended_lists SELECT i, mended_vector(i) FROM generate_series(1, 8000) i;
CREATE INDEX mended_lists_idx ON mended_lists USING vecx (v) WITH (structure = lists, list_rows = 16);
INSERT INTO mended_lists SELECT i, mended_vector(i) FROM generate_series(8001, 15000) i;
SET maintenance_work_mem = '1MB';
VACUUM mended_lists;
RESET maintenance_work_mem;
VACUUM mended_lists;
DROP TABLE mended_lists;
DROP FUNCTION mended_vector;

-- scans of posting lists went on to the end where nothing waited, beyond a range without a row, and
-- past vecx.max_scan_tuples
SET enable_sort = off;
CREATE TABLE mended_far (id int, v vector(16)) WITH (autovacuum_enabled = off);
CREATE FUNCTION mended_vector(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS
$$ SELECT array_agg(sin(i * j))::vector FROM generate_series(1, 16) j $$;
INSERT INTO mended_far SELECT i, mended_vector(i) FROM generate_series(1, 20000) i;
CREATE INDEX mended_far_idx ON mended_far USING vecx (v) WITH (structure = lists, list_rows = 50);
ANALYZE mended_far;
SELECT count(*) FROM mended_far WHERE v <-> array_fill(100, ARRAY[16])::vector < 0.01;
SELECT records < 5000 AS some FROM vecx_last_scan();
SET vecx.max_scan_tuples = 300;
SELECT count(*) > 0 AS some FROM (SELECT FROM mended_far ORDER BY v <-> mended_vector(3) LIMIT 1000) s;
SELECT records < 800 AS few, stopped FROM vecx_last_scan();
RESET vecx.max_scan_tuples;
RESET enable_sort;
DROP TABLE mended_far;
DROP FUNCTION mended_vector;

-- a search of posting lists within a distance ended when half of the rows read were beyond it, and left out
-- rows whose codes err by more than they usually do
CREATE TABLE mended_near (id int, v vector(32));
INSERT INTO mended_near SELECT i, (SELECT array_agg(random()) FROM generate_series(1, 32) WHERE i = i)::vector FROM generate_series(1, 8000) i;
CREATE INDEX mended_near_idx ON mended_near USING vecx (v) WITH (structure = lists);
ANALYZE mended_near;
SELECT array_fill(0.5::real, ARRAY[32])::vector AS query \gset
SET enable_indexscan = off;
SET enable_seqscan = on;
SELECT count(*) AS matches FROM mended_near WHERE v <-> :'query' < 1.55 \gset
RESET enable_indexscan;
SET enable_seqscan = off;
SELECT count(*) > 0.95 * :matches AS most FROM mended_near WHERE v <-> :'query' < 1.55;
SET vecx.probes = 100000;
SELECT count(*) = :matches AS complete FROM mended_near WHERE v <-> :'query' < 1.55;
RESET vecx.probes;
DROP TABLE mended_near;

-- a distance was NaN, or wrong, where floats have no room for a vector's square
SELECT '[1e20,0]'::vector <=> '[1e20,0]' AS long, '[1e-23]'::vector <=> '[1]' AS short, '[3e-23]'::vector <=> '[-1]' AS opposite,
	'[0]'::vector <=> '[1]' AS zero;

-- vecx_check refused an index whose column declares no dimensions any more
CREATE TABLE mended_type (v vector(2));
INSERT INTO mended_type SELECT ARRAY[i, i % 7]::vector FROM generate_series(1, 600) i;
CREATE INDEX mended_type_v ON mended_type USING vecx (v);
ALTER TABLE mended_type ALTER v TYPE vector;
SELECT vecx_check('mended_type_v');

-- functions looked for the column by the name that it had when the index was created; and queries were refused for
-- memory that only others take
ALTER TABLE mended_type RENAME v TO w;
CREATE TABLE mended_queries AS SELECT w FROM mended_type LIMIT 50;
SELECT vecx_recall('mended_type_v', queries => 'mended_queries') > 0.9 AS good;
SET maintenance_work_mem = '4MB';
SELECT vecx_calibrate('mended_type_v', 'mended_queries');
SELECT source, queries FROM vecx_curve('mended_type_v') LIMIT 1;
RESET maintenance_work_mem;
DROP TABLE mended_type, mended_queries;

-- near copies of what is near a query sent it down a second, wide way
CREATE FUNCTION mended_vector(i bigint, dims int) RETURNS vector IMMUTABLE LANGUAGE sql AS $$
	SELECT array_agg(hashint8(i * 65536 + d) / 2147483648.0 ORDER BY d)::real[]::vector FROM generate_series(1, dims) d
$$;
CREATE TABLE mended_copies (id int, v vector(8));
INSERT INTO mended_copies SELECT 5 * i + c, mended_vector(i, 8) + mended_vector(-5 * i - c, 8) * array_fill(0.03::real, ARRAY[8])::vector
	FROM generate_series(1, 4000) i, generate_series(0, 4) c;
CREATE INDEX mended_copies_v ON mended_copies USING vecx (v);
SET vecx.ef_search = 10;
DO $$
DECLARE
	n bigint := 0;
BEGIN
	FOR i IN 1..200 LOOP
		PERFORM FROM mended_copies ORDER BY v <-> mended_vector(100000 + i, 8) LIMIT 10;
		n := n + (SELECT hops FROM vecx_last_scan());
	END LOOP;
	PERFORM set_config('test.hops', (n / 200)::text, false);
END $$;
SELECT current_setting('test.hops')::int < 32 AS short;
RESET vecx.ef_search;
DROP TABLE mended_copies;

-- a sample of which most rows are out of line and zero is drawn again, from rows that have a direction
CREATE TABLE mended_zeros (v vector(600));
INSERT INTO mended_zeros SELECT CASE WHEN i % 7 = 0 THEN mended_vector(i, 600) ELSE array_fill(0, ARRAY[600])::vector END
	FROM generate_series(1, 3000) i;
CREATE INDEX mended_zeros_v ON mended_zeros USING vecx (v vector_cosine_ops);
SELECT trained_rows > 0 AS trained FROM vecx_info('mended_zeros_v');
DROP TABLE mended_zeros;

-- a long list within an OR is left to the rows
CREATE TABLE mended_or (id int, tenant int, v vector(2));
INSERT INTO mended_or SELECT i, i % 100, ARRAY[i, i % 7]::vector FROM generate_series(1, 3000) i;
CREATE INDEX mended_or_v ON mended_or USING vecx (v, tenant);
SELECT count(*), count(*) FILTER (WHERE tenant IN (7, 8)) AS right FROM (SELECT tenant FROM mended_or
	WHERE tenant = ANY ((SELECT array_agg(8 + 100 * (i % 2)) FROM generate_series(1, 2000) i)::int[]) OR tenant = 7 ORDER BY v <-> '[1500,3]') s;
PREPARE mended_list (int[]) AS SELECT count(*), count(*) FILTER (WHERE tenant IN (7, 8)) AS right FROM (SELECT tenant FROM mended_or
	WHERE tenant = ANY ($1) OR tenant = 7 ORDER BY v <-> '[1500,3]') s;
SELECT array_agg(8 + 100 * (i % 2)) AS long FROM generate_series(1, 2000) i \gset
EXECUTE mended_list (:'long');
EXECUTE mended_list ('{8,108}');
DEALLOCATE mended_list;
DROP TABLE mended_or;
DROP FUNCTION mended_vector;
