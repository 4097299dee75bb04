-- Search within a distance: by the operators <->@ and so on, and by conditions
-- on a distance, from which the planner derives them.

CREATE TABLE t (id int, tag int, v vector(16), h halfvec(16), b bit(64), bv bitvector(64));
INSERT INTO t SELECT i, i % 4, x, x::halfvec(16), bits, bits::bitvector(64) FROM generate_series(1, 5000) i,
	LATERAL (SELECT array_agg(hashint8(i * 65536 + d) / 2147483648.0)::vector AS x FROM generate_series(1, 16) d) s,
	LATERAL (SELECT binary_quantize(x || l2_normalize(x) || x || x)::bit(64) # (i::bigint * 4057)::bit(64) AS bits) s2;
INSERT INTO t VALUES (0, 0, NULL, NULL, NULL, NULL);
INSERT INTO t (id, tag, v) VALUES (6000, 0, array_fill(0, ARRAY[16])), (6001, 0, array_fill(2e19::float4, ARRAY[16]));
CREATE INDEX t_l2 ON t USING vecx (v vector_l2_ops);
CREATE INDEX t_ip ON t USING vecx (v vector_ip_ops);
CREATE INDEX t_cosine ON t USING vecx (v vector_cosine_ops);
CREATE INDEX t_l1 ON t USING vecx (v vector_l1_ops);
CREATE INDEX t_h ON t USING vecx (h halfvec_cosine_ops);
CREATE INDEX t_b ON t USING vecx (b bit_hamming_ops);
CREATE INDEX t_bv ON t USING vecx (bv bitvector_jaccard_ops);
ANALYZE t;
CREATE VIEW q AS SELECT array_fill(0.1, ARRAY[16])::vector AS v, array_fill(0.1, ARRAY[16])::halfvec AS h,
	(SELECT b FROM t WHERE id = 7) AS b, (SELECT bv FROM t WHERE id = 7) AS bv;

-- how many rows a scan of the table and one of the index find
CREATE FUNCTION compare(condition text) RETURNS TABLE (plan text, truth bigint, hits bigint, wrong bigint) LANGUAGE plpgsql AS $$
DECLARE
	line text;
	query text := 'SELECT coalesce(array_agg(id), ''{}'') FROM t WHERE ' || condition;
	by_scan int[];
	by_index int[];
BEGIN
	SET LOCAL enable_indexscan = off;
	EXECUTE query INTO by_scan;
	SET LOCAL enable_indexscan = on;
	SET LOCAL enable_seqscan = off;
	plan := 'no index';
	FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
		IF line ~ 'Index Cond' THEN plan := 'index'; END IF;
	END LOOP;
	EXECUTE query INTO by_index;
	truth := cardinality(by_scan);
	hits := count(*) FROM unnest(by_index) i WHERE i = ANY (by_scan);
	wrong := cardinality(by_index) - hits;
	RETURN NEXT;
END
$$;

SELECT '[1,2]' <->@ ROW('[1,4]', 2)::vector_ball AS at, '[1,2]' <->@ ('("[1,4]",1.9)'::vector_ball) AS beyond,
	'[1,2]' <->@ ROW(NULL, 2)::vector_ball AS no_center, '[1,2]' <->@ ROW('[1,4]', NULL)::vector_ball AS no_radius,
	'[0,0]' <=>@ ROW('[1,4]', 2)::vector_ball AS nan, '[1,2]'::halfvec <#>@ ROW('[1,4]', -9)::halfvec_ball AS ip,
	B'0011' <~>@ ROW(B'0110', 2)::bit_ball AS hamming, '0011'::bitvector <%>@ ROW('0110', 0.5)::bitvector_ball AS jaccard;

SET enable_seqscan = off;
SET vecx.ef_search = 100;
PREPARE near(vector, float8) AS SELECT id FROM t WHERE v <-> $1 < $2;
PREPARE near_ordered(vector, float8) AS SELECT id FROM t WHERE $2 >= $1 <-> v ORDER BY v <-> $1 LIMIT 5;
PREPARE near_other(vector, float8) AS SELECT id FROM t WHERE v <-> $1 < $2 ORDER BY v <-> ($1 + $1) LIMIT 5;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE near(NULL, NULL);
EXPLAIN (COSTS OFF) EXECUTE near_ordered(NULL, NULL);
EXPLAIN (COSTS OFF) EXECUTE near_other(NULL, NULL);
EXECUTE near(array_fill(0.1, ARRAY[16]), 1.3);
EXECUTE near_ordered(array_fill(0.1, ARRAY[16]), 1.5);
EXECUTE near_other(array_fill(0.1, ARRAY[16]), 1.6);
SET enable_indexscan = off;
EXECUTE near(array_fill(0.1, ARRAY[16]), 1.3);
EXECUTE near_ordered(array_fill(0.1, ARRAY[16]), 1.5);
EXECUTE near_other(array_fill(0.1, ARRAY[16]), 1.6);
RESET enable_indexscan;
EXECUTE near(NULL, 1);
EXECUTE near(array_fill(0.1, ARRAY[16]), NULL);
EXECUTE near(array_fill(0.1, ARRAY[16]), -1);
EXECUTE near('[1,2]', 1);
RESET plan_cache_mode;
-- whatever becomes of the rows
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE v <-> (SELECT v FROM q) < 1.3 ORDER BY id;
EXPLAIN (COSTS OFF) SELECT id % 2, count(*) FROM t WHERE v <-> (SELECT v FROM q) < 1.3 GROUP BY 1;
RESET enable_seqscan;

-- each metric, and radii that few, many and all rows are within
SELECT hits::float8 / truth >= 0.99 AS good, condition, plan, truth, wrong FROM unnest('{
	"v <-> (SELECT v FROM q) < 1.5", "v <-> (SELECT v FROM q) <= 1.9", "v <-> (SELECT v FROM q) < 2.3", "2.3 > (SELECT v FROM q) <-> v",
	"v <->@ ROW((SELECT v FROM q), 1.9)::vector_ball", "v <#> (SELECT v FROM q) < -0.6", "v <=> (SELECT v FROM q) < 0.4",
	"v <=> (SELECT v FROM q) <= 2", "v <+> (SELECT v FROM q) < 6.5", "h <=> (SELECT h FROM q) < 0.4",
	"b <~> (SELECT b FROM q) <= 20", "bv <%> (SELECT bv FROM q) < 0.5"}'::text[]) condition, compare(condition);
-- linear forms; a zero vector is at NaN, which is greater than all numbers
SELECT hits::float8 / truth >= 0.99 AS good, condition, plan, truth, wrong FROM unnest('{
	"1 - (v <=> (SELECT v FROM q)) > 0.6", "0.6 <= 1 - ((SELECT v FROM q) <=> v)", "(v <#> (SELECT v FROM q)) * -1 > 0.6",
	"-(v <-> (SELECT v FROM q)) >= -1.9", "(v <=> (SELECT v FROM q)) / 2 + 1 < 1.2", "3 - 2 * (h <=> (SELECT h FROM q)) > 2.2",
	"1 - (v <=> (SELECT v FROM q)) >= (SELECT 1 - (v <=> (SELECT v FROM q)) FROM t WHERE id = 17)",
	"(v <-> (SELECT v FROM q)) + 1e6 - 1e6 <= (SELECT (v <-> (SELECT v FROM q)) + 1e6 - 1e6 FROM t WHERE id = 17)",
	"1 - (v <=> (SELECT v FROM q)) > ''-Infinity''", "1e300 * (v <-> (SELECT v FROM q)) < 2e300"}'::text[]) condition, compare(condition);
SET enable_seqscan = off;
PREPARE like_this(vector, float8) AS SELECT id, round((1 - (v <=> $1))::numeric, 4) FROM t WHERE 1 - (v <=> $1) > $2 ORDER BY v <=> $1 LIMIT 5;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE like_this(NULL, NULL);
EXECUTE like_this(array_fill(0.1, ARRAY[16]), 0.7);
EXECUTE like_this(array_fill(0.1, ARRAY[16]), 0.99);
EXECUTE like_this(array_fill(0.1, ARRAY[16]), NULL);
RESET plan_cache_mode;
RESET enable_seqscan;
SELECT * FROM compare('v <-> (SELECT v FROM q) < ''Infinity''');
SELECT * FROM compare('v <-> (SELECT v FROM q) <= ''NaN''');
SELECT * FROM compare('v <=> array_fill(0, ARRAY[16])::vector < 1');
SELECT * FROM compare('v <-> (SELECT v FROM q) < 2 AND v <-> (SELECT v FROM q) >= 1.5 AND tag = 1');
SELECT * FROM compare('v <-> (SELECT v FROM q) < 2 AND v <->@ ROW(array_fill(0.3, ARRAY[16]), 2)::vector_ball');
SELECT * FROM compare('NOT v <-> (SELECT v FROM q) >= 1.6');
-- not these
SELECT * FROM compare('v <-> (SELECT v FROM q) > 3');
SELECT * FROM compare('1 - (v <=> (SELECT v FROM q)) < 0.6');
SELECT * FROM compare('(v <-> (SELECT v FROM q)) * 0 < 1');
SELECT * FROM compare('v <-> (SELECT v FROM q) < tag');
SELECT * FROM compare('v <-> (SELECT v FROM q) < 1 + random() * 0');

-- joins, and what ends with the radius: fewer pages than the index has
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT a.id, count(*) FROM t a, LATERAL (SELECT id FROM t b WHERE b.v <->@ ROW(a.v, 1.2)::vector_ball OFFSET 0) n
WHERE a.id BETWEEN 10 AND 14 GROUP BY a.id;
SELECT a.id, count(*) FROM t a, LATERAL (SELECT id FROM t b WHERE b.v <->@ ROW(a.v, 1.2)::vector_ball OFFSET 0) n
WHERE a.id BETWEEN 10 AND 14 GROUP BY a.id ORDER BY a.id;
SELECT a.id, count(*) FROM t a JOIN t b ON a.v <-> b.v <= 1.2 WHERE a.id BETWEEN 10 AND 14 GROUP BY a.id ORDER BY a.id;
RESET enable_seqscan;
CREATE FUNCTION blocks(query text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	plan json;
BEGIN
	EXECUTE 'EXPLAIN (ANALYZE, BUFFERS, TIMING OFF, FORMAT json) ' || query INTO plan;
	RETURN (plan->0->'Plan'->>'Shared Hit Blocks')::int + (plan->0->'Plan'->>'Shared Read Blocks')::int;
END
$$;
SET enable_seqscan = off;
SELECT blocks('SELECT id FROM t WHERE v <-> array_fill(0.1, ARRAY[16])::vector < 1.3') < 400 AS few;
RESET enable_seqscan;

-- A security barrier: the condition may not be evaluated before the view's.
CREATE VIEW guarded WITH (security_barrier) AS SELECT * FROM t WHERE tag = 1 AND id > 0;
SET enable_seqscan = off;
EXPLAIN (COSTS OFF) SELECT id FROM guarded WHERE v <-> array_fill(0.1, ARRAY[16])::vector < 1.6;
SET enable_indexscan = off;
SELECT count(*) FROM guarded WHERE v <-> array_fill(0.1, ARRAY[16])::vector < 1.6;
RESET enable_indexscan;
SELECT count(*) FROM guarded WHERE v <-> array_fill(0.1, ARRAY[16])::vector < 1.6;
RESET enable_seqscan;

-- a sample of the table is no scan of the index
SET enable_seqscan = off;
SELECT count(*) FROM t TABLESAMPLE bernoulli (0) WHERE v <-> array_fill(0.1, ARRAY[16])::vector < 1.6;
RESET enable_seqscan;

-- without the module's paths only the operator itself
SET vecx.enable_paths = off;
SELECT * FROM compare('v <-> (SELECT v FROM q) < 1.5');
SELECT * FROM compare('v <->@ ROW((SELECT v FROM q), 1.5)::vector_ball');

-- a column of vectors of several dimensions: its statistics are not asked, which would raise an error
CREATE TABLE mixed AS SELECT 3 AS model, ARRAY[random(), random(), random()]::vector AS v FROM generate_series(1, 300) i;
INSERT INTO mixed SELECT 2, ARRAY[random(), random()]::vector FROM generate_series(1, 300) i;
ANALYZE mixed;
SELECT count(*) FROM mixed WHERE model = 3 AND v <->@ ROW('[0,0,0]', 2)::vector_ball;
DROP TABLE mixed;

DROP VIEW q, guarded;
DROP TABLE t;
DROP FUNCTION compare, blocks;
