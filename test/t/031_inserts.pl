# An index filled row by row finds as much as one built at once; VACUUM keeps
# what it finds when many rows are deleted, and frees their room.

use strict;
use warnings;

use VecxTest;
use Test::More;

my $rows = 12000;
my $dim = 64;
my $node = new_node('main', shared_buffers => '256MB', fsync => 'off');

make_table($node, 'source', rows => $rows, dim => $dim, clusters => 300, spread => 1.5);
make_table($node, 'queries', rows => 500, dim => $dim, clusters => 300, spread => 1.5, seed => 2);
$node->safe_psql('postgres', "CREATE TABLE items (id int, v vector($dim), tag int)");

sub measure
{
	return recall($node, table => 'items', op => '<->', queries => 'SELECT v FROM queries',
		set => { 'vecx.ef_search' => 100 }, @_);
}

sub no_worse
{
	my ($got, $than, $by, $name) = @_;

	cmp_ok($got, '>=', $than - $by, "$name: $got against $than");
	return;
}

sub fresh
{
	$node->safe_psql('postgres',
		'DROP INDEX IF EXISTS items_v_idx; CREATE INDEX items_v_idx ON items USING vecx (v vector_l2_ops)');
	return measure();
}

$node->safe_psql('postgres', 'INSERT INTO items SELECT id, v, tag FROM source');
my $built = fresh();
cmp_ok($built, '>', 0.8, 'the built index is of use');
cmp_ok($built, '<', 0.9999, 'the data are hard enough to tell indexes apart');

# The centre's number is what sorted tables are sorted by; the distance from any
# point does as well.
my %orders = (
	'in random order' => 'hashint4(id)',
	'sorted by cluster' => "(v <-> (SELECT v FROM source WHERE id = 1))::int, v <#> (SELECT v FROM source WHERE id = 2)");
foreach my $order (sort keys %orders)
{
	$node->safe_psql(
		'postgres', qq{
		DROP TABLE items;
		CREATE TABLE items (id int, v vector($dim), tag int);
		CREATE INDEX items_v_idx ON items USING vecx (v vector_l2_ops);
		INSERT INTO items SELECT id, v, tag FROM source ORDER BY $orders{$order};
	});
	no_worse(measure(), $built, 0.02, "inserted $order");
	check_index($node, 'items_v_idx', "inserted $order");
	$node->safe_psql('postgres', 'VACUUM items');
	# whoever comes first in a sorted table finds nothing far away to link to
	no_worse(measure(), $built, $order eq 'in random order' ? 0.01 : 0.018, "inserted $order, after VACUUM");
	check_index($node, 'items_v_idx', "inserted $order, after VACUUM");
}

# The second half into an index of the first, then 30 % go.
$node->safe_psql(
	'postgres', qq{
	TRUNCATE items;
	INSERT INTO items SELECT id, v, tag FROM source WHERE id <= $rows / 2;
	REINDEX INDEX items_v_idx;
	INSERT INTO items SELECT id, v, tag FROM source WHERE id > $rows / 2;
});
no_worse(measure(), $built, 0.02, 'the second half inserted');
$node->safe_psql('postgres', 'DELETE FROM items WHERE hashint4(id) % 10 IN (0, 3, -6)');
is( $node->safe_psql('postgres', qq{
		SET enable_seqscan = off;
		SELECT count(*) FROM queries q, LATERAL (SELECT id FROM items ORDER BY v <-> q.v LIMIT 10) n
		WHERE hashint4(n.id) % 10 IN (0, 3, -6)}),
	0, 'no deleted row is found before VACUUM');
$node->safe_psql('postgres', 'VACUUM items');
is( $node->safe_psql('postgres', qq{
		SET enable_seqscan = off;
		SELECT count(*), count(DISTINCT id), count(*) FILTER (WHERE hashint4(id) % 10 IN (0, 3, -6))
		FROM (SELECT id FROM items ORDER BY v <-> (SELECT v FROM queries LIMIT 1) OFFSET 0) s}),
	$node->safe_psql('postgres', 'SELECT count(*), count(*), 0 FROM items'),
	'every row that is left is found, no deleted one');
check_index($node, 'items_v_idx', 'after 30 % were deleted');
my $vacuumed = measure();
no_worse($vacuumed, fresh(), 0.01, '30 % deleted, after VACUUM');

# Room of deleted rows is used again.
my $size = $node->safe_psql('postgres', "SELECT pg_relation_size('items_v_idx')");
foreach my $round (1 .. 5)
{
	$node->safe_psql('postgres', "DELETE FROM items WHERE id % 5 = $round % 5");
	$node->safe_psql('postgres', 'VACUUM items');
	$node->safe_psql('postgres', "INSERT INTO items SELECT id, v, tag FROM source s
		WHERE id % 5 = $round % 5 AND hashint4(id) % 10 NOT IN (0, 3, -6)");
}
my $after = $node->safe_psql('postgres', "SELECT pg_relation_size('items_v_idx')");
cmp_ok($after / $size, '<=', 1.5, sprintf('five times a fifth was replaced: size x %.2f', $after / $size));
check_index($node, 'items_v_idx', 'after replacements');
no_worse(measure(), $vacuumed, 0.02, 'after replacements');

# All but a few go, so that around most of those everything dies.
$node->safe_psql('postgres', 'DELETE FROM items WHERE id % 25 <> 0');
$node->safe_psql('postgres', 'VACUUM items');
check_index($node, 'items_v_idx', 'after 96 % were deleted');
$vacuumed = measure(set => { 'vecx.ef_search' => 40 });
fresh();
no_worse($vacuumed, measure(set => { 'vecx.ef_search' => 40 }), 0.05, '96 % deleted, after VACUUM');

# Everything goes, and other rows come.
$node->safe_psql('postgres', 'DELETE FROM items');
$node->safe_psql('postgres', 'VACUUM items');
check_index($node, 'items_v_idx', 'empty again');
$node->safe_psql('postgres', "INSERT INTO items SELECT id, v, tag FROM source WHERE id <= $rows * 0.7");
check_index($node, 'items_v_idx', 'filled again');
$after = $node->safe_psql('postgres', "SELECT pg_relation_size('items_v_idx')");
cmp_ok($after / $size, '<=', 1.5, sprintf('emptied and filled again: size x %.2f', $after / $size));

# Real data: 10,000 papers under cosine distance, inserted one by one.
$node->safe_psql('postgres', 'ALTER TABLE queries RENAME TO item_queries');
load_papers($node);
sub papers
{
	return recall($node, table => 'papers', column => 'embedding', op => '<=>',
		queries => 'SELECT embedding FROM papers WHERE hashtext(id) % 50 = 0', set => { 'vecx.ef_search' => 100 });
}
$node->safe_psql('postgres', 'CREATE INDEX papers_idx ON papers USING vecx (embedding vector_cosine_ops)');
my $papers = papers();
$node->safe_psql(
	'postgres', q{
	CREATE TABLE all_papers AS SELECT * FROM papers ORDER BY hashtext(id);
	TRUNCATE papers;
	INSERT INTO papers SELECT * FROM all_papers;
});
no_worse(papers(), $papers, 0.02, 'papers inserted');
$node->safe_psql('postgres', 'VACUUM papers');
no_worse(papers(), $papers, 0.01, 'papers inserted, after VACUUM');
check_index($node, 'papers_idx', 'papers inserted');
$node->stop;

done_testing();
