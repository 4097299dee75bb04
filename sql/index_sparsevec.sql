-- Indexes on sparsevec: up to 1,024 dimensions they know the values, beyond they
-- hash them, and the order of what they return is that of the operator in either
-- case, before and after changes.

CREATE FUNCTION words(seed int, n int, dim int) RETURNS sparsevec LANGUAGE sql IMMUTABLE AS $$
	-- of few words many have the first ones
	SELECT ('{' || string_agg(DISTINCT i || ':' || 1 + i % 7, ',') || '}/' || dim)::sparsevec
	FROM (SELECT 1 + (pow(abs(hashint4(seed * 100 + d)) / 2147483648.0, 3) * (dim - 1))::int AS i FROM generate_series(1, n) d) s
$$;
CREATE TABLE t (id int PRIMARY KEY, near sparsevec(50), far sparsevec(1000000000), f vector(8));
INSERT INTO t SELECT i, words(i, 6, 50), words(i / 5, 12, 1000000000), ARRAY[i % 10, 0, i % 7, 0, 0, 1, i % 3, 0]
	FROM generate_series(1, 300) i;
UPDATE t SET far = ('{' || 1 + id % 50 || ':3,' || ltrim(far::text, '{'))::sparsevec WHERE far::text !~ ('[{,]' || 1 + id % 50 || ':');
CREATE INDEX near_l2 ON t USING vecx (near);
CREATE INDEX near_ip ON t USING vecx (near sparsevec_ip_ops);
CREATE INDEX near_cosine ON t USING vecx (near sparsevec_cosine_ops);
CREATE INDEX near_l1 ON t USING vecx (near sparsevec_l1_ops);
CREATE INDEX far_l2 ON t USING vecx (far);
CREATE INDEX far_ip ON t USING vecx (far sparsevec_ip_ops);
CREATE INDEX far_cosine ON t USING vecx (far sparsevec_cosine_ops);
CREATE INDEX far_l1 ON t USING vecx (far sparsevec_l1_ops);
CREATE INDEX f_l2 ON t USING vecx ((f::sparsevec(8)) sparsevec_l2_ops);
SELECT i::regclass, type, metric, dims, code_dims, quantizer, rows
FROM unnest(ARRAY['near_l2', 'near_ip', 'near_cosine', 'near_l1', 'far_l2', 'far_ip', 'far_cosine', 'far_l1', 'f_l2']) i, vecx_info(i) ORDER BY 1;

-- all rows come; the nearest are those of a sort, of which hashing may hide a few
-- from a narrow search, whole groups of rows that are much alike; the rows of a batch
-- are in the order of the operator
CREATE FUNCTION by_index(expression text, queries text[], OUT plan text, OUT all_rows bool, OUT nearest bool, OUT ordered bool)
LANGUAGE plpgsql AS $$
DECLARE
	line text;
	indexed float8[];
	narrow float8[];
	sorted float8[];
	q text;
	query text;
	found_of_20 int := 0;
	found_of_10 int := 0;
BEGIN
	all_rows := true;
	ordered := true;
	FOREACH q IN ARRAY queries LOOP
		q := expression || quote_literal(q);
		query := format('SELECT array_agg(d) FROM (SELECT %1$s AS d FROM t ORDER BY %1$s) s', q);
		SET LOCAL enable_seqscan = off;
		SET LOCAL enable_sort = off;
		FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY ' || q LOOP
			plan := coalesce(substring(line FROM '(Index Scan using \w+|Sort)'), plan);
		END LOOP;
		SET LOCAL vecx.ef_search = 1000;
		EXECUTE query INTO indexed;
		SET LOCAL vecx.ef_search = 100;
		EXECUTE query INTO narrow;
		SET LOCAL enable_seqscan = on;
		SET LOCAL enable_sort = on;
		SET LOCAL enable_indexscan = off;
		EXECUTE query INTO sorted;
		SET LOCAL enable_indexscan = on;
		all_rows := all_rows AND (SELECT array_agg(d ORDER BY d) FROM unnest(indexed) d) = sorted AND
			(SELECT array_agg(d ORDER BY d) FROM unnest(narrow) d) = sorted;
		ordered := ordered AND narrow[1:20] = (SELECT array_agg(d ORDER BY d) FROM unnest(narrow[1:20]) d);
		found_of_20 := found_of_20 + (SELECT count(*) FROM unnest(indexed[1:20]) d WHERE d <= sorted[20]);
		found_of_10 := found_of_10 + (SELECT count(*) FROM unnest(narrow[1:10]) d WHERE d <= sorted[10]);
	END LOOP;
	nearest := found_of_20 >= 18 * array_length(queries, 1) AND found_of_10 >= 7 * array_length(queries, 1);
