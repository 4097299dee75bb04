-- Operators of vector and bitvector, and their btree and hash operator classes.

-- distances

CREATE OPERATOR <-> (
	LEFTARG = vector, RIGHTARG = vector, FUNCTION = l2_distance,
	COMMUTATOR = <->
);
COMMENT ON OPERATOR <-> (vector, vector) IS 'Euclidean distance';

CREATE OPERATOR <#> (
	LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_negative_inner_product,
	COMMUTATOR = <#>
);
COMMENT ON OPERATOR <#> (vector, vector) IS 'inner product times -1';

CREATE OPERATOR <=> (
	LEFTARG = vector, RIGHTARG = vector, FUNCTION = cosine_distance,
	COMMUTATOR = <=>
);
COMMENT ON OPERATOR <=> (vector, vector) IS 'cosine distance';

CREATE OPERATOR <=>^ (
	LEFTARG = vector, RIGHTARG = vector, FUNCTION = cosine_distance_nan_first,
	COMMUTATOR = <=>^
);
COMMENT ON OPERATOR <=>^ (vector, vector) IS 'cosine distance, -Infinity for a zero vector';

CREATE OPERATOR <+> (
	LEFTARG = vector, RIGHTARG = vector, FUNCTION = l1_distance,
	COMMUTATOR = <+>
);
COMMENT ON OPERATOR <+> (vector, vector) IS 'taxicab distance';

CREATE OPERATOR <~> (
	LEFTARG = bitvector, RIGHTARG = bitvector, FUNCTION = hamming_distance,
	COMMUTATOR = <~>
);
COMMENT ON OPERATOR <~> (bitvector, bitvector) IS 'Hamming distance';

CREATE OPERATOR <%> (
	LEFTARG = bitvector, RIGHTARG = bitvector, FUNCTION = jaccard_distance,
	COMMUTATOR = <%>
);
COMMENT ON OPERATOR <%> (bitvector, bitvector) IS 'Jaccard distance';

CREATE OPERATOR <~> (
	LEFTARG = bit, RIGHTARG = bit, FUNCTION = hamming_distance,
	COMMUTATOR = <~>
);
COMMENT ON OPERATOR <~> (bit, bit) IS 'Hamming distance';

CREATE OPERATOR <%> (
	LEFTARG = bit, RIGHTARG = bit, FUNCTION = jaccard_distance,
	COMMUTATOR = <%>
);
COMMENT ON OPERATOR <%> (bit, bit) IS 'Jaccard distance';

-- arithmetic

CREATE OPERATOR + (
	LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_add,
	COMMUTATOR = +
);
COMMENT ON OPERATOR + (vector, vector) IS 'add';

CREATE OPERATOR - (
	LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_sub
);
COMMENT ON OPERATOR - (vector, vector) IS 'subtract';

CREATE OPERATOR * (
	LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_mul,
	COMMUTATOR = *
);
COMMENT ON OPERATOR * (vector, vector) IS 'multiply';

CREATE OPERATOR || (
	LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_concat
);
COMMENT ON OPERATOR || (vector, vector) IS 'concatenate';

CREATE OPERATOR & (
	LEFTARG = bitvector, RIGHTARG = bitvector, FUNCTION = bitvector_and,
	COMMUTATOR = &
);
COMMENT ON OPERATOR & (bitvector, bitvector) IS 'bitwise and';

CREATE OPERATOR | (
	LEFTARG = bitvector, RIGHTARG = bitvector, FUNCTION = bitvector_or,
	COMMUTATOR = |
);
COMMENT ON OPERATOR | (bitvector, bitvector) IS 'bitwise or';

CREATE OPERATOR # (
	LEFTARG = bitvector, RIGHTARG = bitvector, FUNCTION = bitvector_xor,
	COMMUTATOR = #
);
COMMENT ON OPERATOR # (bitvector, bitvector) IS 'bitwise exclusive or';

CREATE OPERATOR ~ (
	RIGHTARG = bitvector, FUNCTION = bitvector_not
);
COMMENT ON OPERATOR ~ (NONE, bitvector) IS 'bitwise not';

-- order and equality

