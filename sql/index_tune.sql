-- vecx_tune: queries that point elsewhere than their rows are meet their lists earlier;
-- it is versioned, undone, and changes neither rows nor their order.
SET enable_seqscan = off;
SET client_min_messages = warning;
CREATE FUNCTION made_vector(i int) RETURNS vector AS $$
	SELECT array_agg(((i * 7919 + d * 104729 + i * d * 31) % 1009) / 1009.0 * 2 +
		((i % 60) * (d + 3) * 37 % 101) / 20.0)::real[]::vector
	FROM generate_series(1, 24) d
$$ LANGUAGE sql IMMUTABLE;
CREATE TABLE tuned (id int PRIMARY KEY, v vector(24)) WITH (autovacuum_enabled = off);
INSERT INTO tuned SELECT i, made_vector(i) FROM generate_series(1, 4000) i;
INSERT INTO tuned VALUES (5000, NULL);
-- queries mirrored in some dimensions, and which row each is about
CREATE TABLE asked AS SELECT i AS id, made_vector(i * 7 % 4000 + 1) * (array_fill(-1, ARRAY[4]) || array_fill(1, ARRAY[20]))::vector AS q,
	i * 7 % 4000 + 1 AS about FROM generate_series(1, 800) i;
CREATE INDEX tuned_v ON tuned USING vecx (v) WITH (structure = lists, list_rows = 16);
SELECT tune_version FROM vecx_info('tuned_v');

-- by the rows that queries are about
SELECT version, queries_used, queries_held_out, recall_after > recall_before AS better, lists_after < lists / 2 AS fewer, lists_all > 100 AS many,
	lists_kept, codes_kept FROM vecx_tune('tuned_v', 'asked', 'q', 'about', 'id', samples => 700);
SELECT tune_version FROM vecx_info('tuned_v');
SELECT vecx_check('tuned_v', true);
SELECT DISTINCT source, queries FROM vecx_curve('tuned_v');
-- the lists of these rows are among the first that a search reads
CREATE FUNCTION met_early() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
	met bigint := 0;
	a record;
BEGIN
	FOR a IN SELECT * FROM asked WHERE id > 750 LOOP
		met := met + (SELECT count(*) FROM (SELECT id FROM tuned ORDER BY v <-> a.q LIMIT 100) s WHERE s.id = a.about);
	END LOOP;
	RETURN met;
END $$;
SET vecx.probes = 6;
CREATE TABLE met AS SELECT 'tuned' AS moment, met_early() AS rows;
RESET vecx.probes;

-- rows are the same, all of them, and the operator's order decides
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM tuned ORDER BY v <-> (SELECT q FROM asked WHERE id = 3)) s;
SET vecx.probes = 1000;
SELECT count(*) >= 90 AS the_same FROM
	(SELECT id FROM tuned ORDER BY v <-> (SELECT q FROM asked WHERE id = 3) LIMIT 100) a JOIN
	(SELECT id FROM tuned ORDER BY (v <-> (SELECT q FROM asked WHERE id = 3)) + 0 * random() LIMIT 100) b USING (id);
RESET vecx.probes;
-- inserts, splits, filters' own tests and VACUUM go on
INSERT INTO tuned SELECT i, made_vector(i) FROM generate_series(6001, 7000) i;
DELETE FROM tuned WHERE id % 10 = 3;
VACUUM tuned;
SELECT vecx_check('tuned_v', true);
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM tuned ORDER BY v <-> (SELECT q FROM asked WHERE id = 3)) s;

