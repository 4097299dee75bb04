-- Index options, what CREATE INDEX refuses, and layouts that only just fit a page.

CREATE TABLE t (id int, v vector(3), b bit(40));
INSERT INTO t SELECT i, ARRAY[i % 10, i / 10, 0]::vector, (i::bigint * 2654435769)::bit(40)
FROM generate_series(0, 99) i;

-- out of range or unknown
CREATE INDEX ON t USING vecx (v) WITH (m = 1);
CREATE INDEX ON t USING vecx (v) WITH (m = 101);
CREATE INDEX ON t USING vecx (v) WITH (ef_construction = 3);
CREATE INDEX ON t USING vecx (v) WITH (ef_construction = 10001);
CREATE INDEX ON t USING vecx (v) WITH (sketch_bits = -1);
CREATE INDEX ON t USING vecx (v) WITH (sketch_bits = 8193);
CREATE INDEX ON t USING vecx (v) WITH (quantizer = pq);
CREATE INDEX ON t USING vecx (v) WITH (quantizer = rabitq, bits = 0);
CREATE INDEX ON t USING vecx (v) WITH (quantizer = rabitq, bits = 9);
CREATE INDEX ON t USING vecx (v) WITH (bits = 4);
CREATE INDEX ON t USING vecx (v) WITH (quantizer = sq8, bits = 8);
CREATE INDEX ON t USING vecx (b bit_hamming_ops) WITH (quantizer = rabitq);
CREATE INDEX ON t USING vecx (v) WITH (lists = 100);
CREATE INDEX ON t USING vecx (b bit_hamming_ops) WITH (quantizer = sq8);
CREATE INDEX ON t USING vecx (b bit_hamming_ops) WITH (quantizer = half);
SET vecx.ef_search = -1;
SET vecx.ef_search = 100001;
SET vecx.scan_order = sorted;

-- one column, and nothing but the column
CREATE INDEX ON t USING vecx (v, v);
CREATE INDEX ON t USING vecx (v) INCLUDE (id);
CREATE UNIQUE INDEX ON t USING vecx (v);
CREATE INDEX ON t USING vecx (v DESC);
CREATE INDEX ON t USING vecx (v NULLS FIRST);
CREATE INDEX ON t USING vecx (id);
CREATE INDEX ON t USING vecx (v bit_hamming_ops);
ALTER TABLE t ADD EXCLUDE USING vecx (v WITH =);

-- dimensions have to be declared
CREATE TABLE undeclared (v vector, b bit, d bitvector, n bit varying, n9 bit varying(9));
CREATE INDEX ON undeclared USING vecx (v);
CREATE INDEX ON undeclared USING vecx (d);
CREATE INDEX ON undeclared USING vecx (n);
CREATE INDEX ON undeclared USING vecx (n9);
CREATE INDEX ON undeclared USING vecx (b);	-- bit is bit(1)
CREATE INDEX ON undeclared USING vecx ((v::vector(2)));
INSERT INTO undeclared (v) VALUES ('[1,2]'), ('[1,2,3]');
INSERT INTO undeclared (v) VALUES ('[1,2]');
CREATE INDEX ON undeclared USING vecx ((v::vector(3)));
DROP TABLE undeclared;
CREATE DOMAIN embedding AS vector(2) CHECK (VALUE IS NOT NULL);
CREATE DOMAIN undeclared AS vector;
CREATE TABLE domains (e embedding, u undeclared);
CREATE INDEX ON domains USING vecx (e);
CREATE INDEX ON domains USING vecx (u);
INSERT INTO domains VALUES ('[1,2]', '[1]');
DROP TABLE domains;
DROP DOMAIN embedding, undeclared;
CREATE TABLE too_wide (b bit(64001));
CREATE INDEX ON too_wide USING vecx (b bit_hamming_ops);
DROP TABLE too_wide;

-- Whatever the options, a scan returns the same nearest rows, and all of them.
CREATE FUNCTION answers(ordering text) RETURNS TABLE (nearest int[], n bigint, rows bigint) LANGUAGE plpgsql AS $$
BEGIN
	SET LOCAL enable_seqscan = off;
	SET LOCAL enable_sort = off;
	RETURN QUERY EXECUTE format('SELECT (array_agg(id))[1:3], count(*), count(DISTINCT id) '
		'FROM (SELECT id FROM t ORDER BY %s) s', ordering);
END $$;

