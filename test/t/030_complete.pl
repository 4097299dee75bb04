# A scan without LIMIT returns the rows that a sort returns, each once, under
# every metric: duplicates, NULLs, zeros and vertices that no link leads to
# included.  The first batch is in exact order.

use strict;
use warnings;

use VecxTest;
use Test::More;

my $rows = 30000;
my $dim = 24;
my $node = new_node('main', shared_buffers => '128MB');

# Norms differ tenfold, so that under inner product few vertices are near to all.
make_table($node, 'items', rows => $rows, dim => $dim, clusters => 100);
$node->safe_psql(
	'postgres', qq{
	UPDATE items SET v = v * array_fill((1 + id % 10)::real, ARRAY[$dim])::vector;
	UPDATE items SET v = (SELECT o.v FROM items o WHERE o.id = 1) WHERE id % 10 = 3;
	CREATE TABLE copies AS SELECT id AS copy, v AS w FROM items WHERE id <= 100;
	UPDATE items SET v = w FROM copies WHERE copy = id / 10 % 100 + 1 AND id % 10 = 4;
	UPDATE items SET v = NULL WHERE id % 50 = 7;
	UPDATE items SET v = array_fill(0, ARRAY[$dim])::vector WHERE id % 50 = 8;
	ALTER TABLE items ADD b bit($dim), ADD bv bitvector($dim), ADD wide bit(200);
	UPDATE items SET b = binary_quantize(v)::bit($dim), bv = binary_quantize(v)::bitvector,
		wide = (hashint4(id)::bit(8) || repeat(binary_quantize(v)::text, 8)::bit(192))::bit(200)
	WHERE id % 50 <> 9;
	VACUUM FULL ANALYZE items;
	ALTER DATABASE postgres SET enable_seqscan = off;
	ALTER DATABASE postgres SET enable_sort = off;
});

sub check_scan
{
	my ($column, $op, $query, $name, $falls_apart) = @_;
	my $order = "ORDER BY $column $op $query";

	ok(plan_uses_index($node, "SELECT id FROM items $order"), "$name: the index is used");
	is( $node->safe_psql('postgres', qq{
			SELECT count(*), count(DISTINCT id), sum(id)
			FROM (SELECT id FROM items $order OFFSET 0) s}),
		$node->safe_psql('postgres', 'SELECT count(*), count(*), sum(id) FROM items'),
		"$name: every row, each once");
	is( $node->safe_psql('postgres', qq{
			SELECT count(*), count(DISTINCT id)
			FROM (SELECT id FROM items WHERE tag = 7 $order LIMIT 10000) s}),
		$node->safe_psql('postgres', 'SELECT count(*), count(*) FROM items WHERE tag = 7'),
		"$name: every row that a condition leaves");
	# NULLs leave last; before them what is at no distance.
	is( $node->safe_psql('postgres', qq{
			SELECT count(*) FROM
				(SELECT $column IS NULL AS is_null, row_number() OVER () AS n
				 FROM (SELECT $column FROM items $order OFFSET 0) s) s
			WHERE is_null AND n <= (SELECT count($column) FROM items)}),
		0, "$name: NULLs come last");
	# The first batch of a graph in pieces may be shorter than that.
	return if $falls_apart;
	is( $node->safe_psql('postgres', qq{
			SET vecx.ef_search = 100;
			SELECT count(*) FILTER (WHERE d < before) FROM
				(SELECT d, lag(d) OVER () AS before
				 FROM (SELECT $column $op $query AS d FROM items $order LIMIT 100) s) s}),
		0, "$name: the first batch is in order");
	return;
}

# Two links a vertex are too few to hold a graph together.
my @columns = (
	[ 'v', 'vector_l2_ops', '<->' ], [ 'v', 'vector_ip_ops', '<#>' ],
	[ 'v', 'vector_ip_ops', '<#>', 'WITH (m = 2, ef_construction = 4)' ],
	[ 'v', 'vector_cosine_ops', '<=>' ], [ 'v', 'vector_l1_ops', '<+>' ],
	[ 'b', 'bit_hamming_ops', '<~>' ], [ 'b', 'bit_jaccard_ops', '<%>' ],
	[ 'bv', 'bitvector_jaccard_ops', '<%>' ], [ 'wide', 'bit_hamming_ops', '<~>' ]);

foreach my $case (@columns)
{
	my ($column, $class, $op, $options) = @$case;
	$options //= '';
	my $query = "(SELECT $column FROM items WHERE id = 110)";

	$node->safe_psql('postgres', "CREATE INDEX items_idx ON items USING vecx ($column $class) $options");
	check_scan($column, $op, $query, "$class on $column $options", $options ne '');
	check_index($node, 'items_idx', "$class on $column $options");
	$node->safe_psql('postgres', 'DROP INDEX items_idx');
}

# The same of an index that single rows made, some of which are gone.
$node->safe_psql(
	'postgres', q{
	CREATE TABLE source AS SELECT id, tag, v FROM items WHERE id <= 6000;
	TRUNCATE items;
	CREATE INDEX items_idx ON items USING vecx (v vector_ip_ops);
	INSERT INTO items SELECT id, v, tag FROM source ORDER BY hashint4(id);
	INSERT INTO items SELECT id + 10000, v, tag FROM source WHERE id % 3 = 0;
	DELETE FROM items WHERE id % 7 = 1;
});
check_scan('v', '<#>', '(SELECT v FROM source WHERE id = 110)', 'after inserts');
$node->safe_psql('postgres', 'VACUUM items');
check_scan('v', '<#>', '(SELECT v FROM source WHERE id = 110)', 'after VACUUM');
check_index($node, 'items_idx', 'after VACUUM');
$node->stop;

done_testing();
