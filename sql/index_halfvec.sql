-- Indexes on halfvec: each operator class gives the rows in the order of its
-- operator, columns and expressions alike, before and after changes; what the
-- index is made of is known to vecx_info and holds in vecx_check.

CREATE TABLE t (id int PRIMARY KEY, v halfvec(8), f vector(8));
INSERT INTO t (id, f) SELECT i, (SELECT array_agg(hashint4(i * 8 + d) % 1000 / 100.0) FROM generate_series(1, 8) d)::vector
	FROM generate_series(1, 500) i;
UPDATE t SET v = f;
CREATE INDEX t_l2 ON t USING vecx (v);
CREATE INDEX t_ip ON t USING vecx (v halfvec_ip_ops);
CREATE INDEX t_cosine ON t USING vecx (v halfvec_cosine_ops);
CREATE INDEX t_l1 ON t USING vecx (v halfvec_l1_ops);
CREATE INDEX t_f ON t USING vecx ((f::halfvec(8)) halfvec_l2_ops);
CREATE INDEX t_half ON t USING vecx ((subvector(v, 1, 4)::halfvec(4)) halfvec_l2_ops) WITH (quantizer = half, m = 8);

SELECT i::regclass, metric, dims, quantizer, vertices, rows
FROM unnest(ARRAY['t_l2', 't_ip', 't_cosine', 't_l1', 't_f', 't_half']) i, vecx_info(i) ORDER BY 1;

-- one query a class: all rows in order, as a sort gives them
CREATE FUNCTION by_index(q text, OUT plan text, OUT same bool) LANGUAGE plpgsql AS $$
DECLARE
	line text;
	indexed float8[];
	sorted float8[];
BEGIN
	SET LOCAL enable_seqscan = off;
	SET LOCAL enable_sort = off;
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY ' || q LOOP
		plan := concat_ws(' ', plan, line);
	END LOOP;
	EXECUTE format('SELECT array_agg(d) FROM (SELECT %1$s AS d FROM t ORDER BY %1$s) s', q) INTO indexed;
	SET LOCAL enable_seqscan = on;
	SET LOCAL enable_sort = on;
	SET LOCAL enable_indexscan = off;
	EXECUTE format('SELECT array_agg(d) FROM (SELECT %1$s AS d FROM t ORDER BY %1$s) s', q) INTO sorted;
	SET LOCAL enable_indexscan = on;
	same := indexed[1:40] = sorted[1:40] AND cardinality(indexed) = cardinality(sorted);
END $$;
CREATE VIEW all_classes AS SELECT q, (by_index(q)).* FROM unnest(ARRAY[
	'v <-> ''[1,2,3,4,5,6,7,8]''',
	'v <#> ''[1,-2,3,-4,5,-6,7,-8]''',
	'v <=> ''[1,-2,3,-4,5,-6,7,-8]''',
	'v <+> ''[1,2,3,4,5,6,7,8]''',
	'f::halfvec(8) <-> ''[1,2,3,4,5,6,7,8]''',
	'subvector(v, 1, 4)::halfvec(4) <-> ''[1,2,3,4]'''
]) q;
SET vecx.ef_search = 200;
SELECT * FROM all_classes;

-- a vector as the query becomes a halfvec
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY v <-> '[1,2,3,4,5,6,7,8]'::vector LIMIT 1;

-- changes
INSERT INTO t (id, f, v) SELECT id + 1000, f * array_fill(-1, ARRAY[8])::vector, f FROM t WHERE id % 2 = 0;
INSERT INTO t (id) VALUES (4000);
INSERT INTO t (id, v, f) VALUES (3001, array_fill(0, ARRAY[8]), array_fill(0, ARRAY[8]));
INSERT INTO t (id, v, f) VALUES (3002, array_fill(65504, ARRAY[8]), array_fill(65504, ARRAY[8]));
UPDATE t SET v = v + '[1,0,0,0,0,0,0,0]' WHERE id % 10 = 0;
DELETE FROM t WHERE id % 3 = 0;
VACUUM t;
SELECT q, same FROM all_classes;
-- what no distance can be told for comes last
SELECT id FROM t ORDER BY v <=> '[1,-2,3,-4,5,-6,7,-8]' OFFSET 501;
SELECT vecx_check(i, true) FROM unnest(ARRAY['t_l2', 't_ip', 't_cosine', 't_l1', 't_f', 't_half']::regclass[]) i;
SELECT vecx_recall('t_l2', ef => 200) > 0.98 AS l2, vecx_recall('t_f', ef => 200) > 0.98 AS f;
-- rows with one vector share a vertex
TRUNCATE t;
INSERT INTO t (id, v) SELECT i, ARRAY[i % 3, 0, 0, 0, 0, 0, 0, 1]::halfvec FROM generate_series(1, 30) i;
SELECT vertices, rows FROM vecx_info('t_l2');

-- refused
INSERT INTO t (id, v) VALUES (100, '[1]');
CREATE TABLE without_dims (v halfvec);
CREATE INDEX ON without_dims USING vecx (v);
CREATE INDEX ON t USING vecx (v vector_l2_ops);
CREATE INDEX ON t USING vecx (f halfvec_l2_ops);
DROP TABLE without_dims;

-- as wide as the type allows
CREATE TABLE wide (v halfvec(16000));
INSERT INTO wide SELECT array_fill(i, ARRAY[16000]) FROM generate_series(1, 5) i;
CREATE INDEX wide_v ON wide USING vecx (v);
SET enable_seqscan = off;
SELECT subvector(v, 1, 1) FROM wide ORDER BY v <-> array_fill(3.2, ARRAY[16000])::halfvec LIMIT 2;
SELECT vecx_check('wide_v', true);
DROP VIEW all_classes;
DROP TABLE t, wide;
DROP FUNCTION by_index;