CREATE INDEX t_v ON t USING vecx (v);
SELECT * FROM answers($$v <-> '[3.1,3.2,0]'$$);
DROP INDEX t_v;
CREATE INDEX t_v ON t USING vecx (v) WITH (m = 2, ef_construction = 4);
SELECT * FROM answers($$v <-> '[3.1,3.2,0]'$$);
DROP INDEX t_v;
CREATE INDEX t_v ON t USING vecx (v) WITH (m = 100, ef_construction = 10000, sketch_bits = 1);
SELECT * FROM answers($$v <-> '[3.1,3.2,0]'$$);
DROP INDEX t_v;
CREATE INDEX t_v ON t USING vecx (v) WITH (sketch_bits = 1, quantizer = sq8);
SELECT * FROM answers($$v <-> '[3.1,3.2,0]'$$);
DROP INDEX t_v;
CREATE INDEX t_v ON t USING vecx (v) WITH (sketch_bits = 64, quantizer = half);
SELECT * FROM answers($$v <-> '[3.1,3.2,0]'$$);
DROP INDEX t_v;
CREATE INDEX t_v ON t USING vecx (v) WITH (quantizer = rabitq, bits = 1);
SELECT * FROM answers($$v <-> '[3.1,3.2,0]'$$);
DROP INDEX t_v;
CREATE INDEX t_v ON t USING vecx (v) WITH (quantizer = none);
SELECT * FROM answers($$v <-> '[3.1,3.2,0]'$$);

-- Options that are set later take effect with the next REINDEX.
ALTER INDEX t_v SET (m = 5, ef_construction = 50, sketch_bits = 96, quantizer = half);
SELECT * FROM answers($$v <-> '[3.1,3.2,0]'$$);
INSERT INTO t (id, v) VALUES (100, '[3.11,3.21,0]');
SELECT * FROM answers($$v <-> '[3.1,3.2,0]'$$);
REINDEX INDEX t_v;
SELECT * FROM answers($$v <-> '[3.1,3.2,0]'$$);
ALTER INDEX t_v RESET (m, quantizer);
SELECT reloptions FROM pg_class WHERE relname = 't_v';
REINDEX INDEX t_v;
SELECT * FROM answers($$v <-> '[3.1,3.2,0]'$$);
ALTER INDEX t_v SET (m = 1000);

-- What CREATE INDEX would refuse, ALTER INDEX does, so that an index that is there can be restored from a dump.
ALTER INDEX t_v SET (bits = 2);
ALTER INDEX t_v SET (quantizer = rabitq, bits = 2);
ALTER INDEX t_v RESET (quantizer);
ALTER INDEX t_v SET (structure = lists, quantizer = none);
ALTER INDEX t_v SET (structure = lists, rerank = sq8);
ALTER INDEX t_v SET (list_rows = 100);
SELECT reloptions FROM pg_class WHERE relname = 't_v';
REINDEX INDEX t_v;
ALTER INDEX t_v RESET (quantizer, bits);

-- The catalog may have options that are refused: what makes the index anew says so, and leaves it as it is.
UPDATE pg_class SET reloptions = '{structure=lists,quantizer=pq,bits=1}' WHERE oid = 't_v'::regclass;
REINDEX INDEX t_v;
VACUUM FULL t;
TRUNCATE t;
SELECT * FROM answers($$v <-> '[3.1,3.2,0]'$$);
SELECT vecx_check('t_v', true);
ALTER INDEX t_v SET (target_recall = 0.9);
ALTER INDEX t_v RESET (structure, quantizer, bits);
REINDEX INDEX t_v;
CREATE FUNCTION reindexed(options text[]) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	UPDATE pg_class SET reloptions = options WHERE oid = 't_v'::regclass;
	REINDEX INDEX t_v;
	RETURN 'built';
EXCEPTION WHEN invalid_parameter_value OR invalid_name THEN
	RETURN SQLERRM;
END $$;
SELECT o, reindexed(o::text[]) FROM unnest(ARRAY['{quantizer=pq}', '{bits=2}', '{m=1000}', '{quantizer=magic}', '{lists=100}',
	'{structure=lists,list_rows=1}', '{structure=lists,quantizer=pq,pq_training=distill,pq_queries=queries.q}', '{m=8}', NULL]) o;
DROP FUNCTION reindexed;
DROP INDEX t_v;

CREATE INDEX t_b ON t USING vecx (b bit_hamming_ops) WITH (quantizer = none, m = 4);
SELECT n, rows FROM answers('b <~> 42::bit(40)');
DROP TABLE t;
DROP FUNCTION answers;

-- The widest columns.  They are narrowed with a NOTICE, unless the user chose
-- otherwise, who then reads what would fit.
CREATE FUNCTION wide(seed int, dim int) RETURNS real[] IMMUTABLE LANGUAGE sql AS
	'SELECT array_agg((hashint8(seed::bigint * 65536 + d) / 2147483648.0)::real)
	FROM generate_series(1, dim) d';
