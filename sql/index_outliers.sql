-- A few vectors far longer than all others spoil the search for neither, whether
-- they are there when the index is built or come later.
SET client_min_messages = warning;
CREATE TABLE outliers (id int, v vector(96));
SELECT setseed(0.3);
INSERT INTO outliers
SELECT i, (SELECT array_agg((hashint4((i % 100) * 96 + d) / 2147483648.0 + random() - 0.5)::real ORDER BY d)
		   FROM generate_series(1, 96) d WHERE i = i)::vector
FROM generate_series(1, 3000) i;
INSERT INTO outliers
SELECT 100000 + i, (SELECT array_agg((1e8 * (random() - 0.5))::real ORDER BY d)
					FROM generate_series(1, 96) d WHERE i = i)::vector
FROM generate_series(1, 5) i;
CREATE INDEX outliers_v_idx ON outliers USING vecx (v vector_l2_ops);
SELECT vecx_recall('outliers_v_idx', samples => 50, ef => 100) > 0.95 AS found;
SELECT vecx_check('outliers_v_idx', true);
SET enable_seqscan = off;
-- Each of them is found: as far as the others go, all rows are equally near.
SELECT o.id, n.id = o.id AS first
FROM outliers o, LATERAL (SELECT id FROM outliers ORDER BY v <-> o.v LIMIT 1) n
WHERE o.id > 100000 ORDER BY o.id;
-- However the levels of the index are drawn.
REINDEX INDEX outliers_v_idx;
SELECT vecx_check('outliers_v_idx', true);
SELECT o.id, n.id = o.id AS first
FROM outliers o, LATERAL (SELECT id FROM outliers ORDER BY v <-> o.v LIMIT 1) n
WHERE o.id > 100000 ORDER BY o.id;
TRUNCATE outliers;
INSERT INTO outliers SELECT i, (SELECT array_agg((random() - 0.5)::real) FROM generate_series(1, 96) WHERE i = i)::vector
FROM generate_series(1, 500) i;
INSERT INTO outliers SELECT 100000, (SELECT array_agg(1e8::real * d) FROM generate_series(1, 96) d)::vector;
SELECT vecx_renew('outliers_v_idx');
SELECT vecx_recall('outliers_v_idx', samples => 50, ef => 100) > 0.95 AS found;
DROP TABLE outliers;

-- so few that none may be drawn for a level above the base, where the far one has to be
CREATE TABLE outliers (id int, v vector(2));
INSERT INTO outliers SELECT i, ARRAY[41 - i, 0]::real[]::vector FROM generate_series(1, 40) i;
INSERT INTO outliers VALUES (100, '[100000,0]');
CREATE INDEX ON outliers USING vecx (v) WITH (m = 4);
DO $$ BEGIN FOR i IN 1..60 LOOP REINDEX INDEX outliers_v_idx; END LOOP; END $$;
SELECT vecx_check('outliers_v_idx', true);
DROP TABLE outliers;
-- squares below float4's least number: nothing is damaged
CREATE TABLE tiny AS SELECT i AS id, (SELECT array_agg((hashint4(i * 16 + d) / 2147483648.0 * 1e-22)::real) FROM generate_series(1, 16) d)::vector(16) AS v
	FROM generate_series(1, 400) i;
ALTER TABLE tiny ALTER v TYPE vector(16);
CREATE INDEX tiny_l2 ON tiny USING vecx (v);
CREATE INDEX tiny_ip ON tiny USING vecx (v vector_ip_ops);
CREATE INDEX tiny_l1 ON tiny USING vecx (v vector_l1_ops) WITH (quantizer = half);
SELECT vecx_check(i, true) FROM unnest('{tiny_l2, tiny_ip, tiny_l1}'::regclass[]) i;
DROP TABLE tiny;
-- and the order of a graph is exact
CREATE TABLE tiny AS SELECT ARRAY[x, y, z]::vector(3) AS v FROM unnest('{0, 1e-45, 1e-38, 1e-30, 1}'::real[]) x,
	unnest('{0, 1e-45, 1e-38, 1e-30, 1}'::real[]) y, unnest('{0, 1e-45, 1e-38, 1e-30, 1}'::real[]) z;
ALTER TABLE tiny ALTER v TYPE vector(3);
CREATE INDEX tiny_l1 ON tiny USING vecx (v vector_l1_ops) WITH (quantizer = sq8);
SET enable_seqscan = off;
SELECT count(*) AS too_early FROM (SELECT d, lag(d) OVER (ORDER BY n) AS before FROM (SELECT row_number() OVER () AS n, d FROM
	(SELECT v <+> '[0,0,0]' AS d FROM tiny ORDER BY v <+> '[0,0,0]' LIMIT 100) s) r) r WHERE d < before;
RESET enable_seqscan;
DROP TABLE tiny;
