-- Groups of near vectors far from each other: each is found, however it was
-- drawn which vertices are on the levels above the base.
SET client_min_messages = warning;
CREATE TABLE apart (id int, grp int, v vector(16));
INSERT INTO apart SELECT i, i % 100, (SELECT array_agg(hashint4(i % 100 * 16 + d) / 2147483648.0 * 10
		+ hashint4(i * 16 + d) / 2147483648.0 * 0.1 ORDER BY d) FROM generate_series(1, 16) d)::vector
FROM generate_series(1, 6000) i;
CREATE INDEX apart_v_idx ON apart USING vecx (v);
ANALYZE apart;
SET enable_seqscan = off;
CREATE VIEW groups_missed AS
SELECT count(*) FILTER (WHERE n.grp <> q.grp) AS rows_of_others
FROM (SELECT grp, v FROM apart WHERE id <= 100 OFFSET 0) q,
	LATERAL (SELECT grp FROM apart ORDER BY v <-> q.v LIMIT 10) n;
SELECT * FROM groups_missed;
REINDEX INDEX apart_v_idx;
SELECT * FROM groups_missed;
REINDEX INDEX apart_v_idx;
SELECT * FROM groups_missed;
SELECT vertices, orphans FROM vecx_info('apart_v_idx');
SELECT vecx_check('apart_v_idx', true);

-- more and smaller groups than there are vertices above the base: a search that ends in
-- a wrong one notices, and looks for another
CREATE TABLE small (grp int, v vector(16));
INSERT INTO small SELECT i % 1000, (SELECT array_agg(hashint4(i % 1000 * 16 + d) / 2147483648.0 * 10
		+ hashint4(i * 16 + d) / 2147483648.0 * 0.1 ORDER BY d) FROM generate_series(1, 16) d)::vector
FROM generate_series(1, 20000) i;
CREATE INDEX small_v_idx ON small USING vecx (v);
ANALYZE small;
SELECT count(DISTINCT q.grp) FILTER (WHERE n.grp <> q.grp) < 10 AS few_missed
FROM (SELECT DISTINCT ON (grp) grp, v FROM small ORDER BY grp OFFSET 0) q,
	LATERAL (SELECT grp FROM small ORDER BY v <-> q.v LIMIT 10) n;
