-- What the planner is told: costs that move the right way, and the choices that
-- follow from them.

CREATE FUNCTION cost(query text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (FORMAT json) ' || query INTO plan;
	RETURN plan->0->'Plan'->>'Total Cost';
END
$$;
CREATE FUNCTION node(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ 'Scan' THEN RETURN regexp_replace(line, ' *-> *', ''); END IF;
	END LOOP;
END
$$;
CREATE FUNCTION bitmaps(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	line text;
BEGIN
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ 'Bitmap' THEN RETURN NEXT regexp_replace(line, ' *-> *', ''); END IF;
	END LOOP;
END
$$;

-- the same rows in line and in TOAST, and few of them
CREATE FUNCTION vec(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
	SELECT array_agg(hashint8(i * 65536 + d) / 2147483648.0)::vector FROM generate_series(1, 768) d
$$;
CREATE TABLE outside (id int, tag int, v vector(768));
INSERT INTO outside SELECT i, i % 500, vec(i) FROM generate_series(1, 2000) i;
CREATE TABLE inside (id int, tag int, v vector(768));
ALTER TABLE inside ALTER v SET STORAGE PLAIN;
INSERT INTO inside SELECT * FROM outside;
CREATE TABLE slim (id int, tag int, v vector(16));
INSERT INTO slim SELECT id, tag, subvector(v, 1, 16) FROM outside;
CREATE TABLE tiny AS SELECT * FROM slim WHERE id <= 40;
ALTER TABLE tiny ALTER v TYPE vector(16);
CREATE INDEX outside_v ON outside USING vecx (v vector_l2_ops);
CREATE INDEX inside_v ON inside USING vecx (v vector_l2_ops);
CREATE INDEX slim_v ON slim USING vecx (v vector_l2_ops);
CREATE INDEX tiny_v ON tiny USING vecx (v vector_l2_ops);
CREATE INDEX outside_tag ON outside (tag);
ANALYZE outside, inside, slim, tiny;

-- a value in TOAST costs more than the distance itself
SELECT cost('SELECT v <-> vec(1) FROM outside') > 2 * cost('SELECT v <-> vec(1) FROM inside') AS toast,
	cost('SELECT v <-> vec(1) FROM inside') > cost('SELECT id FROM inside') AS distance,
	cost('SELECT v::halfvec(768) <-> NULL FROM slim') >= cost('SELECT id FROM slim') AS other;

-- few rows, a LIMIT, no LIMIT; a rare condition, with an index of its own
SELECT node('SELECT id FROM tiny ORDER BY v <-> subvector(vec(1), 1, 16) LIMIT 1');
SELECT node('SELECT id FROM outside ORDER BY v <-> vec(1) LIMIT 1');
SELECT node('SELECT id FROM slim ORDER BY v <-> subvector(vec(1), 1, 16)');
SELECT node('SELECT id FROM outside ORDER BY v <-> vec(1) LIMIT 10');
SELECT node('SELECT id FROM outside ORDER BY v <-> vec(1) LIMIT 300');
SELECT node('SELECT id FROM outside ORDER BY v <-> vec(1)');
SELECT node('SELECT id FROM outside WHERE tag < 250 ORDER BY v <-> vec(1) LIMIT 10') ~ 'outside_v|Vecx Bitmap Filter' AS ordered;
SELECT node('SELECT id FROM outside WHERE tag = 7 ORDER BY v <-> vec(1) LIMIT 10');
SELECT node('SELECT id FROM outside WHERE id + 0 = 7 ORDER BY v <-> vec(1) LIMIT 10');
EXPLAIN (COSTS OFF) SELECT t.id, n.id FROM tiny t, LATERAL (SELECT o.id FROM outside o ORDER BY o.v <-> vec(t.id) LIMIT 5) n;
-- A distance that only the order mentions costs a scan nothing.  Who looks up the rows of a
-- bitmap wants few of them, and reads two indexes for that.
SELECT node('SELECT id FROM outside WHERE tag < 40 ORDER BY v <-> vec(1)');
SELECT node('SELECT id, v <-> vec(1) FROM outside WHERE tag < 40 ORDER BY v <-> vec(1)');
SET vecx.enable_distance_skip = off;
SELECT node('SELECT id FROM outside WHERE tag < 40 ORDER BY v <-> vec(1)');
RESET vecx.enable_distance_skip;
CREATE INDEX outside_id ON outside (id);
SELECT bitmaps('SELECT id FROM outside WHERE tag < 60 AND id < 200 ORDER BY v <-> vec(1) LIMIT 10');
SET enable_indexscan = off;
SELECT bitmaps('SELECT id FROM outside WHERE tag < 60 AND id < 200');
RESET enable_indexscan;
-- Rare values are looked up in order, if they have one in the index: texts have not, and a
-- range of theirs takes a search of all.
CREATE TABLE named AS SELECT id, id AS number, to_char(id, 'FM0000') COLLATE "C" AS name, v FROM slim;
ALTER TABLE named ALTER v TYPE vector(16);
CREATE INDEX named_v ON named USING vecx (v vector_l2_ops, number, name);
ANALYZE named;
SET enable_seqscan = off;
SET enable_sort = off;
SELECT node('SELECT id FROM named WHERE number < 20 ORDER BY v <-> subvector(vec(1), 1, 16) LIMIT 10'),
	node('SELECT id FROM named WHERE name < ''0020'' ORDER BY v <-> subvector(vec(1), 1, 16) LIMIT 10'),
	cost('SELECT id FROM named WHERE name < ''0020'' ORDER BY v <-> subvector(vec(1), 1, 16) LIMIT 10') >
	3 * cost('SELECT id FROM named WHERE number < 20 ORDER BY v <-> subvector(vec(1), 1, 16) LIMIT 10') AS range,
	cost('SELECT id FROM named WHERE name = ''0020'' ORDER BY v <-> subvector(vec(1), 1, 16) LIMIT 10') <
	2 * cost('SELECT id FROM named WHERE number = 20 ORDER BY v <-> subvector(vec(1), 1, 16) LIMIT 10') AS equal;
RESET enable_seqscan;
RESET enable_sort;
DROP TABLE named;

-- a generic plan
PREPARE ten(vector) AS SELECT id FROM outside ORDER BY v <-> $1 LIMIT 10;
SET plan_cache_mode = force_generic_plan;
SELECT node('EXECUTE ten(NULL)');
RESET plan_cache_mode;

-- costs grow with LIMIT, with the width, and with what a cache cannot hold; to find the
-- one nearest row at the recall asked for may take more than that share of ten
SET enable_seqscan = off;
SET enable_sort = off;
SELECT bool_and(cost > before) FROM (SELECT cost, lag(cost) OVER (ORDER BY k) AS before FROM (
	SELECT k, cost(format('SELECT id FROM outside ORDER BY v <-> vec(1) LIMIT %s', k)) AS cost FROM unnest('{10, 100, 1000}'::int[]) k) s) s;
SELECT cost('SELECT id FROM outside ORDER BY v <-> vec(1) LIMIT 1') < cost('SELECT id FROM outside ORDER BY v <-> vec(1) LIMIT 100') AS less;
SELECT bool_and(cost > before) FROM (SELECT cost, lag(cost) OVER (ORDER BY width) AS before FROM (
	SELECT width, cost('SELECT id FROM outside ORDER BY v <-> vec(1) LIMIT 10') AS cost
	FROM unnest('{10, 40, 200, 1000}'::int[]) width, LATERAL (SELECT set_config('vecx.ef_search', width::text, false) OFFSET 0) c
	WHERE c IS NOT NULL) s) s;
RESET vecx.ef_search;
-- a LIMIT that is not known counts as 100, not as a tenth of the rows
PREPARE some_of(int) AS SELECT id, v <-> vec(1) AS d FROM outside ORDER BY d LIMIT $1;
SET plan_cache_mode = force_generic_plan;
SELECT cost('EXECUTE some_of(NULL)') > cost('SELECT id, v <-> vec(1) AS d FROM outside ORDER BY d LIMIT 10') AS more_than_10,
	cost('EXECUTE some_of(NULL)') < cost('SELECT id, v <-> vec(1) AS d FROM outside ORDER BY d LIMIT 270') AS less_than_270;
RESET plan_cache_mode;
SELECT cost('SELECT id FROM outside ORDER BY v <-> vec(1) LIMIT 10') AS cached \gset
SET effective_cache_size = '80kB';
SELECT cost('SELECT id FROM outside ORDER BY v <-> vec(1) LIMIT 10') > :cached * 1.5 AS uncached;
RESET effective_cache_size;

DROP TABLE outside, inside, slim, tiny;
DROP FUNCTION cost, node, bitmaps, vec;
