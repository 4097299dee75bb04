# Every row of a table is updated ten times, a fifth of them between two VACUUMs,
# with a slightly different vector or with the same: the index keeps its size and
# finds as much as one built anew.

use strict;
use warnings;

use VecxTest;
use Test::More;

my $node = new_node('main', shared_buffers => '256MB', fsync => 'off');

load_papers($node);
$node->safe_psql(
	'postgres', q{
	CREATE TABLE noise AS
		SELECT row_number() OVER (ORDER BY id) - 1 AS n, embedding * array_fill(0.1::real, ARRAY[256])::vector AS v
		FROM papers ORDER BY id LIMIT 97;
	CREATE TABLE items AS SELECT (row_number() OVER (ORDER BY hashtext(id)))::int AS id, 0 AS n, embedding AS v FROM papers;
	CREATE INDEX items_v_idx ON items USING vecx (v vector_cosine_ops);
	-- no update is HOT
	CREATE INDEX ON items (n);
});

sub measure
{
	return recall($node, table => 'items', op => '<=>', set => { 'vecx.ef_search' => 40 },
		queries => 'SELECT embedding FROM papers WHERE hashtext(id) % 40 = 0');
}

sub size
{
	return $node->safe_psql('postgres', "SELECT pg_relation_size('items_v_idx')");
}

my $size = size();
foreach my $round (1 .. 10)
{
	foreach my $slice (0 .. 4)
	{
		my $vector = $round % 5 == 1
		  ? ", v = v + (SELECT noise.v FROM noise WHERE noise.n = (items.id + $round) % 97)" : '';
		$node->safe_psql('postgres', "UPDATE items SET n = n + 1 $vector WHERE id % 5 = $slice");
		$node->safe_psql('postgres', 'VACUUM items');
	}
	note(sprintf('round %d: size x %.2f', $round, size() / $size));
}
my $grown = size() / $size;
my $found = measure();

cmp_ok($grown, '<=', 1.5, sprintf('size x %.2f', $grown));
check_index($node, 'items_v_idx', 'after the updates');
$node->safe_psql('postgres', 'REINDEX INDEX items_v_idx');
my $anew = measure();
cmp_ok($found, '>=', $anew - 0.01, "recall $found, of an index built anew $anew");
$node->stop;

done_testing();
