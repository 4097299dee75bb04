-- Faults of plans and of scans that were found and mended: each statement failed once.
SET client_min_messages = warning;
SET enable_seqscan = off;
SET enable_sort = off;
SET jit = off;

-- a NULL query after another in a strict scan: the one before was taken up again
CREATE TABLE plan_mended AS SELECT i AS id, ARRAY[i % 97, i % 89, i % 83]::vector(3) AS v, i % 50 AS n FROM generate_series(1, 5000) i;
CREATE INDEX plan_mended_v ON plan_mended USING vecx (v, n);
ANALYZE plan_mended;
SET vecx.scan_order = strict;
SELECT q.i, (SELECT count(*) FROM (SELECT id FROM plan_mended t ORDER BY t.v <-> q.v LIMIT 4000) s)
	FROM (VALUES (1, '[50,40,30]'::vector), (2, NULL)) q (i, v);
RESET vecx.scan_order;

-- an operator class with a test of a whole that is not an array: it was taken for equality
CREATE OPERATOR CLASS mended_jsonb_ops DEFAULT FOR TYPE jsonb USING vecx AS OPERATOR 13 =, OPERATOR 22 @>;
SELECT amvalidate(oid) FROM pg_opclass WHERE opcname = 'mended_jsonb_ops';
CREATE TABLE mended_docs AS SELECT ARRAY[i, 1]::vector(2) AS v, jsonb_build_object('lang', 'de', 'n', i) AS meta FROM generate_series(1, 3000) i;
CREATE INDEX ON mended_docs USING vecx (v, meta);
ANALYZE mended_docs;
SELECT count(*) FROM (SELECT FROM mended_docs WHERE meta @> '{"lang":"de"}' ORDER BY v <-> '[1,1]' LIMIT 10) s;
SELECT v FROM mended_docs WHERE meta @> '{"n":2000}' ORDER BY v <-> '[1,1]' LIMIT 10;
DROP TABLE mended_docs;
DROP OPERATOR FAMILY mended_jsonb_ops USING vecx;
CREATE OPERATOR CLASS mended_range_ops DEFAULT FOR TYPE anyrange USING vecx AS OPERATOR 13 =, OPERATOR 21 &&;
CREATE TABLE mended_ranges AS SELECT ARRAY[i, 1]::vector(2) AS v, int4range(i, i + 3) AS r FROM generate_series(1, 3000) i;
CREATE INDEX ON mended_ranges USING vecx (v, r);
SELECT r FROM mended_ranges WHERE r && '[10,12)' ORDER BY v <-> '[1,1]' LIMIT 10;
DROP TABLE mended_ranges;
DROP OPERATOR FAMILY mended_range_ops USING vecx;

CREATE FUNCTION mended_shares(int, int) RETURNS bool IMMUTABLE LANGUAGE sql AS 'SELECT $1 & $2 <> 0';
CREATE OPERATOR && (leftarg = int, rightarg = int, function = mended_shares);
CREATE OPERATOR CLASS mended_flag_ops FOR TYPE int USING vecx AS OPERATOR 13 =, OPERATOR 21 &&;
CREATE TABLE mended_flags AS SELECT ARRAY[i, 1]::vector(2) AS v, i % 16 AS f FROM generate_series(1, 3000) i;
CREATE INDEX ON mended_flags USING vecx (v, f mended_flag_ops);
ANALYZE mended_flags;
SELECT f FROM mended_flags WHERE f && 4 ORDER BY v <-> '[1,1]' LIMIT 6;
DROP TABLE mended_flags;
DROP OPERATOR FAMILY mended_flag_ops USING vecx;
DROP OPERATOR && (int, int);
DROP FUNCTION mended_shares;

-- a worker was given a scan that is ordered by the distance from an outer row, which it does not know
CREATE TABLE mended_d AS SELECT i AS id, i % 1000 AS tenant, ARRAY[i % 97, i % 89, i % 83]::vector(3) AS v FROM generate_series(1, 20000) i;
CREATE INDEX ON mended_d USING vecx (v, tenant);
CREATE TABLE mended_o AS SELECT i AS id, i % 20000 AS doc FROM generate_series(1, 100000) i;
CREATE TABLE mended_q AS SELECT i AS id, ARRAY[i * 10, i, 1]::vector(3) AS v FROM generate_series(1, 3) i;
ANALYZE mended_d, mended_o, mended_q;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET enable_nestloop = off;
SET enable_bitmapscan = off;
RESET enable_seqscan;
RESET enable_sort;
SELECT q.id, (SELECT o.id FROM mended_d d JOIN mended_o o ON o.doc = d.id WHERE d.tenant = 3 ORDER BY d.v <-> q.v, o.id LIMIT 1)
	FROM mended_q q ORDER BY q.id;
DO $$
DECLARE
	node text;
	plan text := '';