-- versions, and back to what was before, step by step
SELECT version IS NULL OR recall_after > recall_before AS sound FROM vecx_tune('tuned_v', 'asked', 'q', samples => 200);
SELECT tune_version BETWEEN 1 AND 2 AS tuned FROM vecx_info('tuned_v');
DO $$ BEGIN WHILE (SELECT tune_version FROM vecx_info('tuned_v')) IS NOT NULL LOOP PERFORM vecx_tune_undo('tuned_v'); END LOOP; END $$;
SELECT vecx_check('tuned_v', true);
SELECT vecx_tune_undo('tuned_v');
SELECT count(*) AS points FROM vecx_curve('tuned_v') WHERE source = 'given';
SET vecx.probes = 6;
INSERT INTO met SELECT 'undone', met_early();
RESET vecx.probes;
SELECT t.rows > 1.5 * u.rows AS tuned_meets_more FROM met t, met u WHERE t.moment = 'tuned' AND u.moment = 'undone';
SELECT version > 1 AS another FROM vecx_tune('tuned_v', 'asked', 'q', 'about', 'id', rank => 8);
SELECT vecx_check('tuned_v', true);

-- a new index has not learned
REINDEX INDEX tuned_v;
SELECT tune_version FROM vecx_info('tuned_v');

-- inner product, cosine, codes by product quantisation
CREATE INDEX tuned_ip ON tuned USING vecx (v vector_ip_ops) WITH (structure = lists, list_rows = 16);
SELECT recall_after >= recall_before OR version IS NULL AS sound FROM vecx_tune('tuned_ip', 'asked', 'q');
SELECT vecx_check('tuned_ip', true);
DROP INDEX tuned_ip;
CREATE INDEX tuned_cosine ON tuned USING vecx (v vector_cosine_ops) WITH (structure = lists, list_rows = 16, quantizer = pq);
-- what was no better is not kept, and the result says so
SELECT (version IS NULL) = NOT (lists_kept OR codes_kept) AS kept, lists_kept <= (recall_after > recall_before) AS lists,
	codes_kept <= (codes_after > codes_before) AS codes FROM vecx_tune('tuned_cosine', 'asked', 'q');
SELECT vecx_check('tuned_cosine', true);
SELECT count(*) FROM (SELECT id FROM tuned ORDER BY v <=> (SELECT q FROM asked WHERE id = 3)) s;
DROP INDEX tuned_cosine;

-- queries of a type that PostgreSQL turns into the index's
CREATE INDEX tuned_half ON tuned USING vecx ((v::halfvec(24)) halfvec_l2_ops) WITH (structure = lists, list_rows = 16);
SELECT queries_used FROM vecx_tune('tuned_half', 'asked', 'q', samples => 700);
-- whether what was learned is kept or not
SELECT vecx_calibrate('tuned_half', 'asked', 'q');
SELECT vecx_recall('tuned_half', queries => 'asked', query_column => 'q') > 0.9 AS good;
DROP INDEX tuned_half;

-- what is wrong says so
SELECT vecx_tune('tuned_v', 'asked');
SELECT vecx_tune('tuned_v', 'asked', 'about');
SELECT vecx_tune('tuned_v', 'asked', 'q', 'about');
SELECT vecx_tune('tuned_v', 'asked', 'q', 'nothing', 'id');
SELECT vecx_tune('tuned_v', 'asked', 'q', 'about', 'nothing');
SELECT vecx_tune('tuned_v', 'asked', 'q', 'q', 'id');
SELECT vecx_tune('tuned_v', 'asked', 'q', samples => 10);
SELECT vecx_tune('tuned_v', 'asked', 'q', rank => 1000);
SELECT vecx_tune('tuned_v', 'met', 'moment');
CREATE TABLE few AS SELECT * FROM asked LIMIT 20;
SELECT vecx_tune('tuned_v', 'few', 'q');
CREATE INDEX tuned_graph ON tuned USING vecx (v);
SELECT vecx_tune('tuned_graph', 'asked', 'q');
SELECT vecx_tune_undo('tuned_graph');
SELECT vecx_tune('tuned_pkey', 'asked', 'q');
SET maintenance_work_mem = '1MB';
SELECT vecx_tune('tuned_v', 'asked', 'q');
RESET maintenance_work_mem;
CREATE ROLE tune_other;
SET ROLE tune_other;
SELECT vecx_tune('tuned_v', 'asked', 'q');
RESET ROLE;
DROP ROLE tune_other;

DROP TABLE tuned, asked, few, met;
DROP FUNCTION made_vector, met_early;
