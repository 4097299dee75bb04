-- vecx_check, vecx_info and vecx_recall: whole indexes pass in every state that
-- statements can bring about, the numbers are right, and only indexes of this
-- access method, and their owners, are let in.  Damage is in test/t/020.
SET client_min_messages = warning;
CREATE TABLE verify_items (id int, v vector(3));
CREATE INDEX verify_idx ON verify_items USING vecx (v vector_l2_ops);

-- an empty index
SELECT vecx_check('verify_idx', true);
SELECT structure, metric, dims, quantizer, models, levels, vertices, mean_links, rows, bytes_vertex
FROM vecx_info('verify_idx');
SELECT vecx_recall('verify_idx');

-- points of a grid, some of them twice, ten times and forty times; rows without
-- a vector
INSERT INTO verify_items SELECT i, ARRAY[i % 10, i / 10 % 10, i / 100] FROM generate_series(0, 999) i;
INSERT INTO verify_items SELECT 1000 + i, v FROM verify_items, generate_series(1, 9) i WHERE id = 77;
INSERT INTO verify_items SELECT 1100 + i, v FROM verify_items, generate_series(1, 39) i WHERE id = 555;
INSERT INTO verify_items SELECT 1200 + i, v FROM verify_items, generate_series(1, 1) i WHERE id = 10;
INSERT INTO verify_items SELECT 1300 + i, NULL FROM generate_series(1, 7) i;
SELECT vecx_check('verify_idx', true);
SELECT vertices, dead, orphans, rows, unscorable_rows, null_rows, models IN (1, 2) AS models,
	bytes_rows > 0 AS has_segments, bytes_side > 0 AS has_side,
	bytes_meta + bytes_model + bytes_vertex + bytes_upper + bytes_rows + bytes_side + bytes_free =
		pg_relation_size('verify_idx') AS all_bytes
FROM vecx_info('verify_idx');
SELECT vecx_recall('verify_idx', samples => 50) BETWEEN 0.95 AND 1 AS good;
SELECT vecx_recall('verify_idx', k => 1, samples => 50, ef => 100) BETWEEN 0.95 AND 1 AS good;
-- all rows in order, however many are asked for
SELECT vecx_recall('verify_idx', k => 2000, samples => 3) AS all_found;

-- all pages into shared buffers
SELECT vecx_prewarm('verify_idx') = pg_relation_size('verify_idx') / current_setting('block_size')::int AS all_read;

-- changes in the same transaction, and what is left of one rolled back
BEGIN;
DELETE FROM verify_items WHERE id % 3 = 0;
UPDATE verify_items SET v = ARRAY[id, 0, 0] WHERE id % 7 = 0;
INSERT INTO verify_items SELECT 2000 + i, ARRAY[i, 1, 1] FROM generate_series(1, 20) i;
SELECT vecx_check('verify_idx', true);
ROLLBACK;
SELECT vecx_check('verify_idx', true);

-- dead rows, then without them
DELETE FROM verify_items WHERE id % 2 = 0 OR v IS NULL;
UPDATE verify_items SET id = -id WHERE id % 5 = 0;
SELECT vecx_check('verify_idx', true);
VACUUM verify_items;
SELECT vecx_check('verify_idx', true);
SELECT vertices, dead, rows, null_rows FROM vecx_info('verify_idx');
DELETE FROM verify_items;
VACUUM verify_items;
SELECT vecx_check('verify_idx', true);
SELECT vertices, levels, rows FROM vecx_info('verify_idx');
INSERT INTO verify_items SELECT i, ARRAY[i, i, i] FROM generate_series(1, 500) i;
SELECT vecx_check('verify_idx', true);

-- with a transaction's snapshot
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM verify_items;
SELECT vecx_check('verify_idx', true);
COMMIT;

-- queries from a table
CREATE TABLE verify_queries AS SELECT id, ARRAY[id + 0.4, id, id]::real[]::vector AS v, 'x' AS other
	FROM verify_items WHERE id % 20 = 0;
INSERT INTO verify_queries VALUES (0, NULL, 'y');
SELECT vecx_recall('verify_idx', queries => 'verify_queries') BETWEEN 0.95 AND 1 AS good;
SELECT vecx_recall('verify_idx', queries => 'verify_queries', query_column => 'v', ef => 3) > 0.3 AS good;
SELECT vecx_recall('verify_idx', queries => 'verify_queries', query_column => 'other');
SELECT vecx_recall('verify_idx', queries => 'verify_queries', query_column => 'nothing');
SELECT vecx_recall('verify_idx', k => 0);
SELECT vecx_recall('verify_idx', samples => 10001);
SELECT vecx_recall('verify_idx', ef => -1);
SELECT vecx_recall('verify_idx', query_column => 'v');
SELECT vecx_recall('verify_idx', ef => NULL, samples => NULL);

