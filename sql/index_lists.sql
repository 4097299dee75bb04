-- Posting lists: rows complete and in order, through builds, inserts with splits,
-- deletes and VACUUM; duplicates, NULLs and zero vectors; options.
\getenv abs_srcdir PG_ABS_SRCDIR
\set lists :abs_srcdir '/sql/shared/lists.sql'
\set good 9.3
\i :lists

-- built on rows that are there
CREATE TABLE made (id serial, v vector(64));
INSERT INTO made (v) SELECT made_vector(i, 64) FROM generate_series(1, 3000) i;
INSERT INTO made (v) VALUES (NULL), (NULL);
CREATE INDEX made_l2 ON made USING vecx (v) WITH (structure = lists);
SELECT structure, quantizer, lists > 3 AS has_lists, rows, null_rows, bytes_list > 0 AS has_bytes FROM vecx_info('made_l2');
SELECT vecx_check('made_l2', true);
SELECT * FROM lists_test('made', '<->', 10);
EXPLAIN (COSTS off) SELECT id FROM made ORDER BY v <-> (SELECT v FROM made WHERE id = 1) LIMIT 5;

-- lists of a row: by default two at most, by distance; a row counts once
SELECT list_replicas, list_replication BETWEEN 1 AND 2 AS few_copies, rows, list_spread < 1 AS even FROM vecx_info('made_l2');
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM made ORDER BY v <-> made_vector(1, 64) LIMIT 1000) s;
DROP INDEX made_l2;
CREATE INDEX made_l2 ON made USING vecx (v) WITH (structure = lists, replicas = 1);
SELECT list_replicas, list_replication, rows FROM vecx_info('made_l2');
SELECT * FROM lists_test('made', '<->', 10);
DROP INDEX made_l2;
CREATE INDEX made_l2 ON made USING vecx (v) WITH (structure = lists, replicas = 8, list_rows = 30);
SELECT list_replicas, list_replication >= 1 AS copies, rows FROM vecx_info('made_l2');
SELECT vecx_check('made_l2', true);
SELECT * FROM lists_test('made', '<->', 10);
DROP INDEX made_l2;
CREATE INDEX made_l2 ON made USING vecx (v) WITH (structure = lists, replicas = 9);
CREATE INDEX made_ip ON made USING vecx (v vector_ip_ops) WITH (structure = lists, replicas = 3);
SELECT list_replication FROM vecx_info('made_ip');
SELECT vecx_check('made_ip', true);
SELECT * FROM lists_test('made', '<#>', 10);
DROP INDEX made_ip;

-- inner product; cosine with zero vectors, which come after all others
CREATE INDEX made_ip ON made USING vecx (v vector_ip_ops) WITH (structure = lists, list_rows = 50);
SELECT vecx_check('made_ip', true);
SELECT * FROM lists_test('made', '<#>', 10);
DROP INDEX made_ip;
INSERT INTO made (v) SELECT array_fill(0, ARRAY[64])::vector FROM generate_series(1, 3);
CREATE INDEX made_cosine ON made USING vecx (v vector_cosine_ops) WITH (structure = lists);
SELECT vecx_check('made_cosine', true);
SELECT * FROM lists_test('made', '<=>', 10);
SELECT array_agg(x) FROM (SELECT coalesce(v <=> made_vector(1, 64), -1) = 'NaN' AS x
	FROM made ORDER BY v <=> made_vector(1, 64) OFFSET 3000) s;
DROP INDEX made_cosine;

-- filled by inserts: lists are split
CREATE TABLE grown (id serial, v vector(64)) WITH (autovacuum_enabled = off);
CREATE INDEX grown_l2 ON grown USING vecx (v) WITH (structure = lists);
SELECT count(*) FROM (SELECT id FROM grown ORDER BY v <-> made_vector(1, 64)) s;
INSERT INTO grown (v) SELECT made_vector(i, 64) FROM generate_series(1, 3000) i;
SELECT lists > 3 AS has_lists, closed_lists > 0 AS has_closed, list_pages_max < 10 AS all_short, rows FROM vecx_info('grown_l2');
SELECT vecx_check('grown_l2', true);
SELECT * FROM lists_test('grown', '<->', 10);

-- of a row that is added, the log has as much as the row, but for the row that fills a block
CREATE TABLE logged (v vector(256)) WITH (autovacuum_enabled = off);
CREATE TABLE without (v vector(256)) WITH (autovacuum_enabled = off);
INSERT INTO logged SELECT made_vector(i, 256) FROM generate_series(1, 50) i;
CREATE INDEX logged_l2 ON logged USING vecx (v) WITH (structure = lists, replicas = 1);
CREATE FUNCTION logged_by(t regclass) RETURNS float LANGUAGE plpgsql AS $$
DECLARE
	before pg_lsn;
	bytes float[];
