-- The extension's catalog entries: every object has a comment, every C function
-- is bound to a name of the library's own, functions are immutable and parallel
-- safe, operator classes are valid, and the extension can be moved to another
-- schema.

SELECT pg_describe_object(classid, objid, objsubid) AS lacks_comment
FROM pg_depend
WHERE refclassid = 'pg_extension'::regclass AND deptype = 'e'
	AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'vecx')
	AND obj_description(objid, classid::regclass::text) IS NULL
ORDER BY 1;

SELECT p.oid::regprocedure, prosrc
FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass
	AND d.deptype = 'e' AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'vecx')
WHERE prolang = (SELECT oid FROM pg_language WHERE lanname = 'c') AND prosrc !~ '^vecx'
ORDER BY 1;

SELECT DISTINCT p.oid::regprocedure, provolatile, proparallel
FROM pg_proc p
WHERE (prorettype IN ('vector'::regtype, 'halfvec'::regtype, 'sparsevec'::regtype, 'bitvector'::regtype)
		OR proargtypes::oid[] && ARRAY['vector'::regtype::oid, 'halfvec'::regtype, 'sparsevec'::regtype, 'bitvector'::regtype])
	AND prokind = 'f' AND proname !~ '^vecx' AND (provolatile <> 'i' OR proparallel <> 's')
ORDER BY 1;

SELECT amname, opcname, opcdefault, amvalidate(c.oid) AS valid
FROM pg_opclass c JOIN pg_am a ON a.oid = opcmethod
WHERE opcintype IN ('vector'::regtype, 'halfvec'::regtype, 'sparsevec'::regtype, 'bitvector'::regtype) AND amname IN ('btree', 'hash')
ORDER BY 1, 2;

-- each distance is its own commutator
SELECT oid::regoperator, oprcom = oid AS commutes
FROM pg_operator WHERE oprname IN ('<->', '<#>', '<=>', '<+>', '<~>', '<%>')
	AND oprleft IN ('vector'::regtype, 'halfvec'::regtype, 'sparsevec'::regtype, 'bitvector'::regtype, 'bit'::regtype)
ORDER BY oprname, oprleft::regtype::text;

SELECT typname, typlen, typalign, typstorage, typcategory, typispreferred
FROM pg_type WHERE oid IN ('vector'::regtype, 'halfvec'::regtype, 'sparsevec'::regtype, 'bitvector'::regtype) ORDER BY 1;

CREATE SCHEMA elsewhere;
CREATE TABLE moved (v vector(2));
INSERT INTO moved VALUES ('[1,2]'), ('[3,4]');
ALTER EXTENSION vecx SET SCHEMA elsewhere;
SELECT v OPERATOR(elsewhere.<->) '[1,2]', elsewhere.avg(v) OVER () FROM moved;
ALTER EXTENSION vecx SET SCHEMA public;
DROP SCHEMA elsewhere;
DROP TABLE moved;