-- the size of an index that is not there
CREATE VIEW verify_view AS SELECT v FROM verify_items;
CREATE TABLE verify_ranges (id int, v vector(3)) PARTITION BY RANGE (id);
SELECT rows > 0 AND index_bytes > 0 AND build_bytes > build_bytes_at_least AS good
FROM vecx_estimate('verify_items', 'v', '{m=24}');
SELECT bare.index_bytes < one.index_bytes AND one.index_bytes < more.index_bytes AND bare.build_bytes < one.build_bytes AS filters_count
FROM vecx_estimate('verify_items', 'v') bare, vecx_estimate('verify_items', 'v', NULL, '{id}') one, vecx_estimate('verify_items', 'v', filters => '{id,id}') more;
SELECT vecx_estimate('verify_items', 'v', NULL, '{v}');
SELECT vecx_estimate('verify_items', 'v', NULL, '{nothing}');
SELECT vecx_estimate('verify_items', 'v', NULL, array_fill('id'::name, '{17}'));
SELECT vecx_estimate('verify_items', NULL);
SELECT vecx_estimate('verify_view', 'v');
SELECT vecx_estimate('verify_ranges', 'v');
SELECT vecx_estimate('verify_queries', 'other');
SELECT vecx_estimate('verify_items', 'nothing');
SELECT vecx_estimate('verify_items', 'v', '{m}');
SELECT vecx_estimate('verify_items', 'v', '{bits=2}');
DROP VIEW verify_view;
DROP TABLE verify_ranges;
-- against an index that is: numbers, texts, arrays of three elements on average, NULLs
CREATE TABLE verify_sized AS SELECT i AS id, CASE WHEN i % 3 > 0 THEN i % 7 END::int8 AS part, 'item ' || i AS name,
	(SELECT array_agg(hashint4(i * 8 + e) % 100) FROM generate_series(0, i % 7) e) AS tags,
	(SELECT array_agg(hashint4(i * 128 + d) / 2147483648.0)::vector(96) FROM generate_series(1, 96) d) AS v
FROM generate_series(1, 4000) i;
ALTER TABLE verify_sized ALTER v TYPE vector(96);
ANALYZE verify_sized;
CREATE INDEX verify_bare ON verify_sized USING vecx (v);
CREATE INDEX verify_one ON verify_sized USING vecx (v, id);
CREATE INDEX verify_all ON verify_sized USING vecx (v, part, name, tags);
CREATE INDEX verify_listed ON verify_sized USING vecx (v, part, tags) WITH (structure = lists);
CREATE INDEX verify_short ON verify_sized USING vecx (v) WITH (structure = lists, list_rows = 40);
CREATE INDEX verify_copies ON verify_sized USING vecx (v) WITH (structure = lists, rerank = half, list_rows = 100);
CREATE INDEX verify_products ON verify_sized USING vecx (v vector_ip_ops) WITH (structure = lists, replicas = 4);
SELECT index, abs(index_bytes / pg_relation_size(index)::float8 - 1) < 0.4 AS near FROM (VALUES
	('verify_bare', NULL, '{}'), ('verify_one', NULL, '{id}'), ('verify_all', NULL, '{part,name,tags}'),
	('verify_listed', '{structure=lists}', '{part,tags}'), ('verify_short', '{structure=lists,list_rows=40}', NULL),
	('verify_copies', '{structure=lists,rerank=half,list_rows=100}', NULL), ('verify_products', '{structure=lists,replicas=4}', NULL)) i (index, options, filters),
	vecx_estimate('verify_sized', 'v', options::text[], filters::name[], CASE index WHEN 'verify_products' THEN 'vector_ip_ops' END);
-- what the columns add
SELECT abs((s.index_bytes - b.index_bytes) / (pg_relation_size('verify_all') - pg_relation_size('verify_bare'))::float8 - 1) < 0.25 AS near
FROM vecx_estimate('verify_sized', 'v') b, vecx_estimate('verify_sized', 'v', filters => '{part,name,tags}') s;
DROP TABLE verify_sized;

-- every operator class, expressions and predicates
CREATE TABLE verify_kinds (id int, v vector(40), b bit(70), bv bitvector(600), r real[]);
INSERT INTO verify_kinds
SELECT i, x, repeat(i::bit(10)::text, 7)::bit(70), repeat((i * 7)::bit(12)::text, 50)::bitvector(600), x
FROM (SELECT i, ARRAY(SELECT sin(i * d) FROM generate_series(1, 40) d)::real[] AS x
	FROM generate_series(1, 300) i) s;
INSERT INTO verify_kinds VALUES (0, array_fill(0::real, ARRAY[40]), repeat('0', 70)::bit(70),
	repeat('0', 600)::bitvector(600), array_fill(0::real, ARRAY[40]));