CREATE TABLE w (id int, v vector(16000));
INSERT INTO w SELECT i, wide(i, 16000)::vector FROM generate_series(1, 20) i;
CREATE INDEX w_v ON w USING vecx (v vector_cosine_ops);
INSERT INTO w SELECT i, wide(i, 16000)::vector FROM generate_series(21, 30) i;
SET enable_seqscan = off;
SELECT w.id, (SELECT n.id FROM w n ORDER BY n.v <=> w.v LIMIT 1) AS nearest
FROM w WHERE id % 6 = 1 ORDER BY 1;
SET enable_sort = off;
SELECT count(*), count(DISTINCT id) FROM (SELECT id FROM w ORDER BY v <=> (SELECT v FROM w WHERE id = 7)) s;
RESET enable_sort;
TRUNCATE w;
INSERT INTO w VALUES (1, wide(1, 16000)::vector);
SELECT id FROM w ORDER BY v <=> (SELECT v FROM w);
RESET enable_seqscan;

-- Tries a CREATE INDEX that cannot succeed; the numbers that depend on the
-- sketches are masked.
CREATE FUNCTION refused(options text) RETURNS TABLE (message text, hint text) LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('CREATE INDEX w_i ON w USING vecx (v) WITH (%s)', options);
EXCEPTION WHEN program_limit_exceeded THEN
	GET STACKED DIAGNOSTICS message = MESSAGE_TEXT, hint = PG_EXCEPTION_HINT;
	hint := regexp_replace(hint, 'm = \d+', 'm = N');
	RETURN NEXT;
END $$;
SELECT * FROM refused('quantizer = none');
SELECT * FROM refused('quantizer = sq8');
SELECT * FROM refused('m = 100');

-- The largest m that the hint names is the largest that fits.
CREATE PROCEDURE follow_hint(tbl text, options text) LANGUAGE plpgsql AS $$
DECLARE
	hint text;
	m int;
BEGIN
	EXECUTE format('CREATE INDEX w_i ON %s USING vecx (v) WITH (m = 100, %s)', tbl, options);
EXCEPTION WHEN program_limit_exceeded THEN
	GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
	m := substring(hint FROM 'm = (\d+)');
	EXECUTE format('CREATE INDEX w_i ON %s USING vecx (v) WITH (m = %s, %s)', tbl, m, options);
	EXECUTE 'DROP INDEX w_i';
	BEGIN
		EXECUTE format('CREATE INDEX w_i ON %s USING vecx (v) WITH (m = %s, %s)', tbl, m + 1, options);
		RAISE 'm = % fits as well', m + 1;
	EXCEPTION WHEN program_limit_exceeded THEN
		RAISE NOTICE 'the hint for % was right', options;
	END;
END $$;
SET client_min_messages = notice;
CREATE TABLE w4 (v vector(4000));
CREATE TABLE w64 (v bit(64000));
CALL follow_hint('w', 'sketch_bits = 512');
CALL follow_hint('w4', 'quantizer = sq8, sketch_bits = 512');
CALL follow_hint('w4', 'quantizer = sq8, sketch_bits = 4096');
CALL follow_hint('w64', 'sketch_bits = 1024');
DROP TABLE w;
ALTER TABLE w4 RENAME TO w;
SELECT * FROM refused('quantizer = none');
SELECT * FROM refused('quantizer = half');
SELECT * FROM refused('quantizer = none, m = 40');
SELECT * FROM refused('quantizer = rabitq, bits = 8, m = 48');
CREATE INDEX w_i ON w USING vecx (v) WITH (quantizer = sq8);
DROP INDEX w_i;
CREATE INDEX w_i ON w USING vecx (v) WITH (m = 36);
DROP TABLE w;

-- bit strings that do not fit whole
CREATE FUNCTION wide_bits(seed int) RETURNS bit(64000) IMMUTABLE LANGUAGE sql AS
	$$SELECT string_agg(hashint8(seed::bigint * 65536 + d)::bit(32)::text, '')::bit(64000)
	FROM generate_series(1, 2000) d$$;
CREATE INDEX w64_v ON w64 USING vecx (v);
INSERT INTO w64 SELECT wide_bits(i) FROM generate_series(1, 20) i;
REINDEX INDEX w64_v;
INSERT INTO w64 SELECT wide_bits(i) FROM generate_series(21, 30) i;
SET enable_seqscan = off;
SELECT (SELECT n.v <~> wide_bits(i) FROM w64 n ORDER BY n.v <~> wide_bits(i) LIMIT 1) AS nearest
FROM generate_series(1, 30, 7) i;
RESET enable_seqscan;
DROP TABLE w64;
DROP PROCEDURE follow_hint;
DROP FUNCTION refused, wide_bits, wide;
