-- Operator classes of filter columns: those after the vector.
-- Strategies 11 to 16 are <, <=, =, >=, >, <>; 21 and 22 are && and @> of arrays.

CREATE OPERATOR FAMILY integer_ops USING vecx;
CREATE OPERATOR CLASS int2_ops DEFAULT FOR TYPE int2 USING vecx FAMILY integer_ops AS
	OPERATOR 11 <, OPERATOR 12 <=, OPERATOR 13 =, OPERATOR 14 >=, OPERATOR 15 >, OPERATOR 16 <>;
CREATE OPERATOR CLASS int4_ops DEFAULT FOR TYPE int4 USING vecx FAMILY integer_ops AS
	OPERATOR 11 <, OPERATOR 12 <=, OPERATOR 13 =, OPERATOR 14 >=, OPERATOR 15 >, OPERATOR 16 <>;
CREATE OPERATOR CLASS int8_ops DEFAULT FOR TYPE int8 USING vecx FAMILY integer_ops AS
	OPERATOR 11 <, OPERATOR 12 <=, OPERATOR 13 =, OPERATOR 14 >=, OPERATOR 15 >, OPERATOR 16 <>;
ALTER OPERATOR FAMILY integer_ops USING vecx ADD
	OPERATOR 11 < (int2, int4),
	OPERATOR 12 <= (int2, int4),
	OPERATOR 13 = (int2, int4),
	OPERATOR 14 >= (int2, int4),
	OPERATOR 15 > (int2, int4),
	OPERATOR 16 <> (int2, int4),
	OPERATOR 11 < (int2, int8),
	OPERATOR 12 <= (int2, int8),
	OPERATOR 13 = (int2, int8),
	OPERATOR 14 >= (int2, int8),
	OPERATOR 15 > (int2, int8),
	OPERATOR 16 <> (int2, int8),
	OPERATOR 11 < (int4, int2),
	OPERATOR 12 <= (int4, int2),
	OPERATOR 13 = (int4, int2),
	OPERATOR 14 >= (int4, int2),
	OPERATOR 15 > (int4, int2),
	OPERATOR 16 <> (int4, int2),
	OPERATOR 11 < (int4, int8),
	OPERATOR 12 <= (int4, int8),
	OPERATOR 13 = (int4, int8),
	OPERATOR 14 >= (int4, int8),
	OPERATOR 15 > (int4, int8),
	OPERATOR 16 <> (int4, int8),
	OPERATOR 11 < (int8, int2),
	OPERATOR 12 <= (int8, int2),
	OPERATOR 13 = (int8, int2),
	OPERATOR 14 >= (int8, int2),
	OPERATOR 15 > (int8, int2),
	OPERATOR 16 <> (int8, int2),
	OPERATOR 11 < (int8, int4),
	OPERATOR 12 <= (int8, int4),
	OPERATOR 13 = (int8, int4),
	OPERATOR 14 >= (int8, int4),
	OPERATOR 15 > (int8, int4),
	OPERATOR 16 <> (int8, int4);

CREATE OPERATOR FAMILY float_ops USING vecx;
CREATE OPERATOR CLASS float4_ops DEFAULT FOR TYPE float4 USING vecx FAMILY float_ops AS
	OPERATOR 11 <, OPERATOR 12 <=, OPERATOR 13 =, OPERATOR 14 >=, OPERATOR 15 >, OPERATOR 16 <>;
CREATE OPERATOR CLASS float8_ops DEFAULT FOR TYPE float8 USING vecx FAMILY float_ops AS
	OPERATOR 11 <, OPERATOR 12 <=, OPERATOR 13 =, OPERATOR 14 >=, OPERATOR 15 >, OPERATOR 16 <>;
ALTER OPERATOR FAMILY float_ops USING vecx ADD
	OPERATOR 11 < (float4, float8),
	OPERATOR 12 <= (float4, float8),
	OPERATOR 13 = (float4, float8),
	OPERATOR 14 >= (float4, float8),
	OPERATOR 15 > (float4, float8),
	OPERATOR 16 <> (float4, float8),
	OPERATOR 11 < (float8, float4),
	OPERATOR 12 <= (float8, float4),
	OPERATOR 13 = (float8, float4),
	OPERATOR 14 >= (float8, float4),
	OPERATOR 15 > (float8, float4),
	OPERATOR 16 <> (float8, float4);

CREATE OPERATOR FAMILY datetime_ops USING vecx;
CREATE OPERATOR CLASS date_ops DEFAULT FOR TYPE date USING vecx FAMILY datetime_ops AS
	OPERATOR 11 <, OPERATOR 12 <=, OPERATOR 13 =, OPERATOR 14 >=, OPERATOR 15 >, OPERATOR 16 <>;
CREATE OPERATOR CLASS timestamp_ops DEFAULT FOR TYPE timestamp USING vecx FAMILY datetime_ops AS
	OPERATOR 11 <, OPERATOR 12 <=, OPERATOR 13 =, OPERATOR 14 >=, OPERATOR 15 >, OPERATOR 16 <>;
CREATE OPERATOR CLASS timestamptz_ops DEFAULT FOR TYPE timestamptz USING vecx FAMILY datetime_ops AS
	OPERATOR 11 <, OPERATOR 12 <=, OPERATOR 13 =, OPERATOR 14 >=, OPERATOR 15 >, OPERATOR 16 <>;