INSERT INTO verify_kinds VALUES (-1);
CREATE INDEX verify_l2 ON verify_kinds USING vecx (v vector_l2_ops) WITH (quantizer = none);
CREATE INDEX verify_ip ON verify_kinds USING vecx (v vector_ip_ops) WITH (quantizer = half);
CREATE INDEX verify_cosine ON verify_kinds USING vecx (v vector_cosine_ops);
CREATE INDEX verify_l1 ON verify_kinds USING vecx (v vector_l1_ops) WITH (m = 8);
CREATE INDEX verify_hamming ON verify_kinds USING vecx (b bit_hamming_ops);
CREATE INDEX verify_jaccard ON verify_kinds USING vecx (b bit_jaccard_ops);
CREATE INDEX verify_bv_hamming ON verify_kinds USING vecx (bv bitvector_hamming_ops);
CREATE INDEX verify_bv_jaccard ON verify_kinds USING vecx (bv bitvector_jaccard_ops);
CREATE INDEX verify_expr ON verify_kinds USING vecx ((r::vector(40)) vector_l2_ops) WHERE id % 2 = 0;
UPDATE verify_kinds SET id = id + 1, r = v::real[] WHERE id % 10 = 0;
SELECT i, metric, dims, quantizer, unscorable_rows, null_rows, vecx_check(i, true),
	vecx_recall(i, samples => 30) BETWEEN 0.8 AND 1 AS good,
	vecx_recall(i, samples => 10, queries => 'verify_kinds',
		query_column => CASE WHEN metric IN ('hamming', 'jaccard') THEN CASE dims WHEN 70 THEN 'b' ELSE 'bv' END
			ELSE 'v' END::name) BETWEEN 0.8 AND 1 AS good_for_queries
FROM unnest(ARRAY['verify_l2', 'verify_ip', 'verify_cosine', 'verify_l1', 'verify_hamming', 'verify_jaccard',
	'verify_bv_hamming', 'verify_bv_jaccard', 'verify_expr']::regclass[]) i, vecx_info(i);
-- an expression has no column that queries could be taken from by default
SELECT vecx_recall('verify_expr', queries => 'verify_kinds');

-- unlogged and temporary tables
CREATE UNLOGGED TABLE verify_unlogged AS SELECT v FROM verify_items;
CREATE INDEX verify_unlogged_idx ON verify_unlogged USING vecx ((v::vector(3)) vector_cosine_ops);
SELECT vecx_check('verify_unlogged_idx', true);
CREATE TEMP TABLE verify_temp AS SELECT v FROM verify_items;
CREATE INDEX verify_temp_idx ON verify_temp USING vecx ((v::vector(3)) vector_ip_ops);
SELECT vecx_check('verify_temp_idx', true);

-- other relations
CREATE INDEX verify_btree ON verify_items (id);
SELECT vecx_check('verify_btree');
SELECT vecx_info('verify_items');
SELECT vecx_recall('pg_class');
SELECT vecx_check(4294967295::oid);
CREATE TABLE verify_parts (id int, v vector(3)) PARTITION BY RANGE (id);
CREATE TABLE verify_part PARTITION OF verify_parts FOR VALUES FROM (0) TO (10);
CREATE INDEX verify_parts_idx ON verify_parts USING vecx (v vector_l2_ops);
SELECT vecx_check('verify_parts_idx');
SELECT vecx_check('verify_part_v_idx', true);
SELECT vecx_check(NULL), vecx_info(NULL), vecx_recall(NULL);

-- only the owner
CREATE ROLE verify_other;
GRANT SELECT ON verify_items, verify_queries TO verify_other;
SET ROLE verify_other;
SELECT vecx_check('verify_idx');
SELECT vecx_info('verify_idx');
SELECT vecx_recall('verify_idx');
RESET ROLE;
-- queries are read with the caller's rights
ALTER TABLE verify_items OWNER TO verify_other;
REVOKE ALL ON verify_queries FROM verify_other;
SET ROLE verify_other;
SELECT vecx_check('verify_idx', true);
SELECT vecx_recall('verify_idx', queries => 'verify_queries');
RESET ROLE;
-- expressions are evaluated as the owner, who cannot become the caller by them
CREATE FUNCTION verify_who(vector) RETURNS vector LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
	IF current_user <> 'verify_other' THEN
		RAISE EXCEPTION 'evaluated as %', current_user;
	END IF;
	RETURN $1;
END $$;
CREATE INDEX verify_who_idx ON verify_items USING vecx ((verify_who(v)::vector(3)) vector_l2_ops);
SELECT vecx_check('verify_who_idx', true);
SELECT vecx_recall('verify_who_idx') BETWEEN 0.9 AND 1 AS good;
SELECT current_user <> 'verify_other' AS still_me;

DROP TABLE verify_items, verify_queries, verify_kinds, verify_unlogged, verify_parts;
DROP FUNCTION verify_who;
DROP ROLE verify_other;
