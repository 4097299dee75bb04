-- The planner's own paths keep what security says: conditions that might tell of
-- hidden rows are not evaluated before those that hide them.

CREATE TABLE t (id int, owner text, cat int, n numeric, v vector(3));
INSERT INTO t SELECT i, CASE WHEN i % 2 = 0 THEN 'plan_alice' ELSE 'plan_bob' END, i % 20, i % 20,
	ARRAY[i, i % 7, 1]::vector FROM generate_series(1, 1000) i;
CREATE INDEX t_v ON t USING vecx (v vector_l2_ops);
CREATE INDEX t_cat ON t (cat);
CREATE INDEX t_n ON t (n);
ANALYZE t;
ALTER TABLE t ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON t USING (owner = current_user);
CREATE ROLE plan_alice;
GRANT SELECT, UPDATE ON t TO plan_alice;
CREATE FUNCTION leak(id int) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS $$
BEGIN
	IF id % 2 = 1 THEN RAISE NOTICE 'saw %', id; END IF;
	RETURN true;
END
$$;
SET cpu_tuple_cost = 1000;
SET jit = off;
SET enable_seqscan = off;
SET enable_sort = off;

SET ROLE plan_alice;
-- equality of integers is leakproof, that of numeric is not
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE cat = 4 ORDER BY v <-> '[500,0,0]' LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE n = 4 ORDER BY v <-> '[500,0,0]' LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE cat = 4 AND leak(id) ORDER BY v <-> '[500,0,0]' LIMIT 3;
SELECT id FROM t WHERE cat IN (4, 5) AND leak(id) ORDER BY v <-> '[500,0,0]' LIMIT 3;
SELECT id FROM t WHERE cat = 5 ORDER BY v <-> '[500,0,0]' LIMIT 3;
SELECT id FROM t WHERE n = 4 AND leak(id) ORDER BY v <-> '[500,0,0]' LIMIT 3;
SELECT id FROM t WHERE cat = 4 ORDER BY v <-> '[500,0,0]' LIMIT 3 FOR UPDATE;
RESET ROLE;

-- a view that is a security barrier, and conditions on it
ALTER TABLE t DISABLE ROW LEVEL SECURITY;
CREATE VIEW even WITH (security_barrier) AS SELECT id, cat, n, v FROM t WHERE id % 2 = 0 AND cat < 10;
EXPLAIN (COSTS OFF) SELECT id FROM even WHERE n = 4 AND leak(id) ORDER BY v <-> '[500,0,0]' LIMIT 3;
SELECT id FROM even WHERE n = 4 AND leak(id) ORDER BY v <-> '[500,0,0]' LIMIT 3;
EXPLAIN (COSTS OFF) SELECT id FROM even WHERE leak(id) ORDER BY v <-> '[500,0,0]' LIMIT 3;
SELECT id FROM even WHERE leak(id) ORDER BY v <-> '[500,0,0]' LIMIT 3;

DROP TABLE t CASCADE;
DROP FUNCTION leak;
DROP ROLE plan_alice;