BEGIN
	FOR i IN 51 .. 100 LOOP
		before := pg_current_wal_insert_lsn();
		EXECUTE format('INSERT INTO %s VALUES (made_vector(%s, 256))', t, i);
		bytes := bytes || (pg_current_wal_insert_lsn() - before)::float;
	END LOOP;
	RETURN percentile_cont(.5) WITHIN GROUP (ORDER BY b) FROM unnest(bytes) b;
END $$;
SELECT logged_by('logged') - logged_by('without') < 150 AS little;
SELECT vecx_check('logged_l2', true);

-- many rows of one vector stay in one list, which cannot be split
INSERT INTO grown (v) SELECT made_vector(5, 64) FROM generate_series(1, 1500);
SELECT vecx_check('grown_l2', true);
SELECT * FROM lists_test('grown', '<->', 3);
SELECT count(*) FROM (SELECT v <-> made_vector(5, 64) AS d FROM grown ORDER BY v <-> made_vector(5, 64) LIMIT 1501) s WHERE d = 0;

-- updates, an aborted transaction, deletes, VACUUM
UPDATE grown SET v = made_vector(id + 5000, 64) WHERE id % 7 = 0;
BEGIN;
INSERT INTO grown (v) SELECT made_vector(i, 64) FROM generate_series(9000, 9500) i;
ROLLBACK;
DELETE FROM grown WHERE id % 3 = 0 OR id > 3500;
SELECT * FROM lists_test('grown', '<->', 3);
VACUUM grown;
SELECT closed_lists, dead, rows = (SELECT count(*) FROM grown) AS all_rows FROM vecx_info('grown_l2');
SELECT vecx_check('grown_l2', true);
SELECT * FROM lists_test('grown', '<->', 5);

-- lists that VACUUM leaves short become fewer
CREATE TABLE thinned (id serial, v vector(64)) WITH (autovacuum_enabled = off);
INSERT INTO thinned (v) SELECT made_vector(i, 64) FROM generate_series(1, 3000) i;
CREATE INDEX thinned_l2 ON thinned USING vecx (v) WITH (structure = lists, list_rows = 30);
SELECT lists FROM vecx_info('thinned_l2') \gset before_
DELETE FROM thinned WHERE id % 10 <> 0;
VACUUM thinned;
SELECT lists < :before_lists / 4 AS fewer, list_rows_mean > 15 AS longer, rows, closed_lists, dead FROM vecx_info('thinned_l2');
SELECT vecx_check('thinned_l2', true);
SELECT * FROM lists_test('thinned', '<->', 10);
-- and the closed ones that inserts leave are cleared away without a row being dead
INSERT INTO thinned (v) SELECT made_vector(i, 64) FROM generate_series(3001, 15000) i;
SELECT closed_lists > 0 AS closed FROM vecx_info('thinned_l2');
VACUUM thinned;
SELECT closed_lists, rows FROM vecx_info('thinned_l2');
SELECT vecx_check('thinned_l2', true);
SELECT * FROM lists_test('thinned', '<->', 10);
DROP TABLE thinned;

-- pages of lists that are gone are used again
DELETE FROM grown;
VACUUM grown;
SELECT lists, vertices, rows FROM vecx_info('grown_l2');
SELECT vecx_check('grown_l2', true);
SELECT pg_relation_size('grown_l2') AS size_before \gset
CREATE TABLE nothing AS SELECT 1;
INSERT INTO grown (v) SELECT made_vector(i, 64) FROM generate_series(1, 10) i;
DELETE FROM grown WHERE id % 2 = 0;
VACUUM grown;
INSERT INTO grown (v) SELECT made_vector(i, 64) FROM generate_series(1, 2500) i;
SELECT pg_relation_size('grown_l2') <= :size_before AS no_larger;
SELECT vecx_check('grown_l2', true);
SELECT * FROM lists_test('grown', '<->', 5);
REINDEX INDEX grown_l2;
SELECT vecx_check('grown_l2', true);
REINDEX INDEX CONCURRENTLY grown_l2;
SELECT vecx_check('grown_l2', true);