END $$;
CREATE VIEW all_classes AS SELECT column_operator, (by_index(column_operator, CASE
		WHEN column_operator ~ 'near' THEN (SELECT array_agg(words(70 + i, 6, 50)::text) FROM generate_series(1, 9, 2) i)
		WHEN column_operator ~ 'far' THEN (SELECT array_agg(words(20 + i, 12, 1000000000)::text) FROM generate_series(1, 9, 2) i)
		ELSE ARRAY['{1:3,3:4,6:1}/8', '{1:6,3:2,6:1}/8'] END)).*
FROM unnest(ARRAY['near <-> ', 'near <#> ', 'near <=> ', 'near <+> ', 'far <-> ', 'far <#> ', 'far <=> ', 'far <+> ', 'f::sparsevec(8) <-> ']) column_operator;
SELECT * FROM all_classes;

-- changes; elements that no row had, none, as many as there may be, and none of a length that could be told
INSERT INTO t SELECT id + 1000, near, far, f FROM t WHERE id % 2 = 0;
INSERT INTO t (id) VALUES (4007);
INSERT INTO t VALUES (4001, '{}/50', '{}/1000000000', array_fill(0, ARRAY[8]));
INSERT INTO t SELECT 4003, array_fill(2, ARRAY[50]), ('{' || string_agg(i * 60000 || ':1', ',') || '}/1000000000')::sparsevec, array_fill(2, ARRAY[8])
	FROM generate_series(1, 16000) i;
INSERT INTO t VALUES (4004, '{1:3e38}/50', '{1:3e38}/1000000000', array_fill(3e38, ARRAY[8]));
UPDATE t SET far = words(id, 3, 1000000000) WHERE id % 10 = 0;
DELETE FROM t WHERE id % 3 = 0;
VACUUM t;
SELECT column_operator, all_rows, nearest, ordered FROM all_classes;
SELECT vecx_check(i, true)
FROM unnest(ARRAY['near_l2', 'near_ip', 'near_cosine', 'near_l1', 'far_l2', 'far_ip', 'far_cosine', 'far_l1', 'f_l2']::regclass[]) i;
SELECT vecx_recall('near_l2', ef => 100) > 0.95 AS near, vecx_recall('far_cosine', ef => 200) > 0.95 AS far;
-- within a distance; of hashed values the width that is not measured finds four of five
SET enable_seqscan = off;
SET vecx.ef_search = 400;
EXPLAIN (COSTS OFF) SELECT count(*) FROM t WHERE far <=> '{1:3,9:4}/1000000000' < 0.9;
CREATE TEMP TABLE counted AS
	SELECT count(*) FILTER (WHERE far <-> words(23, 12, 1000000000) < 12) AS l2,
		count(*) FILTER (WHERE far <=> words(23, 12, 1000000000) < 0.9) AS cosine,
		count(*) FILTER (WHERE far <+> words(23, 12, 1000000000) < 40) AS l1 FROM t;
SELECT (SELECT count(*) FROM t WHERE far <-> words(23, 12, 1000000000) < 12) BETWEEN 0.8 * l2 AND l2 AS l2,
	(SELECT count(*) FROM t WHERE far <=> words(23, 12, 1000000000) < 0.9) BETWEEN 0.8 * cosine AND cosine AS cosine,
	(SELECT count(*) FROM t WHERE far <+> words(23, 12, 1000000000) < 40) = l1 AS l1,
	least(l2, cosine, l1) > 0 AS any
FROM counted;
RESET vecx.ef_search;
RESET enable_seqscan;
-- what no distance can be told for comes last
SELECT id FROM t ORDER BY far <=> words(23, 12, 1000000000) OFFSET (SELECT count(*) - 2 FROM t);
-- rows share a vertex only if their values are the same
TRUNCATE t;
INSERT INTO t (id, far) SELECT i, ('{' || i % 3 + 1 || ':1}/1000000000')::sparsevec FROM generate_series(1, 30) i;
SELECT vertices, rows FROM vecx_info('far_l2');

-- an index that grows from nothing
INSERT INTO t (id, far) SELECT i, words(i, 12, 1000000000) FROM generate_series(1001, 1600) i;
SELECT vecx_check('far_cosine', true);

-- queries without a distance to anything: all rows
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*) = (SELECT count(*) FROM t) AS all_rows
FROM (SELECT id FROM t ORDER BY far <=> (SELECT NULL::sparsevec)) s;
SELECT count(*) = (SELECT count(*) FROM t) AS all_rows
FROM (SELECT id FROM t ORDER BY far <=> '{}/1000000000') s;
SELECT count(*) = (SELECT count(*) FROM t) AS all_rows
FROM (SELECT id FROM t ORDER BY far <-> '{1:3e38}/1000000000') s;
RESET enable_seqscan;
RESET enable_sort;

-- refused
INSERT INTO t (id, near) VALUES (100, '{}/51');
SELECT id FROM t ORDER BY far <-> '{1:1}/7' LIMIT 1;
CREATE TABLE without_dims (s sparsevec);
CREATE INDEX ON without_dims USING vecx (s);
DROP TABLE without_dims;
DROP VIEW all_classes;
DROP TABLE t;
DROP FUNCTION by_index, words;
