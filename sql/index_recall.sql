-- Asking for recall: the index measures itself, searches take the effort that
-- the target and the LIMIT above them need, and what is set counts in order.

CREATE FUNCTION noise(seed int) RETURNS vector IMMUTABLE LANGUAGE sql AS
	'SELECT array_agg(hashint8(seed::bigint * 65536 + d) / 2147483648.0 ORDER BY d)::vector
	FROM generate_series(1, 16) d';
CREATE TABLE noisy AS SELECT -i AS id, noise(-i) AS v FROM generate_series(1, 100) i;
CREATE TABLE t (id int, tag int, v vector(16)) WITH (autovacuum_enabled = off);
CREATE INDEX t_v ON t USING vecx (v vector_l2_ops);

-- nothing to measure, then nothing measured yet: the width is 40
SELECT count(*) FROM vecx_curve('t_v');
SELECT vecx_calibrate('t_v');
INSERT INTO t SELECT i, i % 10, noise(i) FROM generate_series(1, 800) i;
ANALYZE t (id);
SELECT source, queries, vertices, count(*) > 10 AS points FROM vecx_curve('t_v') GROUP BY 1, 2, 3;
ALTER INDEX t_v SET (auto_calibrate = off);
REINDEX INDEX t_v;
ANALYZE t;
SELECT count(*) FROM vecx_curve('t_v');
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> noise(-1) LIMIT 10) s;
SELECT index, rows_wanted, width, batches FROM vecx_last_scan();
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> noise(-1) LIMIT 50) s;
SELECT index, rows_wanted, width, batches FROM vecx_last_scan();
ALTER INDEX t_v RESET (auto_calibrate);
VACUUM t;

-- the curve: shares, and bounds below them that never fall
SELECT rows, bool_and(recall BETWEEN 0 AND 1 AND recall_lower <= recall) AS shares,
	bool_and(recall_lower >= before) IS NOT FALSE AS ascending, max(recall) > 0.9 AS reaches,
	min(width) AS width, min(spread) AS spread
FROM (SELECT *, lag(recall_lower) OVER (PARTITION BY rows ORDER BY width, spread) AS before
	FROM vecx_curve('t_v')) s
GROUP BY rows ORDER BY rows;
SELECT vecx_check('t_v', true);

-- codes of whole numbers are exact, and still the farthest of the true nearest is
-- found: its rank is not the square of its distance by the last bit
CREATE TABLE whole (v vector(48));
INSERT INTO whole SELECT (SELECT array_agg(hashint8(i::bigint * 64 + d) & 255 ORDER BY d)
	FROM generate_series(1, 48) d)::vector FROM generate_series(1, 1200) i;
CREATE INDEX whole_v ON whole USING vecx (v);
SELECT vecx_calibrate('whole_v');
SELECT max(recall) > 0.9 AS reaches FROM vecx_curve('whole_v') WHERE rows = 1;
DROP TABLE whole;

-- more for a higher target
CREATE FUNCTION effort(query text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	sum bigint := 0;
BEGIN
	FOR i IN 1 .. 10 LOOP
		EXECUTE query USING (SELECT v FROM noisy WHERE id = -i);
		sum := sum + (SELECT records FROM vecx_last_scan());
	END LOOP;
	RETURN sum;
END $$;
CREATE TABLE efforts (target float, records bigint);
SET vecx.target_recall = 0.6;
INSERT INTO efforts SELECT 0.6, effort('SELECT id FROM t ORDER BY v <-> $1 LIMIT 10');
SET vecx.target_recall = 0.96;
INSERT INTO efforts SELECT 0.96, effort('SELECT id FROM t ORDER BY v <-> $1 LIMIT 10');
SET vecx.target_recall = 0.99;
INSERT INTO efforts SELECT 0.99, effort('SELECT id FROM t ORDER BY v <-> $1 LIMIT 10');
SET vecx.target_recall = 1;
INSERT INTO efforts SELECT 1, effort('SELECT id FROM t ORDER BY v <-> $1 LIMIT 10');
SELECT target, records > lag(records) OVER (ORDER BY target) - (target = 1)::int AS more FROM efforts ORDER BY target;
SELECT length(vecx_recall('t_v', k => 7, ef => 1)::text) < 9 AS rounded;
SELECT vecx_recall('t_v', samples => 100) > 0.96 AS good;
RESET vecx.target_recall;
SHOW vecx.target_recall;
SELECT vecx_recall('t_v', samples => 100) > 0.9 AS good, vecx_recall('t_v', k => 1, samples => 100) > 0.85 AS good_1,
	vecx_recall('t_v', k => 100, samples => 50) > 0.9 AS good_100;

-- a target just beyond what a point of the curve is sure to find takes more than that point
SELECT width AS point, recall_lower + 0.0002 AS target FROM vecx_curve('t_v')
WHERE rows = 10 ORDER BY width, spread LIMIT 1 \gset beyond_
SET vecx.target_recall = :beyond_target;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> noise(-1) LIMIT 10) s;
SELECT width > :beyond_point AS more FROM vecx_last_scan();