BEGIN
	FOR node IN EXPLAIN (COSTS OFF)
		SELECT (SELECT o.id FROM mended_d d JOIN mended_o o ON o.doc = d.id WHERE d.tenant = 3 ORDER BY d.v <-> q.v, o.id LIMIT 1) FROM mended_q q
	LOOP
		plan := plan || node || E'\n';
	END LOOP;
	-- a Gather there may be, but not above the scan by distance
	ASSERT plan !~ 'Gather.*Order By: \(v <-> ', plan;
END $$;
SET enable_indexscan = off;
SELECT q.id, (SELECT o.id FROM mended_d d JOIN mended_o o ON o.doc = d.id WHERE d.tenant = 3 ORDER BY d.v <-> q.v, o.id LIMIT 1)
	FROM mended_q q ORDER BY q.id;
RESET enable_indexscan;
SET enable_seqscan = off;
SET enable_sort = off;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;
RESET enable_nestloop;
RESET enable_bitmapscan;
DROP TABLE mended_d, mended_o, mended_q;

-- a long list of values could not be cancelled
CREATE TABLE mended_values AS SELECT array_agg(i) AS a FROM generate_series(1000001, 6000001) i;
SET statement_timeout = '300ms';
SELECT clock_timestamp() AS before \gset
SELECT count(*) FROM (SELECT FROM plan_mended WHERE n = ANY ((SELECT a FROM mended_values)::int[]) ORDER BY v <-> '[1,0,0]' LIMIT 5) s;
SELECT clock_timestamp() - :'before' < '2 s' AS soon;
RESET statement_timeout;
DROP TABLE mended_values;

-- a plan that is not run locked the index for serializable transactions
BEGIN ISOLATION LEVEL SERIALIZABLE;
DECLARE c CURSOR FOR SELECT id FROM plan_mended ORDER BY v <-> '[1,2,3]' LIMIT 5;
SELECT relation::regclass FROM pg_locks WHERE mode = 'SIReadLock' AND relation = 'plan_mended_v'::regclass;
FETCH c;
SELECT relation::regclass FROM pg_locks WHERE mode = 'SIReadLock' AND relation = 'plan_mended_v'::regclass;
COMMIT;

-- a distance times next to nothing: what rounding adds was not allowed for
CREATE TABLE mended_line AS SELECT ARRAY[i]::vector(1) AS v FROM generate_series(1, 1000) i;
INSERT INTO mended_line VALUES ('[2.4]');
CREATE INDEX ON mended_line USING vecx (v) WITH (quantizer = none);
SELECT v FROM mended_line WHERE (v <-> '[0]') * 5e-324 <= 1e-323;
SELECT v FROM mended_line WHERE (v <-> '[0]') * 5e-324 * 1e300 <= 1e-23 ORDER BY v <-> '[0]';
DROP TABLE mended_line;

-- alternatives that are empty lists, all of them: the backend crashed
CREATE TABLE mended_amounts AS SELECT ARRAY[i, 1]::vector(2) AS v, i::numeric AS amount FROM generate_series(1, 100) i;
CREATE INDEX ON mended_amounts USING vecx (v, amount);
SELECT count(*) FROM mended_amounts WHERE amount = ANY ('{}'::numeric(5,2)[]) OR amount = ANY ('{}'::numeric(6,2)[]);
SELECT amount FROM mended_amounts WHERE amount = ANY ('{}'::numeric(5,2)[]) OR amount = 7 ORDER BY v <-> '[1,1]' LIMIT 2;
DROP TABLE mended_amounts;

-- min() and max() were the first row of a search, which is likely to be the nearest
RESET enable_seqscan;
EXPLAIN (COSTS OFF) SELECT min(v <-> '[50,40,30]') FROM plan_mended;
EXPLAIN (COSTS OFF) SELECT max(1 - (v <=> '[50,40,30]')) FROM plan_mended WHERE n = 7;
EXPLAIN (COSTS OFF) SELECT (SELECT v <-> '[50,40,30]' FROM plan_mended ORDER BY 1 LIMIT 1), count(*) FROM plan_mended;
CREATE TABLE mended_parts (id int, v vector(3)) PARTITION BY RANGE (id);
CREATE TABLE mended_part1 PARTITION OF mended_parts FOR VALUES FROM (0) TO (2500);
CREATE TABLE mended_part2 PARTITION OF mended_parts FOR VALUES FROM (2500) TO (9999);
INSERT INTO mended_parts SELECT id, v FROM plan_mended;
CREATE INDEX ON mended_parts USING vecx (v);
ANALYZE mended_parts;
EXPLAIN (COSTS OFF) SELECT min(v <-> '[50,40,30]') FROM mended_parts;
EXPLAIN (COSTS OFF) SELECT id FROM mended_parts ORDER BY v <-> '[50,40,30]' LIMIT 3;
DROP TABLE mended_parts;

DROP TABLE plan_mended;