-- conditions, ranges, cursors, strict order
SELECT count(*) FROM (SELECT id FROM grown WHERE id % 50 = 0 ORDER BY v <-> made_vector(1, 64) LIMIT 20) s;
SELECT (SELECT count(*) FROM grown WHERE v <-> made_vector(1, 64) < 9) =
	(SELECT count(*) FROM grown WHERE (v <-> made_vector(1, 64)) + 0 * random() < 9) AS same;
BEGIN;
DECLARE c CURSOR FOR SELECT id FROM grown ORDER BY v <-> made_vector(1, 64);
MOVE 1000 IN c;
INSERT INTO grown (v) SELECT made_vector(i, 64) FROM generate_series(1, 1000) i;
MOVE ALL IN c;
COMMIT;
SET vecx.scan_order = strict;
SELECT bool_and(d >= before) AS in_order FROM
	(SELECT d, lag(d, 1, 0) OVER () AS before FROM
		(SELECT v <-> made_vector(1, 64) AS d FROM grown ORDER BY v <-> made_vector(1, 64) LIMIT 500) s) t;
RESET vecx.scan_order;
-- scans that go on side by side, one of which ends by an error, have their rows apart
CREATE FUNCTION near_rows(query int) RETURNS int[] LANGUAGE sql AS
	$$ SELECT array_agg(id) FROM (SELECT id FROM grown ORDER BY v <-> made_vector(query, 64) LIMIT 600) s $$;
CREATE FUNCTION side_by_side() RETURNS TABLE (same boolean) LANGUAGE plpgsql AS $$
DECLARE
	a CURSOR FOR SELECT id FROM grown ORDER BY v <-> made_vector(1, 64) LIMIT 600;
	b CURSOR FOR SELECT id FROM grown ORDER BY v <-> made_vector(2, 64) LIMIT 600;
	of_a int[];
	of_b int[];
	row int;
BEGIN
	OPEN a;
	OPEN b;
	FOR i IN 1 .. 600 LOOP
		FETCH a INTO row;
		of_a := of_a || row;
		IF i = 100 THEN
			BEGIN
				PERFORM 1 / (id - id) FROM grown ORDER BY v <-> made_vector(3, 64) LIMIT 1;
			EXCEPTION WHEN division_by_zero THEN
				NULL;
			END;
		END IF;
		FETCH b INTO row;
		of_b := of_b || row;
	END LOOP;
	RETURN QUERY SELECT of_a = near_rows(1) UNION ALL SELECT of_b = near_rows(2);
END $$;
SELECT same FROM side_by_side();
DROP FUNCTION side_by_side, near_rows;

-- lists that are too far away are left out, until more rows are asked for
SET vecx.probes = 1000;
SELECT count(*) FROM (SELECT id FROM grown ORDER BY v <-> made_vector(1, 64) LIMIT 10) s;
SELECT batches AS lists, width FROM vecx_last_scan() \gset all_
SELECT heap_fetches < 500 AS few_fetches FROM vecx_last_scan();
SET vecx.probe_ratio = 1.05;
SELECT count(*) FROM (SELECT id FROM grown ORDER BY v <-> made_vector(1, 64) LIMIT 10) s;
SELECT batches < :all_lists AS fewer, width = :all_width AS same_width FROM vecx_last_scan();
SELECT * FROM lists_test('grown', '<->', 3);
SET vecx.probe_ratio = 0.5;
SET vecx.probe_ratio = 2000;
RESET vecx.probe_ratio;
RESET vecx.probes;

-- more lists find more; so few rows have no curve
SET vecx.probes = 1000;
SELECT * FROM lists_test('grown', '<->', 5);
RESET vecx.probes;
SELECT rows, count(*) > 0 AS points, max(recall) > 0.99 AS all_found FROM vecx_curve('grown_l2') GROUP BY rows ORDER BY rows;

-- measured anew: with rows of the index, with given queries, by ANALYZE when there is
-- no curve or the index has grown, but given queries count more
SELECT vecx_calibrate('grown_l2');
SELECT DISTINCT source, vertices = (SELECT lists - closed_lists FROM vecx_info('grown_l2')) AS all_lists FROM vecx_curve('grown_l2');
SELECT * FROM lists_test('grown', '<->', 5);
SELECT vecx_recall('grown_l2', samples => 40) > 0.9 AS good;
SELECT vecx_calibrate('grown_l2', 'made', 'v');
SELECT DISTINCT source, queries > 900 AS many FROM vecx_curve('grown_l2');
ANALYZE grown;
SELECT DISTINCT source FROM vecx_curve('grown_l2');
CREATE TABLE few (v vector(64));
INSERT INTO few SELECT made_vector(i, 64) FROM generate_series(1, 10) i;
SELECT vecx_calibrate('grown_l2', 'few', 'v');
CREATE INDEX few_l2 ON few USING vecx (v) WITH (structure = lists);
SELECT vecx_calibrate('few_l2');
SELECT count(*) FROM vecx_curve('few_l2');
INSERT INTO few SELECT made_vector(i, 64) FROM generate_series(11, 500) i;
ANALYZE few;
SELECT DISTINCT source, queries > 40 AS many FROM vecx_curve('few_l2');
DROP TABLE few;