-- a query is hard if its nearest are far, and gets more: the middle of all is near to many
SET vecx.target_recall = 0.99;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> array_fill(0, ARRAY[16])::vector LIMIT 10) s;
SELECT width FROM vecx_last_scan() \gset easy_
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> noise(-1) * array_fill(3, ARRAY[16])::vector LIMIT 10) s;
SELECT width > 1.25 * :easy_width AS wider, (SELECT max(spread) FROM vecx_curve('t_v') WHERE rows = 10) >= 1.3 AS spread FROM vecx_last_scan();
RESET vecx.target_recall;

-- vecx.ef_search is a plain width
SET vecx.ef_search = 33;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> noise(-1) LIMIT 10) s;
SELECT width, batches FROM vecx_last_scan();
RESET vecx.ef_search;

-- the session, then the index, then the database
CREATE FUNCTION widths() RETURNS bigint LANGUAGE sql AS
	$$SELECT effort('SELECT id FROM t ORDER BY v <-> $1 LIMIT 10')$$;
ALTER ROLE CURRENT_USER IN DATABASE :DBNAME SET vecx.target_recall = 0.6;
\c
SET enable_seqscan = off;
SET enable_sort = off;
SELECT widths() = records AS by_role FROM efforts WHERE target = 0.6;
ALTER INDEX t_v SET (target_recall = 0.99);
SELECT widths() = records AS by_index FROM efforts WHERE target = 0.99;
SET vecx.target_recall = 0.6;
SELECT widths() = records AS by_session FROM efforts WHERE target = 0.6;
RESET vecx.target_recall;
SELECT widths() = records AS by_index FROM efforts WHERE target = 0.99;
ALTER FUNCTION widths() SET vecx.target_recall = 0.96;
SELECT widths() = records AS by_function FROM efforts WHERE target = 0.96;
ALTER ROLE CURRENT_USER IN DATABASE :DBNAME RESET vecx.target_recall;
\c
SET enable_seqscan = off;
SET enable_sort = off;
BEGIN;
ALTER INDEX t_v RESET (target_recall);
SELECT mode FROM pg_locks WHERE relation = 't_v'::regclass AND pid = pg_backend_pid() AND mode <> 'AccessShareLock';
COMMIT;
ALTER INDEX t_v SET (target_recall = 0.4);
ALTER INDEX t_v SET (target_recall = 1.1);
SET vecx.target_recall = 0.49;
SET vecx.target_recall = 1.01;
DROP FUNCTION widths;

-- LIMIT: how many rows the scan knows to be wanted
CREATE FUNCTION wanted(query text) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE query;
	RETURN (SELECT rows_wanted FROM vecx_last_scan());
