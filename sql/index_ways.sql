-- Ways to vertices: where most have the same few nearest, as in clusters of many dimensions without
-- structure, the links of those were taken over and over, and a third of the rows that were inserted were lost.
SET client_min_messages = warning;
CREATE FUNCTION normal_vector(dim int, size float8, n int) RETURNS vector LANGUAGE sql VOLATILE AS
	'SELECT array_agg(size * (random() + random() + random() + random() + random() + random() - 3) + 0 * n)::vector FROM generate_series(1, dim)';
CREATE TABLE ways_centers AS SELECT i AS place, 0.3 + random() AS size, normal_vector(128, 0.4, i)::vector(128) AS v FROM generate_series(0, 9) i;
CREATE TABLE ways (id int, v vector(128));
CREATE INDEX ways_v ON ways USING vecx (v);
INSERT INTO ways SELECT i, c.v + normal_vector(128, c.size, i) FROM generate_series(1, 4000) i JOIN ways_centers c ON c.place = floor(10 * power((i * 7919 % 4000) / 4000.0, 2));
VACUUM ANALYZE ways;
SELECT vertices, CASE WHEN orphans <= 60 THEN 'few' ELSE orphans::text END AS orphans FROM vecx_info('ways_v');
SELECT vecx_check('ways_v', true);
SET enable_seqscan = off;
SET enable_sort = off;
SET vecx.ef_search = 2000;
SELECT CASE WHEN found >= 390 THEN 'nearly all' ELSE found::text END AS found_themselves FROM
	(SELECT count(*) AS found FROM ways w WHERE id % 10 = 0 AND id = (SELECT id FROM ways ORDER BY v <-> w.v LIMIT 1)) s;
RESET vecx.ef_search;

-- ... and stay where neighbours are removed, and rows come again
DELETE FROM ways WHERE id % 3 = 0;
VACUUM ways;
INSERT INTO ways SELECT 10000 + i, c.v + normal_vector(128, c.size, i) FROM generate_series(1, 1300) i JOIN ways_centers c ON c.place = i % 10;
VACUUM ANALYZE ways;
SELECT vertices, CASE WHEN orphans <= 60 THEN 'few' ELSE orphans::text END AS orphans FROM vecx_info('ways_v');
SELECT vecx_check('ways_v', true);
DROP TABLE ways, ways_centers;
DROP FUNCTION normal_vector;