-- a scan in strict order that reads all lists drops next to nothing, where one bit of few
-- dimensions tells little
CREATE TABLE noisy AS SELECT i AS id, array(SELECT hashint8(i * 65536 + d) / 2147483648.0 FROM generate_series(1, 16) d)::vector(16) AS v
	FROM generate_series(1, 3000) i;
CREATE INDEX noisy_l2 ON noisy USING vecx (v) WITH (structure = lists);
SET vecx.scan_order = strict;
SET vecx.probes = 1000;
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*) >= 2998 AS nearly_all, bool_and(d >= before) AS ordered FROM
	(SELECT d, lag(d, 1, 0) OVER () AS before FROM (SELECT v <-> array_fill(0.1, ARRAY[16])::vector AS d FROM noisy ORDER BY 1) s) s;
RESET enable_seqscan;
RESET enable_sort;
RESET vecx.probes;
RESET vecx.scan_order;
DROP TABLE noisy;

-- what is not supported says so
CREATE INDEX ON made USING vecx (v vector_l1_ops) WITH (structure = lists);
CREATE INDEX ON made USING vecx (v) WITH (structure = lists, quantizer = sq8);

CREATE INDEX ON made USING vecx (v) WITH (structure = tree);
SELECT vecx_recall('grown_l2', queries => 'made', query_column => 'v', samples => 20) > 0.9 AS good;

-- a sample without a vector
CREATE TABLE sparse (id int, v vector(64));
INSERT INTO sparse SELECT i, NULL FROM generate_series(1, 200000) i;
INSERT INTO sparse SELECT -i, made_vector(i, 64) FROM generate_series(1, 20) i;
CREATE INDEX sparse_v ON sparse USING vecx (v) WITH (structure = lists);
SET enable_seqscan = off;
SELECT count(v) FROM (SELECT v FROM sparse ORDER BY v <-> made_vector(1, 64) LIMIT 20) s;
RESET enable_seqscan;
SELECT vecx_check('sparse_v', true);
DELETE FROM sparse WHERE id < 0;
REINDEX INDEX CONCURRENTLY sparse_v;
INSERT INTO sparse SELECT -i, made_vector(i, 64) FROM generate_series(1, 20) i;
SELECT rows, null_rows FROM vecx_info('sparse_v');
SELECT vecx_check('sparse_v', true);
DROP TABLE sparse;

-- few centroids take no matrix, unless a sketch of a size of its own is asked for; of few rows a
-- quantiser learns fewer directions
CREATE TABLE few AS SELECT i AS id, made_vector(i, 1000)::vector(1000) AS v FROM generate_series(1, 1200) i;
ANALYZE few;
CREATE INDEX few_v ON few USING vecx (v vector_l2_ops) WITH (structure = lists);
CREATE INDEX few_sketch ON few USING vecx (v vector_l2_ops) WITH (structure = lists, sketch_bits = 256);
CREATE INDEX few_pq ON few USING vecx (v vector_l2_ops) WITH (structure = lists, quantizer = pq, pq_m = 100);
SELECT i, sketch_dims, bytes_model, (SELECT index_bytes FROM vecx_estimate('few', 'v', options)) BETWEEN
		.7 * pg_relation_size(i::regclass) AND 1.5 * pg_relation_size(i::regclass) AS estimated
FROM (VALUES ('few_v', '{structure=lists}'::text[]), ('few_pq', '{structure=lists,quantizer=pq,pq_m=100}')) kinds(i, options),
	vecx_info(i::regclass);