END $$;
SELECT wanted('SELECT id FROM t ORDER BY v <-> noise(-1) LIMIT 1') AS one,
	wanted('SELECT id FROM t ORDER BY v <-> noise(-1) LIMIT 7 OFFSET 5') AS twelve,
	wanted('SELECT id FROM t ORDER BY v <-> noise(-1) FETCH FIRST 4 ROWS WITH TIES') AS four,
	wanted('SELECT id FROM t ORDER BY v <-> noise(-1) LIMIT (SELECT 3)') AS three,
	wanted('SELECT id FROM t ORDER BY v <-> noise(-1) LIMIT NULL') AS unknown,
	wanted('SELECT id FROM t ORDER BY v <-> noise(-1)') AS unknown,
	wanted('SELECT id FROM t ORDER BY v <-> noise(-1) LIMIT 9223372036854775807 OFFSET 1') > 1e9 AS very_many;
SELECT wanted('SELECT id + 1, v <-> noise(-1) FROM t ORDER BY v <-> noise(-1) LIMIT 6') AS six,
	wanted('SELECT * FROM (SELECT id, random() FROM t ORDER BY v <-> noise(-1) OFFSET 0) s LIMIT 5') AS five,
	wanted('SELECT id FROM t ORDER BY v <-> noise(-1) LIMIT 8 FOR UPDATE') AS eight,
	wanted('SELECT id FROM t ORDER BY v <-> noise(-1), id LIMIT 9') AS nine,
	wanted('SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> noise(-1) LIMIT 11) s') AS eleven,
	wanted('SELECT (SELECT id FROM t ORDER BY v <-> noise(-1) LIMIT 1 OFFSET 2)') AS three,
	wanted('WITH w AS MATERIALIZED (SELECT id FROM t ORDER BY v <-> noise(-1) LIMIT 13) SELECT * FROM w LIMIT 2') AS thirteen,
	wanted('SELECT count(*) FROM (SELECT v FROM t ORDER BY v <-> noise(-1) OFFSET 0) s') AS unknown;
-- a tenth of the rows has the tag
SELECT wanted('SELECT id FROM t WHERE tag = 3 ORDER BY v <-> noise(-1) LIMIT 10') BETWEEN 50 AND 200 AS about_hundred;

-- the same plan with other parameters, and one that is generic
PREPARE nearest(vector, int, int) AS SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> $1 LIMIT $2 OFFSET $3) s;
SET plan_cache_mode = force_generic_plan;
EXECUTE nearest(noise(-1), 3, 0);
SELECT rows_wanted, batches FROM vecx_last_scan();
EXECUTE nearest(noise(-1), 200, 10);
SELECT rows_wanted, batches FROM vecx_last_scan();
EXECUTE nearest(noise(-1), NULL, 10);
SELECT rows_wanted FROM vecx_last_scan();
RESET plan_cache_mode;
DEALLOCATE nearest;

-- a LIMIT that changes with each rescan
SELECT q.n, c.rows FROM (VALUES (2), (90), (5)) q(n),
	LATERAL (SELECT count(*) AS rows FROM (SELECT id FROM t ORDER BY v <-> (SELECT v FROM noisy WHERE id = -q.n) LIMIT q.n) s) c;
SELECT rows_wanted, batches FROM vecx_last_scan();	-- of the last of them

-- cursors: by batches if no LIMIT says how far they go
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY v <-> noise(-1);
MOVE 200 IN c;
CLOSE c;
SELECT rows_wanted, batches > 2 AS several FROM vecx_last_scan();
DECLARE c CURSOR FOR SELECT id FROM t ORDER BY v <-> noise(-1) LIMIT 200;
MOVE 200 IN c;
CLOSE c;
SELECT rows_wanted, batches FROM vecx_last_scan();
COMMIT;

-- partitions: each may have all rows that are wanted
CREATE TABLE p (id int, v vector(16)) PARTITION BY RANGE (id);
CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (300);
CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (300) TO (2000);
INSERT INTO p SELECT id, v FROM t;
CREATE INDEX ON p USING vecx (v vector_l2_ops);
SELECT wanted('SELECT id FROM p ORDER BY v <-> noise(-1) LIMIT 14') AS fourteen;
DROP TABLE p;

