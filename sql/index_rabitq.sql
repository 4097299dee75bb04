-- quantizer = rabitq: every number of bits under every metric gives the rows a
-- sort gives, before and after inserts, updates, deletes and VACUUM, whether the
-- index was built on rows (then its codes have a centre) or empty; vecx_check
-- finds nothing.

-- vectors about a mean far from zero; hashint8 makes them the same everywhere
CREATE FUNCTION vec(i int) RETURNS vector IMMUTABLE LANGUAGE sql AS
	'SELECT array_agg((5 + (d % 7) + hashint8(i::bigint * 1000 + d) / 2147483648.0)::real)::vector
	FROM generate_series(1, 70) d';
CREATE TABLE r (id int, v vector(70));
INSERT INTO r SELECT i, vec(i) FROM generate_series(1, 400) i;

-- The first five rows by index and by sort, for ten queries.
CREATE FUNCTION same_answers(op text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
	found int[];
	want int[];
	same boolean := true;
BEGIN
	FOR i IN 1001 .. 1010 LOOP
		SET LOCAL enable_seqscan = off;
		SET LOCAL enable_indexscan = on;
		EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM r ORDER BY v %s $1 LIMIT 5) s', op)
			INTO found USING vec(i);
		SET LOCAL enable_seqscan = on;
		SET LOCAL enable_indexscan = off;
		EXECUTE format('SELECT array_agg(id) FROM (SELECT id FROM r ORDER BY v %s $1 LIMIT 5) s', op)
			INTO want USING vec(i);
		same := same AND found = want;
	END LOOP;
	RETURN same;
END $$;

SET vecx.ef_search = 300;
CREATE PROCEDURE try(opclass text, op text, bits int) LANGUAGE plpgsql AS $$
DECLARE
	info record;
BEGIN
	EXECUTE format('CREATE INDEX r_v ON r USING vecx (v %s) WITH (quantizer = rabitq, bits = %s)', opclass, bits);
	SELECT i.quantizer, i.code_bytes INTO info FROM vecx_info('r_v') i;
	RAISE NOTICE '% % of % bytes: %', opclass, info.quantizer, info.code_bytes,
		same_answers(op) AND vecx_check('r_v', true) IS NOT NULL;
	DROP INDEX r_v;
END $$;
CALL try('vector_l2_ops', '<->', 1);
CALL try('vector_l2_ops', '<->', 2);
CALL try('vector_l2_ops', '<->', 3);
CALL try('vector_cosine_ops', '<=>', 4);
CALL try('vector_cosine_ops', '<=>', 5);
CALL try('vector_ip_ops', '<#>', 1);
CALL try('vector_ip_ops', '<#>', 6);
CALL try('vector_l1_ops', '<+>', 2);
CALL try('vector_l1_ops', '<+>', 7);
CALL try('vector_l2_ops', '<->', 8);

-- four bits unless set
CREATE INDEX r_v ON r USING vecx (v) WITH (quantizer = rabitq);
SELECT quantizer FROM vecx_info('r_v');
INSERT INTO r SELECT i, vec(i) FROM generate_series(401, 500) i;
INSERT INTO r SELECT i + 1000, vec(i) FROM generate_series(1, 20) i;	-- equal vectors
UPDATE r SET v = vec(id + 2000) WHERE id % 10 = 3;
DELETE FROM r WHERE id % 10 = 7;
SELECT same_answers('<=>');
VACUUM r;
SELECT same_answers('<=>');
SELECT vecx_check('r_v', true);
ALTER INDEX r_v SET (bits = 3);
REINDEX INDEX r_v;
SELECT quantizer, rows FROM vecx_info('r_v');
SELECT same_answers('<=>');
ALTER INDEX r_v SET (quantizer = sq8);
ALTER INDEX r_v RESET (quantizer, bits);
REINDEX INDEX r_v;
DROP INDEX r_v;

-- built empty: the codes' centre is the origin
CREATE TABLE keep AS SELECT * FROM r;
TRUNCATE r;
CREATE INDEX r_v ON r USING vecx (v vector_l2_ops) WITH (quantizer = rabitq, bits = 4);
INSERT INTO r SELECT * FROM keep;
SELECT same_answers('<->');
SELECT vecx_check('r_v', true);

-- an unlogged index as it is after a crash is built empty, too
CREATE UNLOGGED TABLE u (v vector(70));
INSERT INTO u SELECT v FROM keep;
CREATE INDEX u_v ON u USING vecx (v) WITH (quantizer = rabitq);
SELECT vecx_check('u_v', true);

DROP TABLE r, keep, u;
DROP PROCEDURE try;
DROP FUNCTION same_answers, vec;