SELECT sketch_dims < 1000 AS fewer, bytes_model > 200000 AS matrix FROM vecx_info('few_sketch');
SELECT i, vecx_recall(i::regclass, samples => 40) > 0.85 AS good FROM unnest('{few_v,few_sketch,few_pq}'::text[]) i;
INSERT INTO few SELECT -i, made_vector(-i, 1000) FROM generate_series(1, 200) i;
SELECT vecx_check(i::regclass, true) FROM unnest('{few_v,few_sketch,few_pq}'::text[]) i;
-- a model that is trained later has another size than the rotation it takes the place of
CREATE TABLE many AS SELECT subvector(a.v + b.v, 1, 784)::vector(784) AS v FROM few a, few b WHERE a.id > 0 AND b.id BETWEEN 1 AND 4;
CREATE INDEX many_v ON many USING vecx (v vector_l2_ops) WITH (structure = lists, list_rows = 16);
SELECT sketch_dims, lists > 256 AS many FROM vecx_info('many_v');
SELECT vecx_renew('many_v');
SELECT sketch_dims < 784 AS fewer, models FROM vecx_info('many_v');
INSERT INTO many SELECT subvector(a.v + b.v, 1, 784) FROM few a, few b WHERE a.id < 0 AND b.id = 5;
DELETE FROM many WHERE ctid IN (SELECT ctid FROM many LIMIT 500);
VACUUM many;
SELECT sketch_dims < 784 AS fewer, models, vecx_check('many_v', true) FROM vecx_info('many_v');
SELECT vecx_recall('many_v', samples => 40) > 0.85 AS good;
DROP TABLE many;
DROP TABLE few;
DROP TABLE made, grown, nothing;
DROP FUNCTION lists_test, made_vector;

-- pages of lists that were emptied are free after the next VACUUM, though no row dies
CREATE TABLE emptied AS SELECT i AS id, ARRAY[random(), random(), random(), random()]::vector(4) AS v FROM generate_series(1, 4000) i;
CREATE INDEX emptied_v ON emptied USING vecx (v) WITH (structure = lists, list_rows = 64);
DELETE FROM emptied;
VACUUM emptied;
SELECT txid_current() > 0 AS later;
VACUUM emptied;
SELECT txid_current() > 0 AS later;
VACUUM emptied;
SELECT lists, bytes_list, bytes_free > 0 AS free FROM vecx_info('emptied_v');
SELECT vecx_check('emptied_v', true);
INSERT INTO emptied SELECT i AS id, ARRAY[random(), random(), random(), random()]::vector(4) AS v FROM generate_series(1, 1000) i;
SELECT vecx_check('emptied_v', true);
DROP TABLE emptied;

-- the curve's queries are rows that nothing was learned from: of clusters smaller than a list those in the
-- sample have centroids near by, and promised .99 where .76 were found
CREATE FUNCTION normal_vector(dim int, size float8, n int) RETURNS vector LANGUAGE sql VOLATILE AS
	'SELECT array_agg(size * sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) + 0 * n)::vector FROM generate_series(1, dim)';
CREATE TABLE small_centers AS SELECT i AS c, normal_vector(128, 1, i)::vector(128) AS v FROM generate_series(0, 399) i;
CREATE TABLE small_clusters AS SELECT i AS id, (c.v + normal_vector(128, 0.35, i))::vector(128) AS v
	FROM generate_series(1, 12000) i JOIN small_centers c ON c.c = i % 400;
CREATE TABLE small_asked AS SELECT (c.v + normal_vector(128, 0.35, c.c))::vector(128) AS v FROM small_centers c;
CREATE INDEX small_v ON small_clusters USING vecx (v) WITH (structure = lists);
SELECT CASE WHEN r > 0.92 THEN 'good' ELSE r::text END AS recall FROM vecx_recall('small_v', queries => 'small_asked', samples => 400) r;
DROP TABLE small_centers, small_clusters, small_asked;
DROP FUNCTION normal_vector;

-- tables of few rows have a curve, too, and so have those of which little memory lets little be sampled
CREATE FUNCTION curve_queries(nrows int, memory text) RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	n bigint;
BEGIN
	PERFORM set_config('maintenance_work_mem', memory, true);
	CREATE TABLE few_rows AS SELECT (array_fill(0::real, ARRAY[63]) || i::real)::vector(64) AS v FROM generate_series(1, nrows) i;
	CREATE INDEX few_rows_v ON few_rows USING vecx (v vector_l2_ops) WITH (structure = lists);
	SELECT max(queries) INTO n FROM vecx_curve('few_rows_v');
	DROP TABLE few_rows;
	RETURN n;
END $$;
SELECT nrows, memory, curve_queries(nrows, memory) >= 96 AS has_curve
	FROM (VALUES (100), (500), (1000), (3000)) t(nrows), (VALUES ('1MB'), ('64MB')) m(memory) ORDER BY nrows, memory;
DROP FUNCTION curve_queries;