-- a strict scan counts what it drops
SET vecx.scan_order = strict;
SET vecx.ef_search = 1;
CREATE FUNCTION dropped(OUT missing bigint, OUT counted bigint) LANGUAGE plpgsql AS $$
DECLARE
	q vector;
BEGIN
	missing := 0;
	counted := 0;
	FOR q IN SELECT v FROM noisy LIMIT 10 LOOP
		missing := missing + 800 - (SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> q OFFSET 0) s);
		counted := counted + (SELECT l.dropped FROM vecx_last_scan() l);
	END LOOP;
END $$;
SELECT counted > 0 AS dropped, counted = missing AS counted FROM dropped();
DROP FUNCTION dropped;
RESET vecx.scan_order;
RESET vecx.ef_search;

-- queries of the user: kept by VACUUM and ANALYZE, lost by REINDEX
CREATE TABLE queries AS SELECT noise(-i) AS q, i FROM generate_series(1, 60) i;
SELECT vecx_calibrate('t_v', 'queries', 'q');
SELECT DISTINCT source, queries, vertices FROM vecx_curve('t_v');
-- codes that are exact find the very nearest, whose rank may be more than the square of its distance by the last bit
SELECT max(recall) > 0.9 AS reaches FROM vecx_curve('t_v') WHERE rows = 1;
INSERT INTO t SELECT i, i % 10, noise(i) FROM generate_series(801, 1600) i;
ANALYZE t;
VACUUM t;
SELECT DISTINCT source, queries, vertices FROM vecx_curve('t_v');
SELECT vecx_recall('t_v', samples => 60, queries => 'queries', query_column => 'q') > 0.85 AS good;
SELECT vecx_calibrate('t_v');
SELECT DISTINCT source, queries, vertices FROM vecx_curve('t_v');
SELECT vecx_check('t_v', true);
REINDEX INDEX t_v;
SELECT DISTINCT source, queries, vertices FROM vecx_curve('t_v');
SELECT vecx_calibrate('t_v', 'queries');
SELECT vecx_calibrate('t_v', 'queries', 'i');
DELETE FROM queries WHERE i > 20;
SELECT vecx_calibrate('t_v', 'queries', 'q');
SELECT vecx_calibrate('queries'), vecx_calibrate(NULL);
SELECT vecx_calibrate('t_v', query_column => 'q');
CREATE TABLE equal AS SELECT '[1,2]'::vector(2) AS v FROM generate_series(1, 100);
CREATE INDEX equal_v ON equal USING vecx (v);
SELECT vecx_calibrate('equal_v');
DROP TABLE equal;

-- measured anew when it has grown by half, or lost a quarter
INSERT INTO t SELECT i, 0, noise(i) FROM generate_series(1601, 1700) i;
ANALYZE t;
SELECT DISTINCT vertices FROM vecx_curve('t_v');
INSERT INTO t SELECT i, 0, noise(i) FROM generate_series(1701, 2600) i;
ANALYZE t;
SELECT DISTINCT vertices FROM vecx_curve('t_v');
DELETE FROM t WHERE id > 1600;
VACUUM t;
SELECT DISTINCT vertices FROM vecx_curve('t_v');

-- copies do not find each other
CREATE TABLE copies (id int, v vector(16));
INSERT INTO copies SELECT i, noise(i % 100) FROM generate_series(1, 1000) i;
CREATE INDEX copies_v ON copies USING vecx (v vector_l2_ops);
SELECT DISTINCT source, queries, vertices FROM vecx_curve('copies_v');
SELECT vecx_calibrate('copies_v');
SELECT vecx_recall('copies_v') > 0.9 AS good;
SELECT count(DISTINCT id) FROM (SELECT id FROM copies ORDER BY v <-> noise(7) LIMIT 20) s WHERE id % 100 = 7;

-- Near copies lead a stored vector to its place; a query that is nobody's copy has to
-- find its own way, and gets what was promised nevertheless.
CREATE TABLE versions (id int, v vector(32));
INSERT INTO versions SELECT i, array(SELECT hashfloat8(i / 5 * 100 + d) / 2147483648.0 + hashfloat8(i * 100 + d + 7) / 1.4e10
	FROM generate_series(1, 32) d) FROM generate_series(1, 8000) i;