ALTER OPERATOR FAMILY datetime_ops USING vecx ADD
	OPERATOR 11 < (date, timestamp),
	OPERATOR 12 <= (date, timestamp),
	OPERATOR 13 = (date, timestamp),
	OPERATOR 14 >= (date, timestamp),
	OPERATOR 15 > (date, timestamp),
	OPERATOR 16 <> (date, timestamp),
	OPERATOR 11 < (date, timestamptz),
	OPERATOR 12 <= (date, timestamptz),
	OPERATOR 13 = (date, timestamptz),
	OPERATOR 14 >= (date, timestamptz),
	OPERATOR 15 > (date, timestamptz),
	OPERATOR 16 <> (date, timestamptz),
	OPERATOR 11 < (timestamp, date),
	OPERATOR 12 <= (timestamp, date),
	OPERATOR 13 = (timestamp, date),
	OPERATOR 14 >= (timestamp, date),
	OPERATOR 15 > (timestamp, date),
	OPERATOR 16 <> (timestamp, date),
	OPERATOR 11 < (timestamp, timestamptz),
	OPERATOR 12 <= (timestamp, timestamptz),
	OPERATOR 13 = (timestamp, timestamptz),
	OPERATOR 14 >= (timestamp, timestamptz),
	OPERATOR 15 > (timestamp, timestamptz),
	OPERATOR 16 <> (timestamp, timestamptz),
	OPERATOR 11 < (timestamptz, date),
	OPERATOR 12 <= (timestamptz, date),
	OPERATOR 13 = (timestamptz, date),
	OPERATOR 14 >= (timestamptz, date),
	OPERATOR 15 > (timestamptz, date),
	OPERATOR 16 <> (timestamptz, date),
	OPERATOR 11 < (timestamptz, timestamp),
	OPERATOR 12 <= (timestamptz, timestamp),
	OPERATOR 13 = (timestamptz, timestamp),
	OPERATOR 14 >= (timestamptz, timestamp),
	OPERATOR 15 > (timestamptz, timestamp),
	OPERATOR 16 <> (timestamptz, timestamp);

CREATE OPERATOR CLASS numeric_ops DEFAULT FOR TYPE numeric USING vecx AS
	OPERATOR 11 <, OPERATOR 12 <=, OPERATOR 13 =, OPERATOR 14 >=, OPERATOR 15 >, OPERATOR 16 <>;
CREATE OPERATOR CLASS text_ops DEFAULT FOR TYPE text USING vecx AS
	OPERATOR 11 <, OPERATOR 12 <=, OPERATOR 13 =, OPERATOR 14 >=, OPERATOR 15 >, OPERATOR 16 <>;
CREATE OPERATOR CLASS uuid_ops DEFAULT FOR TYPE uuid USING vecx AS
	OPERATOR 11 <, OPERATOR 12 <=, OPERATOR 13 =, OPERATOR 14 >=, OPERATOR 15 >, OPERATOR 16 <>;
CREATE OPERATOR CLASS bool_ops DEFAULT FOR TYPE bool USING vecx AS
	OPERATOR 11 <, OPERATOR 12 <=, OPERATOR 13 =, OPERATOR 14 >=, OPERATOR 15 >, OPERATOR 16 <>;
CREATE OPERATOR CLASS enum_ops DEFAULT FOR TYPE anyenum USING vecx AS
	OPERATOR 11 <, OPERATOR 12 <=, OPERATOR 13 =, OPERATOR 14 >=, OPERATOR 15 >, OPERATOR 16 <>;
CREATE OPERATOR CLASS array_ops DEFAULT FOR TYPE anyarray USING vecx AS
	OPERATOR 21 &&, OPERATOR 22 @>;

COMMENT ON OPERATOR FAMILY integer_ops USING vecx IS 'filter columns: integers';
COMMENT ON OPERATOR CLASS int2_ops USING vecx IS 'filter columns of type smallint';
COMMENT ON OPERATOR CLASS int4_ops USING vecx IS 'filter columns of type integer';
COMMENT ON OPERATOR CLASS int8_ops USING vecx IS 'filter columns of type bigint';
COMMENT ON OPERATOR FAMILY float_ops USING vecx IS 'filter columns: floating-point numbers';
COMMENT ON OPERATOR CLASS float4_ops USING vecx IS 'filter columns of type real';
COMMENT ON OPERATOR CLASS float8_ops USING vecx IS 'filter columns of type double precision';
COMMENT ON OPERATOR FAMILY datetime_ops USING vecx IS 'filter columns: dates and timestamps';
COMMENT ON OPERATOR CLASS date_ops USING vecx IS 'filter columns of type date';
COMMENT ON OPERATOR CLASS timestamp_ops USING vecx IS 'filter columns of type timestamp';
COMMENT ON OPERATOR CLASS timestamptz_ops USING vecx IS 'filter columns of type timestamp with time zone';
COMMENT ON OPERATOR CLASS numeric_ops USING vecx IS 'filter columns: numbers of any precision';
COMMENT ON OPERATOR FAMILY numeric_ops USING vecx IS 'filter columns: numbers of any precision';
COMMENT ON OPERATOR CLASS text_ops USING vecx IS 'filter columns: text and varchar';
COMMENT ON OPERATOR FAMILY text_ops USING vecx IS 'filter columns: text and varchar';
COMMENT ON OPERATOR CLASS uuid_ops USING vecx IS 'filter columns: uuid';
COMMENT ON OPERATOR FAMILY uuid_ops USING vecx IS 'filter columns: uuid';
COMMENT ON OPERATOR CLASS bool_ops USING vecx IS 'filter columns: booleans';
COMMENT ON OPERATOR FAMILY bool_ops USING vecx IS 'filter columns: booleans';
COMMENT ON OPERATOR CLASS enum_ops USING vecx IS 'filter columns: enums';
COMMENT ON OPERATOR FAMILY enum_ops USING vecx IS 'filter columns: enums';
COMMENT ON OPERATOR CLASS array_ops USING vecx IS 'filter columns: arrays, by their elements';
COMMENT ON OPERATOR FAMILY array_ops USING vecx IS 'filter columns: arrays, by their elements';