CREATE OPERATOR < (
	LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_lt,
	COMMUTATOR = >, NEGATOR = >=,
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (vector, vector) IS 'less than';

CREATE OPERATOR <= (
	LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_le,
	COMMUTATOR = >=, NEGATOR = >,
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (vector, vector) IS 'less than or equal';

CREATE OPERATOR = (
	LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_eq,
	COMMUTATOR = =, NEGATOR = <>,
	RESTRICT = eqsel, JOIN = eqjoinsel,
	HASHES, MERGES
);
COMMENT ON OPERATOR = (vector, vector) IS 'equal';

CREATE OPERATOR <> (
	LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_ne,
	COMMUTATOR = <>, NEGATOR = =,
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (vector, vector) IS 'not equal';

CREATE OPERATOR >= (
	LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_ge,
	COMMUTATOR = <=, NEGATOR = <,
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (vector, vector) IS 'greater than or equal';

CREATE OPERATOR > (
	LEFTARG = vector, RIGHTARG = vector, FUNCTION = vector_gt,
	COMMUTATOR = <, NEGATOR = <=,
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (vector, vector) IS 'greater than';

CREATE OPERATOR < (
	LEFTARG = bitvector, RIGHTARG = bitvector, FUNCTION = bitvector_lt,
	COMMUTATOR = >, NEGATOR = >=,
	RESTRICT = scalarltsel, JOIN = scalarltjoinsel
);
COMMENT ON OPERATOR < (bitvector, bitvector) IS 'less than';

CREATE OPERATOR <= (
	LEFTARG = bitvector, RIGHTARG = bitvector, FUNCTION = bitvector_le,
	COMMUTATOR = >=, NEGATOR = >,
	RESTRICT = scalarlesel, JOIN = scalarlejoinsel
);
COMMENT ON OPERATOR <= (bitvector, bitvector) IS 'less than or equal';

CREATE OPERATOR = (
	LEFTARG = bitvector, RIGHTARG = bitvector, FUNCTION = bitvector_eq,
	COMMUTATOR = =, NEGATOR = <>,
	RESTRICT = eqsel, JOIN = eqjoinsel,
	HASHES, MERGES
);
COMMENT ON OPERATOR = (bitvector, bitvector) IS 'equal';

CREATE OPERATOR <> (
	LEFTARG = bitvector, RIGHTARG = bitvector, FUNCTION = bitvector_ne,
	COMMUTATOR = <>, NEGATOR = =,
	RESTRICT = neqsel, JOIN = neqjoinsel
);
COMMENT ON OPERATOR <> (bitvector, bitvector) IS 'not equal';

CREATE OPERATOR >= (
	LEFTARG = bitvector, RIGHTARG = bitvector, FUNCTION = bitvector_ge,
	COMMUTATOR = <=, NEGATOR = <,
	RESTRICT = scalargesel, JOIN = scalargejoinsel
);
COMMENT ON OPERATOR >= (bitvector, bitvector) IS 'greater than or equal';

CREATE OPERATOR > (
	LEFTARG = bitvector, RIGHTARG = bitvector, FUNCTION = bitvector_gt,
	COMMUTATOR = <, NEGATOR = <=,
	RESTRICT = scalargtsel, JOIN = scalargtjoinsel
);
COMMENT ON OPERATOR > (bitvector, bitvector) IS 'greater than';

CREATE OPERATOR CLASS vector_ops
	DEFAULT FOR TYPE vector USING btree AS
	OPERATOR 1 <,
	OPERATOR 2 <=,
	OPERATOR 3 =,
	OPERATOR 4 >=,
	OPERATOR 5 >,
	FUNCTION 1 vector_cmp(vector, vector);
COMMENT ON OPERATOR CLASS vector_ops USING btree IS 'order of vector';
COMMENT ON OPERATOR FAMILY vector_ops USING btree IS 'order of vector';

CREATE OPERATOR CLASS vector_ops
	DEFAULT FOR TYPE vector USING hash AS
	OPERATOR 1 =,
	FUNCTION 1 vector_hash(vector),
	FUNCTION 2 vector_hash_extended(vector, bigint);
COMMENT ON OPERATOR CLASS vector_ops USING hash IS 'equality of vector';
COMMENT ON OPERATOR FAMILY vector_ops USING hash IS 'equality of vector';

CREATE OPERATOR CLASS bitvector_ops
	DEFAULT FOR TYPE bitvector USING btree AS
	OPERATOR 1 <,
	OPERATOR 2 <=,
	OPERATOR 3 =,
	OPERATOR 4 >=,
	OPERATOR 5 >,
	FUNCTION 1 bitvector_cmp(bitvector, bitvector),
	FUNCTION 4 btequalimage(oid);
COMMENT ON OPERATOR CLASS bitvector_ops USING btree IS 'order of bitvector';
COMMENT ON OPERATOR FAMILY bitvector_ops USING btree IS 'order of bitvector';

CREATE OPERATOR CLASS bitvector_ops
	DEFAULT FOR TYPE bitvector USING hash AS
	OPERATOR 1 =,
	FUNCTION 1 bitvector_hash(bitvector),
	FUNCTION 2 bitvector_hash_extended(bitvector, bigint);
COMMENT ON OPERATOR CLASS bitvector_ops USING hash IS 'equality of bitvector';
COMMENT ON OPERATOR FAMILY bitvector_ops USING hash IS 'equality of bitvector';