CREATE TABLE texts AS SELECT array(SELECT hashfloat8(i * 100 + d + 0.5) / 2147483648.0
	FROM generate_series(1, 32) d)::vector AS v FROM generate_series(1, 200) i;
CREATE INDEX versions_v ON versions USING vecx (v vector_l2_ops);
SELECT vecx_recall('versions_v', queries => 'texts') > 0.93 AS good;
SELECT vecx_calibrate('versions_v');
SELECT vecx_recall('versions_v', queries => 'texts') > 0.93 AS good;
DROP TABLE versions, texts;

-- The nearest by coarse codes are not the nearest: no curve is made of them, and
-- stored queries find as few as given ones.
CREATE TABLE coarse AS SELECT i AS id, noise(i) AS v FROM generate_series(1, 1500) i;
CREATE TABLE fresh AS SELECT noise(-i) AS v FROM generate_series(1, 100) i;
ALTER TABLE coarse ALTER v TYPE vector(16);
CREATE INDEX coarse_v ON coarse USING vecx (v vector_l2_ops) WITH (quantizer = rabitq, bits = 1);
SELECT count(*) FROM vecx_curve('coarse_v');
SELECT abs(vecx_recall('coarse_v', ef => 10, samples => 100) -
	vecx_recall('coarse_v', ef => 10, queries => 'fresh')) < 0.15 AS same;
SELECT vecx_calibrate('coarse_v');
SELECT vecx_recall('coarse_v', queries => 'fresh') > 0.9 AS good;

-- what no effort reaches is told
\set VERBOSITY terse
ALTER INDEX coarse_v SET (target_recall = 1, m = 2, ef_construction = 4);
REINDEX INDEX coarse_v;
SELECT vecx_calibrate('coarse_v');
ALTER INDEX coarse_v SET (target_recall = 0.5);
SELECT vecx_calibrate('coarse_v');
\set VERBOSITY default

-- rows at no distance are nobody's neighbours
CREATE TABLE zeros AS SELECT i AS id, v FROM t, generate_series(1, 1) i WHERE id <= 100;
INSERT INTO zeros SELECT i, array_fill(0, ARRAY[16]) FROM generate_series(1, 50) i;
ALTER TABLE zeros ALTER v TYPE vector(16);
CREATE INDEX zeros_v ON zeros USING vecx (v vector_cosine_ops);
SELECT vecx_recall('zeros_v', k => 1000, samples => 10);
DROP TABLE coarse, fresh, zeros;

-- unlogged and temporary tables
CREATE UNLOGGED TABLE u AS SELECT id, v FROM t WHERE id <= 300;
CREATE INDEX u_v ON u USING vecx ((v::vector(16)) vector_cosine_ops);
CREATE TEMP TABLE m AS SELECT id, v FROM t WHERE id <= 300;
CREATE INDEX m_v ON m USING vecx ((v::vector(16)) vector_ip_ops);
SELECT i, source, queries, vertices, vecx_calibrate(i), vecx_check(i)
FROM unnest(ARRAY['u_v', 'm_v']::regclass[]) i, LATERAL (SELECT DISTINCT source, queries, vertices FROM vecx_curve(i)) c;

-- only for owners, and where one may write
BEGIN READ ONLY;
SELECT vecx_calibrate('t_v');
ROLLBACK;
CREATE ROLE recall_other;
GRANT SELECT ON t TO recall_other;
SET ROLE recall_other;
SELECT vecx_calibrate('t_v');
SELECT * FROM vecx_curve('t_v');
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> noise(-1) LIMIT 3) s;
SELECT rows_wanted FROM vecx_last_scan();
RESET ROLE;

DROP TABLE t, noisy, efforts, queries, copies, u, m;
DROP FUNCTION noise, effort, wanted;
DROP ROLE recall_other;
