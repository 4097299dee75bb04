# Sessions insert, update, delete, search and vacuum at once for SOAK_SECONDS.
# In between, the server crashes; after each part the index must be whole, return
# every row, and find the nearest ones, and the standby must hold the same pages.

use strict;
use warnings;

use VecxTest;
use PostgreSQL::Test::Utils;
use Test::More;

my $seconds = $ENV{SOAK_SECONDS} || 600;
my $parts = $seconds >= 300 ? 10 : 2;
my $dim = 96;

my $node = new_node('primary', allows_streaming => 1, shared_buffers => '64MB',
	max_connections => 50, autovacuum => 'on', max_wal_size => '1GB');
make_table($node, 'items', rows => 20000, dim => $dim, clusters => 200);
make_table($node, 'queries', rows => 100, dim => $dim, clusters => 200, seed => 2);
$node->safe_psql(
	'postgres', q{
	CREATE SEQUENCE items_id START 20001;
	CREATE INDEX items_id_idx ON items (id);
	CREATE INDEX items_v_idx ON items USING vecx (v vector_l2_ops);
});
my $standby = new_standby($node, 'standby');

# New vectors are existing ones with some noise, and one in ten an exact copy.
my $any = "(SELECT id FROM items WHERE id >= :id ORDER BY id LIMIT 1)";
my $pick = "\\set id random(1, 30000)\n\\set copy random(1, 10)\n";
my $noise = "(SELECT array_agg((random() / 5 - 0.1)::real) FROM generate_series(1, $dim))::vector";
my $vector = "(SELECT CASE WHEN :copy = 1 THEN v ELSE v + $noise END FROM queries WHERE id = :id % 100 + 1)";

my %scripts = (
	insert => [ 30, "${pick}INSERT INTO items VALUES (nextval('items_id'), $vector, :id % 100);" ],
	delete => [ 20, "${pick}DELETE FROM items WHERE id = $any;" ],
	move => [ 15, "${pick}UPDATE items SET v = $vector WHERE id = $any;" ],
	retag => [ 10, "${pick}UPDATE items SET tag = tag + 1 WHERE id = $any;" ],
	rollback => [
		5, "${pick}BEGIN;\nINSERT INTO items VALUES (nextval('items_id'), $vector, 0);\nROLLBACK;"
	],
	search => [
		40, "${pick}SELECT id FROM items ORDER BY v <-> (SELECT v FROM queries WHERE id = :id % 100 + 1) LIMIT 10;"
	],
	filtered => [
		10, "${pick}SELECT id FROM items WHERE tag < 10 ORDER BY v <-> (SELECT v FROM queries WHERE id = :id % 100 + 1) LIMIT 10;"
	],
	vacuum => [ 1, 'VACUUM items;' ]);

my @files;
foreach my $name (sort keys %scripts)
{
	my ($weight, $text) = @{ $scripts{$name} };
	my $file = $node->basedir . "/$name.sql";

	append_to_file($file, "$text\n");
	push @files, '-f', "$file\@$weight";
}

foreach my $part (1 .. $parts)
{
	$node->command_ok(
		[
			'pgbench', '-n', '-c', 8, '-j', 2, '-T', int($seconds / $parts) || 1,
			@files, 'postgres'
		],
		"part $part: all sessions work");
	$node->wait_for_catchup($standby);
	crash($node);

	check_index($node, 'items_v_idx', "after part $part");
	is( $node->safe_psql(
			'postgres', q{
			SET enable_seqscan = off;
			SET enable_sort = off;
			SELECT count(DISTINCT id) - (SELECT count(*) FROM items)
			FROM (SELECT id FROM items ORDER BY v <-> (SELECT v FROM queries LIMIT 1)) s}),
		0,
		"part $part: a whole scan returns every row");
	cmp_ok(
		recall($node, table => 'items', op => '<->', queries => 'SELECT v FROM queries'),
		'>=', 0.9, "part $part: recall");
	$node->wait_for_catchup($standby);
	same_answers($node, $standby, 'SELECT count(*), sum(id), sum(tag) FROM items',
		"part $part: the standby has the same rows");
}
cmp_ok(
	recall($standby, table => 'items', op => '<->', queries => 'SELECT v FROM queries'),
	'>=', 0.9, 'recall on the standby');

done_testing();
